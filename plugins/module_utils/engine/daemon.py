# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""dockerd on this host: its process, its limits and its configuration file."""

from __future__ import annotations

import codecs
import contextlib
import json
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.engine.api import SOCKET

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

PROC = Path("/proc")
CONFIGURATION = "/etc/docker/daemon.json"
PID_FILE = "/run/docker.pid"
# What options that are on or off take, as Go's strconv.ParseBool has it.
SWITCHES = {
    **dict.fromkeys(["1", "t", "T", "true", "TRUE", "True"], True),
    **dict.fromkeys(["0", "f", "F", "false", "FALSE", "False"], False),
}
UNLIMITED_FILES = 1 << 20  # the kernel's fs.nr_open, the most that a process can ask for, unless somebody changed it


def dockerd_pid() -> int | None:
    """Return the process id of dockerd, or None where it does not run.

    The pid file is faster to read than all of /proc, but it may be absent, elsewhere, or of a process that ended. Where
    several engines run here, as with one of a user (rootless), it is the one that listens on the engine's socket.
    """
    told = PROC
    with contextlib.suppress(OSError):
        told /= Path(PID_FILE).read_text().strip()
    if is_dockerd(told):
        return int(told.name)
    found = [one for one in PROC.iterdir() if is_dockerd(one)]
    if len(found) > 1:
        wanted = listening((PROC / "net/unix").read_text(errors="replace"))
        found.sort(key=lambda one: (not holds(one, wanted), user_of(int(one.name)) != 0))
    return int(found[0].name) if found else None


def is_dockerd(process: Path) -> bool:
    """Tell whether a directory of /proc is that of a dockerd, and not of one in a container (proc_pid_status(5))."""
    try:
        if not process.name.isdigit() or (process / "comm").read_bytes().strip() != b"dockerd":
            return False
        status = (process / "status").read_text(errors="replace").splitlines()
    except OSError:  # it ended
        return False
    # In a namespace of its own, a process has a second number.
    return all(len(line.split()) == 2 for line in status if line.startswith("NSpid:"))


def listening(table: str) -> set[str]:
    """Return the sockets on which an engine is waited for, as links of /proc name them (proc_pid_net(5))."""
    lines = [line.split() for line in table.splitlines()[1:]]
    accepts = "00010000"
    return {f"socket:[{one[6]}]" for one in lines if one[3] == accepts and one[7:] in ([SOCKET], [SOCKET[4:]])}


def holds(process: Path, sockets: set[str]) -> bool:
    """Tell whether a process has one of these sockets open; systemd may have it, too."""
    try:
        return any(str(one.readlink()) in sockets for one in (process / "fd").iterdir())
    except OSError:
        return False


def user_of(pid: int | None) -> int:
    """Return the user id of a process; 0 where it is not seen."""
    try:
        return (PROC / str(pid)).stat().st_uid if pid else 0
    except OSError:
        return 0


def open_files_limit() -> int:
    """Return the most open files that a container may ask for: with more it does not start.

    That is the hard limit of dockerd (proc_pid_limits(5)); where dockerd is not seen, the limit of this process.
    """
    with contextlib.suppress(OSError):
        for line in (PROC / f"{dockerd_pid()}/limits").read_text().splitlines():
            if line.startswith("Max open files"):
                hard = line.split()[4]
                return UNLIMITED_FILES if hard == "unlimited" else int(hard)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def configuration(path: str = CONFIGURATION) -> Json | None:
    """Read dockerd's configuration file (dockerd(8)): empty where there is none, None where it holds no JSON object."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        content = b""
    # An engine takes the mark with which editors of Windows begin a file, and reads what it says.
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace")
    try:
        parsed: Any = json.loads(text) if text.strip() else {}
    except ValueError:
        return None
    return cast("Json", parsed) if isinstance(parsed, dict) else None


def command_line(pid: int | None) -> list[str]:
    """Return the words that dockerd was started with; none where it is not seen."""
    try:
        return (PROC / f"{pid}/cmdline").read_text(errors="replace").split("\0") if pid else []
    except OSError:
        return []


def configuration_file(command_line: list[str]) -> str:
    """Return the path of the configuration file that dockerd reads."""
    return str(flags(command_line).get("config-file") or CONFIGURATION)


def flags(command_line: list[str]) -> Json:
    """Read the options of dockerd's command line (dockerd(8)), by the names that the configuration file has for them.

    A flag without a value is true. One whose value is the next word has that word.
    """
    found: Json = {}
    for word, after in zip(command_line, [*command_line, ""][1:], strict=True):
        name, equals, value = word.partition("=")
        if word.startswith("-b") and not word.startswith("--"):
            name, equals, value = "--bridge", "=", word[2:].lstrip("=") or after
        if not name.startswith("--"):
            continue
        if not equals and after and not after.startswith("-"):
            equals, value = "=", after
        if name == "--default-network-opt":  # NETWORK=OPTION=VALUE, once for each
            network, option, chosen = [*value.split("=", 2), "", ""][:3]
            of_file = cast("dict[str, Json]", found.setdefault("default-network-opts", {}))
            of_file.setdefault(network, {})[option] = chosen
        else:
            found[name[2:]] = SWITCHES.get(value, value) if equals else True
    return found


def has_userland_proxy(configuration: Json, command_line: list[str], route_localnet: str) -> bool:
    """Tell whether published ports need a helper process that ends with dockerd.

    The engine does not tell. Its flag or its file does, but the file may be younger than the running engine. An engine
    without the helper lets the kernel route loopback addresses of docker0, which shows.

    :param route_localnet: text of the sysctl net.ipv4.conf.docker0.route_localnet; empty where there is no docker0
    """
    wanted = flags(command_line).get("userland-proxy", configuration.get("userland-proxy", True))
    return bool(wanted) or route_localnet.strip() == "0"
