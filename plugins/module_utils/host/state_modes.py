# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Who may enter and read what below a stack's state directory, whoever made it first and with which permissions.

Other users of the host may pass the state directory itself and enter ``matrix``, and nothing else: a directory below
belongs to root or to the user of the container that works in it, with mode 0700. What containers only look at stays
root's, and their group may read it: a user of the host may have the number of a container's user.

The state directory may be a link to another disk. A link below it may be a container's own, so none is followed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec

Owner = tuple[int, int]  # user id and group id

STATE = 0o711  # others may pass through, and may not list it
PRIVATE = 0o700
# The node exporter reads the measured matrix and the outcome of backups here, as a user of its own. They hold nothing
# that `./sse status` would not show to everybody.
MATRIX = "matrix"
MATRIX_MODE = 0o755
# Containers that join the group of another one may pass its directory, to reach the socket in it.
GROUP = 0o710
READ = 0o750  # for the group of a container that mounts a directory of root
SECRETS = "secrets"
FILE = 0o600
LOOKED_AT = 5000  # files and directories below one for data: some 30 ms of each plan
OF_THE_DISK = "lost+found"  # belongs to root, in the first directory of a disk


class Permissions(NamedTuple):
    """What one directory or file should be like. None stands for any owner."""

    mode: int
    owner: Owner | None


def root() -> Owner:
    """Return user and group of who runs this, which is root on a host."""
    return os.geteuid(), os.getegid()


def wanted(state: Path, containers: Mapping[str, Spec]) -> dict[Path, Permissions]:
    """Return what there is of a stack on the host, and how it should be. What containers make themselves stays theirs.

    :param containers: of every project of the stack, by full name
    """
    found = {state: Permissions(STATE, root())} | dict(outermost(state))
    found |= {path: Permissions(PRIVATE, None) for path in directories(state / "data")}
    for name, one in containers.items():
        kept = {state / "data" / name / below for below in one["data"].values()}  # `Files` tells of their owner
        for path in of_container(state, name, one):
            found[path] = Permissions(mode_of(path, one, containers), None if path in kept else owner_of(one))
        for path in (state / "shared" / below for below in one.get("shared", {}).values()):
            if is_directory(path):
                found[path] = Permissions(mode_of(path, one, containers), owner_of(one))
        for path in map(Path, one["binds"].values()):
            if path.parent == state and path.name != MATRIX and is_directory(path):
                found[path] = Permissions(READ, (root()[0], owner_of(one)[1]))
    return found


def mode_of(path: Path, spec: Spec, containers: Mapping[str, Spec]) -> int:
    """Return the mode of a container's directory, which another container may mount, too."""
    others = (one for one in containers.values() if owner_of(one) != owner_of(spec))
    return GROUP if any(str(path) in one["binds"].values() for one in others) else PRIVATE


def outermost(state: Path) -> Iterator[tuple[Path, Permissions]]:
    """Return the directories and files of the state directory itself, and the secrets."""
    own = [state / one.name for one in entries(state.resolve())]
    for path in sorted([*own, *entries(state / SECRETS)]):
        mode = MATRIX_MODE if path == state / MATRIX else PRIVATE
        if is_directory(path):
            yield path, Permissions(mode, root())
        elif stat.S_ISREG(path.lstat().st_mode):
            yield path, Permissions(FILE, root())


def of_container(state: Path, name: str, spec: Spec) -> Iterator[Path]:
    """Return the directories that the platform makes for a container."""
    data, files = state / "data" / name, state / "files" / name
    for below in ("", *spec["data"].values()):
        for path in (data / below, *(data / below).parents):
            if is_below(path, state / "data") and is_directory(path):
                yield path
    if is_directory(files):
        yield files
        for parent, names, __ in os.walk(files):
            yield from (path for one in names if is_directory(path := Path(parent) / one))


def differences(state: Path, containers: Mapping[str, Spec]) -> Iterator[tuple[Path, str]]:
    """Compare the permissions on the host with those that should be; return each that differs, and how."""
    for path, should in wanted(state, containers).items():
        try:
            has = followed(path, state).lstat()
        except FileNotFoundError:
            continue
        if stat.S_IMODE(has.st_mode) != should.mode:
            yield path, f"mode {stat.S_IMODE(has.st_mode):04o} -> {should.mode:04o}"
        if should.owner not in (None, (has.st_uid, has.st_gid)):
            yield path, f"owner {has.st_uid}:{has.st_gid} -> {':'.join(map(str, should.owner or ()))}"


