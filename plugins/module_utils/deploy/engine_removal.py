# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Remove the engine that the role docker installed: its packages, data, configuration, supervisor and firewall rules.

Nothing is removed of an engine that was there before, or that runs a container of somebody else.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.host import boot, iptables
from ansible_collections.sse.platform.plugins.module_utils.host.engine_facts import ENGINE_ROOT, MANAGED
from ansible_collections.sse.platform.plugins.module_utils.host.machine import service_manager
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.engine import answers

RECORD = Path(MANAGED)  # a directory; the role docker makes it before it installs the engine
ADDED = "packages"  # in it: the packages that the installation added, one a line
BEFORE = "packages-before"  # in it until the installation has ended: all packages from before it
CONFIGURATION_BEFORE = "daemon.json"  # in it: the configuration from before, where there was one
POLICY_BEFORE = "forward-policy"  # in it: the policy of the chain FORWARD from before, which the engine may change
# Where there is no record of the packages, because an earlier version installed the engine.
ENGINE_PACKAGES = (
    *("docker.io", "docker-cli", "docker-ce", "docker-ce-cli", "docker-buildx-plugin"),
    *("containerd", "containerd.io", "runc", "tini"),
)
LABEL = "sse.platform.stack"
SUPERVISOR = Path("/usr/local/sbin/supervise-dockerd")
# What the role docker and the engine write, beside its data.
FILES = (
    *("/etc/docker", "/etc/apt/sources.list.d/docker.sources", "/etc/apt/keyrings/docker.asc"),
    *("/etc/sysctl.d/60-sse-platform.conf", "/etc/sysctl.d/61-sse-platform.conf"),
    *("/etc/modules-load.d/sse-platform.conf", "/var/log/dockerd.log", "/var/log/dockerd.log.1"),
    *("/run/docker.sock", "/run/docker.pid", str(SUPERVISOR), "/var/lib/sse.platform"),
)
CONTAINERD_ROOT = "/var/lib/containerd"
STOP_SECONDS = 60.0
APT_SECONDS = 600.0
# A chain that the engine makes, in any table (moby, daemon/libnetwork/iptables).
CHAIN = re.compile(r"^-N (DOCKER(?:-[A-Z0-9-]+)?)$", re.MULTILINE)
PURGED = re.compile(r"^(?:Purg|Remv) (\S+)", re.MULTILINE)


class EngineStaysError(RuntimeError):
    """The engine is not removed. The message says why; nothing was changed."""


class Going(NamedTuple):
    """What goes with the engine."""

    packages: list[str]
    data: list[str]  # directories
    networks: list[str]  # devices of its bridges
    images: int
    volumes: int


def look(stack: str, api: Api | None = None) -> Going:
    """Return what the removal would take away, where the containers of a stack are removed before.

    :raises EngineStaysError: the engine is not ours to remove
    """
    if not RECORD.exists():
        raise EngineStaysError(
            f"The engine of this host was not installed by this collection ({RECORD} is not there), so it stays. "
            "Run ./sse destroy without --engine; remove the engine with the tools that installed it."
        )
    api = api or Api()
    try:
        containers, networks, info = api.containers(), api.networks(), api.info()
    except OSError:
        # An engine that does not run holds nothing that could be asked for: its data say what others have on it.
        raise EngineStaysError(
            "The engine does not answer, so nobody can say whether it holds containers of others. "
            "Start it (./sse doctor says how), then run this again."
        ) from None
    others = [
        (one["Names"] or ["/?"])[0].lstrip("/") for one in containers if (one["Labels"] or {}).get(LABEL) != stack
    ]
    if others:
        raise EngineStaysError(
            f"The engine runs containers that are not of the stack '{stack}', so it stays: "
            f"{', '.join(sorted(others))}. Remove them first, or run ./sse destroy without --engine. "
            "Nothing was changed."
        )
    root = info.get("DockerRootDir") or ENGINE_ROOT
    return Going(
        packages(),
        [one for one in (root, CONTAINERD_ROOT) if Path(one).exists()],
        bridges(networks),
        int(info.get("Images") or 0),
        len(list((Path(root) / "volumes").glob("*/_data"))),
    )


def bridges(networks: Iterable[answers.InspectedNetwork]) -> list[str]:
    """Return the devices of the networks whose driver is bridge. The engine leaves them when it ends."""
    found: list[str] = []
    for network in networks:
        if network["Driver"] == "bridge":
            named = (network["Options"] or {}).get("com.docker.network.bridge.name")
            found.append(named or f"br-{network['Id'][:12]}")
    return sorted(found)


# --- packages


