"""What a client raises. Every message says what came and what was expected; SseError is the base of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SseError(Exception):
    """The base of every error of this package."""


class RefusedError(SseError):
    """The service has refused, and nothing was stored; `problem` is its problem document (RFC 9457), or empty."""

    def __init__(self, status: int, problem: Mapping[str, Any], note: str = "") -> None:
        reason = problem.get("detail") or problem.get("title") or "the service refused, and gave no reason"
        super().__init__(f"{status}: {reason}{note}")
        self.status = status
        self.problem = problem


class UnexpectedAnswerError(SseError):
    """Something else answered than the service: a page, a login, another program. `excerpt` is how it begins."""

    def __init__(self, url: str, status: int, content_type: str, excerpt: str, expected: str) -> None:
        came = f"status {status} with {content_type or 'no content type'}"
        begins = f", which begins with {excerpt!r}" if excerpt else ""
        super().__init__(f"{url} answered with {came}{begins}; expected {expected}. Check the address.")
        self.url = url
        self.status = status
        self.content_type = content_type
        self.excerpt = excerpt


class RedirectError(SseError):
    """The address leads in a circle, too far, or to no address of HTTP."""


class TooLongError(SseError, ValueError):
    """A line or an event is longer than the limit of this client, so the stream cannot go on past it."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"an event has more than {limit} characters, which is the limit of this client: give a higher `longest`"
        )
        self.limit = limit


class UnreachableError(SseError):
    """No answer of the service came, and nothing was stored: no connection, or a certificate that is not trusted."""


class UntrustedError(UnreachableError):
    """The certificate of a host is not trusted; another attempt would not change that."""

    def __init__(self, host: str, reason: str) -> None:
        super().__init__(
            f"{host} is not trusted: {reason}. For a certificate of your own, give its authority as `tls`, such as "
            "ssl.create_default_context(cafile=...)"
        )
        self.host = host
        self.reason = reason


class OutcomeUnknownError(SseError):
    """No answer in time: the events are stored or not. To be sure, publish them again with the same `key`."""

    def __init__(self, key: str, last: str = "") -> None:
        seen = f" (last: {last})" if last else ""
        super().__init__(f"the outcome is not known{seen}: publish the same events again with key={key!r}")
        self.key = key
