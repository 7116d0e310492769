# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The state of a stack as lines for a screen. Pure: what was seen and a width in, lines out."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import url_host

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.views.status import Seen
    from typing_extensions import NotRequired  # for the type checker only: Python 3.10 does not have it

COLUMNS: Final = ("CONTAINER", "STATE", "CPU", "MEMORY", "ADDRESS", "PORTS", "IMAGE", "RESTARTS", "UPTIME", "RELEASE")
# Which columns a narrow screen does without, in this order.
GOES_FIRST: Final = ("IMAGE", "PORTS", "ADDRESS", "RELEASE", "RESTARTS", "MEMORY", "CPU", "UPTIME")
NUMBERS: Final = {"CPU", "MEMORY", "RESTARTS", "UPTIME", "RELEASE"}  # these stand at the right of their column
GAP: Final = "  "
CUT: Final = "~"  # the end of a name that is too long
GOOD, BUSY = {"healthy", "running"}, {"starting", "restarting", "paused", "created"}
Paint = Callable[[str, str], str]  # a text and "good", "busy" or "bad" in; the text with its colour out


class Status(TypedDict):
    """What was seen of a stack on one host."""

    stack: str
    time: str  # UTC, ISO 8601
    paused: list[str]
    problems: list[str]
    guests: list[str]  # containers of others on networks of the stack
    containers: list[Seen]
    open: list[str]  # where people open what runs
    note: str  # why there is nothing to see; empty where there is
    lines: NotRequired[list[str]]  # in place of the containers: the nodes and services of a Swarm


def plain(text: str, __: str) -> str:
    """Give a text no colour."""
    return text


def lines(seen: Status, width: int = 0, paint: Paint = plain) -> list[str]:
    """Write everything; a width of 0 is that of a file, where no line is cut or wrapped."""
    notes = [*seen["paused"], *seen["problems"], *seen.get("guests", [])]
    if "lines" in seen:
        return [*wrapped(notes, width), *(cut(line, width or len(line)) for line in seen["lines"])]
    table = grid(seen["containers"], width, paint) if seen["containers"] else wrapped([seen["note"]], width)
    opened = ["", *wrapped(seen["open"], width)] if seen["open"] else []
    return [*wrapped(notes, width), *table, *opened]


def cut(text: str, width: int) -> str:
    """Cut a text that is too long."""
    return text if len(text) <= width else text[: width - 1] + CUT


def wrapped(texts: Sequence[str], width: int) -> list[str]:
    """Wrap texts to a width."""
    if not width:
        return list(texts)
    found: list[str] = []
    for text in texts:
        indent = " " * (len(text) - len(text.lstrip()) + 2)
        short = len(text) <= width
        found += [text] if short else textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False)
    return found


def grid(found: Sequence[Seen], width: int, paint: Paint) -> list[str]:
    """Lay containers out in columns: as many as the width has room for, the most important ones at least."""
    rows = [cells(one) for one in found]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in COLUMNS}
    shown = list(COLUMNS)
    for name in GOES_FIRST:
        if not width or needed(widths, shown) <= width:
            break
        shown.remove(name)
    if width and (over := needed(widths, shown) - width) > 0:
        widths["CONTAINER"] = max(4, widths["CONTAINER"] - over)
    if width and (over := needed(widths, shown) - width) > 0:
        widths["STATE"] = max(4, widths["STATE"] - over)
    head = GAP.join(laid(name, name, widths[name]) for name in shown).rstrip()
    return [head, *(row_of(one, row, shown, widths, paint) for one, row in zip(found, rows, strict=True))]


def needed(widths: Mapping[str, int], shown: Sequence[str]) -> int:
    """Return how wide these columns are together."""
    return sum(widths[name] for name in shown) + len(GAP) * (len(shown) - 1)


def row_of(one: Seen, row: Mapping[str, str], shown: Sequence[str], widths: Mapping[str, int], paint: Paint) -> str:
    """Write one row, its state in colour."""
    texts: list[str] = []
    for name in shown:
        text = laid(name, row[name], widths[name])
        if name == shown[-1]:
            text = text.rstrip()
        if name == "STATE":
            bare = text.rstrip()
            text = paint(bare, mood(one)) + text[len(bare) :]
        texts.append(text)
    return GAP.join(texts).rstrip()


def laid(column: str, text: str, width: int) -> str:
    """Fit a cell to the width of its column."""
    text = cut(text, width)
    return text.rjust(width) if column in NUMBERS else text.ljust(width)


def mood(one: Seen) -> str:
    """Tell how good the state of a container is."""
    return "good" if one["state"] in GOOD else "busy" if one["state"] in BUSY else "bad"


def cells(one: Seen) -> dict[str, str]:
    """Write what is known of a container; what is not known is empty."""
    code = f" ({one['exit_code']})" if one["exit_code"] is not None else ""
    cpu, seconds = one["cpu_percent"], one["uptime_seconds"]
    return {
        "CONTAINER": one["name"],
        "STATE": f"{one['state']}{code}",
        "CPU": "" if cpu is None else f"{cpu:.1f} %",
        "MEMORY": memory(one["memory_bytes"], one["memory_limit_bytes"]),
        "ADDRESS": " ".join(one["addresses"]),
        "PORTS": " ".join(f"{url_host(port['host_ip'])}:{port['host_port']}->{port['port']}" for port in one["ports"]),
        "IMAGE": one["image"],
        "RESTARTS": "" if one["restarts"] is None else str(one["restarts"]),
        "UPTIME": "" if seconds is None else duration(seconds),
        "RELEASE": "" if one["release"] is None else str(one["release"]),
    }


def duration(seconds: int) -> str:
    """Return a time in its largest unit of which there are two."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def memory(used: int | None, limit: int | None) -> str:
    """Return the memory in MB, with its limit."""
    if used is None:
        return ""
    return f"{size(used)} / {size(limit)}" if limit else size(used)


def size(number: int) -> str:
    """Return a number of bytes as people say it, by 1024 as `docker stats` does: 64M, 1.5G."""
    mega = number / 2**20
    return f"{mega / 1024:.1f}G".replace(".0G", "G") if mega >= 1000 else f"{mega:.0f}M"
