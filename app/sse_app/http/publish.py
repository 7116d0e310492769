"""POST /api/v1/events, without the framework: its routes and middleware took a third of the time of a publish."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sse_app.access.authority import Access, Authority
from sse_app.access.limits import Limits
from sse_app.base import names, request_context
from sse_app.base.asgi import Application, Message, Receive, Scope, Send, answer, header_values, identified
from sse_app.base.channels import exactly
from sse_app.base.event import Event
from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import Outcome
from sse_app.base.problem import Problem, report
from sse_app.base.settings import Settings
from sse_app.base.spans import Open, Spans
from sse_app.fanout.hub import Hub
from sse_app.http import body, foreign_page
from sse_app.http.pause import Pause
from sse_app.http.publisher import Publisher
from sse_app.http.stream_output import connection_of

PATH = "/api/v1/events"
SchemaCheck = Callable[[Sequence[Event], str, int], Awaitable[None]]  # see access/schemas.py
_JSON = (b"content-type", b"application/json")
LOAD_TEST = b"load-test"  # a request header by which a load test says that it is one, and which
_TEST_NAME_BYTES = 100  # that tell load tests apart
# Nobody pays for what comes before the credential, and 8 KB of a query take 6 ms to parse. A ticket has 3,500 bytes.
_QUERY_BYTES = 4096
_PARAMETERS = 10
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_REFUSED: dict[int, Outcome] = {401: "unauthorized", 403: "forbidden", 429: "limited"}


@dataclass(frozen=True, slots=True)
class Publishes:
    """ASGI application: answers publishes itself and hands every other request on."""

    settings: Settings
    authority: Authority
    limits: Limits
    check_schemas: SchemaCheck | None
    pause: Pause
    hub: Hub
    publisher: Publisher
    metrics: Metrics
    spans: Spans | None
    otherwise: Application

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Dispatch; the framework refuses other methods."""
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            return self.otherwise(scope, receive, identified(send))
        if self.spans is not None and (span := self.spans.begin()) is not None:
            return self._traced(self.spans, span, scope, receive, send)
        return self._answer(scope, receive, send)

    async def _traced(self, spans: Spans, span: Open, scope: Scope, receive: Receive, send: Send) -> None:
        status = 202

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, noted)
        except BaseException:
            status = 500
            raise
        finally:
            spans.end(span, status)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            key, ids = await self._publish(scope, receive)
        except Exception as error:
            problem = error if isinstance(error, Problem) else Problem.unexpected()
            report(problem, scope)
            await problem.answer(send)
            if problem is not error:
                raise  # the server logs it
        else:
            await _accepted(scope, send, key, ids)

    async def _publish(self, scope: Scope, receive: Receive) -> tuple[str, list[str]]:
        settings, publishes = self.settings, self.metrics.publishes
        if self.hub.draining:
            publishes["draining"] += 1
            headers = {"connection": "close", "retry-after": "0"}
            raise Problem(503, "this replica is shutting down", headers, outcome="unknown")
        try:
            self.pause.refuse(scope)
        except Problem:
            publishes["paused"] += 1
            raise
        try:
            if not settings.auth:
                try:
                    foreign_page.refuse(scope, settings.cors_origins)
                except Problem as problem:
                    self.authority.audit.refused("anonymous", "publish", str(problem))
                    raise
            _refuse_query(scope)
            access = self.authority.access(scope, ticket=True)
            access.require_publisher()
            if access.resumes_only:
                raise self.authority.stale()
            key = _key(scope)
            events, tokens = await self._events(scope, receive, access)
            if tests := header_values(scope, LOAD_TEST):
                await self.limits.load_test(tests[0][:_TEST_NAME_BYTES], len(events))
            if self.check_schemas is not None:
                await self.check_schemas(events, access.address, tokens)
        except Problem as problem:
            publishes[_REFUSED.get(problem.status, "invalid")] += 1
            raise
        return key, await self.publisher.publish(events, principal=access.principal.keys, key=key)

    async def _events(self, scope: Scope, receive: Receive, access: Access) -> tuple[list[Event], int]:
        """The events of a body, and what its publisher pays for the work, also where the body is refused."""
        most = self.settings.max_body_bytes
        if not self.limits.rated:
            return self._parsed(await body.read(scope, receive, most), access), 0
        charge = self.limits.charge(access.publisher, access.principal.ticket)
        await charge.announced(body.announced(scope, most))
        text = await body.read(scope, receive, most)
        await charge.arrived(text)
        try:
            events = self._parsed(text, access)
        except Problem:
            await charge.parsed()
            raise
        return events, await charge.parsed(len(events))

    def _parsed(self, text: bytes, access: Access) -> list[Event]:
        events = body.events(text, self.settings.max_batch_events)
        if access.audit is not None:  # else nothing is decided
            access.require("publish", exactly(one.channel for one in events))
        return events


async def _accepted(scope: Scope, send: Send, key: str, ids: Sequence[str]) -> None:
    text = b'{"ids":["%b"]}' % '","'.join(ids).encode()  # an id has no character that JSON escapes
    connection = connection_of(scope)
    if connection is not None and not header_values(scope, b"origin"):  # else cors.py adds to the answer
        headers = (_JSON, (b"idempotency-key", key.encode()), request_context.header())
        if connection.respond(scope, 202, headers, text):
            return
    await answer(send, 202, {"content-type": "application/json", "idempotency-key": key}, text)


def _refuse_query(scope: Scope) -> None:
    """Raise Problem 400 for a query that has more than a ticket."""
    text: bytes = scope["query_string"]
    if len(text) > _QUERY_BYTES or text.count(b"&") >= _PARAMETERS:
        raise Problem(400, f"the query is too long: expected a ticket or nothing, in at most {_QUERY_BYTES} bytes")
    names.query(scope, ("ticket",))


def _key(scope: Scope) -> str:
    given = header_values(scope, b"idempotency-key")
    key = given[0].decode("latin-1") if given else ""
    if not key:
        return request_context.request_id()
    if not _KEY.fullmatch(key):
        raise Problem(400, "Idempotency-Key: expected 1 to 200 visible ASCII characters")
    return key
