"""/health/stream: whether this replica takes one more stream, and how many it has. NGINX asks before each stream.

It asks two replicas in turn. The second hears the offer of the first, and the one with fewer streams gets the stream.
A replica that hangs does not answer, so it gets no stream. Only the platform's own network reaches this path.
"""

from sse_app.base.asgi import Scope, Send, header_values
from sse_app.fanout.hub import Hub

PATH = "/health/stream"
HEADER = b"sse-offer"  # a replica and the number of its streams
_DIGITS = 10  # of a number of streams; Python refuses to read thousands of them
_FIRST = 300  # "multiple choices": NGINX asks the next replica, too


def better(own: str, streams: int, rival: str) -> str:
    """The offer of the replica with fewer streams; of two equal ones the later, because NGINX asks in turn."""
    count = rival.rpartition(" ")[2]
    fewer = count.isdecimal() and len(count) < _DIGITS and int(count) < streams
    return rival if fewer else f"{own} {streams}"


async def make(scope: Scope, send: Send, hub: Hub, replica: str, admits: bool) -> None:
    """Answer with an offer: 300 with the own one, or 204 with the better one where another replica has made one."""
    headers = [(b"content-length", b"0")]
    status = 503
    if admits:
        rivals = header_values(scope, HEADER)
        offer = better(replica, len(hub.streams), rivals[0].decode("latin-1") if rivals else "")
        status, headers = (204, []) if rivals else (_FIRST, headers)
        headers = [*headers, (HEADER, offer.encode("latin-1"))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
