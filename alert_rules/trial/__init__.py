"""Tries rules out: on their own tests, and on a history."""
