"""What schemathesis cannot know from the document."""

from __future__ import annotations

import re
import uuid
from typing import Any

import schemathesis


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Give each publish a key of its own: one used again with another body is refused, and rightly."""
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(r"[!-~]{1,160}", key):
        case.headers["Idempotency-Key"] = f"{key}{uuid.uuid4().hex}"
