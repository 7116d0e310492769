# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A backup: the data, secrets and releases of a stack, read while it runs, and put back under the same or another name.

What databases write while they are read is safe in this order: small files first, since they say up to where the large
ones are good, and each large file at the length that it has when it is read. Kafka and Redis cut off what is incomplete
at the end of their files when they start, as after a power cut.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import os
import shutil
import tarfile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import permissions
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_share import (
    MARKER,
    WHOLE,
    Share,
    by_container,
    comes,
    is_copy,
    name_in,
    of_share,
)
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError, whole
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model import moment
from ansible_collections.sse.platform.plugins.module_utils.model.elsewhere import kept_there
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
    from typing import IO

    from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_share import Manifest, Written
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

FORMAT = 1
PASSES = 5  # how often a directory is read again because files came or went while it was read
RESTORING = "restoring"  # the directory of a restore that is not done yet, in the state directory
PLACED = "placed"  # in it: all hosts have what comes to them, so that it is done but for this directory
INCOMING = "incoming"  # where the archive comes to, in the state directory: playbooks/tasks/place_backup.yml
SPARE = 64 << 20  # bytes that stay free on the disk
BLOCK = 1 << 20
MEANWHILE = "/var/tmp"  # noqa: S108 - its directories are made by mkdtemp; where an archive is made  # nosec B108


class BackupError(ValueError):
    """A backup cannot be made or does not fit; the message says what to do."""


