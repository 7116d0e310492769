"""What a connection costs, and that the parts which make it cheap do what uvicorn's own do."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from unittest.mock import Mock

import pytest
from sse_harness import Client, Replicas, eventually

from sse_app.http.uvicorn_protocol import Flow, Pipeline

STREAMS = 100
KILOBYTES = 10.5  # of Python objects, the test's own end included; with uvicorn's events, deques and scope it was 13.9


@pytest.mark.usefixtures("coverage_paused")
def test_a_stream_keeps_nothing_of_its_request() -> None:
    with Replicas() as replica:
        clients: list[Client] = []

        def subscribe(count: int) -> None:
            for _ in range(count):
                clients.append(Client(replica.port))
                clients[-1].send("GET /api/v1/stream?channel=a HTTP/1.1\nHost: x\nAccept: text/event-stream")
            eventually(lambda: len(replica.service.hub.streams) == len(clients))
            gc.collect()

        subscribe(10)  # what is made once
        tracemalloc.start(1)
        try:
            before = tracemalloc.get_traced_memory()[0]
            subscribe(STREAMS)
            used = (tracemalloc.get_traced_memory()[0] - before) / STREAMS / 1024
        finally:
            tracemalloc.stop()
            for client in clients:
                client.socket.close()
    assert used < KILOBYTES


async def test_whoever_waits_for_a_full_transport_goes_on_when_it_is_writable_again() -> None:
    flow = Flow(Mock())
    await asyncio.wait_for(flow.drain(), 5)
    flow.pause_writing()
    flow.pause_writing()
    waiting = [asyncio.create_task(flow.drain()) for _ in range(2)]
    await asyncio.sleep(0)
    assert (flow.write_paused, [task.done() for task in waiting]) == (True, [False, False])
    flow.resume_writing()
    await asyncio.wait_for(asyncio.gather(*waiting), 5)
    assert not flow.write_paused


def test_a_pipeline_gives_requests_in_the_order_of_their_coming() -> None:
    pipeline = Pipeline()
    for request in ("first", "second", "third"):
        pipeline.appendleft(request)
    assert [pipeline.pop() for _ in range(3)] == ["first", "second", "third"]