def packages() -> list[str]:
    """Return the installed packages that go: those of the record, without what other packages need."""
    recorded = RECORD / ADDED
    before = RECORD / BEFORE
    installed = set(run("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package}\n").split("\n"))
    present = {line.partition(" ")[2].strip() for line in installed if line.startswith("ii")}
    if recorded.exists():
        wanted = set(recorded.read_text().split())
    elif before.exists():  # the run that installed them was killed
        wanted = present - set(before.read_text().split())
    else:
        wanted = set(ENGINE_PACKAGES)
    return removable(sorted(wanted & present))


def removable(wanted: list[str]) -> list[str]:
    """Leave out those packages whose removal would remove others, which came for another reason."""
    if not wanted or purged(wanted) <= set(wanted):
        return wanted
    kept = {one for one in wanted if purged([one]) - set(wanted)}
    return [one for one in wanted if one not in kept]


def purged(names: list[str]) -> set[str]:
    """Return everything that apt would remove with these packages."""
    told = run("apt-get", "-s", "-qq", "purge", *names)
    return {name.partition(":")[0] for name in PURGED.findall(told)}


# --- removal


def remove(going: Going) -> None:
    """Stop the engine, and remove what `look` found."""
    before = {name: text for name in (CONFIGURATION_BEFORE, POLICY_BEFORE) if (text := read(RECORD / name))}
    boot.write("none")
    stop()
    for device in going.networks:
        subprocess.run(["ip", "link", "del", device], capture_output=True, check=False)
    for family in FAMILIES:
        for variant in iptables.VARIANTS:
            if program := shutil.which(f"{family.iptables}{variant}", path=iptables.PATH):
                remove_chains(program, before.get(POLICY_BEFORE, "") if family is FAMILIES[0] else "")
    if going.packages:
        run("dpkg", "--configure", "-a")
        run("apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=300", "purge", *going.packages)
    for path in (*going.data, *FILES):
        clear(Path(path))
    if CONFIGURATION_BEFORE in before:
        Path(daemon.CONFIGURATION).parent.mkdir(exist_ok=True)
        Path(daemon.CONFIGURATION).write_text(before[CONFIGURATION_BEFORE])


def stop() -> None:
    """Stop the engine with whatever runs it.

    :raises EngineStaysError: it does not end
    """
    if service_manager() == "none" and SUPERVISOR.exists():
        subprocess.run([str(SUPERVISOR), "stop"], capture_output=True, check=False)
    elif service_manager() == "systemd":
        for unit in ("docker.socket", "docker.service", "containerd.service"):
            subprocess.run(["systemctl", "disable", "--now", unit], capture_output=True, check=False)
    else:
        subprocess.run(["service", "docker", "stop"], capture_output=True, check=False)
    until = time.monotonic() + STOP_SECONDS
    while daemon.dockerd_pid() is not None:
        if time.monotonic() > until:
            raise EngineStaysError("The engine was told to stop and still runs: stop dockerd, then run this again.")
        time.sleep(0.2)


def remove_chains(program: str, policy: str) -> None:
    """Remove the engine's chains and the rules that call them, in every table; set the policy of FORWARD back."""
    wait = iptables.WAIT
    for table in ("filter", "nat", "mangle", "raw"):
        rules = iptables.run(program, *wait, "-t", table, "-S").stdout
        chains = CHAIN.findall(rules)
        for line in rules.splitlines():
            if line.startswith("-A ") and line.rpartition(" -j ")[2].split(" ")[0] in chains:
                iptables.run(program, *wait, "-t", table, "-D", *line.split()[1:])
        for step in ("-F", "-X"):
            for chain in chains:
                iptables.run(program, *wait, "-t", table, step, chain)
        if table == "filter" and chains and policy.strip() == "ACCEPT":
            iptables.run(program, *wait, "-P", "FORWARD", "ACCEPT")
        if table in ("filter", "nat") and chains:
            for line in left_behind(rules):
                iptables.run(program, *wait, "-t", table, "-D", *line.split()[1:])


def left_behind(rules: str) -> list[str]:
    """Return the rules outside of its chains that the engine leaves: they name docker0 or a bridge br-<id>."""
    device = re.compile(r"^-A (?:FORWARD|POSTROUTING) .*[io] (?:docker0|br-[0-9a-f]{12})\b")
    return [line for line in rules.splitlines() if device.match(line)]


def clear(path: Path) -> None:
    """Remove a file, or a directory with all that is in it. A mount point itself stays."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def read(path: Path) -> str:
    """Return the text of a file; empty where it is not there."""
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""


def run(*command: str) -> str:
    """Run a program that must work, without questions; return what it prints.

    :raises EngineStaysError: it failed
    """
    environment = {"DEBIAN_FRONTEND": "noninteractive", "PATH": iptables.PATH, "LC_ALL": "C.UTF-8"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=APT_SECONDS, env=environment)
    if ended.returncode:
        raise EngineStaysError(f"{' '.join(command[:5])} ended with {ended.returncode}: {ended.stderr.strip()[-500:]}")
    return ended.stdout
