# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Have a host without a service manager start the engine at boot: by cron, by /etc/rc.local, or by WSL2.

Other people have lines in two of these files. Only the block between our two marks is written or removed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import BootFact, BootMethod

HOST = Path("/")
COMMAND = "/usr/local/sbin/supervise-dockerd start"
BEGIN, END = "# BEGIN sse.platform", "# END sse.platform"
BLOCK = re.compile(rf"^{BEGIN}.*?^{END}\n?", re.MULTILINE | re.DOTALL)
# crond(8) takes a file of /etc/cron.d with a user in each line. The whole file is ours.
CRON = f"""{BEGIN}
# Starts the Docker Engine after a boot; its containers come back by their restart policy.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
@reboot root {COMMAND} >/dev/null 2>&1
{END}
"""
RC_LOCAL = f"{BEGIN}\n{COMMAND} || true\n{END}\n"
WSL = f'{BEGIN}\ncommand = "{COMMAND}"\n{END}\n'
WSL_BOOT = f'{BEGIN}\n[boot]\ncommand = "{COMMAND}"\n{END}\n'
EXIT = re.compile(r"^exit(?: 0)?[ \t]*\n?\Z", re.MULTILINE)
SECTION = re.compile(r"^[ \t]*\[boot\][ \t]*(?:\n|\Z)", re.MULTILINE | re.IGNORECASE)
# The key command of the section [boot]; WSL2 runs one only.
OTHER_COMMAND = re.compile(r"^[ \t]*\[boot\][^\[]*?^[ \t]*command[ \t]*=[ \t]*(.+)$", re.MULTILINE | re.IGNORECASE)


class Way(NamedTuple):
    """One way to start something at boot."""

    path: str
    mode: int  # of a file that is made
    insert: Callable[[str], str]  # the text of the file without our block -> with it


def into_cron(__: str) -> str:
    """Return the file of cron."""
    return CRON


def into_rc_local(text: str) -> str:
    """Put the block at the end of /etc/rc.local, before its last ``exit 0``."""
    if not text.strip():
        return f"#!/bin/sh -e\n{RC_LOCAL}exit 0\n"
    text = text if text.endswith("\n") else text + "\n"
    end = EXIT.search(text)
    at = end.start() if end else len(text)
    return text[:at] + RC_LOCAL + text[at:]


def into_wsl(text: str) -> str:
    """Put the block into the section [boot] of /etc/wsl.conf, which is made where it is missing."""
    text = text if text.endswith("\n") or not text else text + "\n"
    section = SECTION.search(text)
    if section is None:
        return text + WSL_BOOT
    return text[: section.end()] + WSL + text[section.end() :]


WAYS: dict[BootMethod, Way] = {
    "wsl": Way("etc/wsl.conf", 0o644, into_wsl),
    "cron": Way("etc/cron.d/sse-platform", 0o644, into_cron),
    "rc.local": Way("etc/rc.local", 0o755, into_rc_local),
}


def without(text: str) -> str:
    """Return a text without our block."""
    return BLOCK.sub("", text)


def is_only_ours(text: str) -> bool:
    """Tell whether a file holds nothing but what this module wrote around its block."""
    return without(text).strip() in {"", "#!/bin/sh -e\nexit 0"}


def observe(root: Path = HOST) -> BootFact:
    """Return which ways this host has, which are used, and why one cannot be used."""
    return {
        "present": [name for name, way in WAYS.items() if BEGIN in read(root / way.path)],
        "usable": [name for name in WAYS if is_here(name, root) and not conflict(name, root)],
        "conflicts": {name: why for name in WAYS if (why := conflict(name, root))},
    }


def is_here(method: BootMethod, root: Path) -> bool:
    """Tell whether something on this host reads the file of a method."""
    if method == "wsl":
        return "microsoft" in read(root / "proc/sys/kernel/osrelease").lower()
    if method == "cron":
        return (root / "etc/cron.d").is_dir() and (root / "usr/sbin/cron").exists()
    return (root / "etc/rc.local").exists()


def conflict(method: BootMethod, root: Path) -> str:
    """Return why a method cannot be used without a change to what others wrote; empty where it can."""
    path = root / WAYS[method].path
    text = without(read(path))
    if method == "wsl" and (found := OTHER_COMMAND.search(text)):
        return (
            f"/etc/wsl.conf has a command of its own under [boot] ({found[1].strip()}), and WSL2 runs only one: "
            f"add `; {COMMAND}` to it yourself, or remove it"
        )
    if method == "rc.local" and text.strip() and not os.access(path, os.X_OK):
        return "/etc/rc.local is not executable, so nothing in it runs: make it executable if all of it may run"
    if method == "cron" and not (root / "etc/cron.d").is_dir():
        return "cron is not installed: there is no directory /etc/cron.d"
    return ""


def write(method: str, root: Path = HOST) -> list[str]:
    """Have one method start the engine at boot, and no other; ``none`` removes what is there.

    :returns: the files that changed
    """
    changed: list[str] = []
    for name, way in WAYS.items():
        path = root / way.path
        before = read(path)
        after = way.insert(without(before)) if name == method else without(before)
        if after == before or (name != method and BEGIN not in before):
            continue
        changed.append(f"/{way.path}")
        if name != method and is_only_ours(before):
            path.unlink()
        else:
            mode = path.stat().st_mode & 0o7777 if path.exists() else way.mode
            write_file(path, after, mode=mode)
    return changed
