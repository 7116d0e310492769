#!/usr/bin/env python3
"""Capture the packets of a container into a file, and sum up who talks to whom: SERVICE [--port N] [--seconds N]."""

from __future__ import annotations

import base64
import sys
import time
import zlib
from pathlib import Path

import containers
import private_file


def main() -> int:
    """Capture, write the file, and say who talked to whom."""
    parser = containers.parser()
    parser.add_argument("service", help="a service, a container, or host")
    parser.add_argument("--port", type=int, help="capture only packets of this TCP or UDP port")
    parser.add_argument("--seconds", type=int, default=10, help="stop after this time (default: 10, at most 300)")
    parser.add_argument("--size", type=int, default=4 << 20, help="bytes of the file (default: 4 MiB, at most 32 MiB)")
    parser.add_argument("--snap", type=int, default=256, help="bytes to keep of each packet (default: 256)")
    parser.add_argument("--write", type=Path, help="write to this file (default: SERVICE-TIME.pcap here)")
    options = parser.parse_args()
    path = options.write or Path(f"{options.service}-{time.strftime('%Y%m%dT%H%M%S')}.pcap")
    stream = private_file.create(path)  # before the capture, because packets are not there a second time
    limits = {name: getattr(options, name) for name in ("port", "seconds", "size", "snap")}
    sys.stderr.write(f"sse: capturing in {options.service} for at most {options.seconds} s\n")
    with stream:
        try:
            found = containers.inside(options, "capture", options.service, limits)
        except SystemExit:
            path.unlink()
            raise
        stream.write(zlib.decompress(base64.b64decode(found["pcap"])))
    ended = ", then the file was full" if found["full"] else ""
    lost = f"; {found['dropped']} more packets came too fast" if found["dropped"] else ""
    sys.stdout.write("\n".join([*found["lines"], f"{found['packets']} packets{ended}{lost}: {path}"]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
