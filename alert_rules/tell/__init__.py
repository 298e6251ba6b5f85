"""Decides who is notified of which alert, when, and whether it has arrived."""
