"""Where a stream begins, and how it gets older records: from the ring, from Redis or from the log."""
