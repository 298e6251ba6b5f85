"""What happened in each stretch of time: sums per pane and segment, and what they add up to over a window."""
