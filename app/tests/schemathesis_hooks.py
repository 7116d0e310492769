"""What schemathesis cannot know from the document."""

from __future__ import annotations

import re
import uuid
from typing import Any

import schemathesis

STARTING_POINTS = {
    "from": r"earliest",
    "last": r"[0-9]{1,4}",
    "since": r"[0-9.]+(e-[0-9]+)?|2[0-9T:-]+Z",
}  # of which one may be given: no schema of a query can say so


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Give each publish a key of its own: one used again with another body is refused, and rightly.

    And leave one starting point where several valid ones are given, and headers that can be sent.
    """
    for name, value in list((case.headers or {}).items()):
        if isinstance(value, str):
            case.headers[name] = re.sub(r"[^ -~\xa0-\xff]", "?", value)
    query = case.query if isinstance(case.query, dict) else {}
    if all(re.fullmatch(r"[0-9]+-[0-9a-f]{8}.*", str(query.get(one))) for one in ("before", "after")):
        del query["after"]  # a page of history goes one way
    given = [name for name in STARTING_POINTS if name in query]
    if all(re.fullmatch(STARTING_POINTS[name], str(query[name])) for name in given):
        for further in given[1:]:
            del query[further]
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(r"[!-~]{1,160}", key):
        case.headers["Idempotency-Key"] = f"{key}{uuid.uuid4().hex}"
