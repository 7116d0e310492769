"""What holds for every question, whatever it asks for: HEAD is GET without a body, and no cache keeps the answer."""

from functools import partial

from sse_app.base.asgi import Application, Message, Receive, Scope, Send

HEAD = "sse_app.head"  # in the scope of a question that was asked by HEAD


class Questions:
    """ASGI application: what monitors and proxies expect of any server (RFC 9110, section 9.1; RFC 9111)."""

    def __init__(self, app: Application) -> None:
        self._otherwise = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a HEAD on as a GET: the server leaves out the body, because it knows what was asked for."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", HEAD: True}
        await self._otherwise(scope, receive, partial(_uncached, send))


async def _uncached(send: Send, message: Message) -> None:
    # Without it, a cache between may keep an answer as long as it likes: Varnish does so for two minutes.
    if message["type"] == "http.response.start":
        headers = list(message.get("headers", ()))
        if all(name.lower() != b"cache-control" for name, _ in headers):
            message = {**message, "headers": [*headers, (b"cache-control", b"no-store")]}
    await send(message)
