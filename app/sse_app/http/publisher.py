"""Writes events to the log: a success means that the log holds them and that this replica has read them back."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from sse_app.base import request_context
from sse_app.base.deadlines import Deadlines
from sse_app.base.event import Event
from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import Outcome
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings
from sse_app.base.spans import Spans
from sse_app.fanout.event_stream import frame_size
from sse_app.fanout.feed import Feed
from sse_app.log.cursor import Cursor, fingerprint
from sse_app.log.interface import Draft, Log, LogUnavailableError, TooLargeError


@dataclass
class Publisher:
    """Writes events to the log within a deadline."""

    settings: Settings
    log: Log
    feed: Feed
    metrics: Metrics
    spans: Spans | None = None
    in_flight: int = 0  # publishes that wait for the log
    deadlines: Deadlines = field(init=False)

    def __post_init__(self) -> None:
        self.deadlines = Deadlines(self.settings.publish_deadline_seconds)

    async def publish(self, events: Sequence[Event], principal: str, key: str) -> list[str]:
        """Write all events or none; return their ids. Raises Problem.

        Where the key was used before, the ids are those of the first time.
        """
        try:
            drafts = _drafts(events, principal, key)
        except Problem as problem:
            raise self._problem("invalid", problem) from problem.__cause__
        self._check_size(drafts)
        if self._conflicts(drafts[:1]):
            raise self._problem("conflict", Problem(422, _CONFLICT))
        if self.in_flight >= self.settings.max_publishes:
            raise self._problem("overload", _unknown("too many publishes at the same time"))
        self.in_flight += 1
        self.feed.write_begins()
        begun = time.perf_counter()
        try:
            with self.deadlines.begin():
                first = await (self.log.append(drafts) if self.spans is None else self._traced(self.spans, drafts))
                await self.feed.passed(first + len(drafts) - 1, len(drafts))
            ids = self._ids(drafts, first)
        except TooLargeError as error:
            raise self._problem("too_large", Problem(413, str(error))) from error
        except TimeoutError as error:
            seconds = self.settings.publish_deadline_seconds
            raise self._problem("unknown", _unknown(f"the log did not answer within {seconds:g} s")) from error
        except LogUnavailableError as error:
            raise self._problem("unknown", _unknown("the log is not available")) from error
        finally:
            self.in_flight -= 1
            self.feed.writing -= 1
            self.metrics.publish_seconds.observe(time.perf_counter() - begun)
        if self._conflicts(drafts):
            raise self._problem("conflict", Problem(422, _CONFLICT))
        self.metrics.publishes["accepted"] += 1
        return ids

    async def _traced(self, spans: Spans, drafts: Sequence[Draft]) -> int:
        span = spans.append(len(drafts))
        if span is None:
            return await self.log.append(drafts)
        error = ""
        try:
            return await self.log.append(drafts)
        except BaseException as failed:
            error = str(failed) or type(failed).__name__
            raise
        finally:
            spans.appended(span, error)

    def _check_size(self, drafts: Sequence[Draft]) -> None:
        most = self.settings.max_body_bytes
        if sum([len(draft.data) + len(draft.channel) + len(draft.event) for draft in drafts]) > most:
            raise self._problem("too_large", Problem(413, f"the events take more than {most} bytes as stored"))
        most = self.settings.max_event_bytes
        for index, draft in enumerate(drafts):
            if _FRAME + _BYTE * len(draft.data) <= most:
                continue
            size = frame_size(draft.event, draft.data)
            if size > most:
                detail = f"event {index} takes {size} bytes of a stream: expected at most {most}"
                raise self._problem("too_large", Problem(413, detail))

    def _ids(self, drafts: Sequence[Draft], first: int) -> list[str]:
        """The ids of the records read at these offsets: the log may have changed before this replica has noticed."""
        ids: list[str] = []
        for offset, draft in enumerate(drafts, first):
            cursor, seen = Cursor(offset, fingerprint(draft.key)), self.feed.window.find(draft.key)
            if seen is None or not seen.first == seen.last == offset:
                if not self.feed.holds(cursor, draft.key):
                    raise LogUnavailableError("the log has changed")
                if seen is not None:
                    cursor = Cursor(seen.first, cursor.fingerprint)
            ids.append(str(cursor))
        return ids

    def _conflicts(self, drafts: Sequence[Draft]) -> bool:
        find = self.feed.window.find
        for draft in drafts:
            seen = find(draft.key)
            if seen is not None and seen.digest != draft.digest:
                return True
        return False

    def _problem(self, outcome: Outcome, problem: Problem) -> Problem:
        self.metrics.publishes[outcome] += 1
        return problem


_FRAME = 1024  # bytes of a frame beside its data, generously: the name has at most 200 characters
_BYTE = 1 + len("data: ")  # what a byte of the data takes at most, where each is a line of its own


def _drafts(events: Sequence[Event], principal: str, key: str) -> list[Draft]:
    payloads: list[bytes] = []
    for index, event in enumerate(events):
        try:
            payloads.append(event.payload())
        except (ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
            raise Problem(422, f"event {index}: data is not valid JSON text: {error}") from error
    parts: list[bytes] = []
    for event, payload in zip(events, payloads, strict=True):
        for part in (event.channel.encode(), event.event.encode(), payload):
            parts += (len(part).to_bytes(8), part)
    digest = hashlib.blake2b(b"".join(parts), digest_size=8).digest()
    traceparent = request_context.traceparent()
    return [
        Draft(f"{principal}\0{key}\0{index}".encode(), event.channel, event.event, payload, digest, traceparent)
        for index, (event, payload) in enumerate(zip(events, payloads, strict=True))
    ]


_CONFLICT = "this idempotency key was used before with another body"


def _unknown(detail: str) -> Problem:
    detail += ": the events may or may not have been stored; repeat the request with the same Idempotency-Key"
    return Problem(503, detail, {"retry-after": "1"}, outcome="unknown")
