#!/usr/bin/env python3
"""Draw what is deployed: networks, addresses, ports, who reaches whom; as Mermaid, or with --svg as a picture."""

from __future__ import annotations

import sys
from pathlib import Path

import containers

sys.path.insert(0, str(containers.ROOT / ".ansible" / "collections"))

from ansible_collections.sse.platform.plugins.module_utils.views import diagram


def main() -> int:
    """Print the picture, or write it to a file."""
    parser = containers.parser(__doc__)
    parser.add_argument("--svg", action="store_true", help="an SVG instead of Mermaid")
    parser.add_argument("-o", "--output", help="write to this file")
    containers.asks_become(parser)
    options = parser.parse_args()
    drawn = diagram.topology(containers.releases(options))
    picture = diagram.svg(drawn) if options.svg else diagram.mermaid(drawn)
    if options.output:
        Path(options.output).write_text(picture)
    else:
        sys.stdout.write(picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
