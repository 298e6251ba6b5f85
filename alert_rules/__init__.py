"""When to speak: rules, their evaluation and life cycle. Pure: no clock, no disk, no network."""
