"""Customers: what they have bought, how they score, whether they are still there, and what they are worth."""
