# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The file of a backup: a tar of manifest.json, secrets.vault and state.tar.gz, written on the controller or a host.

The secrets are encrypted as Ansible Vault does it (AES-256 and HMAC-SHA-256, with a key from PBKDF2).
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError
from ansible_collections.sse.platform.plugins.module_utils.deploy.sealed_text import encrypt
from ansible_collections.sse.platform.plugins.module_utils.host.checksum import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import Manifest

VARIABLE = "SSE_BACKUP_PASSPHRASE"
SHORTEST = 12  # characters of a passphrase: whoever has the file may try as many as they like
MEMBERS = ["manifest.json", "secrets.vault", "state.tar.gz"]


def checked(passphrase: str) -> str:
    """Return a passphrase that is long enough; raises BackupError, which never holds it."""
    if len(passphrase) < SHORTEST:
        raise BackupError(
            f"the passphrase has {len(passphrase)} characters: expected at least {SHORTEST}, from the environment "
            f"variable {VARIABLE}, from backup_passphrase_file, or typed on a terminal"
        )
    return passphrase


def pack(path: Path, manifest: Manifest, secrets: Mapping[str, str], state: Path, passphrase: str) -> None:
    """Write a backup in one step: another program never sees a part of it.

    :param state: the archive from the host
    """
    with state.open("rb") as stream:
        digest = digest_of(stream)
    texts = {
        "manifest.json": json.dumps({**manifest, "state": digest}, indent=1).encode(),
        "secrets.vault": encrypt(json.dumps(dict(secrets)).encode(), passphrase),
    }
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a run that was killed, or somebody's link
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(fresh, flags, 0o600), "wb") as stream:
        with tarfile.open(fileobj=stream, mode="w") as packed:
            for name, text in texts.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(text), 0o600
                packed.addfile(entry, io.BytesIO(text))
            packed.add(state, "state.tar.gz")
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)


def refuse_damage(path: Path) -> None:
    """Read a backup again as it is on the disk; raises BackupError where it is not what was written."""
    with tarfile.open(path, "r:") as packed:
        members = [packed.extractfile(name) for name in MEMBERS]
        manifest, __, state = members
        if manifest is None or state is None or json.loads(manifest.read())["state"] != digest_of(state):
            raise BackupError(f"{path} is damaged: its checksum is wrong. Is the disk in order?")
