#!/usr/bin/env python3
"""Run a command in a container: SERVICE [COMMAND ...] (default: sh)."""

from __future__ import annotations

import argparse
import os
import sys

import containers


def main() -> None:
    """Become the command, in the first container that the name means."""
    parser = containers.parser(__doc__)
    parser.add_argument("-u", "--user", help="user in the container (default: the service's own)")
    parser.add_argument("service", help="service or container, such as app-1")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="command and its arguments")
    options = parser.parse_args()
    host = containers.host(options)
    container, *others = host.containers([options.service])
    if others:
        sys.stderr.write(f"sse: in {container.short}, the first of {len(others) + 1}\n")
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    user = ["--user", options.user] if options.user else []
    arguments = ["exec", "-i", *(["-t"] if terminal else []), *user, container.name, *(options.command or ["sh"])]
    command = host.docker(*arguments, terminal=terminal)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
