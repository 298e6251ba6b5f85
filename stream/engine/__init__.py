"""Drives the folds on Kafka: records in, state and outputs and positions durable together."""
