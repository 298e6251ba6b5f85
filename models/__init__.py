"""What is true: events, entity folds, measures, panes, windows and KPI formulas. Pure: no clock, no disk, no network."""