def enforce(state: Path, containers: Mapping[str, Spec]) -> list[str]:
    """Give everything the permissions that it should have; return what differed, one line each."""
    if not state.is_dir():
        return []
    told = [f"{path}: {how}" for path, how in differences(state, containers)]
    for path, should in wanted(state, containers).items() if told else ():
        give(followed(path, state), should.mode, should.owner)
    return told


def followed(path: Path, state: Path) -> Path:
    """Return where the state directory is, which root may have made a link to another disk; any other path as it is."""
    return path.resolve() if path == state else path


def links(state: Path) -> dict[str, str]:
    """Return what is a link in place of a directory for data, and where it leads. Deeper ones are a container's own."""
    data = state / "data"
    places = (data, *data.glob("*"), *data.glob("*/*"), *data.glob(f"*/{SECRETS}/*"))
    return {str(one): str(one.readlink()) for one in places if one.is_symlink()}


def link_refused(path: str, target: str) -> str:
    """Say why a link is not followed, and how data get to another disk."""
    return (
        f"{path} is a link to {target}: expected a directory, because no link to data is followed. Remove the link, "
        f"make the directory and mount the other one there (mount --bind {target} {path}, with a line in /etc/fstab), "
        "or keep all of the stack on that disk with stack_state_directory."
    )


def give(path: Path, mode: int, owner: tuple[int, ...] | None) -> None:
    """Set permissions and owner. A link that a container puts there meanwhile is not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if owner:
            os.fchown(descriptor, owner[0], owner[1])
        os.fchmod(descriptor, mode)
    except OSError as error:
        error.filename = str(path)  # the kernel gets its number only
        raise
    finally:
        os.close(descriptor)


def hand_over(directory: Path, above: Path, mode: int, owner: tuple[int, ...]) -> None:
    """Give a container's directory to its user, and those that it is in, up to one that stays as it is."""
    for path in (directory, *directory.parents):
        if path == above:
            break
        give(path, mode if path == directory else PRIVATE, owner)


def foreign(directory: Path, user: int) -> tuple[Path, Owner] | None:
    """Return something in a directory that belongs to another user, and its owner; None where there is nothing.

    Whoever changes owners by hand changes those of all, so it looks at the first `LOOKED_AT`: a large log costs no run
    its time.
    """
    device, left, waiting = directory.stat().st_dev, LOOKED_AT, deque([str(directory)])
    while waiting:
        for entry in entries_of(waiting.popleft()):
            if not left:
                return None
            left -= 1
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # the container works there meanwhile
                continue
            if found.st_dev != device or entry.name == OF_THE_DISK:
                continue
            if found.st_uid != user:
                return Path(entry.path), (found.st_uid, found.st_gid)
            if stat.S_ISDIR(found.st_mode):
                waiting.append(entry.path)
    return None


def entries_of(directory: str) -> Iterator[os.DirEntry[str]]:
    """Return what is in a directory; nothing where it has just gone."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as found:
        yield from found


def give_all(directory: Path, owner: Owner) -> None:
    """Give everything in a directory that belongs to another user to this one; no link is followed."""
    device = directory.stat().st_dev
    for place, names, files, descriptor in os.fwalk(directory):
        for name in [*names, *files]:
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if found.st_dev != device or name == OF_THE_DISK:
                    names[:] = [one for one in names if one != name]
                elif found.st_uid != owner[0]:
                    os.chown(name, *owner, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                error.filename = str(Path(place, name))
                raise


def make(directory: Path) -> None:
    """Make a directory of the state directory, and the state directory itself, with the right permissions at once.

    The umask of who runs this counts for nothing, and neither does what somebody made before.
    """
    for path, mode in ((directory.parent, STATE), (directory, MATRIX_MODE if directory.name == MATRIX else PRIVATE)):
        path.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        if stat.S_IMODE(path.stat().st_mode) != mode:
            path.chmod(mode)


def owner_of(spec: Spec) -> Owner:
    """Return user id and group id of a container."""
    user, __, group = spec["user"].partition(":")
    return int(user), int(group)


def is_below(path: Path, directory: Path) -> bool:
    """Tell whether a path is inside a directory."""
    return directory in path.parents


def is_directory(path: Path) -> bool:
    """Tell whether a path is a directory itself, and no link to one."""
    return path.is_dir() and not path.is_symlink()


def entries(directory: Path) -> list[Path]:
    """List what is in a directory; nothing where there is none."""
    return list(directory.iterdir()) if is_directory(directory) else []


def directories(directory: Path) -> list[Path]:
    """List the directories in a directory."""
    return [path for path in entries(directory) if is_directory(path)]
