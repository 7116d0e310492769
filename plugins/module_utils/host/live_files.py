# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The live directory: what runs say of a stack, as JSON files that a container mounts and serves to a browser.

Each file appears in one step and says of which moment it is. The directory is root's; the group of the container that
mounts it may read it (`state_modes`). Without such a container nobody but root may.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model import moment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

DIRECTORY = "live"
SHORTEST = 8  # characters of a secret; a shorter text would be found everywhere
HIDDEN = "[secret]"


def ready(state_directory: str | Path) -> None:
    """Make the directory that containers mount: the engine would make it as well, but with other permissions."""
    directory = Path(state_directory) / DIRECTORY
    if not directory.is_dir():
        state_modes.make(directory)


def write(state_directory: str | Path, name: str, content: Mapping[str, Any], when: dt.datetime | None = None) -> None:
    """Write one file; a value of a secret of this stack, which an error may have quoted, is left out.

    :param when: of which moment the content is; without it, of now
    :raises OSError: it cannot be written
    """
    ready(state_directory)
    write_file(Path(state_directory) / DIRECTORY / name, text_of(state_directory, content, when), mode=0o644)


def text_of(state_directory: str | Path, content: Mapping[str, Any], when: dt.datetime | None = None) -> str:
    """Return what a file holds; a value of a secret of this stack is left out."""
    whole = {"time": moment.text(when), **content}
    text = compact(whole)
    quoted = [one for one in secrets(Path(state_directory) / state_modes.SECRETS) if compact(one)[1:-1] in text]
    if quoted:
        text = compact(without(whole, quoted))
    return f"{text}\n"


def compact(content: Any) -> str:
    """Return JSON without spaces."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def without(content: Any, values: list[str]) -> Any:
    """Return the same content, where each of these values is replaced in every text."""
    if isinstance(content, dict):
        return {key: without(one, values) for key, one in cast("dict[str, Any]", content).items()}
    if isinstance(content, (list, tuple)):
        return [without(one, values) for one in cast("list[Any]", content)]
    if isinstance(content, str):
        for value in values:
            content = content.replace(value, HIDDEN)
    return content


def secrets(directory: Path) -> list[str]:
    """Return what must not be shown: each line of each secret, the longest first."""
    found: set[str] = set()
    for path in directory.iterdir() if directory.is_dir() else ():
        if path.is_file():
            lines = path.read_text(errors="replace").splitlines()
            found |= {one for line in lines if len(one := line.strip()) >= SHORTEST}
    return sorted(found, key=len, reverse=True)
