#!/usr/bin/env python3
"""Draw what is deployed: networks, addresses, ports and connections, as Mermaid or, with --svg, as a picture."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import containers
import inventories
import private_file

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.views import diagram, svg


def main() -> int:
    """Print the picture, or write it to a file."""
    parser = containers.parser()
    parser.add_argument("--svg", action="store_true", help="draw an SVG instead of Mermaid")
    parser.add_argument("-o", "--output", help="write to this file")
    options = parser.parse_args()
    if inventories.is_cluster(options.inventory):
        return of_cluster(options)
    found = containers.observed(options)
    topology = diagram.topology(found["releases"])
    if options.svg:
        seen = found["status"]
        number = max((one["number"] for one in found["releases"]), default=0)
        title = f"{seen['stack']}, release {number}, {len(seen['containers'])} containers"
        picture = svg.draw(topology, seen["containers"], title, seen["time"].replace("T", " ").replace("Z", " UTC"))
    else:
        picture = diagram.mermaid(topology)
    return write(options, picture)


def of_cluster(options: argparse.Namespace) -> int:
    """Draw what a cluster runs, with the hosts where it does."""
    kept = containers.kept(options)
    topology = diagram.topology(kept["releases"])
    hosts = containers.of_cluster(options)
    found = containers.tasks(hosts, [])
    where: dict[str, list[str]] = {}
    for task in found:
        where.setdefault(task.container.name, []).append(task.host.name)
    if not options.svg:
        return write(options, diagram.mermaid(diagram.in_cluster(topology, where)))
    names = [host.name for host in hosts]
    drawn = diagram.on_hosts(topology, where, names)
    states = {svg.at_host(task.container.name, task.host.name): task.state for task in found}
    states |= {svg.at_host(name, diagram.NO_HOST): "runs nowhere" for box in topology.boxes for name in box.names}
    many = f"{len(names)} host{'s' if len(names) > 1 else ''}"
    title = f"{hosts[0].stack}, release {kept['current']}, {many}, {len(found)} containers"
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    shown = [*names, *([diagram.NO_HOST] if any(diagram.NO_HOST in box.hosts for box in drawn.boxes) else [])]
    return write(options, svg.draw(drawn, (), title, when, shown, states))


def write(options: argparse.Namespace, picture: str) -> int:
    """Print the picture, or write it to a file; return the exit code."""
    if options.output:
        private_file.replace(Path(options.output), picture)
    else:
        sys.stdout.write(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
