"""The page, the API and the metrics: how Vigie is seen from outside."""
