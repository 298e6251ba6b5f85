"""The way in for events from outside: webhooks, web trackers, and the bounds on both."""
