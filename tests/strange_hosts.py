"""Unusual hosts, one row each, and what happens on them. The next report is one more row.

docs/hosts.md is written from these tables: `python tests/strange_hosts.py` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "hosts.md"

WORKS, TOLD, REFUSED = "works", "works, with a notice", "refused"


class Engine(NamedTuple):
    """An engine, or a way to it, and what `./sse up` makes of it."""

    what: str
    outcome: str
    why: str  # for the page
    said: tuple[str, ...] = ()  # what the refusal or the notice says at least
    info: dict[str, Any] = {}  # noqa: RUF012 - a row is never changed
    version: dict[str, Any] = {}  # noqa: RUF012
    daemon: dict[str, Any] = {}  # noqa: RUF012 - the configuration file
    flags: tuple[str, ...] = ()
    traits: dict[str, Any] = {}  # noqa: RUF012 - what only the kernel tells
    around: dict[str, Any] = {}  # noqa: RUF012 - the surroundings
    host: dict[str, Any] = {}  # noqa: RUF012
    settings: dict[str, Any] = {}  # noqa: RUF012


NO_ENGINE = {"engine": None, "dockerd_pid": None}
OTHER_SOCKET = "unix:///run/user/1000/docker.sock"
PODMAN = {"Components": [{"Name": "Podman Engine"}], "Version": "5.4.2", "ApiVersion": "1.41"}


def socket(kind: str = "socket", target: str = "/run/docker.sock", *, answers: bool = False) -> dict[str, Any]:
    return {"socket": {"kind": kind, "target": target, "answers": answers}}


ENGINES = [
    Engine(
        "userns-remap",
        REFUSED,
        "user ids in containers are others on the host, so services could not read their files",
        ("userns-remap", "/etc/docker/daemon.json"),
        info={"SecurityOptions": ["name=seccomp", "name=userns"]},
        daemon={"userns-remap": "default"},
    ),
    Engine(
        "userns-remap as an option of dockerd",
        REFUSED,
        "as above",
        ("userns-remap", "dockremap"),
        flags=("--userns-remap=dockremap",),
    ),
    Engine(
        "a rootless engine on the socket of root",
        REFUSED,
        "the platform writes rules of the firewall, for which it needs an engine of root",
        ("rootless",),
        info={"SecurityOptions": ["name=seccomp", "name=rootless"]},
    ),
    Engine(
        "a rootless engine on its own socket, and no other engine",
        REFUSED,
        "as above; `up` installs an engine of root when the rootless one is off",
        ("rootless", "user id 1000", "dockerd-rootless-setuptool.sh uninstall"),
        host={"engine": None, "dockerd_pid": 7, "engine_error": "no such file"},
        around={"dockerd_user": 1000},
    ),
    Engine(
        "Podman's socket under the name of Docker's",
        REFUSED,
        "it is not Docker Engine",
        ("Podman Engine", "/run/podman/podman.sock", "podman-docker"),
        version=PODMAN,
        around=socket(target="/run/podman/podman.sock", answers=True),
    ),
    Engine(
        "a link to Podman's socket, which is off",
        REFUSED,
        "the link leads nowhere",
        ("podman-docker", "link"),
        host=NO_ENGINE,
        around=socket("dangling", "/run/podman/podman.sock"),
    ),
    Engine(
        "a directory at the path of the socket",
        REFUSED,
        "a container that mounted the socket while no engine ran made it",
        ("directory", "/var/run/docker.sock"),
        host=NO_ENGINE,
        around=socket("directory"),
    ),
    Engine(
        "something else that answers on the socket",
        REFUSED,
        "a proxy of the socket, or a plugin that refuses requests",
        ("authorization-plugins", "403"),
        host={**NO_ENGINE, "engine_error": "/version answers 403"},
        around=socket(answers=True),
    ),
    Engine(
        "an engine that runs and does not answer",
        REFUSED,
        "it listens elsewhere, or hangs",
        ("pid 7", "have it listen there"),
        host={"engine": None, "dockerd_pid": 7, "engine_error": "refused"},
    ),
    Engine(
        "a socket that is a link to the engine's socket",
        WORKS,
        "the link is followed",
        around=socket(target="/run/elsewhere.sock", answers=True),
    ),
    Engine(
        "Docker Desktop",
        REFUSED,
        "its engine runs in a virtual machine, which has other files and networks than the host",
        ("Docker Desktop", "on the host itself"),
        info={"OperatingSystem": "Docker Desktop"},
    ),
    Engine(
        "an engine in a virtual machine (colima, lima), or a forwarded socket",
        REFUSED,
        "as above",
        ("another kernel",),
        traits={"same_kernel": False},
    ),
    Engine(
        "the socket mounted into the container where Ansible works",
        REFUSED,
        "as above",
        ("no dockerd is here",),
        host={"dockerd_pid": None},
    ),
    Engine(
        "Docker from the snap store",
        REFUSED,
        "it sees only some directories of the host",
        ("snap",),
        traits={"program": "/snap/docker/2915/bin/dockerd"},
    ),
    Engine(
        "Windows containers",
        REFUSED,
        "services need Linux",
        ("does not run on this machine",),
        info={"OSType": "windows"},
    ),
    Engine(
        "an engine older than 20.10",
        REFUSED,
        "it lacks what the platform asks for",
        ("API 1.40", "20.10"),
        version={"Version": "19.03.15", "ApiVersion": "1.40"},
    ),
    Engine(
        "Engine 29, with the image store of containerd",
        WORKS,
        "the version of the API is negotiated",
        version={"Version": "29.1.0", "ApiVersion": "1.52"},
        info={"Driver": "overlayfs"},
    ),
    Engine(
        "DOCKER_HOST names another engine, and one runs here",
        TOLD,
        "the stack is on the engine of the host; `docker` commands that you type go elsewhere",
        ("DOCKER_HOST is tcp://", "docker -H unix:///var/run/docker.sock"),
        around={"variables": {"DOCKER_HOST": "tcp://192.0.2.9:2376"}},
    ),
    Engine(
        "DOCKER_HOST names the same socket",
        WORKS,
        "it is the same engine",
        around={"variables": {"DOCKER_HOST": "unix:///run/docker.sock"}},
    ),
    Engine(
        "DOCKER_HOST names another engine, and none runs here",
        REFUSED,
        "nobody wants a second engine by accident",
        (f"DOCKER_HOST is {OTHER_SOCKET}", "inventory", "unset"),
        host=NO_ENGINE,
        around={"variables": {"DOCKER_HOST": OTHER_SOCKET}},
    ),
    Engine(
        "a docker context other than default",
        TOLD,
        "as with DOCKER_HOST",
        ("context", "'far'"),
        around={"context": "far"},
    ),
    Engine(
        "a docker context other than default, and no engine here",
        REFUSED,
        "as with DOCKER_HOST",
        ("context", "'far'"),
        host=NO_ENGINE,
        around={"context": "far"},
    ),
    Engine(
        "DOCKER_TLS_VERIFY, DOCKER_API_VERSION",
        WORKS,
        "every task names its engine, and how it is asked",
        around={"variables": {"DOCKER_TLS_VERIFY": "1", "DOCKER_API_VERSION": "1.24"}},
    ),
    Engine("`proxies` in the client's config.json", WORKS, "no container of the stack gets them"),
    Engine(
        "an older Docker SDK, or one that does not fit, from pip",
        REFUSED,
        "the platform uses the distribution's",
        ("/usr/local/lib", "python3-docker", "pip uninstall"),
        around={"sdk_problem": "/usr/local/lib/python3.11/dist-packages/docker (it is version 2.7.0)"},
    ),
    Engine(
        '"iptables": false',
        TOLD,
        "docker-proxy serves the ports, and the platform leaves it on",
        ('"iptables": false', "masquerades"),
        daemon={"iptables": False},
        traits={"userland_proxy": True},
    ),
    Engine(
        '"iptables": false, with docker_restart_allowed',
        TOLD,
        "as above",
        ('"iptables": false',),
        daemon={"iptables": False},
        traits={"userland_proxy": True},
        settings={"docker_restart_allowed": True},
    ),
    Engine(
        '"iptables": false and "userland-proxy": false',
        REFUSED,
        "no published port would answer",
        ("no published port", "userland-proxy"),
        daemon={"iptables": False, "userland-proxy": False},
    ),
    Engine(
        "--iptables=false as an option of dockerd, without docker-proxy",
        REFUSED,
        "as above",
        ("no published port",),
        flags=("--iptables=false",),
    ),
    Engine(
        '"iptables": false, and the layout segmented',
        REFUSED,
        "the segments need rules of the firewall",
        ("network_layout", "iptables"),
        daemon={"iptables": False},
        traits={"userland_proxy": True},
        settings={"network_layout": "segmented"},
    ),
    Engine(
        '"iptables": false, and exposure_allow_from',
        REFUSED,
        "the list needs rules of the firewall",
        ("exposure_allow_from", "iptables"),
        daemon={"iptables": False},
        traits={"userland_proxy": True},
        settings={"exposure_allow_from": ["192.0.2.0/24"]},
    ),
    Engine(
        '"ip-forward": false, and the kernel does not forward',
        REFUSED,
        "published ports would answer nobody outside",
        ("net.ipv4.ip_forward",),
        daemon={"ip-forward": False},
        info={"IPv4Forwarding": False},
    ),
    Engine('"ip-forward": false, and the kernel forwards', WORKS, "", daemon={"ip-forward": False}),
    Engine('"bridge": "none"', WORKS, "images are built on the network of the host", daemon={"bridge": "none"}),
    Engine('"icc": false', WORKS, "it is for the default network only", daemon={"icc": False}),
    Engine(
        "default-network-opts that change who reaches whom",
        REFUSED,
        "they would change the networks of the stack",
        ("default-network-opts", "enable_icc"),
        daemon={"default-network-opts": {"bridge": {"com.docker.network.bridge.enable_icc": "false"}}},
    ),
    Engine(
        "default-network-opts for the MTU",
        WORKS,
        "",
        daemon={"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}},
    ),
    Engine(
        "default-address-pools that hold the subnets of the stack",
        WORKS,
        "the stack names its subnets, and Docker gives none of them twice",
        daemon={"default-address-pools": [{"base": "10.0.0.0/8", "size": 24}]},
    ),
    Engine(
        "live-restore is off",
        TOLD,
        "containers stop with the engine",
        ("live-restore",),
        info={"LiveRestoreEnabled": False},
    ),
    Engine(
        "the engine is in a Swarm",
        TOLD,
        "live-restore cannot be on there",
        ("Swarm",),
        info={"Swarm": {"LocalNodeState": "active"}, "LiveRestoreEnabled": False},
    ),
    Engine(
        "the storage driver vfs", TOLD, "images take three times the room", ("vfs", "20 GiB"), info={"Driver": "vfs"}
    ),
    Engine("the storage drivers btrfs, zfs and fuse-overlayfs", WORKS, "", info={"Driver": "btrfs"}),
    Engine("control groups of version 1", WORKS, "", info={"CgroupVersion": "1"}),
    Engine(
        "log-driver journald, none or syslog",
        WORKS,
        "containers of the stack have json-file, so `./sse logs` shows all",
        info={"LoggingDriver": "journald"},
        daemon={"log-driver": "journald"},
    ),
    Engine(
        "a kernel without seccomp",
        TOLD,
        "containers may make every system call",
        ("seccomp",),
        info={"SecurityOptions": ["name=apparmor"]},
    ),
    Engine("AppArmor is off", WORKS, "", info={"SecurityOptions": ["name=seccomp,profile=builtin"]}),
    Engine(
        "another default runtime, such as nvidia, beside runc",
        WORKS,
        "containers of the stack run with runc",
        info={"DefaultRuntime": "nvidia", "Runtimes": {"nvidia": {}, "runc": {}}},
    ),
    Engine(
        "another runtime, and no runc",
        REFUSED,
        "the platform looks into the namespaces of containers",
        ("kata", "runc"),
        info={"DefaultRuntime": "kata", "Runtimes": {"kata": {}}},
    ),
    Engine(
        "another configuration file, with docker_restart_allowed",
        REFUSED,
        "the platform writes /etc/docker/daemon.json",
        ("/opt/daemon.json",),
        flags=("--config-file=/opt/daemon.json",),
        settings={"docker_restart_allowed": True},
    ),
    Engine(
        "another configuration file",
        WORKS,
        "it is read, and never written",
        flags=("--config-file", "/opt/daemon.json"),
    ),
    Engine(
        "options of dockerd that the platform would write, with docker_restart_allowed",
        REFUSED,
        "dockerd does not start when its file and its command line say the same",
        ("--live-restore",),
        flags=("--live-restore",),
        settings={"docker_restart_allowed": True},
    ),
]

HEAD = """# Hosts: what is supported, and what is refused

Debian 12 and 13 and Ubuntu 22.04 and 24.04 on amd64 and arm64, with Docker Engine 20.10 or newer. What is refused is
refused before anything changes, with what was found, what is expected and what to do. This page is written from the
tables of the tests: `python tests/strange_hosts.py`.
"""


def table(rows: list[Engine]) -> str:
    lines = ["| what the host has | result | why |", "|---|---|---|"]
    lines += [f"| {one.what} | {one.outcome} | {one.why or 'nothing depends on it'} |" for one in rows]
    return "\n".join(lines)


def page() -> str:
    """Return the text of docs/hosts.md."""
    parts = [
        HEAD,
        "## Engines",
        "",
        "Every command and task works with the engine of `/var/run/docker.sock`, whatever DOCKER_HOST or a context",
        "chooses.",
        "",
        table(ENGINES),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    sys.stdout.write(f"{PAGE} is written\n")
