# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The file of a backup: a tar of manifest.json, secrets.vault and state.tar.gz, written on the controller or a host.

The secrets are encrypted as Ansible Vault does it (AES-256 and HMAC-SHA-256, with a key from PBKDF2).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import FORMAT, BackupError
from ansible_collections.sse.platform.plugins.module_utils.deploy.sealed_text import encrypt
from ansible_collections.sse.platform.plugins.module_utils.host.checksum import digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_share import Manifest

VARIABLE = "SSE_BACKUP_PASSPHRASE"
SHORTEST = 12  # characters of a passphrase: whoever has the file may try as many as they like
MEMBERS = ["manifest.json", "secrets.vault", "state.tar.gz"]
ALWAYS = {"format", "stack", "made", "numbers", "containers", "left_out", "bytes", "files", "state"}
LATER = {"elsewhere", "owners"}  # names that a manifest without a checksum may have, too


def checked(passphrase: str) -> str:
    """Return a passphrase that is long enough; raises BackupError, which never holds it."""
    if len(passphrase) < SHORTEST:
        raise BackupError(
            f"the passphrase has {len(passphrase)} characters: expected at least {SHORTEST}, from the environment "
            f"variable {VARIABLE}, from backup_passphrase_file, or typed on a terminal"
        )
    return passphrase


def checksum(manifest: Mapping[str, Any]) -> str:
    """Return the checksum of everything else that a manifest says."""
    others = {name: value for name, value in manifest.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(others, sort_keys=True).encode()).hexdigest()


def manifest_of(text: bytes, path: Path) -> Any:
    """Return the manifest of a backup; raises BackupError where it is damaged or of another format.

    Backups from before there was a checksum have none, and no name that was not known then.
    """
    try:
        found: Any = json.loads(text)
    except ValueError:  # also of what is no UTF-8
        raise damaged(path) from None
    if not isinstance(found, dict):
        raise damaged(path)
    manifest = cast("dict[str, Any]", found)
    if manifest.get("checksum", checksum(manifest)) != checksum(manifest):
        raise damaged(path)
    if "format" in manifest and manifest["format"] != FORMAT:
        raise BackupError(
            f"{path} has format {manifest['format']}, and this version reads {FORMAT}: restore it with the "
            "version of the collection that wrote it"
        )
    if not manifest.keys() >= ALWAYS or ("checksum" not in manifest and not manifest.keys() <= ALWAYS | LATER):
        raise damaged(path)
    return manifest


def damaged(path: Path) -> BackupError:
    """Return the refusal of a file that is not what was written."""
    return BackupError(f"{path} is damaged: its checksum is wrong. Take another backup")


def pack(path: Path, manifest: Manifest, secrets: Mapping[str, str], state: Path, passphrase: str) -> None:
    """Write a backup in one step: another program never sees a part of it.

    :param state: the archive from the host
    """
    with state.open("rb") as stream:
        digest = digest_of(stream)
    vault = encrypt(json.dumps(dict(secrets)).encode(), passphrase)
    whole = {**manifest, "state": digest, "secrets": hashlib.sha256(vault).hexdigest()}
    whole["checksum"] = checksum(whole)
    texts = {"manifest.json": json.dumps(whole, indent=1).encode(), "secrets.vault": vault}
    fresh = path.with_name(f".{path.name}.new")
    try:
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
    except OSError as error:
        raise BackupError(f"{path} can't be written ({error.strerror})") from error
    finally:
        fresh.unlink(missing_ok=True)


def refuse_damage(path: Path) -> None:
    """Read a backup again as it is on the disk; raises BackupError where it is not what was written."""
    with tarfile.open(path, "r:") as packed:
        manifest, vault, state = (packed.extractfile(name) for name in MEMBERS)
        if manifest is None or vault is None or state is None:
            raise damaged(path)
        expected = manifest_of(manifest.read(), path)
        if (expected["secrets"], expected["state"]) != (digest_of(vault), digest_of(state)):
            raise BackupError(f"{path} is damaged: its checksum is wrong. Is the disk in order?")
