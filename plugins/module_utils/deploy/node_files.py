# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What one host of a cluster needs before tasks run there: directories for data, for what services share, for files.

The engine of a Swarm makes no directory, and starts no task without those that it mounts.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import forget_archive, half_restored
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError, files_told
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import SECRET, make_directory
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import make_way, write_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import DirectoryKind


# What holds files of ours, and the mode of each.
FILES: dict[DirectoryKind, int] = {"secrets": SECRET, "config": 0o444}


class NodeFiles(TypedDict):
    """One directory of a host, with the texts of its files."""

    kind: DirectoryKind
    path: str
    user: str  # uid:gid
    files: dict[str, str]
    service: str  # whose files these are; empty where there are none
    target: str  # in its container


@files_told()
def ensure(state_directory: str, directories: Iterable[NodeFiles], *, check: bool = False) -> list[str]:
    """Make what is missing or differs; return one line for each directory that was changed.

    :param check: change nothing
    :raises ApplyError: a directory of the host that services look at is not there, a restore was killed here, or the
        kernel refuses a file
    """
    state = Path(state_directory)
    if broken := half_restored(state_directory, several=True):
        raise ApplyError(f"{broken}. Nothing was changed here.")
    if not check:
        forget_archive(state_directory)
    changes: list[str] = []
    wanted = list(directories)
    for one in wanted:
        if one["kind"] == "bind" and state not in Path(one["path"]).parents and not Path(one["path"]).exists():
            raise ApplyError(f"{one['path']} is not on this host, and a service mounts it: expected it on every host")
    for one in wanted:
        differs = list(differences(state, one))
        if differs:
            changes.append(f"~ {one['path']}: {', '.join(differs)}")
        if differs and not check:
            make(state, one)
    return changes


def differences(state: Path, one: NodeFiles) -> Iterator[str]:
    """Say in what a directory differs."""
    path, should = Path(one["path"]), permissions(state, one)
    if one["kind"] == "bind" and state not in path.parents:
        return  # it is the host's own
    if not path.is_dir():
        yield "is missing"
        return
    found = path.lstat()
    if should.owner not in (None, (found.st_uid, found.st_gid)):
        yield f"owner {found.st_uid}:{found.st_gid} -> {':'.join(map(str, should.owner or ()))}"
    if stat.S_IMODE(found.st_mode) != should.mode:
        yield f"permissions {stat.S_IMODE(found.st_mode):o} -> {should.mode:o}"
    if one["kind"] in FILES:
        files = owner_of_files(one)
        yield from (f"{name}: content" for name, text in one["files"].items() if unlike(path / name, text, one, files))
        yield from (f"{name}: is not declared" for name in strangers(path, one["files"]))


def permissions(state: Path, one: NodeFiles) -> state_modes.Permissions:
    """Return what a directory should be like: its user's own, or root's where services only look at it."""
    path, owner = Path(one["path"]), owner_of(one["user"])
    if one["kind"] != "bind":
        return state_modes.Permissions(state_modes.PRIVATE, owner)
    if path == state / state_modes.MATRIX:
        return state_modes.Permissions(state_modes.MATRIX_MODE, state_modes.root())
    return state_modes.Permissions(state_modes.READ, (state_modes.root()[0], owner[1]))


def unlike(path: Path, text: str, one: NodeFiles, owner: tuple[int, int]) -> bool:
    """Tell whether a file is not as it should be."""
    try:
        found = path.lstat()
        right = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == FILES[one["kind"]]
        return not right or (found.st_uid, found.st_gid) != owner or path.read_bytes() != text.encode()
    except (FileNotFoundError, NotADirectoryError):
        return True


def strangers(path: Path, files: Iterable[str]) -> list[str]:
    """List the files of a directory that nothing declares."""
    known = set(files)
    found = (str(one.relative_to(path)) for one in path.rglob("*") if one.is_symlink() or not one.is_dir())
    return sorted(one for one in found if one not in known)


def make(state: Path, one: NodeFiles) -> None:
    """Make one directory as it should be."""
    path, should = Path(one["path"]), permissions(state, one)
    top = state / path.relative_to(state).parts[0]
    state_modes.make(top)
    if one["kind"] == "bind":
        path.mkdir(parents=True, exist_ok=True, mode=state_modes.PRIVATE)
        state_modes.give(path, should.mode, should.owner)
        return
    make_directory(path, top)
    if one["kind"] in FILES:
        write(path, one, top)
    state_modes.hand_over(path, top, should.mode, owner_of(one["user"]))


def write(path: Path, one: NodeFiles, top: Path) -> None:
    """Write what differs in a directory of files, each in one step, and remove what is not declared.

    :param path: of the directory, which may be another one than that of the service
    """
    owner = owner_of_files(one)
    for name in one["files"]:
        make_way(path / name, top)
    different = {name: text for name, text in one["files"].items() if unlike(path / name, text, one, owner)}
    write_directory(path, different, mode=FILES[one["kind"]], owner=owner, reader=owner_of(one["user"]))
    for name in strangers(path, one["files"]):
        (path / name).unlink()


def owner_of_files(one: NodeFiles) -> tuple[int, int]:
    """Return who owns the files of a directory: a secret belongs to who reads it, a config to root."""
    return owner_of(one["user"]) if one["kind"] == "secrets" else state_modes.root()


def owner_of(user: str) -> tuple[int, int]:
    """Return user id and group id."""
    uid, __, gid = user.partition(":")
    return int(uid), int(gid)
