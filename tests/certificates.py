"""A certificate that signs itself, and its key."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make(chain: Path, key: Path, *, subject: str = "localhost", days: int = 2) -> None:
    """Write a certificate and its key."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", str(days), "-subj", f"/CN={subject}", "-out", str(chain), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    key.chmod(0o600)
