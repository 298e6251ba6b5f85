"""One machine's ledger: topics and state in one SQLite file, with the same promise as Kafka's transactions."""
