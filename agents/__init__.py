"""What acts: one agent a file, each a shell around a pure decision."""
