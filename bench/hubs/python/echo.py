"""No hub: the least that an answer to a publish costs in Python, which is uvicorn's own work and that of json.

python echo.py PORT
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

HEADERS = [(b"content-type", b"application/json")]


async def echo(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Read the body as JSON, and give it back."""
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    answer = json.dumps(json.loads(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": answer})


uvicorn.run(
    echo,
    port=int(sys.argv[1]),
    lifespan="off",
    loop="uvloop",
    http="httptools",
    access_log=False,
    log_level="warning",
)
