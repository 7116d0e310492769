# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Open the file of a backup on the controller."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError, refuse_full_disk
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_package import MEMBERS, damaged, manifest_of
from ansible_collections.sse.platform.plugins.module_utils.host.checksum import digest_of

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_share import Manifest


def vault(passphrase: str) -> VaultLib:
    """Return what decrypts with a passphrase."""
    return VaultLib([("default", VaultSecret(passphrase.encode()))])


def refuse_target(path: Path) -> None:
    """Raise BackupError where a backup cannot be written."""
    # Unlike those of Path, these raise nothing where a directory above is closed to this user.
    if os.path.lexists(path):
        raise BackupError(f"{path} exists, and a backup overwrites nothing: choose another name, or move it away")
    if not os.path.isdir(path.parent) or not os.access(path.parent, os.W_OK | os.X_OK):  # noqa: PTH112
        raise BackupError(f"{path.parent} is no directory where you may write: expected one for the backup")


def unpack(path: Path, passphrase: str, target: Path) -> tuple[Manifest, dict[str, str]]:
    """Check a backup, and put its archive into a directory; return the manifest and the secrets.

    :raises BackupError: it is no backup, of another format, damaged, or the passphrase is wrong
    """
    try:
        with tarfile.open(path, "r:") as packed:
            if packed.getnames() != MEMBERS:
                raise BackupError(f"{path} is no backup of this collection: expected a file that ./sse backup wrote")
            manifest = manifest_of(member(packed, "manifest.json").read(), path)
            vaulted = member(packed, "secrets.vault").read()
            if manifest.get("secrets", found := hashlib.sha256(vaulted).hexdigest()) != found:
                raise damaged(path)  # which the passphrase is not to blame for
            secrets = decrypted(vaulted, passphrase, path)
            refuse_full_disk(target, packed.getmember("state.tar.gz").size)
            with (target / "state.tar.gz").open("wb") as stream:
                shutil.copyfileobj(member(packed, "state.tar.gz"), stream, 1 << 20)
    except (OSError, tarfile.TarError, ValueError) as error:
        if isinstance(error, BackupError):
            raise
        raise BackupError(f"{path} can't be read as a backup ({error}): take another one") from error
    with (target / "state.tar.gz").open("rb") as stream:
        if digest_of(stream) != manifest["state"]:
            raise damaged(path)
    return manifest, secrets


def member(packed: tarfile.TarFile, name: str) -> Any:
    """Return a member of a tar for reading; raises KeyError where there is none."""
    return packed.extractfile(name)


def decrypted(text: bytes, passphrase: str, path: Path) -> dict[str, str]:
    """Return the secrets of a backup."""
    try:
        return json.loads(vault(passphrase).decrypt(text))
    except AnsibleError:  # of the vault: of its checksum, its form or its key
        raise BackupError(
            f"the passphrase does not open the secrets of {path}: expected the one with which it was written"
        ) from None
