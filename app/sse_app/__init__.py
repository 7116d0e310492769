"""The SSE service of sse.platform: publish to a durable log, fan out to every subscriber, resume without loss."""
