"""A hub as the documentation of sse-starlette, or of fastapi, shows it: one queue for each subscriber.

python hub.py PORT
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections import defaultdict
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import EventSourceResponse as StarletteResponse

app = FastAPI()
queues: dict[str, set[asyncio.Queue[tuple[str, str]]]] = defaultdict(set)  # by channel
numbers = itertools.count(1)


async def events(channel: str) -> AsyncIterator[tuple[str, str]]:
    queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    queues[channel].add(queue)
    try:
        while True:
            yield await queue.get()
    finally:
        queues[channel].discard(queue)


@app.post("/publish", status_code=204)
async def publish(request: Request, channel: str) -> None:
    event = (str(next(numbers)), (await request.body()).decode())
    for queue in queues[channel]:
        queue.put_nowait(event)


@app.get("/fastapi", response_class=EventSourceResponse)
async def fastapi(channel: str) -> AsyncIterator[ServerSentEvent]:
    async for id_, data in events(channel):
        yield ServerSentEvent(id=id_, raw_data=data)


@app.get("/sse-starlette")
async def sse_starlette(channel: str) -> StarletteResponse:
    async def messages() -> AsyncIterator[dict[str, str]]:
        async for id_, data in events(channel):
            yield {"id": id_, "data": data}

    return StarletteResponse(messages(), sep="\n")


uvicorn.run(
    app, port=int(sys.argv[1]), backlog=4096, loop="uvloop", http="httptools", access_log=False, log_level="warning"
)
