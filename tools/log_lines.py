"""Which lines of a log are asked for: by a pattern, by their level, by the request that they are about."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

LEVELS = ("debug", "info", "warning", "error", "critical")
# How programs write a level; NGINX and Redis have more of them.
NAMES = {
    **dict.fromkeys(("debug", "trace", "verbose", "finest", "fine"), "debug"),
    **dict.fromkeys(("info", "notice", "information"), "info"),
    **dict.fromkeys(("warning", "warn", "alarm"), "warning"),
    **dict.fromkeys(("error", "err", "severe", "eror"), "error"),
    **dict.fromkeys(("critical", "crit", "fatal", "alert", "emerg", "emergency", "panic"), "critical"),
}
WORDS = "|".join(NAMES)
# In the beginning of a line of text: [error], level=warn, lvl=info, or the bare word in capitals as in Log4j.
WRITTEN = re.compile(
    rf"\[(?P<bracket>(?i:{WORDS}))\]|\b(?:level|lvl)=\"?(?P<field>(?i:{WORDS}))\b|\b(?P<bare>{WORDS.upper()})\b:?"
)
# What a terminal would carry out, or show in another order; colours alone are harmless.
CARRIED_OUT = re.compile(r"(\x1b\[[0-9;]{0,20}m)|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
HEAD = 120  # characters in which a level is looked for: the rest is what the line is about
REDIS = re.compile(r"^\d+:[XCSM] \d{2} \w{3} \d{4} [\d:.]+ (?P<sign>[.\-*#]) ")
SIGNS = {".": "debug", "-": "debug", "*": "info", "#": "warning"}
REQUEST = re.compile(r"[0-9A-Za-z._:/+=-]{1,200}")
ID_KEYS = ("request_id", "trace_id")
# When a log is shown from: a duration of Go, in which days are ours; seconds since 1970; a date, or a time of RFC 3339.
DURATION = re.compile(
    r"(?=.)(?:(?P<days>[0-9]{1,4})d)?"
    r"(?P<rest>(?:[0-9]{1,6}(?:\.[0-9]{1,9})?h)?(?:[0-9]{1,7}(?:\.[0-9]{1,9})?m)?"
    r"(?:[0-9]{1,9}(?:\.[0-9]{1,9})?s)?(?:[0-9]{1,9}(?:ms|us|ns))?)"
)
SECONDS = re.compile(r"[0-9]{1,11}(\.[0-9]{1,9})?")
TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]{1,9})?)?)?"
    r"(?:Z|[+-](?P<east>[0-9]{2}:[0-9]{2}))?)?",
    re.IGNORECASE,
)


class FilterError(ValueError):
    """A filter that is not accepted; the message says why."""


@dataclass(frozen=True)
class Filter:
    """What a line must have to be shown."""

    pattern: re.Pattern[str] | None = None
    level: str = ""  # this one or a worse one
    request: str = ""

    @property
    def is_set(self) -> bool:
        """Tell whether some lines may be left out."""
        return bool(self.pattern or self.level or self.request)

    def takes(self, line: str) -> bool:
        """Tell whether a line is shown."""
        fields = parsed(line)
        if self.request and not about(fields, line, self.request):
            return False
        if self.level:
            found = level_of(fields, line)
            # A line that names no level may be the trace of an error: what is not known is not hidden.
            if found and LEVELS.index(found) < LEVELS.index(self.level):
                return False
        return not self.pattern or bool(self.pattern.search(line) or self.pattern.search(message(fields)))


def made(grep: str | None, level: str | None, request: str | None) -> Filter:
    """Make a filter of what was asked for.

    :raises FilterError: for a pattern, a level or an id that can't be meant
    """
    try:
        pattern = re.compile(grep) if grep else None
    except (re.error, OverflowError, RecursionError) as error:
        raise FilterError(
            f"--grep '{grep}' is no regular expression: {error}. "
            f"For this very text write --grep '{re.escape(grep or '')}'"
        ) from None
    wanted = NAMES.get((level or "").lower(), "")
    if level and not wanted:
        raise FilterError(f"--level '{level}': expected one of {', '.join(LEVELS)}")
    if request and not REQUEST.fullmatch(request):
        raise FilterError(
            f"--request-id '{request}': expected an id as X-Request-ID of an answer has it, without spaces"
        )
    return Filter(pattern, wanted, request or "")


def since(text: str) -> str:
    """Return a time as the engine takes it: its durations have no days.

    :raises FilterError: for what is no time
    """
    if ago := DURATION.fullmatch(text):
        return (f"{24 * int(ago['days'])}h" if ago["days"] else "") + ago["rest"]
    found = TIME.fullmatch(text)
    if SECONDS.fullmatch(text) or (found and exists(found)):
        return text.upper().replace(" ", "T")
    raise FilterError(
        f"--since '{text}': expected how long ago (90s, 10m, 1h30m, 2d), a date or a time (2026-01-31, "
        "2026-01-31T12:00:00Z), or seconds since 1970"
    )


def exists(time: re.Match[str]) -> bool:
    """Tell whether there is such a day, and such a time of the day."""
    of_day = [f"{time[name] or 0:0>2}" for name in ("hour", "minute", "second")]
    try:
        datetime.fromisoformat(f"{time['date']}T{':'.join(of_day)}+{time['east'] or '00:00'}")
    except ValueError:
        return False
    return True


def parsed(line: str) -> dict[str, Any]:
    """Return the fields of a line of JSON; nothing for any other line."""
    text = line.strip()
    if not text.startswith("{"):
        return {}
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def level_of(fields: dict[str, Any], line: str) -> str:
    """Return the level of a line; empty where it names none."""
    if fields:
        named = str(fields.get("level") or fields.get("severity") or fields.get("levelname") or "").lower()
        status = fields.get("status")
        if not named and isinstance(status, int):  # a request, as NGINX writes it
            return "error" if status >= 500 else "warning" if status >= 400 else "info"
        return NAMES.get(named, "")
    if redis := REDIS.match(line):
        return SIGNS[redis["sign"]]
    found = WRITTEN.search(line[:HEAD])
    return NAMES[(found["bracket"] or found["field"] or found["bare"]).lower()] if found else ""


def about(fields: dict[str, Any], line: str, request: str) -> bool:
    """Tell whether a line is about a request, or about the trace of this id."""
    if fields and any(str(fields.get(key, "")).lower() == request.lower() for key in ID_KEYS):
        return True
    return bool(re.search(rf"(?<![0-9A-Za-z]){re.escape(request)}(?![0-9A-Za-z])", line))


def message(fields: dict[str, Any]) -> str:
    """Return what a line of JSON says, without the escapes of JSON."""
    return "\n".join(str(value) for value in fields.values())


def for_a_terminal(line: str) -> str:
    """Return a line of which a terminal carries out nothing but colours: whoever is logged may have chosen its text."""
    return CARRIED_OUT.sub(lambda found: found[1] or found[0].encode("unicode_escape").decode(), line.rstrip("\r"))
