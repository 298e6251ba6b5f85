"""The tables that other tools read: what is in each, and which of their rows are asked for."""
