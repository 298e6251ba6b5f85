"""Plumbing: settings, topics, the engine under the folds, sources and the web."""
