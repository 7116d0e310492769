"""A client of the SSE service for asyncio: publishes safely, reads streams that resume by themselves. Needs httpx."""

from sse_client.client import Bye, Client, Gap, OutcomeUnknownError, RefusedError
from sse_client.reader import Message, Reader

__all__ = ["Bye", "Client", "Gap", "Message", "OutcomeUnknownError", "Reader", "RefusedError"]
