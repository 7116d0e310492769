"""The durable log: its interface, Kafka and the embedded log behind it, cursors and duplicates."""
