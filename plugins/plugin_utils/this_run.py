# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Who asks for a run, and what for. The history of the stack keeps it."""

from __future__ import annotations

import getpass
import os
import re
import socket
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from ansible import context
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.plugins.module_utils.model import moment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import RunMeta
    from ansible_collections.sse.platform.plugins.module_utils.settings.options import Option

# Variables that the verbs of ./sse set for their own arguments.
OF_VERBS = "asked_"
WHY = "asked_why"
SCALE = "asked_scale"  # what `./sse scale` is to do
TARGETS = (SCALE, "asked_release", "asked_pause", "asked_secret", "asked_services", "asked_host")
PLAYBOOKS = {
    "site": "up",
    "drill": "backup --drill",
    "alert_test": "alert-test",
    "node_add": "node add",
    "node_drain": "node drain",
    "node_remove": "node remove",
}  # playbooks whose verb has another name
LOGIN_IN_URL = re.compile(r"(?<=://)[^/@\s]+@")


def this_run(extra: Mapping[str, Any], options: Mapping[str, Option], settings: Mapping[str, Any]) -> RunMeta:
    """Return who runs this, from where, and what was given for this run alone.

    :param extra: the variables that -e set, and the settings that `./sse scale` means
    :param settings: converted settings
    """
    # The user may have come to the controller by SSH (ssh(1), ENVIRONMENT).
    client = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    playbooks = [PurePath(one).stem.rpartition(".")[2] for one in context.CLIARGS.get("args") or ()]
    return {
        "asked": asked([PLAYBOOKS.get(one, one) for one in playbooks], extra),
        "who": os.environ.get("SUDO_USER") or os.environ.get("USER") or user_name(),
        "where": socket.gethostname() + (f" (by SSH from {client})" if client else ""),
        "when": moment.text(),
        "commit": os.environ.get("PLATFORM_COMMIT", ""),
        "why": str(extra.get(WHY, "")),
        "given": {
            name: shown(options.get(name), settings.get(name))
            for name in sorted(extra)
            if not name.startswith((OF_VERBS, "_"))
        },
    }


def asked(verbs: list[str], extra: Mapping[str, Any]) -> str:
    """Return the verb with what follows it."""
    words = [extra[name] for name in TARGETS if name in extra]
    flat = [str(one) for word in words for one in (word if isinstance(word, list) else [word])]
    return " ".join([*(["scale"] if SCALE in extra else verbs), *flat])


def this_controller() -> dict[str, Any]:
    """Return by what the lock of a stack knows this run, and which other runs there are on this controller.

    It is called in a worker, whose parent is the process of ansible-playbook.
    """
    running = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"ansible" in (command(path) if path.parent.name != str(os.getpid()) else b"")
    ]
    return {
        "controller": run_lock.this_machine(),
        "process": run_lock.process(os.getppid()),
        "alive": [run_lock.process(pid) for pid in running],
    }


def command(path: Path) -> bytes:
    """Return the command line of a process; empty where it has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def user_name() -> str:
    """Return the name of who runs this; a number may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def shown(option: Option | None, value: Any) -> Any:
    """Return a value as the history may keep it; None for what can hold a secret: it keeps the name alone."""
    if option is None or option.get("no_log") or option.get("type") == "dict":
        return None
    if isinstance(value, list):
        return [LOGIN_IN_URL.sub("", str(item)) for item in value]
    return LOGIN_IN_URL.sub("", value) if isinstance(value, str) else value
