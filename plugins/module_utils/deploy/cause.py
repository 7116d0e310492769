# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Why a program failed, by what it wrote: the line that says it, not all the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# How programs mark the line that says why: by its level, or as the class of an exception.
MARK = re.compile(r"\b(?i:emerg|alert|crit|critical|fatal|error|failed|panic|panicked)\b|\w(?:Error|Exception)\b")
# What they write where they mark nothing.
TROUBLE = re.compile(
    r"(?i)can't|cannot|could not|unable to|denied|not permitted|no space|no such|not found|already in use|invalid|"
    r"refused|missing|unknown|segmentation fault|out of memory"
)
# A line of a lower level. It may hold such a word, as the settings that a program tells at its start do.
LOWER = re.compile(
    r"^.{0,60}?\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING)\b|\[(debug|info|notice|warn)\]|"
    r'"level": ?"(?i:trace|debug|info|notice|warn|warning)"|\b(level|lvl)=(?i:trace|debug|info|warn)\b|\wWarning\b'
)
# A frame of a stack: of Java, of Python with its line of source, of Go, of Rust and Node.
FRAME = re.compile(
    r"\s*(at [\w.$/<>-]+ ?\(.*\)|at \S+:\d+(:\d+)?|\.\.\. \d+ (more|common frames omitted)|File \".*\", line \d+.*|"
    r"Traceback \(most recent call last\):|goroutine \d+ \[.*\]:|\S+\.go:\d+.*|created by .*|[\w./*()]+\(0x.*\)|"
    r"[\^~]+|\d+: 0x[0-9a-f]+ - .*|stack backtrace:)\s*"
)
SOURCE = re.compile(r"    \S.*")  # of Python, below its frame
ASKED = re.compile(r"start \S+: ")  # how `Engine` begins
LONGEST = 300  # characters of a line that is quoted
# What helps, by what a program says.
WAYS = (
    (
        re.compile(r"executable file not found|exec: .*(no such file or directory|permission denied)"),
        "Its image has no such program, or it may not be run: correct `entrypoint` or `image`.",
    ),
    (
        re.compile(r"lost\+found"),
        "A disk of its own is mounted on a directory of data, so it has lost+found: mount it one directory higher.",
    ),
    (re.compile(r"(?i)no space left"), "The disk is full: make room (df -h; df -i)."),
    (re.compile(r"(?i)address already in use"), "Another program has the port: ss -ltnp names it."),
    (
        re.compile(r"(?i)permission denied|AccessDenied"),
        "./sse verify names the files that have another owner or mode.",
    ),
    (
        re.compile(r"OutOfMemoryError|(?i:cannot allocate memory|out of memory)"),
        "It has too little memory: give it more with its variable *_memory.",
    ),
    (
        re.compile(r"(?i)too many open files"),
        "The engine's limit of open files is too low (LimitNOFILE of its service).",
    ),
    (re.compile(r"(?i)read-only file system"), "The disk of its data is mounted read-only: dmesg says why."),
    (re.compile(r"(?i)port is already allocated"), "Another container has the port: ./sse doctor names it."),
    (re.compile(r"(?i)exec format error"), "The image is for another architecture than this host's."),
)


# The engine says no more than "Address already in use" where it is one on a network; for a port it names the port.
ADDRESS_TAKEN = (
    "Another container has its address: `docker network inspect` of its network names it. Remove that one, or take it "
    "off the network."
)


def cause(output: str) -> str:
    """Return the line of a program's output that says why it failed: the first that is marked as an error.

    A line that ends with a colon is followed by what it is about.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return "its program says nothing"
    at = marked(lines) or 0
    follows = lines[at + 1 : at + 2] if lines[at].endswith(":") else []
    return " ".join([lines[at], *follows])


def reason(said: str) -> str:
    """Return why the engine could not do something: without what it was asked, and without its layers of programs."""
    why = said.partition(": ")[2] if ASKED.match(said) else said
    return re.sub(r": unknown$", "", why.rpartition("unable to start container process: ")[2])


def cannot_start(name: str, said: str) -> str:
    """Say that the engine can't start a container, why, and what to do."""
    why = reason(said)
    way = ADDRESS_TAKEN if why.lower() == "address already in use" else way_on([why])
    way = f"{way}\n" if way else ""
    return f"{name} can't start: {why}\n{way}Next: correct its declaration, and run `./sse up` again."


def marked(lines: Sequence[str]) -> int | None:
    """Return which line is the first that names a cause; None where no line does.

    A line that is marked as an error comes before one that only tells of trouble, and that before a line of a lower
    level.
    """
    said = [(index, line) for index, line in enumerate(lines) if not FRAME.fullmatch(line)]
    low = of_lower_level(lines)
    serious = [(index, line) for index, line in said if not low[index]]
    for mark, where in ((MARK, serious), (TROUBLE, serious), (MARK, said)):
        for index, line in where:
            if mark.search(line):
                return index
    return None


def of_lower_level(lines: Sequence[str]) -> list[bool]:
    """Tell of each line whether it is of a lower level than an error. An indented line goes on with the one before."""
    found: list[bool] = []
    for line in lines:
        found.append(bool(LOWER.search(line)) or (line[:1].isspace() and found[-1:] == [True]))
    return found


def telling(lines: Sequence[str], most: int) -> list[str]:
    """Return the lines of a log that say why its program ended, the telling one first, and none of the stack's frames.

    Without a marked line these are the last ones: a program that ends says why at its end.

    :param most: how many lines at most
    """
    frames = [bool(FRAME.fullmatch(line)) for line in lines]
    written = [
        line.rstrip()
        for index, line in enumerate(lines)
        if line.strip()
        and not frames[index]
        and not (index and 'File "' in lines[index - 1] and frames[index - 1] and SOURCE.match(line))
    ]
    at = marked(written)
    low = of_lower_level(written)
    shown = (
        written[-1:] if at is None else [written[at], *(written[i] for i in range(at + 1, len(written)) if not low[i])]
    )
    return [line.strip()[:LONGEST] for line in shown[:most]]


def way_on(lines: Sequence[str]) -> str:
    """Return what helps against what these lines say; empty where nothing is known."""
    return next((way for pattern, way in WAYS if any(pattern.search(line) for line in lines)), "")
