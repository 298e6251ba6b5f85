"""Reads files that people write (rules, their tests, the plan of who is told): all that is wrong, in one go, with its place."""
