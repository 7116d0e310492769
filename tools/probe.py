#!/usr/bin/env python3
"""Test the connection from a container (or host) to another, and say why it fails: FROM TO[:PORT][/PATH]."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple, TypedDict

import containers

PORTS = {"http": 80, "https": 443}
TARGET = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)(?::(?P<port>\d{1,5}))?(?P<path>/\S*)?"
)
EXAMPLES = "kafka, kafka:9092, nginx:80/health or http://nginx/health"


class Target(NamedTuple):
    """Where to connect to; without a port only the name is resolved, without a path nothing is asked."""

    name: str
    port: int | None
    path: str
    tls: bool


class Step(TypedDict):
    """What one port showed, as the module tells it."""

    port: int | None
    addresses: list[str]
    failed_step: str  # resolve, connect or http; empty where all went well
    error: str
    answer: str
    milliseconds: dict[str, float]
    finding: list[str]


def target(text: str) -> Target:
    """Read TO: name, name:port, name:port/path, or a whole http address. Anything else ends the program."""
    match = TARGET.fullmatch(text)
    port = int(match["port"] or PORTS.get(match["scheme"] or "", 0)) if match else 0
    if not match or port > 65535 or (match["port"] and not port):
        raise SystemExit(f"The target '{text}' is not valid: expected a name such as {EXAMPLES}.")
    if match["path"] and not port:
        port = PORTS["http"]
    path = match["path"] or ("/" if match["scheme"] else "")
    return Target(match["name"], port or None, path, match["scheme"] == "https")


def main() -> int:
    """Test the connection and show each step."""
    parser = containers.parser()
    parser.add_argument("source", metavar="FROM", help="a service, a container, or host")
    parser.add_argument("target", metavar="TO", help=EXAMPLES)
    options = parser.parse_args()
    to = target(options.target)
    port = {"port": to.port} if to.port else {}
    arguments = {"target": to.name, "path": to.path, "tls": to.tls, **port}
    steps: list[Step] = containers.inside(options, "probe", options.source, arguments)["steps"]
    for step in steps:
        sys.stdout.write("\n".join(shown(options.source, to, step)) + "\n")
    return 2 if any(step["failed_step"] for step in steps) else 0


def shown(source: str, to: Target, step: Step) -> list[str]:
    """Write what one port showed as lines for people."""
    times = step["milliseconds"]
    said = {"resolve": ", ".join(step["addresses"]), "connect": "ok", "http": step["answer"]}
    if step["failed_step"]:
        said[step["failed_step"]] = f"FAILED: {step['error']}"
    lines = [f"{source} -> {to.name}" + (f":{step['port']}" if step["port"] else "")]
    lines += [f"  {name:8} {times[name]:7.1f} ms  {text}" for name, text in said.items() if name in times]
    return lines + [f"  {line}" for line in step["finding"]]


if __name__ == "__main__":
    sys.exit(main())
