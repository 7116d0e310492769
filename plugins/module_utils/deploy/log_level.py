# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""How serious a program says that a line of its log is. Programs write this in many ways; the first one counts."""

from __future__ import annotations

import re

LOWER = "trace|debug|verbose|info|information|notice"
WARNING = "warn|warning"
SERIOUS = "err|error|eror|severe|crit|critical|fatal|panic|dpanic|alert|emerg|emergency"
HEAD = 120  # characters in which a level is looked for: the rest is what the line is about
# A key of JSON or of logfmt. It stands anywhere in the line, and some count in tens (pino) or with a letter (MongoDB).
KEYED = re.compile(
    r"(?:\"(?i:level|lvl|severity|levelname|log\.level|@l|s)\"\s*:\s*\"?|\b(?i:level|lvl|severity)=\"?)"
    rf"(?:(?P<lower>(?i:{LOWER})|[123]0|[DI]\d?)|(?P<warning>(?i:{WARNING})|40|W)|(?P<serious>(?i:{SERIOUS})|[56]0|[EF]))\b"
)
WRITTEN = re.compile(
    # [warn], [core:warn], [WARN ], <Warning>
    rf"[\[<](?:\w*:)?(?:(?P<lower_1>(?i:{LOWER}|note))|(?P<warning_1>(?i:{WARNING}))|(?P<serious_1>(?i:{SERIOUS})))"
    r" *[\]>]|"
    # warning: x, PHP Warning:  x, /entrypoint.sh: info: x, and what .NET and npm write
    rf"^(?:\[[^\]]*\] )?(?:\S+: )*?(?:PHP )?(?:(?P<lower_2>(?i:{LOWER}|note|deprecated|trce|dbug))|"
    rf"(?P<serious_2>(?i:{SERIOUS}|fail|fatal error))):|"
    r"(?P<warning_2>\b(?i:warning|warn): |^warning |^npm (?i:warn|notice)\b|\w(?:Warning)\b)|"
    # WARN, WARN[0000], LOG: of PostgreSQL, WRN as of Serilog and zerolog
    r"(?P<lower_3>\b(?:TRACE|TRAC|TRC|VERBOSE|VRB|DEBUG|DEBU|DBG|INFO|INF|NOTICE)\b|\bLOG:)|"
    r"(?P<warning_3>\b(?:WARN|WARNING|WRN)\b)|"
    r"(?P<serious_3>\b(?:ERROR|ERRO|ERR|SEVERE|CRIT|CRITICAL|FATAL|FATA|FTL|PANIC|PANI|PNC|ALERT|EMERG)\b)|"
    # W1128 12:00:00 of klog, and the column of zap
    r"^(?:(?P<lower_4>I)|(?P<warning_4>W)|(?P<serious_4>[EF]))\d{4} \d\d:\d\d|"
    r"\t(?:(?P<lower_5>debug|info)|(?P<warning_5>warn)|(?P<serious_5>error|dpanic|panic|fatal))\t|"
    # The class of an exception is no level, but whatever follows it is part of what it says.
    r"(?P<thrown>\w(?:Error|Exception)\b)"
)


def level_of(line: str) -> str:
    """Return ``lower``, ``warning`` or ``serious``; ``thrown`` for an exception without a level; empty for no level."""
    found = KEYED.search(line) or WRITTEN.search(line[:HEAD])
    return (found.lastgroup or "").partition("_")[0] if found else ""
