# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A backup: the data, secrets and releases of a stack, read while it runs, and put back under the same or another name.

What databases write while they are read is safe in this order: small files first, since they say up to where the large
ones are good, and each large file at the length that it has when it is read. Kafka and Redis cut off what is incomplete
at the end of their files when they start, as after a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.deploy import permissions
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError, whole
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model import moment
from ansible_collections.sse.platform.plugins.module_utils.model.elsewhere import kept_there
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping
    from typing import IO

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
    from typing_extensions import NotRequired  # for the type checker only: Python 3.10 does not have it

FORMAT = 1
PASSES = 5  # how often a directory is read again because files came or went while it was read
RESTORING = "restoring"  # the directory of a restore that is not done yet, in the state directory
INCOMING = "incoming"  # where the archive comes to, in the state directory: playbooks/tasks/place_backup.yml
SPARE = 64 << 20  # bytes that stay free on the disk
BLOCK = 1 << 20
MEANWHILE = "/var/tmp"  # noqa: S108 - its directories are made by mkdtemp; where an archive is made  # nosec B108


class BackupError(ValueError):
    """A backup cannot be made or does not fit; the message says what to do."""


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
    elsewhere: NotRequired[list[str]]  # data of the stack that are on somebody else's servers
    owners: NotRequired[dict[str, list[int]]]  # user id and group id by container, where its data hold secrets


class Written(TypedDict):
    """A backup on the host, before the controller fetches it."""

    archive: str  # path of a tar.gz
    manifest: Manifest
    secrets: dict[str, str]  # by name


class _Reader:
    """Reads so many bytes of a file that may grow, and hashes them."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.left, self.hash = stream, size, hashlib.sha256()

    def read(self, size: int = BLOCK) -> bytes:
        block = self.stream.read(min(size, self.left))
        self.left -= len(block)
        self.hash.update(block)
        return block


def data_directories(state: Path, left_out: Collection[str]) -> dict[str, Path]:
    """Return the data directories of every container, by their place in a backup, which holds no name of a stack."""
    return {
        f"data/{spec['container']}/{below}": state / "data" / name / below
        for release in newest_releases(str(state))
        for name, spec in release["containers"].items()
        if spec["service"] not in left_out
        for below in spec["data"].values()
    }


def write(stack: str, state_directory: str, left_out: list[str], target: Path) -> Written:
    """Write a backup into a file on this host while the stack runs.

    :param left_out: services whose data are not wanted
    :raises BackupError: nothing was deployed, the disk is too small, or files change faster than they are read
    :raises OSError: a file cannot be read or written
    """
    state = Path(state_directory).resolve()  # it may be a link to another disk
    releases = newest_releases(state_directory)
    if not releases:
        raise BackupError(f"there is no release in {state_directory}: nothing was deployed here, so nothing is to keep")
    # Releases come first, so that whoever wants to know what is in a backup need not read all of it.
    data = data_directories(state, left_out)
    sealed = {place: path for place, path in data.items() if holds_secrets(place)}
    wanted = {"releases": state / "releases", **{place: data[place] for place in data if place not in sealed}}
    refuse_links(state, data.values())
    if gone := [str(path) for path in data.values() if not path.is_dir()]:
        raise BackupError(
            f"the data directory {gone[0]} is gone, so a backup would lack what was in it: put it back, or have "
            "`./sse up` make it again, empty. No backup was made"
        )
    secrets = secrets_of(state)
    needed = sum(size_of(one) for directory in wanted.values() for one in directory.rglob("*"))
    refuse_full_disk(target.parent, needed)
    files: dict[str, str] = {}
    # Of a file with two names, both get its content.
    with tarfile.open(target, "w:gz", compresslevel=1, dereference=True) as archive:
        for place, directory in wanted.items():
            files |= add_directory(archive, place, directory)
        if (state / "history.jsonl").exists():
            files["history.jsonl"] = add_file(archive, "history.jsonl", state / "history.jsonl")
    manifest: Manifest = {
        "format": FORMAT,
        "stack": stack,
        "made": moment.text(),
        "numbers": {one["project"]: one["number"] for one in releases},
        "containers": {spec["container"]: name for one in releases for name, spec in one["containers"].items()},
        "left_out": sorted(left_out),
        "bytes": needed,
        "files": files,
        "owners": owners(releases, sealed),
        "elsewhere": kept_there(releases),
    }
    return {"archive": str(target), "manifest": manifest, "secrets": {**secrets, **sealed_texts(sealed)}}


def secrets_of(state: Path) -> dict[str, str]:
    """Return the secrets of the stack, by name; raises BackupError where one is empty or overwritten."""
    try:
        return {path.name: whole(path) for path in sorted((state / "secrets").glob("*")) if path.is_file()}
    except SecretError as error:
        raise BackupError(f"{error}. No backup was made: a stack that is restored from it could not start") from None


def holds_secrets(place: str) -> bool:
    """Tell whether a data directory is kept with the secrets of the stack: `data/<container>/secrets`, or below it."""
    return place.split("/")[2:3] == ["secrets"]


def owners(releases: Iterable[Release], sealed: Iterable[str]) -> dict[str, list[int]]:
    """Return to whom the secrets among the data of each container belong."""
    users = {spec["container"]: spec["user"] for one in releases for spec in one["containers"].values()}
    return {short: [int(part) for part in users[short].split(":")] for short in {one.split("/")[1] for one in sealed}}


def sealed_texts(sealed: Mapping[str, Path]) -> dict[str, str]:
    """Return the texts of the secrets among data, by their place."""
    found: dict[str, str] = {}
    for place, directory in sealed.items():
        for path in sorted(directory.rglob("*")):
            with contextlib.suppress(FileNotFoundError):  # a renewal has just replaced it
                if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                    with opened(path) as stream:
                        found[f"{place}/{path.relative_to(directory)}"] = stream.read().decode()
    return found


def add_directory(archive: tarfile.TarFile, place: str, directory: Path) -> dict[str, str]:
    """Add a directory, again where files came or went meanwhile; return the hash of each file of the last pass."""
    for __ in range(PASSES):
        paths = listing(directory)
        archive.add(directory, place, recursive=False)
        found: dict[str, str] = {}
        try:
            for path in sorted(paths, key=lambda path: (not path.is_dir(), path.lstat().st_size)):
                name = f"{place}/{path.relative_to(directory)}"
                if path.is_symlink():
                    found[name] = add_link(archive, name, path)
                elif path.is_dir():
                    archive.add(path, name, recursive=False)
                else:
                    found[name] = add_file(archive, name, path)
        except FileNotFoundError:
            continue
        if listing(directory) == paths:
            return found
    raise BackupError(
        f"files came and went in {directory} during each of {PASSES} attempts to read it: "
        "try again when less is written"
    )


def listing(directory: Path) -> set[Path]:
    """Return what is in a directory, without sockets and the like."""
    return {path for path in directory.rglob("*") if path.is_symlink() or path.is_dir() or path.is_file()}


@contextlib.contextmanager
def opened(path: Path) -> Generator[IO[bytes]]:
    """Open a file, and no other one that a container puts a link to in its place, or in place of a directory above.

    :raises FileNotFoundError: a link is there, or nothing
    """
    try:
        stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise FileNotFoundError(error.errno, "a link is in its place", str(path)) from None
    with stream:
        if Path(f"/proc/self/fd/{stream.fileno()}").readlink() != path:
            raise FileNotFoundError(errno.ENOENT, "it went, or a link is above it", str(path))
        yield stream


def size_of(path: Path) -> int:
    """Return the bytes of a file itself, not of what a link leads to; 0 where it has just gone."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_size
    return 0


