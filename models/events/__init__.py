"""The event contract: what comes in on the topics, and what is refused."""