class _Reader:
    """Reads so many bytes of a file that may grow, and hashes them."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.left, self.hash = stream, size, hashlib.sha256()

    def read(self, size: int = BLOCK) -> bytes:
        block = self.stream.read(min(size, self.left))
        self.left -= len(block)
        self.hash.update(block)
        return block


def data_directories(
    state: Path, releases: Iterable[Release], left_out: Collection[str], share: Share = WHOLE
) -> dict[str, Path]:
    """Return the data directories of every container, by their place in a backup, which holds no name of a stack."""
    return {
        f"data/{spec['container']}/{below}": state / "data" / name / below
        for release in releases
        for name, spec in release["containers"].items()
        if spec["service"] not in left_out and share.has(name)
        for below in spec["data"].values()
    }


def write(
    stack: str,
    state_directory: str,
    left_out: list[str],
    target: Path,
    share: Share = WHOLE,
    known: Sequence[Release] = (),
    copies: Mapping[str, str] = MappingProxyType({}),
) -> Written:
    """Write a backup into a file on this host while the stack runs.

    :param left_out: services whose data are not wanted
    :param share: what of it this host has, where there are several; `joined` makes one backup of what each has written
    :param known: what runs, for a host that keeps no releases
    :param copies: containers whose data are a copy of those of another one, which are read instead
    :raises BackupError: nothing was deployed, the disk is too small, or files change faster than they are read
    :raises OSError: a file cannot be read or written
    """
    state = Path(state_directory).resolve()  # it may be a link to another disk
    releases = newest_releases(state_directory) if share.keeps else known
    if not releases:
        raise BackupError(f"there is no release in {state_directory}: nothing was deployed here, so nothing is to keep")
    # Releases come first, so that whoever wants to know what is in a backup need not read all of it.
    data = data_directories(state, releases, left_out, share)
    sealed = {place: path for place, path in data.items() if holds_secrets(place)}
    wanted = {"releases": state / "releases"} if share.keeps else {}
    wanted |= {place: data[place] for place in data if place not in sealed}
    refuse_links(state, data.values())
    if gone := [str(path) for path in data.values() if not path.is_dir()]:
        raise BackupError(
            f"the data directory {gone[0]} is gone, so a backup would lack what was in it: put it back, or have "
            "`./sse up` make it again, empty. No backup was made"
        )
    secrets = secrets_of(state) if share.keeps else {}
    short = {name: spec["container"] for one in releases for name, spec in one["containers"].items()}
    alike = {short[name]: short[other] for name, other in copies.items()}
    bytes_of = {
        place: sum(map(size_of, directory.rglob(MARKER if is_copy(place, alike) else "*")))
        for place, directory in wanted.items()
    }
    refuse_full_disk(target.parent, needed := sum(bytes_of.values()))
    files: dict[str, str] = {}
    with opened_archive(target, ends=share == WHOLE) as archive:
        for place, directory in wanted.items():
            if not is_copy(place, alike):
                files |= add_directory(archive, place, directory)
            elif (directory / MARKER).exists():
                files[f"{place}/{MARKER}"] = add_file(archive, f"{place}/{MARKER}", directory / MARKER)
        if share.keeps and (state / "history.jsonl").exists():
            files["history.jsonl"] = add_file(archive, "history.jsonl", state / "history.jsonl")
    manifest: Manifest = {
        "format": FORMAT,
        "stack": stack,
        "made": moment.text(),
        "numbers": {one["project"]: one["number"] for one in releases if "number" in one},
        "containers": {spec["container"]: name for one in releases for name, spec in one["containers"].items()},
        "left_out": sorted(left_out),
        "bytes": needed,
        "files": files,
        "owners": owners(releases, sealed),
        "elsewhere": kept_there(releases),
    }
    if share != WHOLE:
        manifest["sizes"] = by_container(bytes_of)
    if alike:
        manifest["copies"] = alike
    return {"archive": str(target), "manifest": manifest, "secrets": {**secrets, **sealed_texts(sealed)}}


@contextlib.contextmanager
def opened_archive(target: Path, *, ends: bool) -> Generator[tarfile.TarFile]:
    """Open an archive to write. Of a file with two names, both get its content.

    :param ends: without its end, it is a part: parts in a row, with `END` behind them, are one archive
    """
    if ends:
        with tarfile.open(target, "w:gz", compresslevel=1, dereference=True) as archive:
            yield archive
        return
    with gzip.open(target, "wb", compresslevel=1) as stream:
        yield tarfile.TarFile(fileobj=stream, mode="w", dereference=True)


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


def refuse_misfit(manifest: Manifest, stack: str, state_directory: str, packed: int = 0, share: Share = WHOLE) -> None:
    """Refuse to restore where a stack is already, or where the disk is too small; raises BackupError.

    :param packed: bytes of the archive, where it still has to come to this host
    :param share: what of it comes to this host, where there are several
    """
    state = Path(state_directory)
    present = [
        name for name in ("releases", "data", "secrets") if (state / name).is_dir() and any((state / name).iterdir())
    ]
    several = share != WHOLE
    # Until all hosts say that they have everything, one that says so may be beside one that does not, which wants this
    # restore again. Nothing was brought up in either case: `restore` removes what is there.
    again = several and (state / RESTORING).exists()
    if present and not again:
        where = ", ".join(str(state / name) for name in present)
        raise BackupError(
            half_restored(state_directory, several=several)
            or f"stack {stack!r} is here already ({where}), and nothing of it is overwritten. If an "
            f"interrupted restore brought it here, `./sse up` goes on. Else remove it {removed_by(several)}"
            + ("" if several else ", or restore beside it with -e stack_name=NAME -e stack_offset=100")
        )
    if share == WHOLE:
        refuse_full_disk(state, manifest["bytes"] + packed)
    elif comes(manifest, stack, share):
        goes = sum(map(size_of, state.rglob("*"))) if again else 0
        refuse_full_disk(state, packed + of_share(manifest, stack, share) - goes)


def forget_archive(state_directory: str) -> None:
    """Remove what a restore left whose `./sse` was killed when it was done; whoever calls this holds the lock."""
    if (Path(state_directory) / RESTORING / PLACED).exists():
        placed_everywhere(state_directory)
    shutil.rmtree(Path(state_directory) / INCOMING, ignore_errors=True)


def removed_by(several: bool) -> str:
    """Say how a stack is removed with its data."""
    if several:
        return "with ./sse destroy -e stack_delete_data=true and the same inventory"
    return "with ./sse destroy -e stack_delete_data=true"


def half_restored(state_directory: str, *, several: bool = False) -> str:
    """Say that a restore was killed while it put its files in place; nothing where none was.

    :param several: whether the stack is on several hosts
    """
    if not (Path(state_directory) / RESTORING).exists() or (Path(state_directory) / RESTORING / PLACED).exists():
        return ""
    said = f"a restore into {state_directory} ended before everything was in place, so what is there is not whole: "
    if several:
        return f"{said}run ./sse restore again, which removes that before it begins"
    return f"{said}remove it {removed_by(several)}, and restore the backup again"


def restore(
    archive: Path,
    manifest: Manifest,
    secrets: Mapping[str, str],
    stack: str,
    state_directory: str,
    share: Share = WHOLE,
) -> None:
    """Put a backup into the state directory of a stack that is not there yet.

    Every file is compared with the manifest before the first one is in place. Releases and history belong to the stack
    of the backup, and are left out under another name.

    :param share: what of it comes to this host, where there are several; half restored until `placed_everywhere`
    :raises BackupError: the archive is not what its manifest says, or something is here already
    """
    refuse_misfit(manifest, stack, state_directory, share=share)
    state = Path(state_directory)
    fresh = state / RESTORING
    if fresh.exists():  # of several hosts: one host was refused
        for name in ("data", "releases", "secrets"):
            shutil.rmtree(state / name, ignore_errors=True)
        (state / "history.jsonl").unlink(missing_ok=True)
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    try:
        unpack(archive, manifest["files"], fresh, lambda place: share.placed(place, manifest, stack))
    except BaseException:
        placed_everywhere(state_directory)
        raise
    # From here on, what is there is not whole if this ends early, and the directory says so.
    state_modes.make(state / "data")
    for directory in sorted((fresh / "data").glob("*")):
        directory.rename(state / "data" / name_in(manifest, stack, directory.name))
    if share.keeps and manifest["stack"] == stack:
        for name in ("releases", "history.jsonl"):
            if (fresh / name).exists():
                (fresh / name).rename(state / name)
    if share.keeps:
        state_modes.make(state / state_modes.SECRETS)
    for name, value in secrets.items():
        if "/" in name and share.placed(name, manifest, stack):
            unseal(state, manifest, stack, name, value)
        elif "/" not in name and share.keeps:
            write_file(state / "secrets" / Path(name).name, value, durable=True)
    permissions.ensure(str(state))
    if share == WHOLE:
        placed_everywhere(state_directory)


def placed_here(state_directory: str) -> None:
    """Say that everything is in its place on all of several hosts, before any of them forgets that it was restored.

    Where that is interrupted, each host has all of its data, and none says that they are not whole.
    """
    write_file(Path(state_directory) / RESTORING / PLACED, "", durable=True)


def placed_everywhere(state_directory: str) -> None:
    """Say that everything is in its place, where there are several hosts on all of them."""
    shutil.rmtree(Path(state_directory) / RESTORING, ignore_errors=True)


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


def unpack(
    archive: Path,
    files: Mapping[str, str],
    target: Path,
    placed: Callable[[str], str | None] = lambda place: place,
) -> None:
    """Unpack an archive with the owners of its files; a later copy of a file replaces an earlier one.

    Links come last: nothing is written through one.

    :param placed: where something comes to, by its place in the archive; None where it is left out
    """
    files = {name: digest for place, digest in files.items() if (name := placed(place))}
    found: dict[str, str] = {}
    links: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(archive, "r:gz") as packed:
        for entry in packed:
            if (
                not (entry.isfile() or entry.isdir() or entry.issym())
                or ".." in Path(entry.name).parts
                or Path(entry.name).is_absolute()
            ):
                raise BackupError(f"the archive holds {entry.name!r}, which no backup of this collection holds")
            name = placed(entry.name)
            if name is None:
                continue
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            links.pop(name, None)
            if entry.issym():
                links[name], found[name] = entry, hash_of(entry.linkname)
                continue
            if entry.isdir():
                path.mkdir(exist_ok=True)
            elif (content := packed.extractfile(entry)) is not None:
                found[name] = unpack_file(content, path, entry.size)
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
