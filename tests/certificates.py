"""A certificate that signs itself, and its key."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

CONFIG = "[req]\ndistinguished_name = subject\nprompt = no\n[subject]\n"


def make(chain: Path, key: Path, *, subject: str = "localhost", days: int = 2, extensions: Sequence[str] = ()) -> None:
    """Write a certificate and its key."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", str(days), "-subj", f"/CN={subject}", "-out", str(chain), "-keyout", str(key)]
    if extensions:  # those of openssl's own configuration go with it
        command += ["-config", "/dev/stdin", *(word for one in extensions for word in ("-addext", one))]
    subprocess.run(command, input=CONFIG.encode() if extensions else b"", check=True, capture_output=True)
    key.chmod(0o600)


def sign(chain: Path, key: Path, authority: Path, authority_key: Path, *, subject: str, names: str = "") -> None:
    """Write a certificate that another one signed, and its key."""
    request = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made = subprocess.run([*request, "-subj", f"/CN={subject}", "-keyout", str(key)], check=True, capture_output=True)
    signing = ["openssl", "x509", "-req", "-days", "1", "-out", str(chain), "-CA", str(authority)]
    signing += ["-CAkey", str(authority_key), "-CAcreateserial"]
    extensions = chain.with_suffix(".extensions")
    extensions.write_text(f"subjectAltName={names}\n" if names else "")
    subprocess.run([*signing, "-extfile", str(extensions)], input=made.stdout, check=True, capture_output=True)
    key.chmod(0o600)
