"""No hub: the least that a publish, a delivery and a stream cost in Python, the work of uvicorn and of json alone.

It keeps no event, checks nothing, and waits for each subscriber.

python least.py PORT
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]

JSON = [(b"content-type", b"application/json")]
STREAM = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
streams: defaultdict[bytes, set[Send]] = defaultdict(set)  # by the query, which names the channel


async def least(scope: Any, receive: Receive, send: Send) -> None:
    """Pass the body on to all streams with the same query, after it was read as JSON, and give it back."""
    assert scope["type"] == "http"
    readers = streams[scope["query_string"]]
    if scope["method"] == "GET":
        await send({"type": "http.response.start", "status": 200, "headers": STREAM})
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})
        readers.add(send)
        while (await receive())["type"] != "http.disconnect":
            pass
        readers.discard(send)
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    answer = json.dumps(json.loads(body)).encode()
    event = {"type": "http.response.body", "body": b"data: " + body + b"\n\n", "more_body": True}
    for reader in tuple(readers):
        await reader(event)
    await send({"type": "http.response.start", "status": 200, "headers": JSON})
    await send({"type": "http.response.body", "body": answer})


uvicorn.run(
    least,
    port=int(sys.argv[1]),
    lifespan="off",
    loop="uvloop",
    http="httptools",
    access_log=False,
    log_level="warning",
)
