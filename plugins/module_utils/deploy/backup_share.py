# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What each of several hosts has of a backup: it reads that alone, gets that alone, and all of it is one archive."""

from __future__ import annotations

import gzip
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from typing_extensions import NotRequired  # for the type checker only: Python 3.10 does not have it

MARKER = "meta.properties"  # by it, a service tells which of several containers wrote its data
BLOCK = 1 << 20
# What ends an archive. Parts have no end, so that in a row, with this behind them, they are one.
END = gzip.compress(bytes(tarfile.RECORDSIZE))


class Manifest(TypedDict):
    """What is in a backup."""

    format: int
    stack: str
    made: str  # UTC, RFC 3339
    numbers: dict[str, int]  # number of the release by project
    containers: dict[str, str]  # full name by short name
    left_out: list[str]  # services whose data are not in it
    bytes: int  # of all files, unpacked
    files: dict[str, str]  # path in the archive -> SHA-256
    sizes: NotRequired[dict[str, int]]  # bytes of the data by container, where several hosts had them
    copies: NotRequired[dict[str, str]]  # containers with the same data as another one, whose data are in the backup
    elsewhere: NotRequired[list[str]]  # data of the stack that are on somebody else's servers
    owners: NotRequired[dict[str, list[int]]]  # user id and group id by container, where its data hold secrets


class Written(TypedDict):
    """A backup on the host, before the controller fetches it."""

    archive: str  # path of a tar.gz
    manifest: Manifest
    secrets: dict[str, str]  # by name


class Share(NamedTuple):
    """What one of several hosts has of a stack. A single host has everything."""

    held: Mapping[str, str] = {}  # the host with the data of each container, by its full name
    host: str = ""  # this one
    first: str = ""  # the one that keeps secrets and releases, and the data of whatever else

    @property
    def keeps(self) -> bool:
        """Tell whether this host keeps the secrets and the releases."""
        return self.host == self.first

    def has(self, container: str) -> bool:
        """Tell whether this host has the data of a container."""
        return self.held.get(container, self.first) == self.host

    def placed(self, place: str, manifest: Manifest, stack: str) -> str | None:
        """Return where something in a backup comes to on this host; None where it does not."""
        parts = place.split("/")
        if parts[0] != "data" or len(parts) == 1:
            return place if self.keeps else None
        takes = {short for short, one in manifest.get("copies", {}).items() if one == parts[1]}
        for short in (parts[1], *sorted(takes)):
            if self.has(name_in(manifest, stack, short)):
                is_marker = parts[3:] == [MARKER]
                return None if short in takes and is_marker else "/".join(["data", short, *parts[2:]])
        return None


WHOLE = Share()


def name_in(manifest: Manifest, stack: str, short: str) -> str:
    """Return the full name that a container has in a stack; a name that its declaration chose stays."""
    name = manifest["containers"].get(short, "")
    return f"{stack}-{short}" if name == f"{manifest['stack']}-{short}" else name


def is_copy(place: str, copies: Collection[str]) -> bool:
    """Tell whether the data at a place of a backup are a copy of others."""
    return place.split("/", maxsplit=1)[0] == "data" and place.split("/")[1] in copies


def comes(manifest: Manifest, stack: str, share: Share) -> bool:
    """Tell whether anything of a backup comes to one of several hosts."""
    return share.keeps or any(share.has(name_in(manifest, stack, short)) for short in with_data(manifest))


def with_data(manifest: Manifest) -> set[str]:
    """Return the containers whose data are in a backup, by their short names."""
    return {name.split("/")[1] for name in manifest["files"] if name.startswith("data/")} | {
        *manifest.get("owners", {})
    }


def of_share(manifest: Manifest, stack: str, share: Share) -> int:
    """Return about how many bytes of a backup come to one of several hosts; all, where the backup does not say."""
    sizes = manifest.get("sizes", {})
    if not sizes:
        return manifest["bytes"]
    copies = manifest.get("copies", {})
    own = [short for short in sizes if share.has(name_in(manifest, stack, short))]
    return sum(sizes[copies.get(short, short)] for short in own) + (
        manifest["bytes"] - sum(sizes.values()) if share.keeps else 0
    )


def by_container(bytes_of: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes of data by container, of those by their places in a backup."""
    found: dict[str, int] = {}
    for place, size in bytes_of.items():
        if place.startswith("data/"):
            container = place.split("/")[1]
            found[container] = found.get(container, 0) + size
    return found


def joined(parts: Mapping[str, Written], target: Path) -> Written:
    """Make one backup of what several hosts have written.

    :param parts: by the fetched archive of each, which is removed; first that of the host that keeps the releases
    """
    first, *others = parts.values()
    manifest, secrets = first["manifest"].copy(), dict(first["secrets"])
    files, sizes, owners = dict(manifest["files"]), dict(manifest.get("sizes", {})), dict(manifest.get("owners", {}))
    with target.open("wb") as stream:
        for path in map(Path, parts):
            with path.open("rb") as archive:
                shutil.copyfileobj(archive, stream, BLOCK)
            path.unlink()
        stream.write(END)
    for part in others:
        own = part["manifest"]
        files.update(own["files"])
        sizes.update(own.get("sizes", {}))
        owners.update(own.get("owners", {}))
        manifest["bytes"] += own["bytes"]
        secrets.update(part["secrets"])
    manifest["files"], manifest["sizes"], manifest["owners"] = files, sizes, owners
    return {"archive": str(target), "manifest": manifest, "secrets": secrets}
