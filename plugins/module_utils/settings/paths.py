# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Settings that name a file on the controller: where a relative path begins, and whether the file can be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

# Variables of groups and hosts lie in directories of these names, beside the inventory that they belong to.
BESIDE_INVENTORY = frozenset({"group_vars", "host_vars"})


ENCRYPTED = b"$ANSIBLE_VAULT"

# A file that is read only where an image has to be built from it: then its absence is refused there.
FILE_FOR_A_BUILD = "file for a build"


class Place(NamedTuple):
    """Where the value of a setting was written."""

    file: str  # an inventory or a file of variables; "" for -e
    directory: str  # where the program was started


class Named(NamedTuple):
    """A path among the settings: what it is called in messages, the dictionary and key that hold it, and its origin."""

    name: str
    parent: dict[str, Any]
    key: str
    written: Any


class GivenPath(NamedTuple):
    """A path as somebody wrote it, and the absolute paths that it can stand for, the wanted one first."""

    written: str
    place: Place
    tried: tuple[str, ...]

    @property
    def path(self) -> str:
        """The absolute path: the first one where something is."""
        return next((one for one in self.tried if os.path.lexists(one)), self.tried[0])


def resolve(written: str, place: Place) -> GivenPath:
    """Return the absolute paths of a written one.

    A relative path begins beside the inventory or the file of variables that sets it. Within group_vars and host_vars,
    this is the directory that holds them, and then the one of the file itself. With -e it begins where the program was
    started. ``~`` is the home directory of who runs the program.
    """
    path = Path(os.path.expanduser(written))  # noqa: PTH111 - Path.expanduser raises where it knows no such user
    if path.is_absolute():
        return GivenPath(written, place, (str(path),))
    begins = beginnings(place)
    return GivenPath(written, place, tuple(dict.fromkeys(str(one / path) for one in begins)))


def beginnings(place: Place) -> list[Path]:
    """Return the directories where a relative path may begin."""
    if not place.file:
        return [Path(place.directory)]
    own = Path(place.directory, place.file).parent
    inventories = [one.parent for one in (own, *own.parents) if one.name in BESIDE_INVENTORY]
    return [*inventories[:1], own]


def named(settings: dict[str, Any], written: Any, name: str, pattern: str) -> Iterator[Named]:
    """Yield every path that a setting holds where a pattern leads.

    :param written: the value of the setting as it was written, with the tags that Ansible adds
    :param pattern: keys with dots between them, of which ``*`` is any; empty for the setting itself
    """

    def walk(parent: Any, value: Any, begun: list[str], keys: list[str]) -> Iterator[Named]:
        key, *rest = keys
        known = cast("dict[str, Any]", parent) if isinstance(parent, dict) else {}
        for one in [key] if key != "*" else list(known):
            inner = cast("Mapping[str, Any]", value).get(one) if isinstance(value, Mapping) else None
            if rest:
                yield from walk(known.get(one), inner, [*begun, one], rest)
            elif isinstance(known.get(one), str) and known[one]:
                yield Named(".".join([*begun, one]), known, one, inner)

    return walk(settings, {name: written}, [], [name, *pattern.split(".")] if pattern else [name])


def problem(given: GivenPath, kind: str = "file") -> str:
    """Say why the file (or directory) can't be read, and which paths were tried; '' where it can."""
    found = _found(given.path, kind)
    if not found or given.tried == (given.written,):
        return found and f"{found} on the controller"
    begins = (
        f"relative to {given.place.file}, which sets it"
        if given.place.file
        else "relative to the directory of the call"
    )
    why = "" if given.written.startswith("~") else f", {begins}"
    return f"{found} on the controller; tried {' and '.join(given.tried)}{why}"


def others_read(path: str) -> bool:
    """Tell whether every user of the controller can read a file, which is not encrypted (Ansible Vault)."""
    place = Path(path).resolve()
    try:
        if not place.stat().st_mode & stat.S_IROTH or not all(
            one.stat().st_mode & stat.S_IXOTH for one in place.parents
        ):
            return False
        with place.open("rb") as file:
            return file.read(len(ENCRYPTED)) != ENCRYPTED
    except OSError:  # then it is refused for that
        return False


def _found(path: str, kind: str) -> str:
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return "" if kind == FILE_FOR_A_BUILD else f"no such {kind}"
    except OSError as error:
        return f"it can't be read ({error.strerror})"
    directory = stat.S_ISDIR(mode)
    if directory != (kind == "directory"):
        return "it is a directory" if directory else "it is no directory"
    if not directory and not stat.S_ISREG(mode):
        return "it is a pipe, a socket or a device"  # which cannot be read twice
    return "" if os.access(path, os.R_OK) else "it can't be read (Permission denied)"
