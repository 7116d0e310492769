#!/usr/bin/env python3
"""Run a command in a container: SERVICE [COMMAND ...] (default: sh)."""

from __future__ import annotations

import argparse
import os
import sys

import containers
import inventories
import reaching


def main() -> int:
    """Run the command in the first container of that name, in place of this process where nobody has to be asked."""
    parser = containers.parser()
    parser.add_argument("-u", "--user", help="user in the container (default: the user of the service)")
    parser.add_argument("service", help="a service or a container, such as app-1")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments")
    options = parser.parse_args()
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if inventories.is_cluster(options.inventory):
        task, *others = containers.tasks(containers.of_cluster(options), [options.service])
        host, container, named = task.host, task.container, task.id
    else:
        host = containers.host(options)
        container, *others = host.containers([options.service])
        named = container.name
    if others:
        sys.stderr.write(f"sse: in {container.short}, the first of {len(others) + 1} containers\n")
    host.say_where(options)
    user = ["--user", options.user] if options.user else []
    arguments = ["exec", "-i", *(["-t"] if terminal else []), *user, named, *(options.command or ["sh"])]
    if not host.password:
        command = host.docker(*arguments, terminal=terminal)
        os.execvp(command[0], command)
    if terminal:
        return reaching.at_terminal(host.docker(*arguments, terminal=True), host.password)
    return reaching.with_input(host.docker(*arguments), host.password)


if __name__ == "__main__":
    sys.exit(main())
