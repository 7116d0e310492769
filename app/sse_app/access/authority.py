"""Who may publish and subscribe what: credentials against the files of today, and live streams that outlive theirs."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import MutableMapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from sse_app.access import api_keys, credentials, tickets, watched_file
from sse_app.access.api_keys import KeyRing
from sse_app.access.credentials import RefusedError
from sse_app.access.principal import ANONYMOUS, Principal
from sse_app.access.tickets import Signer, Ticket
from sse_app.access.watched_file import Watched
from sse_app.base import channels, client_address
from sse_app.base.channels import Filter
from sse_app.base.metrics import Lapse, Metrics
from sse_app.base.problem import Problem
from sse_app.base.settings import ConfigurationError, Settings
from sse_app.fanout.hub import Subscriber

if TYPE_CHECKING:
    from sse_app.access.tokens import Key

_NOTHING = Filter(frozenset(), frozenset())
Scope = MutableMapping[str, Any]
Right = Literal["publish", "subscribe"]
logger = logging.getLogger(__name__)


class Access:
    """A request that may go on as its principal."""

    def __init__(self, principal: Principal, address: str, *, resumes_only: bool = False) -> None:
        self.principal = principal
        self.address = address  # of the client, see client_address.py
        self.resumes_only = resumes_only  # its ticket is no longer fresh: see Authority.stale()

    def require(self, right: Right, wanted: Filter) -> None:
        """Problem 403 names a channel that this principal has no such right to."""
        granted = self.principal.publish if right == "publish" else self.principal.subscribe
        lacking = granted.lacks(wanted)
        if lacking is not None:
            raise Problem(403, f"channel {lacking}: this credential may not {right} there", channel=lacking)

    def require_reader(self) -> None:
        """Problem 403 for a principal that may read nothing: what concerns no channel is for those who read any."""
        if not self.principal.subscribe.names():
            raise Problem(403, "this credential may not subscribe to anything")

    @property
    def publisher(self) -> str:
        """Whose rate a publish counts against: the principal, or the address where nobody says who they are."""
        return self.address if self.principal is ANONYMOUS else self.principal.name


class Authority:
    """Judges requests, follows the files that it judges by, and ends streams whose credential is gone."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """Read every file; ConfigurationError for one that cannot be read or makes no sense."""
        self._settings = settings
        self._metrics = metrics
        self._proxies = client_address.networks(settings.trusted_proxies)
        self._files: list[Watched[Any]] = []
        self._key_files = [self._watch(path, api_keys.parse) for path in settings.key_files()]
        self._token_files: list[Watched[list[Key]]] = []
        if settings.jwt_secret_file or settings.jwks_file:
            from sse_app.access import tokens  # noqa: PLC0415 - cryptography costs 9 MB and 0.1 s: only who uses it pays

            for path, parse in (
                (settings.jwt_secret_file, tokens.from_secrets),
                (settings.jwks_file, tokens.from_jwks),
            ):
                if path:
                    self._token_files.append(self._watch(path, parse))
            self._verifier = tokens.Verifier(
                lambda: self._tokens, settings.jwt_audience, settings.jwt_issuer, settings.jwt_leeway_seconds
            )
        own = [secrets.token_bytes(tickets.KEY_BYTES)]
        ticket_file = None
        if settings.ticket_key_file:
            ticket_file = self._watch(settings.ticket_key_file, partial(watched_file.lines, shortest=tickets.KEY_BYTES))
        elif settings.auth:
            logger.warning("SSE_TICKET_KEY_FILE is not set: tickets and sessions hold on this replica, until it ends")
        self._signer = Signer(lambda: own if ticket_file is None else ticket_file.value)
        self._derive()
        self._live: dict[Subscriber, tuple[Principal, asyncio.TimerHandle | None]] = {}

    # --- requests

    def access(self, scope: Scope, *, ticket: bool = False) -> Access:
        """Who asks; Problem 401 where nobody does that is known here.

        :param ticket: whether a ticket in the query counts
        """
        address = client_address.client(scope, self._proxies)
        if not self._settings.auth:
            return Access(ANONYMOUS, address)
        try:
            found = credentials.presented(scope, ticket=ticket)
            if found.kind == "session" and scope["method"] not in ("GET", "HEAD"):
                _refuse_foreign_page(scope)
            self.reload()  # so what changed counts from the next request on, for a microsecond a file
            if found.kind == "bearer":
                return Access(self._bearer(found.value), address)
            principal, fresh = self._signed(found.kind, found.value)
            return Access(principal, address, resumes_only=found.kind == "ticket" and not fresh)
        except RefusedError as error:
            raise self._unauthorized(error) from None

    def stale(self) -> Problem:
        """The answer to a ticket that would begin a stream later than it may.

        Until SSE_TICKET_SECONDS have passed it begins streams. Later it only resumes: the proof that it was redeemed is
        a cursor, which only who has read a stream can name. So a leaked address is soon of no use, an EventSource
        reconnects with it to any replica, and nobody has to remember which tickets were redeemed.
        """
        return self._unauthorized(RefusedError("stale", "the ticket begins streams no more, it only resumes them"))

    def _bearer(self, value: str) -> Principal:
        if value.count(".") == 2:
            if not self._token_files:
                raise RefusedError("unknown_key", "tokens are not accepted here")
            return self._verifier.verify(value)
        principal = self._ring.find(value)
        if principal is None:
            raise RefusedError("unknown_key", "the API key is not known here")
        return principal

    def _signed(self, kind: tickets.Kind, value: str) -> tuple[Principal, bool]:
        ticket = self._signer.verify(kind, value)
        if ticket is None:
            raise RefusedError("signature", f"the {kind} was not given here")
        now = time.time()
        if ticket.expires <= now:
            raise RefusedError("expired", f"the {kind} has expired")
        rights = [channels.parse(listed) for listed in (ticket.publish, ticket.subscribe)]
        principal = self._today(Principal(ticket.name, rights[0], rights[1], ticket.source, ticket.expires))
        if principal is None:
            raise RefusedError("revoked", f"the credential behind the {kind} was revoked")
        return principal, now < ticket.fresh_until

    def _today(self, principal: Principal) -> Principal | None:
        """The same principal with the rights that its source gives it now; None where that is gone."""
        if principal.source.startswith("key:"):
            key = self._ring.current(principal.source)
            return key and Principal(key.name, key.publish, key.subscribe, key.source, principal.expires)
        return principal if any(key.source == principal.source for key in self._tokens) else None

    def _unauthorized(self, error: RefusedError) -> Problem:
        self._metrics.unauthorized[error.reason] += 1
        invalid = error.reason != "missing"
        challenge = 'Bearer realm="sse"' + (', error="invalid_token"' if invalid else "")  # RFC 6750, section 3
        return Problem(401, str(error), {"www-authenticate": challenge})

    # --- what browsers get instead of a credential

    def ticket(self, access: Access) -> tuple[str, Ticket]:
        """A ticket to subscribe with whatever the principal may subscribe."""
        return self._sign("ticket", access.principal, publish=False)

    def session(self, access: Access) -> tuple[str, Ticket]:
        """A session with the principal's rights."""
        return self._sign("session", access.principal, publish=True)

    def _sign(self, kind: tickets.Kind, principal: Principal, *, publish: bool) -> tuple[str, Ticket]:
        now = time.time()
        embedded = principal.source.startswith("jwt:")
        made = Ticket(
            kind,
            principal.name,
            principal.source,
            principal.publish.names() if embedded and publish else [],
            principal.subscribe.names() if embedded else [],
            math.floor(now),
            math.floor(min(principal.expires, now + self._settings.session_seconds)),
            math.floor(now + self._settings.ticket_seconds),
        )
        try:
            return self._signer.sign(made), made
        except ValueError as error:
            raise Problem(422, f"no {kind} for this credential: {error}") from error

    # --- live streams

    def enter(self, subscriber: Subscriber, principal: Principal) -> None:
        """Have a stream ended when its credential expires or is revoked."""
        if principal is ANONYMOUS:
            return
        timer = None
        if math.isfinite(principal.expires):
            loop = asyncio.get_running_loop()
            timer = loop.call_later(max(0.0, principal.expires - time.time()), self._end, subscriber, "expired")
        self._live[subscriber] = principal, timer
        self._judge(subscriber, principal)  # a file may have changed since the request was judged

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a stream."""
        _, timer = self._live.pop(subscriber, (None, None))
        if timer is not None:
            timer.cancel()

    def lapse(self, principal: Principal, wanted: Filter = _NOTHING) -> Lapse | None:
        """Why a principal that was let in would not be any more; None while it would."""
        if principal is ANONYMOUS:
            return None
        if principal.expires <= time.time():
            return "expired"
        today = self._today(principal)
        return "revoked" if today is None or today.subscribe.lacks(wanted) else None

    def _judge(self, subscriber: Subscriber, principal: Principal) -> None:
        lapse = self.lapse(principal, subscriber.wanted)
        if lapse is not None:
            self._end(subscriber, lapse)

    def _end(self, subscriber: Subscriber, reason: Lapse) -> None:
        if not subscriber.ending:
            self._metrics.lapses[reason] += 1
            subscriber.end(reason)

    # --- files

    @property
    def state(self) -> str:
        """ok, or what is wrong with the files, for everybody to read: no path, no content."""
        broken = self.broken
        return f"{broken} of {len(self._files)} files refused, the log says why" if broken else "ok"

    @property
    def broken(self) -> int:
        """Files whose present content is refused."""
        return sum(bool(file.error) for file in self._files)

    async def run(self) -> None:
        """Follow the files for ever."""
        while self._files:
            await asyncio.sleep(self._settings.auth_check_seconds)
            self.reload()

    def reload(self) -> None:
        """Read what changed, and end the streams whose credential is gone."""
        changed = [file for file in self._files if file.changed()]
        if not changed:
            return
        self._derive()
        for subscriber, (principal, _) in list(self._live.items()):
            self._judge(subscriber, principal)

    def _watch(self, path: str, parse: Any) -> Watched[Any]:
        try:
            self._files.append(Watched(path, parse))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path}: {error}") from None
        return self._files[-1]

    def _derive(self) -> None:
        """Gather the keys of all files, so that no request has to."""
        self._ring = KeyRing([key for file in self._key_files for key in file.value])
        self._tokens: list[Key] = [key for file in self._token_files for key in file.value]


def _refuse_foreign_page(scope: Scope) -> None:
    if not credentials.same_origin(scope):
        raise Problem(403, "by its session a page asks only its own origin (Sec-Fetch-Site: same-origin)")
