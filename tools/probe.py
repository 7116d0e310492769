#!/usr/bin/env python3
"""Try the way from a container (or host) to another and say why it fails: FROM TO[:PORT][/PATH]."""

from __future__ import annotations

import re
import sys
from typing import Any, NamedTuple

import containers

PORTS = {"http": 80, "https": 443}
TARGET = re.compile(
    r"(?:(?P<scheme>https?)://)?(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)(?::(?P<port>\d{1,5}))?(?P<path>/\S*)?"
)


class Target(NamedTuple):
    """Where to."""

    name: str
    port: int | None
    path: str
    tls: bool


def target(text: str) -> Target:
    """Read TO: name, name:port, name:port/path, or a whole http address; end where it is none of these."""
    match = TARGET.fullmatch(text)
    port = int(match["port"] or PORTS.get(match["scheme"] or "", 0)) if match else 0
    if not match or port > 65535 or (match["port"] and not port):
        raise SystemExit(f"'{text}' is not accepted: kafka, kafka:9092, nginx:80/health or http://nginx/health are")
    if match["path"] and not port:
        port = PORTS["http"]
    path = match["path"] or ("/" if match["scheme"] else "")
    return Target(match["name"], port or None, path, match["scheme"] == "https")


def main() -> int:
    """Take the way and show each step."""
    parser = containers.parser(__doc__)
    containers.asks_become(parser)
    parser.add_argument("source", metavar="FROM", help="service, container, or host")
    parser.add_argument("target", metavar="TO", help="kafka, kafka:9092, nginx:80/health or http://nginx/health")
    options = parser.parse_args()
    to = target(options.target)
    found = containers.module(options, "probe", {"source": options.source, "target": to.name, **wanted(to)})
    for step in found["steps"]:
        sys.stdout.write("\n".join(shown(options.source, to, step)) + "\n")
    return int(any(step["failed_step"] for step in found["steps"]))


def wanted(to: Target) -> dict[str, Any]:
    """The module's arguments beyond the name."""
    return {"path": to.path, "tls": to.tls, **({"port": to.port} if to.port else {})}


def shown(source: str, to: Target, step: dict[str, Any]) -> list[str]:
    """One way, step by step."""
    times = step["milliseconds"]
    said = {"resolve": ", ".join(step["addresses"]), "connect": "ok", "http": step["answer"]}
    if step["failed_step"]:
        said[step["failed_step"]] = f"FAILED: {step['error']}"
    lines = [f"{source} -> {to.name}" + (f":{step['port']}" if step["port"] else "")]
    lines += [f"  {name:8} {times[name]:7.1f} ms  {text}" for name, text in said.items() if name in times]
    return lines + [f"  {line}" for line in step["finding"]]


if __name__ == "__main__":
    sys.exit(main())
