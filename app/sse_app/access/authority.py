"""Who may publish and subscribe to what: checks credentials, and ends streams whose access ended."""

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from sse_app.access import api_keys, credentials, tickets, watched_file
from sse_app.access.api_keys import KeyRing
from sse_app.access.audit import Audit
from sse_app.access.credentials import RefusedError
from sse_app.access.principal import ANONYMOUS, Principal, visitor
from sse_app.access.tickets import Signer, Ticket
from sse_app.access.watched_file import WatchedFile
from sse_app.base import channels
from sse_app.base.asgi import Scope, header_values
from sse_app.base.channels import NOTHING, Filter
from sse_app.base.client_address import client_address
from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import AccessEnd, Permission
from sse_app.base.problem import Problem
from sse_app.base.settings import ConfigurationError, Settings
from sse_app.fanout.subscriber import Subscriber

if TYPE_CHECKING:
    from sse_app.access.issuers import Issuers
    from sse_app.access.tokens import Key, Verifier

T = TypeVar("T")
_MOST_TOKEN = 8200  # bytes of a header with a token: see credentials.py
Right = Literal["publish", "subscribe"]
logger = logging.getLogger(__name__)


class Wish(NamedTuple):
    """What somebody asks of a ticket: a part of the own rights, and the seconds in which it begins streams."""

    publish: Filter
    subscribe: Filter
    seconds: int = 0  # 0: as SSE_TICKET_SECONDS


@dataclass(frozen=True, slots=True)
class Access:
    """A request whose principal is known."""

    principal: Principal
    address: str  # see client_address()
    resumes_only: bool = False  # its ticket no longer begins streams: see Authority.stale()
    missing: Callable[[], Problem] | None = None  # the answer to a visitor who asks for more than the public channels
    audit: Audit | None = None  # None where authorization is off: nothing is decided then

    def require(self, right: Right, wanted: Filter) -> None:
        """Raise Problem 403 for the first channel to which this principal has no such right."""
        granted = self.principal.publish if right == "publish" else self.principal.subscribe
        lacking = None if self.principal is ANONYMOUS else granted.lacks(wanted)  # who may do everything
        if lacking is not None:
            self.require_credential()
            self._refused(right, "no right to these channels", wanted)
            raise Problem(403, f"channel {lacking}: this credential may not {right} there", channel=lacking)
        if self.audit is not None:
            self.audit.allowed(self.principal.name, right, wanted)

    def require_reader(self) -> None:
        """Raise Problem 403 for a principal without any right to subscribe: statistics are for readers alone."""
        self.require_credential()
        if not self.principal.subscribe.names():
            self._refused("statistics", "no right to subscribe")
            raise Problem(403, "this credential may not subscribe to anything")

    def require_publisher(self) -> None:
        """Raise Problem 403 for a principal without any right to publish, before its body is read."""
        self.require_credential()
        if self.principal.publish.empty:
            self._refused("publish", "no right to publish")
            raise Problem(403, "this credential may not publish anything")

    def require_credential(self) -> None:
        """Raise Problem 401 for a visitor."""
        if self.missing is not None:
            raise self.missing()

    def _refused(self, right: Permission, reason: str, wanted: Filter | None = None) -> None:
        if self.audit is not None:
            self.audit.refused(self.principal.name, right, reason, wanted)

    @property
    def publisher(self) -> str:
        """The name that a publish rate counts by: the principal's, or the address where authorization is off."""
        return self.address if self.principal is ANONYMOUS else self.principal.name


@lru_cache(maxsize=4096)
def _anonymous(address: str) -> Access:
    return Access(ANONYMOUS, address)


