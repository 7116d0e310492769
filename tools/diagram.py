#!/usr/bin/env python3
"""Draw what is deployed: networks, addresses, ports and connections, as Mermaid or, with --svg, as a picture."""

from __future__ import annotations

import sys
from pathlib import Path

import containers
import private_file

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.views import diagram, svg


def main() -> int:
    """Print the picture, or write it to a file."""
    parser = containers.parser()
    parser.add_argument("--svg", action="store_true", help="draw an SVG instead of Mermaid")
    parser.add_argument("-o", "--output", help="write to this file")
    options = parser.parse_args()
    found = containers.observed(options)
    topology = diagram.topology(found["releases"])
    if options.svg:
        seen = found["status"]
        number = max((one["number"] for one in found["releases"]), default=0)
        title = f"{seen['stack']}, release {number}, {len(seen['containers'])} containers"
        picture = svg.draw(topology, seen["containers"], title, seen["time"].replace("T", " ").replace("Z", " UTC"))
    else:
        picture = diagram.mermaid(topology)
    if options.output:
        private_file.replace(Path(options.output), picture)
    else:
        sys.stdout.write(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
