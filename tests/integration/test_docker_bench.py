"""The checks of docker-bench-security (CIS Docker Benchmark) for containers, and what of them the platform leaves open.

The script itself is in no registry that the tests can reach. So this asks the engine what the script asks, in its
words; its checks that need a person to judge, or a look at processes, are left out. OPEN has what does not pass.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.sse.platform.tests.integration.stack import Stack

MOST_OPEN = 5
SENSITIVE = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr")
Container = dict[str, Any]


def host(one: Container) -> dict[str, Any]:
    return one["HostConfig"]


def published(one: Container) -> list[tuple[int, str]]:
    """The ports of a container that the host offers, each with the address of the host."""
    bindings = one["NetworkSettings"]["Ports"] or {}
    return [(int(port.split("/")[0]), each["HostIp"]) for port, given in bindings.items() for each in given or []]


# Each check tells whether a container passes.
CHECKS: dict[str, Callable[[Container], bool]] = {
    "an AppArmor profile, if applicable": lambda one: (
        not Path("/sys/kernel/security/apparmor").exists() or one["AppArmorProfile"] not in ("", "unconfined")
    ),
    "security options are set": lambda one: bool(host(one)["SecurityOpt"]),
    "no capability is added": lambda one: not host(one)["CapAdd"] and host(one)["CapDrop"] == ["ALL"],
    "no privileged containers": lambda one: not host(one)["Privileged"],
    "no sensitive directory of the host is mounted": lambda one: (
        not any(mount["Type"] == "bind" and mount["Source"] in SENSITIVE for mount in one["Mounts"])
    ),
    "no privileged port is mapped": lambda one: all(port >= 1024 for port, _ in published(one)),
    "the network of the host is not shared": lambda one: host(one)["NetworkMode"] != "host",
    "memory is limited": lambda one: host(one)["Memory"] > 0,
    "a CPU priority is set": lambda one: host(one)["CpuShares"] not in (0, None),
    "the root file system is read-only": lambda one: host(one)["ReadonlyRootfs"],
    "ports are bound to a certain interface": lambda one: all(
        address not in ("", "0.0.0.0", "::") for _, address in published(one)
    ),
    "restarted on failure, at most five times": lambda one: (
        host(one)["RestartPolicy"]["Name"] == "on-failure" and host(one)["RestartPolicy"]["MaximumRetryCount"] <= 5
    ),
    "the processes of the host are not shared": lambda one: host(one)["PidMode"] != "host",
    "the IPC of the host is not shared": lambda one: host(one)["IpcMode"] != "host",
    "no device of the host is exposed": lambda one: not host(one)["Devices"],
    "no mount is propagated as shared": lambda one: all(mount["Propagation"] != "shared" for mount in one["Mounts"]),
    "the UTS namespace of the host is not shared": lambda one: host(one)["UTSMode"] != "host",
    "the seccomp profile is not disabled": lambda one: "seccomp=unconfined" not in (host(one)["SecurityOpt"] or []),
    "the cgroup is the default one": lambda one: not host(one)["CgroupParent"],
    "no additional privileges": lambda one: any(
        option in ("no-new-privileges", "no-new-privileges:true") for option in host(one)["SecurityOpt"] or []
    ),
    "health is checked": lambda one: "Health" in one["State"],
    "the number of processes is limited": lambda one: (host(one)["PidsLimit"] or 0) > 0,
    "the network docker0 is not used": lambda one: "bridge" not in one["NetworkSettings"]["Networks"],
    "the user namespace of the host is not shared": lambda one: host(one)["UsernsMode"] != "host",
    "the socket of Docker is not mounted": lambda one: (
        not any(str(mount["Source"]).endswith("docker.sock") for mount in one["Mounts"])
    ),
    "a user is set that is not root": lambda one: one["Config"]["User"].split(":")[0] not in ("", "0", "root"),
    "no secret is in the environment": lambda one: (
        not any("PASSWORD=" in variable or "SECRET=" in variable for variable in one["Config"]["Env"] or [])
    ),
}

# Which containers do not pass, and why that is meant; None stands for all of them.
OPEN: dict[str, tuple[set[str] | None, str]] = {
    "no privileged port is mapped": (
        {"nginx", "performance-dashboard"},
        "They listen on 80 and 443 in network namespaces of their own, where these ports are not privileged.",
    ),
    "restarted on failure, at most five times": (
        None,
        (
            "A container that failed five times in a night would stay away. The engine starts it again for ever, and "
            "after a restart of the host as well; alerts, status and doctor name what restarts."
        ),
    ),
    "health is checked": (
        {"prometheus", "node-exporter", "nginx-exporter", "container-exporter", "redis-exporter"},
        "No client waits for what only looks: Prometheus asks the exporters every few seconds, and verify asks it.",
    ),
}


def test_what_docker_bench_would_warn_of_is_named_with_its_reason(stack: Stack) -> None:
    found: dict[str, set[str]] = {}
    for name, one in stack.containers().items():
        for check, passes in CHECKS.items():
            if not passes(one.attrs):
                found.setdefault(check, set()).add(name.removeprefix(f"{stack.name}-"))
    everything = {name.removeprefix(f"{stack.name}-") for name in stack.containers()}
    assert found == {check: everything if whom is None else whom for check, (whom, _) in OPEN.items()}
    assert len(OPEN) <= MOST_OPEN


def test_every_check_can_fail(stack: Stack) -> None:
    """A check that reads a name that the engine does not have would pass for ever."""
    one = stack.container("nginx").attrs
    careless: Container = {
        **one,
        "AppArmorProfile": "unconfined",
        "HostConfig": {
            **one["HostConfig"],
            **dict.fromkeys(("PidMode", "IpcMode", "NetworkMode", "UTSMode", "UsernsMode"), "host"),
            "CapAdd": ["NET_ADMIN"],
            "Privileged": True,
            "Memory": 0,
            "CpuShares": 0,
            "ReadonlyRootfs": False,
            "Devices": [{}],
            "SecurityOpt": ["seccomp=unconfined"],
            "CgroupParent": "/x",
            "PidsLimit": None,
            "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
        },
        "Mounts": [
            {"Type": "bind", "Source": "/etc", "Propagation": "shared"},
            {"Type": "bind", "Source": "/var/run/docker.sock", "Propagation": "rprivate"},
        ],
        "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}]}, "Networks": {"bridge": {}}},
        "State": {},
        "Config": {**one["Config"], "User": "", "Env": ["DB_PASSWORD=x"]},
    }
    passed = {check for check, passes in CHECKS.items() if passes(careless)}
    assert passed <= {"an AppArmor profile, if applicable", "security options are set"}
