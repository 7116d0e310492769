# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Why a program failed, by what it wrote: the line that says it, not all the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy.log_level import level_of

if TYPE_CHECKING:
    from collections.abc import Sequence

# How programs mark the line that says why: by its level, or as the class of an exception.
# Perl says below the cause that its compilation failed.
MARK = re.compile(r"\b(?i:emerg|alert|crit|critical|fatal|error|failed(?!--)|panic|panicked)\b|\w(?:Error|Exception)\b")
# What they write where they mark nothing.
TROUBLE = re.compile(
    r"(?i)can't|cannot|could not|unable to|denied|not permitted|no space|no such|not found|already in use|invalid|"
    r"refused|missing|unknown|segmentation fault|out of memory"
)
# A frame of a stack: of Java and .NET, of Python, of Go, of Rust, of Node, of Ruby, of PHP, of Haskell and of Elixir.
FRAME = re.compile(
    r"\s*(at (?:async |new |get )?[^\s(]+(?: \[as [^\]]+\])? ?\(.*\)(?: ~?\[.*\])?(?: in .+:line \d+)?|"
    r"at (?:async )?\S+:\d+(?::\d+)?|\.\.\. \d+ (?:more|common frames omitted)|--- End of .*stack trace.* ---|"
    r"File \".*\", line \d+.*|Traceback \(most recent call last\):|[\^~]+|"
    r"goroutine \d+ \[.*\]:|\S+\.go:\d+(?: \+0x[0-9a-f]+)?|created by \S+(?: in goroutine \d+)?|"
    r"[\w./*()-]+\((?:\{?0x[^()]*|\.\.\.)?\)|"
    r"stack backtrace:|\d+: 0x[0-9a-f]+ - .*|\d+: (?:<.*>|[\w$]+)::\S.*|\d+: (?:rust_begin_unwind|main|_start)|"
    r"from \S+:\d+(?::in .*)?|Stack trace:|#\d+ (?:\S+\(\d+\): .*|\[internal function\]: .*|\{main\})|"
    r"thrown in .* on line \d+|"
    r"CallStack \(from HasCallStack\):|\w+, called at \S+:\d+:\d+ in .*|\([\w.]+ [\d.]+\S*\) \S+:\d+: .*)"
    r"\s*"
)
PYTHON = re.compile(r"\s*File \".*\", line \d+.*")  # its frame, which a line of source follows
SOURCE = re.compile(r"    \S.*")
POINTED = re.compile(r"\s*[\^~]+\s*")  # what stands below a line of source, of Node as well
# An exception of Java, and its frames: the program logs them below the line that they belong to, and goes on.
THROWN = re.compile(r"(?:Caused by: |Suppressed: )?(?:[\w$]+\.)+[\w$]*(?:Exception|Error)\b|\s+(?:at|\.\.\.) ")
UNSHOWN = re.compile(r"\x1b\[[0-9;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # colours, and what else a terminal carries out
ASKED = re.compile(r"start \S+: ")  # how `Engine` begins
LONGEST = 300  # characters of a line that is quoted
JUDGED = 4096  # characters of a line that are looked at
# A run looks at the owners of so many files as take no time, and at no mode of a file.
FILES_OF_OTHERS = (
    "If it names a file of its data: ./sse up gives back what another user owns, if some of it is among the first "
    "5,000 files, and corrects no mode of a file. Where that is not enough, as root, with DIR for the directory of the "
    "container in data/: chown -R --reference=DIR DIR; chmod -R u+rwX DIR"
)
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
    (re.compile(r"(?i)address already in use|eaddrinuse"), "Another program has the port: ss -ltnp names it."),
    (
        re.compile(r"(?i)permission denied|AccessDenied"),
        FILES_OF_OTHERS,
    ),
    (
        re.compile(r"OutOfMemoryError|(?i:cannot allocate memory|out of memory|not enough space|reserve enough space)"),
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


class Line(NamedTuple):
    """A line of a log that says something."""

    text: str
    low: bool  # it is of a lower level than an error
    source: bool  # it is a line of the program's source, which is quoted
    marked: bool  # it is marked as an error


def cause(output: str) -> str:
    """Return the line of a program's output that says why it failed: the first that is marked as an error.

    A line that ends with a colon is followed by what it is about.
    """
    lines = read(output.splitlines())
    if not lines:
        return "its program says nothing"
    at = marked(lines) or 0
    follows = lines[at + 1 : at + 2] if lines[at].text.endswith(":") else []
    return " ".join(one.text for one in (lines[at], *follows))


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


def read(lines: Sequence[str]) -> list[Line]:
    """Return the lines that say something: no frames of a stack, and no source of Python below its frame."""
    found: list[Line] = []
    low = warned = False
    written = [UNSHOWN.sub("", line)[:JUDGED].rstrip() for line in lines]
    written = [line for line in written if line]
    for index, line in enumerate(written):
        level = level_of(line)
        thrown = THROWN.match(line)
        # An indented line goes on with the one before, and an exception of Java with the warning that it belongs to.
        goes_on = (low and line[:1].isspace()) or bool(warned and thrown)
        low = level in {"lower", "warning"} or (goes_on and level != "serious")
        warned = level == "warning" or bool(warned and thrown)
        before, after = written[index - 1] if index else "", written[index + 1] if index + 1 < len(written) else ""
        if FRAME.fullmatch(line) or (SOURCE.match(line) and PYTHON.fullmatch(before)):
            continue
        source = level in {"", "thrown"} and bool(POINTED.fullmatch(after))
        found.append(Line(line.strip(), low, source, level == "serious" or bool(MARK.search(line))))
    return found


def marked(lines: Sequence[Line]) -> int | None:
    """Return which line is the first that names a cause; None where no line does.

    A line that is marked as an error comes before one that only tells of trouble, and that before a line of a lower
    level. A line of the program's source is none of them.
    """
    said = [(index, line) for index, line in enumerate(lines) if not line.source]
    for low in (False, True):
        for troubled in (False, True):
            for index, line in said:
                if line.low is low and (TROUBLE.search(line.text) if troubled else line.marked):
                    return index
    return None


def telling(lines: Sequence[str], most: int) -> list[str]:
    """Return the lines of a log that say why its program ended, the telling one first, and none of the stack's frames.

    Without a marked line these are the last ones: a program that ends says why at its end.

    :param most: how many lines at most
    """
    said = read(lines)
    at = marked(said)
    shown = said[-1:] if at is None else [said[at], *(one for one in said[at + 1 :] if not one.low)]
    return [one.text[:LONGEST] for one in shown[:most]]


def way_on(lines: Sequence[str]) -> str:
    """Return what helps against what these lines say; empty where nothing is known."""
    return next((way for pattern, way in WAYS if any(pattern.search(line) for line in lines)), "")
