"""A client of the SSE service for asyncio: it publishes safely and reads streams that resume. It needs httpx."""

from sse_client.client import Bye, Client, Gap, OutcomeUnknownError, RefusedError
from sse_client.reader import Message, Reader

__all__ = ["Bye", "Client", "Gap", "Message", "OutcomeUnknownError", "Reader", "RefusedError"]
