"""Does one variant sell better than the other? Answered while it runs, as often as one likes to look."""
