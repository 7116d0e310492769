# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A container's files on the host, below the state directory: its config, its secrets and its data directories."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
    from ansible_collections.sse.platform.plugins.module_utils.model.types import SecretFile, Spec

Mounts = dict[str, tuple[str, bool]]  # container path -> (host path, read-only)


class Files:
    """Writes what containers mount. Config is in a directory named by its hash, so two versions can exist together."""

    def __init__(self, state_directory: str, store: Store) -> None:
        """Keep everything below one directory."""
        self.state = Path(state_directory)
        self.store = store

    def mounts(self, name: str, spec: Spec) -> Mounts:
        """Write a container's config and secrets, make its data directories, and return all its mounts."""
        mounts: Mounts = {target: (source, True) for target, source in spec["binds"].items()}
        for index, (target, files) in enumerate(spec["config"].items()):
            directory = self.version(name, spec) / f"config-{index}"
            write_directory(directory, files, mode=0o444, owner=(0, 0))
            mounts[target] = (str(directory), True)
        for index, (target, secrets) in enumerate(spec["secrets"].items()):
            directory = self.version(name, spec) / f"secrets-{index}"
            self.write_secrets(directory, secrets, spec)
            mounts[target] = (str(directory), True)
        self.refresh(name, spec)
        mounts |= {target: (str(directory), True) for target, directory in self.live(name, spec).items()}
        for target, below in spec["data"].items():
            directory = self.state / "data" / name / below
            directory.mkdir(parents=True, exist_ok=True)
            if (directory.stat().st_uid, directory.stat().st_gid) != owner_of(spec):
                os.chown(directory, *owner_of(spec))
            mounts[target] = (str(directory), False)
        return mounts

    def live(self, name: str, spec: Spec) -> dict[str, Path]:
        """Return the directories of the secrets that a running container reads anew, by where it mounts them."""
        return {
            target: self.state / "files" / name / f"live-{index}" for index, target in enumerate(spec["live_secrets"])
        }

    def stale(self, name: str, spec: Spec) -> list[str]:
        """Name the live secrets whose files on the host are missing or outdated."""
        found: list[str] = []
        for target, directory in self.live(name, spec).items():
            for file, one in spec["live_secrets"][target].items():
                path = directory / file
                wanted = self.store.render(one["secret"], one["format"], make=False)
                if not path.exists() or path.read_text() != wanted:
                    found.append(f"{target}/{file}")
        return found

    def refresh(self, name: str, spec: Spec) -> None:
        """Write the live secrets in place, and remove files that are not declared any more."""
        for target, directory in self.live(name, spec).items():
            secrets = spec["live_secrets"][target]
            self.write_secrets(directory, secrets, spec)
            for path in directory.iterdir():
                if path.name not in secrets:
                    path.unlink()

    def write_secrets(self, directory: Path, secrets: Mapping[str, SecretFile], spec: Spec) -> None:
        """Write files of secrets that only the user of the container can read."""
        rendered = {file: self.store.render(one["secret"], one["format"]) for file, one in secrets.items()}
        write_directory(directory, rendered, mode=0o400, owner=owner_of(spec))

    def version(self, name: str, spec: Spec) -> Path:
        """Return the directory of this version of a container's files."""
        body = json.dumps([spec["config"], spec["secrets"], spec["user"], spec.get("fingerprints")], sort_keys=True)
        return self.state / "files" / name / hashlib.sha256(body.encode()).hexdigest()[:16]

    def prune(self, containers: Mapping[str, Spec]) -> None:
        """Remove the versions that these containers do not mount. Files of other containers stay."""
        for name, spec in containers.items():
            current = {self.version(name, spec), *self.live(name, spec).values()}
            for path in (self.state / "files" / name).glob("*"):
                if path not in current:
                    shutil.rmtree(path)

    def forget(self, name: str) -> None:
        """Remove config and secrets of a container that is gone. Its data stays."""
        shutil.rmtree(self.state / "files" / name, ignore_errors=True)


def owner_of(spec: Spec) -> tuple[int, ...]:
    """Return user id and group id of a container."""
    return tuple(int(part) for part in spec["user"].split(":"))
