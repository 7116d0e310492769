# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What builds of images are given of the host's proxies, in files that only root can read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host import proxies
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# The program of image `base` by which Dockerfiles install packages of Debian; what uses it uses no other registry.
INSTALLS_PACKAGES = "install_packages"


class Written(TypedDict):
    """The result of module build_proxies."""

    directories: dict[str, str]
    loopback: bool
    told: str


def write(directory: Path, contexts: Iterable[Path], own: Iterable[Path], mirror: str) -> Written:
    """Write the files; return which build gets which, and what may be told of them.

    :param contexts: directories of the Dockerfiles of this collection
    :param own: those of images of one's own
    :param mirror: address of the Debian archive; empty means the one of this host
    """
    general = proxies.found()
    apt = proxies.for_apt(general, mirror or proxies.archive())
    kinds = {
        "all": proxies.docker_config(general),
        "apt": proxies.docker_config(apt),
        "own": proxies.docker_config(general, proxies.client_config(os.environ)),
    }
    for kind, text in kinds.items():
        private(directory / kind / "config.json", text)
    private(directory / "apt.sh", proxies.shell_variables(apt))
    used: dict[str, str] = {str(one): str(directory / "own") for one in own}
    for context in contexts:
        kind = "apt" if INSTALLS_PACKAGES in (context / "Dockerfile").read_text() else "all"
        used[str(context)] = str(directory / kind)
    loopback = proxies.is_on_loopback(general) or proxies.is_on_loopback(apt)
    return {"directories": used, "loopback": loopback, "told": told(general, apt)}


def private(path: Path, text: str) -> None:
    """Write a file that only root can read."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_file(path, text)


def told(general: proxies.Proxies, apt: proxies.Proxies) -> str:
    """Say where the proxies are configured, and nothing of what they are."""
    return " ".join([_used(general, apt), *_unread(general, apt)])


def _unread(general: proxies.Proxies, apt: proxies.Proxies) -> Iterator[str]:
    if places := dict.fromkeys([*general.unread, *apt.unread]):
        yield (
            f"The address of a proxy in {' and in '.join(places)} cannot be read and is ignored: write it as "
            "http://HOST:PORT, with USER:PASSWORD@ before HOST where it asks for them, and each # / ? @ of the "
            "password as %23 %2F %3F %40."
        )


def _used(general: proxies.Proxies, apt: proxies.Proxies) -> str:
    if not proxies.usable(general) and not proxies.usable(apt):
        return (
            "Builds use no proxy: none is in Docker's config.json, the environment, /etc/environment, or what dockerd "
            "and apt have."
        )
    parts = [f"the proxy of {general.place}"] if proxies.usable(general) else []
    if apt.place != general.place:
        parts.append(
            f"for Debian's packages that of {apt.place}" if proxies.usable(apt) else "none for Debian's packages"
        )
    return f"Builds use {', '.join(parts)}."
