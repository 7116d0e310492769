"""A hub as the documentation of sse-starlette, or of fastapi, shows it: one queue for each subscriber.

python hub.py PORT
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import EventSourceResponse as StarletteResponse

app = FastAPI()
queues: set[asyncio.Queue[tuple[str, str]]] = set()
numbers = itertools.count(1)


async def events() -> AsyncIterator[tuple[str, str]]:
    queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    queues.add(queue)
    try:
        while True:
            yield await queue.get()
    finally:
        queues.discard(queue)


@app.post("/publish", status_code=204)
async def publish(request: Request) -> None:
    event = (str(next(numbers)), (await request.body()).decode())
    for queue in queues:
        queue.put_nowait(event)


@app.get("/fastapi", response_class=EventSourceResponse)
async def fastapi() -> AsyncIterator[ServerSentEvent]:
    async for id_, data in events():
        yield ServerSentEvent(id=id_, raw_data=data)


@app.get("/sse-starlette")
async def sse_starlette() -> StarletteResponse:
    async def messages() -> AsyncIterator[dict[str, str]]:
        async for id_, data in events():
            yield {"id": id_, "data": data}

    return StarletteResponse(messages(), sep="\n")


uvicorn.run(
    app, port=int(sys.argv[1]), backlog=4096, loop="uvloop", http="httptools", access_log=False, log_level="warning"
)
