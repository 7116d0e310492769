"""Names that clients send, compared with those that are known: an unknown one is refused with the nearest real one."""

import difflib
import re
from collections.abc import Collection, Iterable
from urllib.parse import parse_qs

from sse_app.base.asgi import Scope
from sse_app.base.problem import Problem

_QUOTED = 100  # characters of an unknown name that an answer repeats
_LISTED = 12  # known names that an answer lists
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
PLAIN = r"^[^\x00-\x1f\x7f]*$"  # the same as the pattern of a schema

Query = dict[str, list[str]]


def unknown(name: str, known: Collection[str]) -> str:
    """What to say of an unknown name, without the name itself."""
    if not known:
        return "no name is known here"
    spelled = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name[:_QUOTED].lower(), spelled, n=1, cutoff=0.5)
    nearest = f"did you mean {spelled[near[0]]}? " if near else ""
    return f"unknown; {nearest}Known here: {', '.join(sorted(known)[:_LISTED])}"


def query(scope: Scope, known: Collection[str]) -> Query:
    """The query of a request, each name with its values.

    Raises Problem 400 for a name that is not known, and for a control character: no value has one, whatever it is.
    """
    text: bytes = scope["query_string"]
    if not text:
        return {}
    try:
        found = parse_qs(text.decode(), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise Problem(400, "the query is not UTF-8") from error
    refuse(found, known)
    for name, values in found.items():
        if any(map(CONTROL.search, values)):
            raise Problem(400, f"{name}: a control character is in it, such as %00 or %0A")
    return found


def refuse(names: Iterable[str], known: Collection[str]) -> None:
    """Raise Problem 400 for the first parameter of a query that is not known."""
    for name in names:
        if name not in known:
            if not known:
                raise Problem(400, f"{name[:_QUOTED]}: unknown; this address takes no parameters")
            raise Problem(400, f"{name[:_QUOTED]}: {unknown(name, known)}")
