#!/usr/bin/env python3
"""Show the containers' logs, merged by time: [SERVICE ...] [-f] [--tail N] [--since 10m]."""

from __future__ import annotations

import heapq
import subprocess
import sys
import threading
from typing import IO

import containers

Line = tuple[str, str, str]


def main() -> int:
    """Print, or follow, the logs of the chosen containers."""
    parser = containers.parser(__doc__)
    parser.add_argument("service", nargs="*", help="services or containers (default: all)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-n", "--tail", default="100", help="last lines of each container (default: 100, 'all')")
    parser.add_argument("--since", help="a time, or a duration such as 10m")
    options = parser.parse_args()
    host = containers.host(options)
    chosen = host.containers(options.service)
    arguments = ["logs", "--timestamps", "--tail", options.tail]
    arguments += ["--since", options.since] if options.since else []
    arguments += ["--follow"] if options.follow else []
    readers = {
        one.short: subprocess.Popen(
            host.docker(*arguments, one.name),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        for one in chosen
    }
    width = max(map(len, readers))
    try:
        if options.follow:
            follow(readers, width)
        else:
            for _, name, line in heapq.merge(*(split(name, reader.stdout) for name, reader in readers.items())):
                show(name, line, width)
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    finally:
        for reader in readers.values():
            reader.terminate()
    return max(max(reader.wait(), 0) for reader in readers.values())


def split(name: str, stream: IO[str] | None) -> list[Line]:
    """Read a whole log as (time, container, text); a line without a time stays behind the one before it."""
    lines: list[Line] = []
    for text in stream or []:
        stamp, _, rest = text.rstrip("\n").partition(" ")
        lines.append(
            (stamp, name, rest) if stamp[:2] == "20" else (lines[-1][0] if lines else "", name, text.rstrip("\n"))
        )
    return lines


def follow(readers: dict[str, subprocess.Popen[str]], width: int) -> None:
    """Print lines as they come, until every container has ended."""

    def pump(name: str, stream: IO[str] | None) -> None:
        for text in stream or []:
            show(name, text.rstrip("\n").partition(" ")[2], width)

    threads = [threading.Thread(target=pump, args=(name, one.stdout), daemon=True) for name, one in readers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def show(name: str, line: str, width: int) -> None:
    """Print one line behind its container's name, at once."""
    sys.stdout.write(f"{name.ljust(width)} | {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
