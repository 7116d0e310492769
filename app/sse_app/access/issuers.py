"""Keys of token issuers, fetched from their addresses (JWK sets) and kept while a fetch fails.

A fetch is bounded in time and bytes, follows no redirect, and uses https and public addresses unless the settings allow
otherwise. What an issuer serves verifies the tokens of this issuer alone.
"""

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urlsplit

import h11

from sse_app.access.tokens import Key, from_issuer, unverified
from sse_app.base.metrics import Metrics
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings

_SECONDS = 5.0  # for a whole fetch, from the name to the last byte
_MOST_BYTES = 262_144  # 100 keys of 4096 bits take about 100 KB
_MOST_RECEIVED = _MOST_BYTES + 65_536  # with its head and its chunks; each byte could come as a chunk of its own
_PIECE_BYTES = 2048  # read at once: as many chunks as that holds take 5 ms
_LEAST_SECONDS = 10.0  # between two fetches: whoever makes up ids of keys causes no more
_FAILED_SECONDS = 30.0  # until the next try after a failure
_REFUSED = 200  # characters of a reason
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
logger = logging.getLogger(__name__)


class FetchError(Exception):
    """Why the keys of an issuer could not be fetched."""


@dataclass
class Issuer:
    """One issuer, and its present keys."""

    name: str
    url: str
    keys: list[Key] = field(default_factory=list[Key])
    error: str = "not fetched yet"
    due: float = 0.0
    tried: float = -_LEAST_SECONDS
    fetching: asyncio.Task[None] | None = None


class Issuers:
    """Follows the keys of every issuer of SSE_ISSUERS."""

    def __init__(self, settings: Settings, metrics: Metrics, changed: Callable[[], None]) -> None:
        """`changed` is called after keys have changed."""
        self._settings = settings
        self._metrics = metrics
        self._changed = changed
        self._issuers = {name: Issuer(name, url) for name, url in settings.issuer_urls().items()}

    @property
    def keys(self) -> list[Key]:
        """The present keys of all issuers."""
        return [key for one in self._issuers.values() for key in one.keys]

    @property
    def failing(self) -> int:
        """How many issuers did not answer as they should when they were asked last."""
        return sum(bool(one.error) for one in self._issuers.values())

    async def prepare(self, token: str) -> None:
        """Fetch the keys anew where a token names one that is not known; Problem 503 while there are none at all."""
        name, id_ = unverified(token)
        issuer = self._issuers.get(name)
        if issuer is None or any(id_ in (None, key.id) for key in issuer.keys):
            return
        await self._refresh(issuer)
        if not issuer.keys:
            raise Problem(503, "the keys of the issuer of this token are not known yet", {"retry-after": "5"})

    async def run(self) -> None:
        """Fetch every set again and again, for ever."""
        while self._issuers:
            now = time.monotonic()
            await asyncio.gather(*(self._refresh(one) for one in self._issuers.values() if one.due <= now))
            soonest = min(one.due for one in self._issuers.values())
            await asyncio.sleep(max(1.0, soonest - time.monotonic()))

    async def _refresh(self, issuer: Issuer) -> None:
        """Fetch once for all who wait, and not again too soon."""
        if issuer.fetching is None:
            if time.monotonic() - issuer.tried < _LEAST_SECONDS:
                return
            issuer.tried = time.monotonic()
            issuer.fetching = asyncio.create_task(self._fetch(issuer), name=f"keys of {issuer.name}")
        await asyncio.shield(issuer.fetching)

    async def _fetch(self, issuer: Issuer) -> None:
        try:
            found = from_issuer(await fetch(issuer.url, self._settings))
        except (FetchError, ValueError) as error:
            self._failed(issuer, str(error))
        else:
            keys = [replace(key, issuer=issuer.name) for key in found]
            if issuer.error:
                logger.info("the keys of %s were fetched: %d", issuer.name, len(keys))
            changed = [key.source for key in keys] != [key.source for key in issuer.keys] or [
                key.id for key in keys
            ] != [key.id for key in issuer.keys]
            issuer.keys, issuer.error = keys, ""
            issuer.due = time.monotonic() + self._settings.issuers_seconds
            if changed:
                self._changed()
        finally:
            issuer.fetching = None

    def _failed(self, issuer: Issuer, reason: str) -> None:
        self._metrics.issuer_failures += 1
        issuer.due = time.monotonic() + min(_FAILED_SECONDS, self._settings.issuers_seconds)
        if reason != issuer.error:
            kept = f"{len(issuer.keys)} earlier keys stay in force" if issuer.keys else "it has no keys"
            logger.warning("the keys of %s could not be fetched, and %s: %s", issuer.name, kept, reason[:_REFUSED])
        issuer.error = reason


async def fetch(url: str, settings: Settings) -> bytes:
    """The body of an address; FetchError says why there is none."""
    try:
        async with asyncio.timeout(_SECONDS):
            return await _get(urlsplit(url), settings)
    except TimeoutError:
        raise FetchError(f"no whole answer within {_SECONDS:g} s") from None
    except (OSError, ssl.SSLError) as error:
        raise FetchError(f"no connection: {error}") from None
    except h11.ProtocolError as error:
        raise FetchError(f"the answer is not HTTP: {error}") from None


async def _get(url: SplitResult, settings: Settings) -> bytes:
    if url.scheme != "https" and not settings.issuers_allow_http:
        raise FetchError("expected https (SSE_ISSUERS_ALLOW_HTTP allows http)")
    tls = url.scheme == "https"
    host = url.hostname or ""
    port = url.port or (443 if tls else 80)
    address = await _address(host, port, settings)
    context = ssl.create_default_context() if tls else None
    # The address that was looked at, not the name once more: a name can lead elsewhere in the next moment.
    reader, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=host if tls else None)
    try:
        return await _exchange(url, reader, writer)
    finally:
        writer.transport.abort()


async def _address(host: str, port: int, settings: Settings) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]) for one in found]
    private = [one for one in addresses if not _is_public(one)]
    if private and not settings.issuers_allow_private:
        raise FetchError(f"{host} is {private[0]}, no public address (SSE_ISSUERS_ALLOW_PRIVATE allows it)")
    return addresses[0]


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:  # where a network has IPv6 alone, a server with IPv4 alone has such an address
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
    return address.is_global and not address.is_multicast


async def _exchange(url: SplitResult, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    connection = h11.Connection(h11.CLIENT)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    headers = [("Host", url.netloc.rpartition("@")[2]), ("Accept", "application/json"), ("Connection", "close")]
    request = connection.send(h11.Request(method="GET", target=target, headers=headers))
    writer.write((request or b"") + (connection.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    body, received = bytearray(), 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(_PIECE_BYTES)
            received += len(data)
            if received > _MOST_RECEIVED:
                raise FetchError(f"expected at most {_MOST_BYTES} bytes, in an answer of {_MOST_RECEIVED}")
            connection.receive_data(data)
            await asyncio.sleep(0)  # what has arrived is read without a wait: others get their turn, and time is up
        elif isinstance(event, h11.Response):
            if event.status_code != 200:
                raise FetchError(f"expected 200, found {event.status_code} (a redirect is not followed)")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MOST_BYTES:
                raise FetchError(f"expected at most {_MOST_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body)
        elif isinstance(event, h11.ConnectionClosed):
            raise FetchError("the answer ended early")
