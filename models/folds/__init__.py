"""One entity a file: its state, how an event changes it, and what it contributes to the panes."""
