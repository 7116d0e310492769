#!/usr/bin/env python3
"""Show the logs of containers, merged by time: [SERVICE ...] [-f] [--tail N] [--since 10m]."""

from __future__ import annotations

import heapq
import subprocess
import sys
import threading
from typing import IO

import containers

Line = tuple[str, str, str]  # time, container, text


def main() -> int:
    """Print, or follow, the logs of the chosen containers."""
    parser = containers.parser()
    parser.add_argument("service", nargs="*", help="services or containers (default: all containers)")
    parser.add_argument("-f", "--follow", action="store_true", help="continue with new lines")
    parser.add_argument(
        "-n", "--tail", default="100", help="show the last N lines of each container, or all (default: 100)"
    )
    parser.add_argument("--since", help="show lines since this time, or since a duration such as 10m")
    options = parser.parse_args()
    host = containers.host(options)
    chosen = host.containers(options.service)
    arguments = ["logs", "--timestamps", "--tail", options.tail]
    arguments += ["--since", options.since] if options.since else []
    arguments += ["--follow"] if options.follow else []
    readers = {one.short: host.start(*arguments, one.name, errors=subprocess.STDOUT) for one in chosen}
    width = max(map(len, readers))
    try:
        if options.follow:
            follow(readers, width)
        else:
            for _, name, line in heapq.merge(*(split(name, one.stdout) for name, one in readers.items())):
                show(name, line, width)
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    finally:
        for one in readers.values():
            one.terminate()
    return max(max(one.wait(), 0) for one in readers.values())


def split(name: str, stream: IO[str] | None) -> list[Line]:
    """Read a whole log. A line without a time gets the time of the line before it."""
    lines: list[Line] = []
    for line in stream or []:
        text = line.rstrip("\n")
        stamp, _, rest = text.partition(" ")
        timed = stamp.startswith("20")  # the century of a time such as 2025-01-31T12:00:00Z
        lines.append((stamp, name, rest) if timed else (lines[-1][0] if lines else "", name, text))
    return lines


def follow(readers: dict[str, subprocess.Popen[str]], width: int) -> None:
    """Print lines as they arrive, until every container has ended."""

    def pump(name: str, stream: IO[str] | None) -> None:
        for text in stream or []:
            show(name, text.rstrip("\n").partition(" ")[2], width)

    threads = [threading.Thread(target=pump, args=(name, one.stdout), daemon=True) for name, one in readers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def show(name: str, line: str, width: int) -> None:
    """Print one line after the name of its container, immediately."""
    sys.stdout.write(f"{name.ljust(width)} | {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
