"""Errors as problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """An answer that is an error; `members` are further members of the document."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {"content-type": "application/problem+json", "cache-control": "no-store", **(headers or {})}
        self.document = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            **members,
        }

    def body(self) -> bytes:
        """The document."""
        return json.dumps(self.document).encode()
