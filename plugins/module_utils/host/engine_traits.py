# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What may make an engine, or the way to it, unusual: observed here, judged by `preflight.engine_preflight`."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import parent, read
from ansible_collections.sse.platform.plugins.module_utils.model.password import without_password

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.engine import answers
    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        EngineTraits,
        Json,
        SocketFact,
        Surroundings,
    )

DOCKER = "Docker"
SELINUX = "/sys/fs/selinux/enforce"  # 1 where SELinux enforces its rules (selinux(8)); absent where it is off
LIMITS = {"memory": "MemoryLimit", "processes": "PidsLimit"}  # as people call them -> as the engine does
# The environment variables by which the docker command, the SDK and community.docker choose an engine.
CHOOSE_ENGINE = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_API_VERSION", "DOCKER_TLS", "DOCKER_TLS_VERIFY")
# The options of dockerd that the preflight judges. Others may hold secrets, such as a proxy's password.
JUDGED = ("bridge", "default-network-opts", "icc", "ip-forward", "iptables", "userland-proxy", "userns-remap")
PACKAGES = "/usr/lib/python3/dist-packages/"  # where the distribution puts Python packages
SDK_NEEDS = (5, 0, 3)
# It uses the SDK as the platform does. Which releases of docker, requests and urllib3 work together, only a try tells.
TRY_SDK = """
import sys, docker
try:
    from docker import APIClient
except ImportError:
    sys.exit("the package 'docker' at %s is not the Docker SDK" % list(docker.__path__)[0])
numbers = tuple(int(one) for one in docker.__version__.split(".")[:3] if one.isdigit())
if numbers < {needs}:
    sys.exit("it is version " + docker.__version__)
try:
    APIClient(base_url="unix://{socket}", version="{version}", timeout=10).ping()
except Exception as error:
    if "onnection" not in str(error):
        sys.exit(str(error))
"""


def product(version: answers.Version) -> str:
    """Return whose engine answers: Docker, or what another one calls itself."""
    names = [one.get("Name", "") for one in version.get("Components") or []]
    return DOCKER if not names or "Engine" in names else names[0]


def describe(
    info: answers.Info, version: answers.Version, configuration: Json, words: list[str], pid: int | None
) -> EngineTraits:
    """Return the traits of an engine.

    :param configuration: of dockerd's configuration file
    :param words: of its command line
    """
    flags = daemon.flags(words)
    names = [re.search(r"name=([^,]+)", one) for one in info.get("SecurityOptions") or []]
    return {
        "product": product(version),
        "operating_system": info.get("OperatingSystem", ""),
        "os_type": info.get("OSType", "linux"),
        "same_kernel": info.get("KernelVersion", platform.release()) == platform.release(),
        "program": program(pid),
        "config_file": daemon.configuration_file(words),
        "flags": sorted(flags),
        "options": {name: value for name, value in {**configuration, **flags}.items() if name in JUDGED},
        "security": [one[1] for one in names if one],
        "storage_driver": info.get("Driver", ""),
        "default_runtime": info.get("DefaultRuntime", ""),
        "runtimes": sorted(info.get("Runtimes") or {}),
        # Its addresses may hold a password.
        "proxied": bool(info.get("HttpProxy") or info.get("HttpsProxy")),
        "forwards": info.get("IPv4Forwarding", True),
        "selinux_enforces": read(SELINUX).strip() == "1",
        "lost_limits": [name for name, flag in LIMITS.items() if not info.get(flag, True)],
        "nftables": "nftables" in str(info.get("FirewallBackend")),
    }


def program(pid: int | None) -> str:
    """Return the path of a process's program; empty where it is not seen."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink()) if pid else ""
    except OSError:
        return ""


def surroundings(socket: str, pid: int | None, api_version: str, *, answers: bool) -> Surroundings:
    """Return what else decides where commands and libraries of Docker go.

    :param api_version: of the engine; empty where none answers
    :param answers: whether somebody gave an answer on the socket
    """
    environments = list(ancestors())
    variables = {name: value for one in reversed(environments) for name, value in one.items() if name in CHOOSE_ENGINE}
    return {
        "socket": socket_fact(socket, answers=answers),
        "variables": {name: without_password(value) for name, value in variables.items() if value},
        "context": variables.get("DOCKER_CONTEXT", "") or context(environments),
        "dockerd_user": daemon.user_of(pid),
        "sdk_problem": sdk_problem(socket, api_version),
    }


def socket_fact(path: str, *, answers: bool) -> SocketFact:
    """Describe what is at the path of the engine's socket."""
    target = os.path.realpath(path)
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return {"kind": "dangling" if Path(path).is_symlink() else "absent", "target": target, "answers": False}
    kind = "socket" if stat.S_ISSOCK(mode) else "directory" if stat.S_ISDIR(mode) else "other"
    return {"kind": kind, "target": target, "answers": answers}


def ancestors() -> Iterator[dict[str, str]]:
    """Give the environment of this process, of its parent, and so on: privilege escalation (sudo) hides variables."""
    pid = os.getpid()
    while pid > 1:
        pairs = (entry.partition("=") for entry in read(f"/proc/{pid}/environ").split("\0"))
        yield {name: value for name, equals, value in pairs if equals}
        pid = parent(pid)


def context(environments: list[dict[str, str]]) -> str:
    """Return the context that the first of these users chose for the docker command, unless it is the default one."""
    for one in environments:
        directory = one.get("DOCKER_CONFIG") or Path(one.get("HOME", "/nonexistent")) / ".docker"
        try:
            chosen = json.loads(read(f"{directory}/config.json")).get("currentContext")
        except (ValueError, AttributeError):
            continue
        if chosen and chosen != "default":
            return str(chosen)
    return ""


def sdk_problem(socket: str, api_version: str) -> str:
    """Say why the Docker SDK that this Python finds cannot be used; empty where it can, or where there is none yet.

    The distribution's own packages fit each other, and are not tried.
    """
    places = {name: place(name) for name in ("docker", "requests", "urllib3")}
    strange = [one for one in places.values() if one and not one.startswith(PACKAGES)]
    if not places["docker"] or not strange:
        return ""
    script = TRY_SDK.format(needs=SDK_NEEDS, socket=socket, version=api_version or "1.41")
    try:
        tried = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=30, cwd="/"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{strange[0]} ({error})"
    last = (tried.stderr.strip().splitlines() or ["it ended and said nothing"])[-1]
    return f"{strange[0]} ({last})" if tried.returncode else ""


def place(package: str) -> str:
    """Return the directory that Python would import a package from; empty where there is none."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    return next(iter(spec.submodule_search_locations or []), "") or spec.origin or ""
