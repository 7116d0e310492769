# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""One row for each container that a run changes, in the order of its plan: what comes, what happens, what is done.

Pure: events, times and the size of the screen in, lines out.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

State = Literal["comes", "works", "done", "failed"]
Look = Literal["comes", "works", "done", "failed", "more"]
DONE = {"create": "healthy", "replace": "healthy", "start": "healthy", "restart": "healthy", "mend": "mended"}
DONE |= {"reload": "reloaded", "remove": "removed", "restore": "restored", "rename": "renamed", "clear": "removed"}
WORKS = {"create": "creating", "replace": "replacing", "start": "starting", "restart": "restarting", "mend": "mending"}
WORKS |= {
    "reload": "reloading",
    "remove": "removing",
    "restore": "restoring",
    "rename": "renaming",
    "clear": "removing",
}
WORKS |= {"verify": "verifying", "watch": "being watched"}
WIDEST_NAME = 28
TURN_SECONDS = 0.2


class Signs(NamedTuple):
    """The characters before a row."""

    done: str
    failed: str
    turning: str  # one after the other
    cut: str  # where a line is too long


PICTURES = Signs("✔", "✘", "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "…")
LETTERS = Signs("ok", "FAILED", "|/-\\", "...")  # for a terminal that knows no others


def signs(environment: Mapping[str, str]) -> Signs:
    """Choose the signs: the launcher says where somebody has asked for another character set than UTF-8.

    The fonts of the kernel's own console have no pictures.
    """
    return LETTERS if environment.get("SSE_LETTERS") or environment.get("TERM") == "linux" else PICTURES


def duration(seconds: float) -> str:
    """Return a time as a person reads it: 0.4 s, 12 s, 3 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


@dataclass
class Row:
    """One container of one host."""

    name: str
    kind: str
    text: str  # of the plan: "+ kafka (new)"
    state: State = "comes"
    doing: str = ""
    since: float = 0.0
    seconds: float = 0.0
    why: str = ""
    told: bool = False  # it was printed for good


@dataclass
class Board:
    """All rows of a run."""

    signs: Signs = field(default_factory=lambda: signs(os.environ))
    clock: Callable[[], float] = time.monotonic
    rows: dict[tuple[str, str], Row] = field(default_factory=dict[tuple[str, str], Row])
    doing: dict[str, str] = field(default_factory=dict[str, str])  # what a host does beside its containers

    def take(self, host: str, event: Mapping[str, Any]) -> None:
        """Take one event of a host. One that is not known is ignored."""
        if "plan" in event:
            for name, kind, text in event["plan"]:
                self.rows[host, name] = Row(name, kind, text)
        if "doing" in event and "row" not in event:
            self.doing[host] = str(event["doing"])
        row = self.rows.get((host, str(event.get("row", ""))))
        if row is None:
            return
        if "doing" in event:
            if row.state != "works":
                row.since, row.told = self.clock(), False
            row.state, row.doing = "works", WORKS.get(event["doing"], str(event["doing"]))
        elif "seconds" in event:
            row.state, row.seconds = "done", float(event["seconds"])
        elif "failed" in event:
            row.state, row.why = "failed", str(event["failed"])

    def forget(self, host: str) -> None:
        """Drop the rows of a host whose work has ended."""
        self.rows = {key: row for key, row in self.rows.items() if key[0] != host}
        self.doing.pop(host, None)

    @property
    def summary(self) -> str:
        """How far the work is: "3 of 11 containers done"."""
        done = sum(row.state in {"done", "failed"} for row in self.rows.values())
        more = [one for one in dict.fromkeys(self.doing.values()) if one]
        parts = [f"{done} of {len(self.rows)} containers done"] if self.rows and done < len(self.rows) else []
        return ", ".join([*parts, *more])

    @property
    def works(self) -> str:
        """Name what is worked on, with how long: "kafka starting 8 s, app-1 creating 1 s"."""
        return ", ".join(
            f"{row.name} {row.doing} {duration(round(self.clock() - row.since))}"
            for row in self.rows.values()
            if row.state == "works"
        )

    def lines(self, width: int, height: int, *, hosts: bool = False) -> list[tuple[Look, str]]:
        """Lay the rows out for a screen. Where it is too small for all, those that are worked on come first."""
        keys = list(self.rows)
        if len(keys) > max(1, height):
            urgency = {"failed": 0, "works": 1, "comes": 2, "done": 3}
            chosen = sorted(keys, key=lambda key: urgency[self.rows[key].state])[: max(1, height) - 1]
            shown = [key for key in keys if key in chosen]
        else:
            shown = keys
        lines: list[tuple[Look, str]] = [
            (self.rows[key].state, self.cut(self.line(key, hosts=hosts), width)) for key in shown
        ]
        if left := len(keys) - len(shown):
            lines.append(("more", self.cut(f"  {self.signs.cut} and {left} more", width)))
        return lines

    def ended(self, host: str | None = None, *, hosts: bool = False) -> list[tuple[Look, str]]:
        """Return each row that has come to its end, once."""
        lines: list[tuple[Look, str]] = []
        for key, row in self.rows.items():
            if row.state in {"done", "failed"} and not row.told and host in {None, key[0]}:
                row.told = True
                lines.append((row.state, self.line(key, hosts=hosts)))
        return lines

    def line(self, key: tuple[str, str], *, hosts: bool) -> str:
        """Write one row."""
        row = self.rows[key]
        where = f"[{key[0]}] " if hosts else ""
        if row.state == "comes":
            return f"  {where}{row.text}"
        name = row.name.ljust(min(WIDEST_NAME, max(len(one.name) for one in self.rows.values())))
        if row.state == "works":
            turning = self.signs.turning
            sign = turning[int(self.clock() / TURN_SECONDS) % len(turning)]
            return f"  {where}{sign} {name} {row.doing} {duration(self.clock() - row.since)}"
        if row.state == "failed":
            return f"  {where}{self.signs.failed} {name} {row.why}"
        return f"  {where}{self.signs.done} {name} {DONE.get(row.kind, row.kind)} {duration(row.seconds)}"

    def cut(self, line: str, width: int) -> str:
        """Shorten a line to the width of the screen."""
        if len(line) <= width:
            return line
        return line[: max(0, width - len(self.signs.cut))] + self.signs.cut
