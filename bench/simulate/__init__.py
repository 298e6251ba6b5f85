"""The engine on a simulated loop, clock and broker: a seed says what happens when, so that a fault found once is found again."""
