"""Judges readings, deals, leads and senders by the rules: which alerts stand, and what has just happened to them."""
