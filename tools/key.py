#!/usr/bin/env python3
"""Make an API key, print it once, and store only its hash: FILE NAME --publish PATTERN --subscribe PATTERN."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "app"))  # the service reads the file that this tool writes

import parsers
from sse_app import keys

if __name__ == "__main__":
    sys.exit(keys.main(parser=parsers.of_verb()))