def add_link(archive: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a link as it is, since what it leads to may be no file of the container; return the SHA-256 of its text."""
    entry, status = tarfile.TarInfo(name), path.lstat()
    entry.type, entry.linkname = tarfile.SYMTYPE, str(path.readlink())
    entry.uid, entry.gid, entry.mtime = status.st_uid, status.st_gid, status.st_mtime
    archive.addfile(entry)
    return hash_of(entry.linkname)


def hash_of(link: str) -> str:
    """Return the SHA-256 of the text of a link."""
    return hashlib.sha256(os.fsencode(link)).hexdigest()


def add_file(archive: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file at the length that it has now; return its SHA-256."""
    with opened(path) as stream:
        entry = archive.gettarinfo(arcname=name, fileobj=stream)
        reader = _Reader(stream, entry.size)
        archive.addfile(entry, reader)  # type: ignore[arg-type]  # it only reads
        return reader.hash.hexdigest()


def existing(directory: Path) -> Path:
    """Return a directory, or its nearest parent that exists."""
    return next(one for one in (directory, *directory.parents) if one.is_dir())


def refuse_links(state: Path, directories: Iterable[Path]) -> None:
    """Raise BackupError where a link is in place of a directory: an archive would hold the link."""
    found, above = state_modes.links(state), {str(place) for one in directories for place in (one, *one.parents)}
    for path in sorted(found.keys() & above):
        raise BackupError(f"{state_modes.link_refused(path, found[path])} Nothing was written.")


def refuse_full_disk(directory: Path, needed: int) -> None:
    """Raise BackupError where a disk has not so many bytes free."""
    free = shutil.disk_usage(existing(directory)).free
    if free < needed + SPARE:
        raise BackupError(
            f"{directory} has {free >> 20} MiB free, and {(needed + SPARE) >> 20} MiB are needed: "
            "free some space, or use another disk"
        )


def refuse_misfit(manifest: Manifest, stack: str, state_directory: str, packed: int = 0) -> None:
    """Refuse to restore where a stack is already, or where the disk is too small; raises BackupError.

    :param packed: bytes of the archive, where it still has to come to this host
    """
    state = Path(state_directory)
    present = [
        name for name in ("releases", "data", "secrets") if (state / name).is_dir() and any((state / name).iterdir())
    ]
    if present:
        where = ", ".join(str(state / name) for name in present)
        raise BackupError(
            half_restored(state_directory)
            or f"stack {stack!r} is here already ({where}), and nothing of it is overwritten. If an "
            "interrupted restore brought it here, `./sse up` goes on. Else remove it with ./sse destroy -e "
            "stack_delete_data=true, or restore beside it with -e stack_name=NAME -e stack_offset=100"
        )
    refuse_full_disk(state, manifest["bytes"] + packed)


def forget_archive(state_directory: str) -> None:
    """Remove the archive that a restore left whose `./sse` was killed; whoever calls this holds the lock."""
    shutil.rmtree(Path(state_directory) / INCOMING, ignore_errors=True)


def half_restored(state_directory: str) -> str:
    """Say that a restore was killed while it put its files in place; nothing where none was."""
    if not (Path(state_directory) / RESTORING).exists():
        return ""
    return (
        f"a restore into {state_directory} was killed before everything was in place, so what is there is not whole: "
        "remove it with ./sse destroy -e stack_delete_data=true, and restore the backup again"
    )


def restore(archive: Path, manifest: Manifest, secrets: Mapping[str, str], stack: str, state_directory: str) -> None:
    """Put a backup into the state directory of a stack that is not there yet.

    Every file is compared with the manifest before the first one is in place. Releases and history belong to the stack
    of the backup, and are left out under another name.

    :raises BackupError: the archive is not what its manifest says, or something is here already
    """
    refuse_misfit(manifest, stack, state_directory)
    state = Path(state_directory)
    fresh = state / RESTORING
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    try:
        unpack(archive, manifest["files"], fresh)
        state_modes.make(state / "data")
        for directory in sorted((fresh / "data").glob("*")):
            directory.rename(state / "data" / name_in(manifest, stack, directory.name))
        if manifest["stack"] == stack:
            for name in ("releases", "history.jsonl"):
                if (fresh / name).exists():
                    (fresh / name).rename(state / name)
        state_modes.make(state / state_modes.SECRETS)
        for name, value in secrets.items():
            if "/" in name:
                unseal(state, manifest, stack, name, value)
            else:
                write_file(state / "secrets" / Path(name).name, value, durable=True)
        permissions.ensure(str(state))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def unseal(state: Path, manifest: Manifest, stack: str, place: str, text: str) -> None:
    """Put a secret among the data of a container back, for the user of this container."""
    parts = Path(place).parts
    if parts[0] != "data" or ".." in parts or not holds_secrets(place):
        raise BackupError(f"the backup holds a secret {place!r}, which no backup of this collection holds")
    path = state / "data" / name_in(manifest, stack, parts[1]) / Path(*parts[2:])
    user = tuple(manifest.get("owners", {}).get(parts[1], (0, 0)))
    for one in [*reversed(path.parents), path]:
        if len(one.parts) > len((state / "data").parts) and one != path and not one.is_dir():
            one.mkdir(mode=state_modes.PRIVATE)
            os.chown(one, *user)
    write_file(path, text, owner=user, durable=True)


def name_in(manifest: Manifest, stack: str, short: str) -> str:
    """Return the full name that a container has in a stack; a name that its declaration chose stays."""
    name = manifest["containers"].get(short, "")
    return f"{stack}-{short}" if name == f"{manifest['stack']}-{short}" else name


def unpack(archive: Path, files: Mapping[str, str], target: Path) -> None:
    """Unpack an archive with the owners of its files; a later copy of a file replaces an earlier one.

    Links come last: nothing is written through one.
    """
    found: dict[str, str] = {}
    links: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(archive, "r:gz") as packed:
        for entry in packed:
            path = target / entry.name
            if (
                not (entry.isfile() or entry.isdir() or entry.issym())
                or ".." in Path(entry.name).parts
                or Path(entry.name).is_absolute()
            ):
                raise BackupError(f"the archive holds {entry.name!r}, which no backup of this collection holds")
            path.parent.mkdir(parents=True, exist_ok=True)
            links.pop(entry.name, None)
            if entry.issym():
                links[entry.name], found[entry.name] = entry, hash_of(entry.linkname)
                continue
            if entry.isdir():
                path.mkdir(exist_ok=True)
            elif (content := packed.extractfile(entry)) is not None:
                found[entry.name] = unpack_file(content, path, entry.size)
            os.chown(path, entry.uid, entry.gid)
            path.chmod(entry.mode & 0o777)
    for name in found.keys() - files.keys():  # it went while the backup was made
        (target / name).unlink(missing_ok=True)
    for name, wanted in files.items():
        if found.get(name) != wanted:
            raise BackupError(
                f"{name} is not what the backup's manifest says: the file is damaged, take another backup"
            )
    # The deepest come first, so that none is made below another one.
    for name in sorted(links.keys() & files.keys(), key=lambda name: -name.count("/")):
        path, entry = target / name, links[name]
        path.unlink(missing_ok=True)  # an earlier copy that was a file
        path.symlink_to(entry.linkname)
        os.chown(path, entry.uid, entry.gid, follow_symlinks=False)


def unpack_file(content: IO[bytes], path: Path, size: int) -> str:
    """Write a file; return its SHA-256."""
    reader = _Reader(content, size)
    with path.open("wb") as stream:
        while block := reader.read():
            stream.write(block)
    return reader.hash.hexdigest()
