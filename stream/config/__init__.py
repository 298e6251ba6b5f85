"""What the operator asked for, read and checked once."""
