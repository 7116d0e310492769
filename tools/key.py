#!/usr/bin/env python3
"""Make an API key, printed this once, and keep its hash: FILE NAME --publish PATTERN --subscribe PATTERN."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "app"))  # the service's own code: it reads what this writes

from sse_app import keys

if __name__ == "__main__":
    sys.exit(keys.main())
