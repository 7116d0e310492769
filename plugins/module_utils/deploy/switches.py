# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What an operator has paused: a file for each, in a directory that containers mount and look at themselves.

A file counts at once for every container of the host, also for one that starts later. It needs neither the engine nor
any service, and it outlives their restarts.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

DIRECTORY = "switches"
# What the operator's own requests carry. Containers know its hash; the file itself is only for root.
PASS = "operator.pass"  # noqa: S105 - the name of a file
PUBLISHING = "publishing"


class SwitchError(RuntimeError):
    """Something can't be paused or resumed; the message says why."""


class Switch(NamedTuple):
    """Who has paused something, since when, and why."""

    what: str
    who: str
    since: str
    why: str

    @property
    def line(self) -> str:
        """Say it on one line."""
        by = f" by {self.who}" if self.who else ""
        since = f" since {self.since}" if self.since else ""
        why = f" ({self.why})" if self.why else ""
        return f"{self.what.upper()} IS PAUSED{by}{since}{why}: `./sse resume {self.what}` ends that"


def choose(word: str, known: Sequence[str]) -> str:
    """Return the word if it can be paused.

    :raises SwitchError: naming what can be, and the nearest of it
    """
    if word in known:
        return word
    near = difflib.get_close_matches(word.lower(), known, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise SwitchError(f"{word!r} can't be paused or resumed: expected {' or '.join(known)}.{meant}")


def ready(state_directory: str) -> None:
    """Make the directory that containers mount: the engine would make it as well, but only when one starts."""
    directory = Path(state_directory) / DIRECTORY
    if not directory.is_dir():
        state_modes.make(directory)


def read(state_directory: str, what: str) -> Switch | None:
    """Return who has paused something; None where nobody has."""
    try:
        text = (Path(state_directory) / DIRECTORY / what).read_text(errors="replace")
    except OSError:
        return None
    said: dict[str, Any] = {}
    with contextlib.suppress(ValueError):
        loaded: Any = json.loads(text)
        said = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else {}
    return Switch(what, *(str(said.get(key, "")) for key in ("who", "since", "why")))


def lines(state_directory: str) -> list[str]:
    """Return a line about what is paused."""
    found = read(state_directory, PUBLISHING)
    return [found.line] if found else []


def pause(state_directory: str, what: str, run: Mapping[str, Any]) -> bool:
    """Pause something; return whether it was not paused before.

    :param run: who asks, since when and why, as `RunMeta` has it
    """
    if read(state_directory, what):
        return False
    ready(state_directory)
    word = secrets.token_urlsafe(24)
    write_file(Path(state_directory) / PASS, word, durable=True)
    said = {
        "who": f"{run.get('who', '')}@{run.get('where', '')}".strip("@"),
        "since": str(run.get("when", "")),
        "why": str(run.get("why", "")),
        "pass": hashlib.sha256(word.encode()).hexdigest(),
    }
    write_file(Path(state_directory) / DIRECTORY / what, json.dumps(said), mode=0o644, durable=True)
    return True


def resume(state_directory: str, what: str) -> bool:
    """End a pause; return whether there was one."""
    try:
        (Path(state_directory) / DIRECTORY / what).unlink()
    except FileNotFoundError:
        return False
    (Path(state_directory) / PASS).unlink(missing_ok=True)
    return True


def kept(state_directory: str) -> dict[str, str]:
    """Return the files of a pause, for further hosts of a cluster; none where nothing is paused."""
    found: dict[str, str] = {}
    for name, path in places(state_directory).items():
        with contextlib.suppress(OSError):
            found[name] = path.read_text(errors="replace")
    return found if PUBLISHING in found else {}


def keep(state_directory: str, files: Mapping[str, str], *, check: bool = False) -> list[str]:
    """Pause what another host of the cluster has paused, and nothing else; return one line where that is a change.

    :param files: what `kept` returned there
    """
    if kept(state_directory) == files:
        return []
    if not check and PUBLISHING in files:
        ready(state_directory)
        for name, mode in ((PASS, 0o600), (PUBLISHING, 0o644)):
            if name in files:
                write_file(places(state_directory)[name], files[name], mode=mode, durable=True)
    elif not check:
        resume(state_directory, PUBLISHING)
    return [f"~ {PUBLISHING} is {'paused' if PUBLISHING in files else 'resumed'}, as on the first manager"]


def places(state_directory: str) -> dict[str, Path]:
    """Return the path of each file of a pause."""
    state = Path(state_directory)
    return {PUBLISHING: state / DIRECTORY / PUBLISHING, PASS: state / PASS}


def operator(state_directory: str) -> dict[str, str]:
    """Return the header with which a request of the operator passes while publishing is paused."""
    try:
        return {"SSE-Operator": (Path(state_directory) / PASS).read_text(errors="replace")}
    except OSError:
        return {}


def refuse_unknown(releases: Sequence[Release], state_directory: str) -> None:
    """Refuse a pause that nobody would notice.

    :raises SwitchError: where nothing was deployed, or by a version whose containers do not look at the switches
    """
    directory = str(Path(state_directory) / DIRECTORY)
    if not releases:
        raise SwitchError(f"There is no release in {state_directory}: nothing was deployed here. Run `./sse up` first.")
    if not any(directory in one["binds"].values() for release in releases for one in release["containers"].values()):
        raise SwitchError(
            "The release that runs was made before publishing could be paused, so nobody would notice. Nothing was "
            "done. Run `./sse up` once, which replaces the replicas one at a time."
        )
