"""The SSE service of sse.platform: publish to a durable log, fan out to every subscriber, resume without loss.

    __main__ server service    the process, and the parts of one replica put together
    http/                      what a client reaches: publishing, streams, routes
    access/                    who may do what, and how much of it
    resume/                    where a stream begins, and older records
    fanout/                    from the log to the live streams
    log/                       the durable log: Kafka, or the memory of this process
    base/                      what every other room uses

Imports go down only: tests/unit/test_rooms.py. The commands health and keys stand beside the process.
"""
