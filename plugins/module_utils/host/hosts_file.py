# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The names in the /etc/hosts of a container, as hosts(5) defines the file.

Docker writes what a spec pins when the container starts. When a running container leaves a network, Docker takes every
name of that network out of the file again, and puts none back when the container returns.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import procfs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Return each name in the text of such a file with its address, in the order in which a resolver looks."""
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        yield from ((name, address) for name in names)


def misled(path: str, hosts: Mapping[str, str]) -> list[str]:
    """Return the pinned names that lead elsewhere; none where the file can't be read.

    One that is not in the file is no fault of anybody: the engine's DNS knows it, as long as its container runs.

    :param path: of the file on the host; empty where there is none
    :param hosts: the address of each pinned name, or a word that only the engine can resolve, which is left out
    """
    there = addresses(path)
    return [name for name, address in pinned(hosts).items() if there.get(name, {address}) != {address}]


def put_back(path: str, hosts: Mapping[str, str]) -> None:
    """Have each pinned name lead to its address. The file stays the same one, since the container has it mounted.

    :raises OSError: naming the file
    """
    there = addresses(path)
    wrong = {name for name, address in pinned(hosts).items() if there and there.get(name) != {address}}
    if not wrong:
        return
    lines: list[str] = []
    for line in Path(path).read_text().splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        if wrong.isdisjoint(names):
            lines.append(line)
        elif others := [name for name in names if name not in wrong]:
            lines.append("\t".join([address, *others]))
    lines += [f"{address}\t{name}" for name, address in pinned(hosts).items() if name in wrong]
    Path(path).write_text("".join(f"{line}\n" for line in lines))


def addresses(path: str) -> dict[str, set[str]]:
    """Return the addresses of each name in a file; nothing where it can't be read."""
    found: dict[str, set[str]] = {}
    for name, address in entries(procfs.read(path)):
        found.setdefault(name, set()).add(address)
    return found


def pinned(hosts: Mapping[str, str]) -> dict[str, str]:
    """Return the names that have an address."""
    return {name: address for name, address in hosts.items() if address[:1].isdigit()}
