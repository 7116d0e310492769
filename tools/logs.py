#!/usr/bin/env python3
"""Show the logs of containers, merged by time: [SERVICE ...] [-f] [--tail N] [--since 10m] [--grep PATTERN]."""

from __future__ import annotations

import collections
import heapq
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping

import containers
import inventories
import log_lines
from log_lines import Filter

Line = tuple[str, str, str]  # time, container, text
DEFAULT_LINES = 100


def main() -> int:
    """Print, or follow, the logs of the chosen containers."""
    parser = containers.parser()
    parser.add_argument("service", nargs="*", help="services or containers (default: all containers)")
    parser.add_argument("-f", "--follow", action="store_true", help="continue with new lines")
    parser.add_argument(
        *("-n", "--tail"),
        help="show the last N lines of each container, or all (default: 100); with a filter, the last N that it takes",
    )
    parser.add_argument("--since", help="show lines since this time, or since a duration such as 10m or 2d")
    parser.add_argument("--grep", metavar="PATTERN", help="show lines in which this regular expression is found")
    parser.add_argument(
        "--level",
        help=f"show lines of this level and worse ones: {', '.join(log_lines.LEVELS)};\n"
        "lines that name no level are shown, too",
    )
    parser.add_argument(
        "--request-id", metavar="ID", help="show lines about this request (X-Request-ID of its answer) or trace"
    )
    options = parser.parse_args()
    try:
        wanted = log_lines.made(options.grep, options.level, options.request_id)
        most = how_many(options.tail)
        begins = ["--since", log_lines.since(options.since)] if options.since is not None else []
    except log_lines.FilterError as error:
        parser.exit(1, f"sse: {error}. Nothing was read.\n")
    cluster = inventories.is_cluster(options.inventory)
    if cluster and not options.limit:
        options.limit = "managers[0]"  # any of them reads the logs of all hosts
    host = containers.host(options, of_cluster=cluster)
    chosen = host.services(options.service) if cluster else host.containers(options.service)
    # A filter looks at everything that is kept; without one, the engine gives the last lines alone.
    all_of_it = most is None or (wanted.is_set and not options.follow)
    arguments = [
        *(["service", "logs", "--raw"] if cluster else ["logs"]),
        "--timestamps",
        "--tail",
        "all" if all_of_it else str(most),
    ]
    arguments += [*begins, *(["--follow"] if options.follow else [])]
    readers = {one.short: host.start(*arguments, one.name, errors=subprocess.STDOUT) for one in chosen}
    width = max(map(len, readers))
    try:
        if options.follow:
            follow({name: host.lines(one) for name, one in readers.items()}, width, wanted)
        else:
            shown = False
            lines = {name: host.lines(one) for name, one in readers.items()}
            for _, name, line in heapq.merge(*read(lines, wanted, most)):
                show(name, line, width)
                shown = True
            unread = [name for name, one in readers.items() if one.wait() > 0]
            if wanted.is_set and not shown and not unread:
                sys.stderr.write("sse: no line of these logs is what you asked for\n")
            elif wanted.is_set and unread:  # the filter took what the engine said, too
                sys.stderr.write(f"sse: not read: {', '.join(unread)}; without the filter you see why\n")
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # whoever reads has had enough, as in `./sse logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        ended = [containers.stop(one) for one in readers.values()]
    return max(ended)


def how_many(tail: str | None) -> int | None:
    """Return how many lines of each container to show; None for all.

    :raises log_lines.FilterError: for what is no number
    """
    if tail == "all":
        return None
    if tail is not None and not (tail.isdecimal() and len(tail) < 10):
        raise log_lines.FilterError(f"--tail '{tail}': expected a number of lines, or all")
    return int(tail or DEFAULT_LINES)


def read(logs: Mapping[str, Iterable[str]], wanted: Filter, most: int | None) -> list[Iterable[Line]]:
    """Read all logs side by side, since one that is not read would stop; keep the last lines that are wanted."""
    found: dict[str, Iterable[Line]] = {}

    def pump(name: str, stream: Iterable[str]) -> None:
        found[name] = collections.deque((line for line in split(name, stream) if wanted.takes(line[2])), most)

    threads = [threading.Thread(target=pump, args=one, daemon=True) for one in logs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(found.values())


def split(name: str, stream: Iterable[str]) -> Iterator[Line]:
    """Tell the time from each line of a log. A line without one gets that of the line before it."""
    last = ""
    for line in stream:
        text = line.rstrip("\n")
        stamp, _, rest = text.partition(" ")
        timed = stamp.startswith("20")  # the century of a time such as 2025-01-31T12:00:00Z
        last = stamp if timed else last
        yield last, name, rest if timed else text


def follow(logs: Mapping[str, Iterable[str]], width: int, wanted: Filter) -> None:
    """Print lines as they arrive, until every container has ended."""

    def pump(name: str, stream: Iterable[str]) -> None:
        for _, _, line in split(name, stream):
            if wanted.takes(line):
                show(name, line, width)

    threads = [threading.Thread(target=pump, args=one, daemon=True) for one in logs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def show(name: str, line: str, width: int) -> None:
    """Print one line after the name of its container, immediately."""
    text = log_lines.for_a_terminal(line) if sys.stdout.isatty() else line
    sys.stdout.write(f"{name.ljust(width)} | {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
