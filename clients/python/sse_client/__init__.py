"""A client of sse.platform: publishes that are safe to repeat, and streams that resume and say what they lost.

Client needs only Python's standard library. AsyncClient needs httpx: pip install 'sse-platform-client[async]'.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sse_client.client import Client, Stream
from sse_client.errors import (
    OutcomeUnknownError,
    RedirectError,
    RefusedError,
    SseError,
    TooLongError,
    UnexpectedAnswerError,
    UnreachableError,
    UntrustedError,
)
from sse_client.events import Bye, Cursor, Gap, Message, Page, StreamEvent, Ticket
from sse_client.exchange import Again
from sse_client.reader import Reader

if TYPE_CHECKING:
    from sse_client.async_client import AsyncClient, AsyncStream

__all__ = [
    "Again",
    "Bye",
    "Client",
    "Cursor",
    "Gap",
    "Message",
    "OutcomeUnknownError",
    "Page",
    "Reader",
    "RedirectError",
    "RefusedError",
    "SseError",
    "Stream",
    "StreamEvent",
    "Ticket",
    "TooLongError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "UntrustedError",
]
if find_spec("httpx"):  # `from sse_client import *` asks for all of them
    __all__ += ["AsyncClient", "AsyncStream"]


def __getattr__(name: str) -> Any:
    """Import what needs httpx only where it is asked for."""
    if name not in ("AsyncClient", "AsyncStream"):
        raise AttributeError(f"module 'sse_client' has no attribute {name!r}")
    try:
        from sse_client import async_client  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        raise ImportError(f"{name} needs httpx: pip install 'sse-platform-client[async]'") from error
    return getattr(async_client, name)