class Authority:
    """Checks requests, follows the files of credentials, and ends streams whose access ended."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Read every file; ConfigurationError for one that cannot be read or is invalid."""
        self._settings = settings
        self._metrics = metrics
        self._files: list[WatchedFile[Any]] = []
        self._key_files = [self._watch(path, api_keys.parse, []) for path in settings.key_files()]
        self._token_files: list[WatchedFile[list[Key]]] = []
        self._verifier: Verifier | None = None
        self._issuers: Issuers | None = None
        if settings.jwt_secret_file or settings.jwks_file or settings.issuers:
            from sse_app.access import issuers, tokens  # noqa: PLC0415 - cryptography costs 9 MB and 0.1 s

            files = (settings.jwt_secret_file, tokens.from_secrets), (settings.jwks_file, tokens.from_jwks)
            for path, parse in files:
                if path:
                    self._token_files.append(self._watch(path, parse, []))
            self._verifier = tokens.Verifier(lambda: self._tokens, settings, frozenset(settings.issuer_urls()))
            if settings.issuers:
                self._issuers = issuers.Issuers(settings, metrics, self._keys_changed)
        own = [secrets.token_bytes(tickets.KEY_BYTES)]
        ticket_file = None
        if settings.ticket_key_file:
            ticket_file = self._watch(settings.ticket_key_file, partial(watched_file.lines, shortest=tickets.KEY_BYTES))
        elif settings.auth:
            logger.warning("SSE_TICKET_KEY_FILE is not set: tickets and sessions are valid in this process alone")
        self.audit = Audit(metrics, settings.audit_sample)
        self._visitor = visitor(settings.public)
        self._signer = Signer(lambda: own if ticket_file is None else ticket_file.value)
        self._gather_keys()
        self._live: dict[Subscriber, tuple[Principal, asyncio.TimerHandle | None]] = {}

    # --- requests

    @property
    def has_issuers(self) -> bool:
        """Whether requests need prepare()."""
        return self._issuers is not None

    async def prepare(self, scope: Scope) -> None:
        """Fetch the keys of an issuer where a request brings a token that names an unknown one; Problem 503."""
        if self._issuers is None:
            return
        for value in header_values(scope, b"authorization")[:1]:
            scheme, _, token = value[:_MOST_TOKEN].decode("latin-1").partition(" ")
            if scheme.lower() == "bearer" and token.count(".") == 2:
                await self._issuers.prepare(token.strip())

    def access(self, scope: Scope, *, ticket: bool = False) -> Access:
        """The principal of a request; Problem 401 where its credential is missing or refused.

        :param ticket: whether a ticket in the query counts
        """
        address = client_address(scope, self._settings.proxies)
        if not self._settings.auth:
            return _anonymous(address)
        try:
            found = credentials.presented(scope, ticket=ticket)
            if found is None:
                return self._without_credential(address)
            if found.kind == "session" and scope["method"] not in ("GET", "HEAD"):
                try:
                    credentials.require_same_origin(scope)
                except Problem:
                    self.audit.refused("", "credential", "a session from another origin")
                    raise
            self.reload()  # a changed file counts from the next request on; the check takes a microsecond a file
            if found.kind == "bearer":
                return Access(self._bearer(found.value), address, audit=self.audit)
            principal, fresh = self._signed(found.kind, found.value)
            return Access(principal, address, resumes_only=found.kind == "ticket" and not fresh, audit=self.audit)
        except RefusedError as error:
            raise self._unauthorized(error) from None

    def _without_credential(self, address: str) -> Access:
        missing = RefusedError("missing", "a credential is needed: Authorization: Bearer, a ticket or a session")
        if not self._visitor.subscribe.names():
            raise missing
        return Access(self._visitor, address, missing=partial(self._unauthorized, missing), audit=self.audit)

    def stale(self) -> Problem:
        """The answer to a ticket that would begin a stream later than it may.

        A ticket begins streams for SSE_TICKET_SECONDS. Later it only resumes them: a client that sends a known cursor
        has read a stream before. So a leaked address is soon of no use, an EventSource reconnects with it to any
        replica, and no replica has to remember which tickets were used.
        """
        return self._unauthorized(RefusedError("stale", "the ticket no longer begins streams, it only resumes them"))

    def _bearer(self, value: str) -> Principal:
        if value.count(".") == 2:
            if self._verifier is None:
                raise RefusedError("unknown_key", "tokens are not accepted here")
            return self._verifier.verify(value)
        principal = self._ring.find(value)
        if principal is None:
            raise RefusedError("unknown_key", "the API key is not known here")
        return principal

    def _signed(self, kind: tickets.Kind, value: str) -> tuple[Principal, bool]:
        ticket = self._signer.verify(kind, value)
        if ticket is None:
            raise RefusedError("signature", f"the {kind} was not signed by this service")
        now = time.time()
        if ticket.expires <= now:
            raise RefusedError("expired", f"the {kind} has expired")
        publish, subscribe = channels.parse(ticket.publish), channels.parse(ticket.subscribe)
        narrow, id_ = bool(ticket.narrow), ticket.narrow if isinstance(ticket.narrow, str) else ""
        given = Principal(ticket.name, publish, subscribe, ticket.source, ticket.expires, narrow, id_)
        principal = self._present(given)
        if principal is None:
            raise RefusedError("revoked", f"the credential behind the {kind} was revoked")
        if kind == "ticket" and not ticket.narrow:
            principal = replace(principal, publish=NOTHING)
        return principal, now < ticket.fresh_until

    def _present(self, principal: Principal) -> Principal | None:
        """The same principal with the present rights of its source; None where the source is gone."""
        if principal.source.startswith("key:"):
            key = self._ring.current(principal.source)
            if key is None:
                return None
            publish, subscribe = key.publish, key.subscribe
            if principal.narrow:
                publish, subscribe = principal.publish.within(publish), principal.subscribe.within(subscribe)
            return replace(principal, publish=publish, subscribe=subscribe)
        return principal if any(key.source == principal.source for key in self._tokens) else None

    def _unauthorized(self, error: RefusedError) -> Problem:
        self._metrics.unauthorized[error.reason] += 1
        self.audit.refused("", "credential", error.reason)
        invalid = error.reason != "missing"
        challenge = 'Bearer realm="sse"' + (', error="invalid_token"' if invalid else "")  # RFC 6750, section 3
        return Problem(401, str(error), {"www-authenticate": challenge})

    # --- what browsers get instead of a credential

    def issue(self, kind: tickets.Kind, access: Access, wish: Wish | None = None) -> tuple[str, Ticket]:
        """A ticket or a session for the principal of a request; Problem 403 for a right that it has not.

        A session has all its rights. A ticket has its rights to subscribe, or those that are wished for.
        """
        access.require_credential()
        now, principal = time.time(), access.principal
        seconds = self._settings.ticket_seconds
        publish, subscribe = principal.publish if kind == "session" else NOTHING, principal.subscribe
        if wish is not None:
            access.require("publish", wish.publish)
            access.require("subscribe", wish.subscribe)
            publish, subscribe, seconds = wish.publish, wish.subscribe, wish.seconds or seconds
        carries_rights = principal.source.startswith("jwt:") or wish is not None
        made = Ticket(
            kind,
            principal.name,
            principal.source,
            publish.names() if carries_rights else [],
            subscribe.names() if carries_rights else [],
            math.floor(now),
            math.floor(min(principal.expires, now + self._settings.session_seconds)),
            math.floor(now + seconds),
            narrow="" if wish is None else secrets.token_hex(8),
        )
        try:
            return self._signer.sign(made), made
        except ValueError as error:
            raise Problem(422, f"no {kind} for this credential: {error}") from error

    # --- live streams

    def enter(self, subscriber: Subscriber, principal: Principal) -> None:
        """End a stream when its credential expires or is revoked."""
        if not principal.source:
            return
        timer = None
        if math.isfinite(principal.expires):
            loop = asyncio.get_running_loop()
            timer = loop.call_later(max(0.0, principal.expires - time.time()), self._end, subscriber, "expired")
        self._live[subscriber] = principal, timer
        self._check(subscriber, principal)  # a file may have changed since the request was checked

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a stream."""
        _, timer = self._live.pop(subscriber, (None, None))
        if timer is not None:
            timer.cancel()

    def access_end(self, principal: Principal, wanted: Filter = NOTHING) -> AccessEnd | None:
        """Return why access ended ("expired" or "revoked"), or None while it is valid."""
        if not principal.source:
            return None
        if principal.expires <= time.time():
            return "expired"
        present = self._present(principal)
        return "revoked" if present is None or present.subscribe.lacks(wanted) else None

    def _check(self, subscriber: Subscriber, principal: Principal) -> None:
        reason = self.access_end(principal, subscriber.wanted)
        if reason is not None:
            self._end(subscriber, reason)

    def _end(self, subscriber: Subscriber, reason: AccessEnd) -> None:
        if not subscriber.ending:
            self._metrics.access_ends[reason] += 1
            subscriber.end(reason)

    # --- files

    @property
    def state(self) -> str:
        """ok, or how many files are refused; everybody may read it, so it shows no path and no content."""
        broken = self.broken
        return f"{broken} of {len(self._files)} files refused, the log says why" if broken else "ok"

    @property
    def failing(self) -> int:
        """The number of issuers whose keys could not be fetched when they were asked last."""
        return 0 if self._issuers is None else self._issuers.failing

    @property
    def broken(self) -> int:
        """The number of files whose present content is refused."""
        return sum(bool(file.error) for file in self._files)

    async def run(self) -> None:
        """Follow the files and the issuers for ever."""
        await asyncio.gather(self._follow_files(), *([self._issuers.run()] if self._issuers else []))

    async def _follow_files(self) -> None:
        while self._files:
            await asyncio.sleep(self._settings.auth_check_seconds)
            self.reload()

    def reload(self) -> None:
        """Read the files that changed, and end the streams whose access ended."""
        changed = [file for file in self._files if file.changed()]
        if changed:
            self._keys_changed()

    def _keys_changed(self) -> None:
        self._gather_keys()
        for subscriber, (principal, _) in list(self._live.items()):
            self._check(subscriber, principal)

    def _watch(self, path: str, parse: Callable[[bytes], T], absent: T | None = None) -> WatchedFile[T]:
        try:
            file = WatchedFile(path, parse, absent)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: {error}") from None
        self._files.append(file)
        return file

    def _gather_keys(self) -> None:
        """Gather the keys of all files once, so that requests need not."""
        self._ring = KeyRing([key for file in self._key_files for key in file.value])
        self._tokens: list[Key] = [key for file in self._token_files for key in file.value]
        if self._issuers is not None:
            self._tokens += self._issuers.keys
