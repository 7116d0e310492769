"""ASGI as this service uses it: its types, the headers of a request, and whole answers that name their request."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from sse_app.base import request_context

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


_INDEX = "sse_app.headers"  # in a scope: the values of each header, gathered once
_NONE: list[bytes] = []  # nobody changes what header_values() returns


def header_values(scope: Scope, name: bytes) -> list[bytes]:
    """Every value of a header, in the order of the request; `name` is in lower case, as servers give it."""
    values: dict[bytes, list[bytes]] | None = scope.get(_INDEX)
    if values is None:
        values = scope[_INDEX] = {}
        for key, value in scope["headers"]:
            values.setdefault(key, []).append(value)
    return values.get(name, _NONE)


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them, with the id of the request."""
    return [*((name.encode(), value.encode()) for name, value in headers.items()), request_context.header()]


async def answer(send: Send, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
    """Send a whole answer."""
    if body:  # without a length the server would send chunks, even to a client of HTTP/1.0
        headers = {**headers, "content-length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": encoded(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def identified(send: Send) -> Send:
    """A send() that adds the id of the request, for an application that does not know of it."""

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), request_context.header()]
        await send(message)

    return send_with_id
