"""Writes events to the log: a success means that the log holds them and that this replica has read them back."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sse_app.base import request_context
from sse_app.base.event import Event
from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import Outcome
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings
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
    in_flight: int = 0  # publishes that wait for the log

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
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self.settings.publish_deadline_seconds):
                first = await self.log.append(drafts)
                await self.feed.passed(first + len(drafts) - 1)
                self._read_back(drafts, first)
        except TooLargeError as error:
            raise self._problem("too_large", Problem(413, str(error))) from error
        except TimeoutError as error:
            seconds = self.settings.publish_deadline_seconds
            raise self._problem("unknown", _unknown(f"the log did not answer within {seconds:g} s")) from error
        except LogUnavailableError as error:
            raise self._problem("unknown", _unknown("the log is not available")) from error
        finally:
            self.in_flight -= 1
            self.metrics.publish_seconds.observe(time.perf_counter() - begun)
        if self._conflicts(drafts):
            raise self._problem("conflict", Problem(422, _CONFLICT))
        self.metrics.publishes["accepted"] += 1
        return [str(self._cursor(draft, offset)) for offset, draft in enumerate(drafts, first)]

    def _check_size(self, drafts: Sequence[Draft]) -> None:
        most = self.settings.max_body_bytes
        if sum(len(draft.data) + len(draft.channel) + len(draft.event) for draft in drafts) > most:
            raise self._problem("too_large", Problem(413, f"the events take more than {most} bytes as stored"))
        for index, draft in enumerate(drafts):
            size, most = frame_size(draft.event, draft.data), self.settings.max_event_bytes
            if size > most:
                detail = f"event {index} takes {size} bytes of a stream: expected at most {most}"
                raise self._problem("too_large", Problem(413, detail))

    def _read_back(self, drafts: Sequence[Draft], first: int) -> None:
        """Check the records read at these offsets: the log may have changed before this replica has noticed."""
        for offset, draft in enumerate(drafts, first):
            if not self.feed.holds(Cursor(offset, fingerprint(draft.key)), draft.key):
                raise LogUnavailableError("the log has changed")

    def _cursor(self, draft: Draft, offset: int) -> Cursor:
        seen = self.feed.window.find(draft.key)
        return Cursor(offset if seen is None else seen.first, fingerprint(draft.key))

    def _conflicts(self, drafts: Sequence[Draft]) -> bool:
        found = ((draft, self.feed.window.find(draft.key)) for draft in drafts)
        return any(seen is not None and seen.digest != draft.digest for draft, seen in found)

    def _problem(self, outcome: Outcome, problem: Problem) -> Problem:
        self.metrics.publishes[outcome] += 1
        return problem


def _drafts(events: Sequence[Event], principal: str, key: str) -> list[Draft]:
    payloads: list[bytes] = []
    for index, event in enumerate(events):
        try:
            payloads.append(event.payload())
        except (ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
            raise Problem(422, f"event {index}: data is not valid JSON text: {error}") from error
    digest = hashlib.blake2b(digest_size=8)
    for event, payload in zip(events, payloads, strict=True):
        for part in (event.channel.encode(), event.event.encode(), payload):
            digest.update(len(part).to_bytes(8) + part)
    traceparent = request_context.traceparent()
    return [
        Draft(
            f"{principal}\0{key}\0{index}".encode(), event.channel, event.event, payload, digest.digest(), traceparent
        )
        for index, (event, payload) in enumerate(zip(events, payloads, strict=True))
    ]


_CONFLICT = "this idempotency key was used before with another body"


def _unknown(detail: str) -> Problem:
    detail += ": the events may or may not have been stored; repeat the request with the same Idempotency-Key"
    return Problem(503, detail, {"retry-after": "1"}, outcome="unknown")
