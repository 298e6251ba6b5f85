"""Deals, leads, visitors and accounts: what is known of each, exactly, however its events come."""
