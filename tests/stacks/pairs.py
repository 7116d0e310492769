"""Small releases drawn by chance, and pairs of them that differ in a few things. Pure."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from ansible_collections.sse.platform.plugins.module_utils.model import release, segments
from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Settings

STACK, PROJECT = "pairs", "pairs-platform"
SUBNET = "10.84.0"
Declarations = dict[str, dict[str, Any]]  # by short name
# It says when it reads its files, and ends at once when it is told to end.
SERVE = "trap 'echo read anew' HUP; trap 'exit 0' TERM INT QUIT; while :; do sleep 3600 & p=$!; wait $p; kill $p; done"
RELOAD = {"check": ["sh", "-c", "! grep -r wrong /etc/drawn"], "says": "read anew"}
SINGLES, REPLICAS = ("one", "two", "three"), ("app-1", "app-2", "app-3")
NUMBERS = {name: number for number, name in enumerate((*SINGLES, *REPLICAS), 10)}  # in segments, these choose bridges
LOOSE_NUMBERS = range(10, 20)
HOST_PORTS = range(28610, 28616)


class Drawn(NamedTuple):
    """What a release is made from."""

    layout: str
    containers: Declarations
    secret: str

    def release(self, images: Mapping[str, str]) -> Release:
        """Build the release, as the module `release` does."""
        services: dict[str, Any] = {}
        for name, one in self.containers.items():
            service = services.setdefault(name.partition("-")[0], {"containers": {}})
            service["containers"][name] = one
        for name, service in services.items():
            service["secrets"] = {f"{name}_token": {"kind": "given"}}
        return release.build(
            services, stack=STACK, project=PROJECT, networks=networks(self.layout), references=images, unavailable={}
        )

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets that are given to a run."""
        return {f"{name.partition('-')[0]}_token": self.secret for name in NUMBERS}


def networks(layout: str) -> Any:
    """Return the networks of a layout."""
    subnet, gateway = f"{SUBNET}.0/24", f"{SUBNET}.1"
    settings = {
        "stack_name": STACK,
        "network_name": f"{STACK}-network",
        "network_layout": layout,
        "network_ipv6": False,
        "network_subnet": subnet,
        "network_gateway": gateway,
        "network_ip_range": f"{SUBNET}.128/25",
        "network_segment_subnets": {},
    }
    return segments.networks(cast("Settings", settings))


def plain(name: str) -> dict[str, Any]:
    """Return the declaration of a container that has nothing special."""
    return {
        "image": "first",
        "address": NUMBERS[name],
        "entrypoint": ["sh", "-c"],
        "command": [SERVE],
        "user": "65534:65534",
        "segments": ["app"],
        "memory": "16m",
        "pids": 256,
        "open_files": 4096,
        "init": False,
        "read_only": True,
        "stop_signal": "SIGTERM",
        "stop_timeout": 5,
        "rolling": name in REPLICAS,
        "healthcheck": {"command": ["true"], "interval": 60, "start": 20},
        "config": {},
        "ports": [],
        "aliases": [],
        "hosts": [],
        "after": [],
    }


def container(chance: random.Random, layout: str, name: str) -> dict[str, Any]:
    """Draw one container."""
    one = plain(name)
    for change in chance.sample(CHANGES, chance.randint(0, 6)):
        change(chance, layout, one)
    return one


def change_number(chance: random.Random, layout: str, one: dict[str, Any]) -> None:
    if layout == segments.SINGLE and not one["rolling"]:
        one["address"] = chance.choice([None, *LOOSE_NUMBERS])


def change_ports(chance: random.Random, _: str, one: dict[str, Any]) -> None:
    port = {"host_ip": "127.0.0.1", "host_port": chance.choice(HOST_PORTS), "container_port": 8000}
    one["ports"] = chance.choice([[], [port], [port]])
    one["segments"] = sorted({*one["segments"], "ports"} if one["ports"] else {*one["segments"]} - {"ports"})


def change_segments(chance: random.Random, _: str, one: dict[str, Any]) -> None:
    chosen = chance.choice([["app"], ["app", "data"], ["data"], ["monitoring", "app"]])
    one["segments"] = sorted({*chosen, *({"ports"} & {*one["segments"]})})


def change_config(chance: random.Random, _: str, one: dict[str, Any]) -> None:
    files = {"a.conf": f"a {chance.randint(1, 3)}\n", "below/b.conf": f"b {chance.randint(1, 3)}\n"}
    one["config"] = {"/etc/drawn": dict(chance.sample(sorted(files.items()), chance.randint(1, 2)))}


def change_secret(chance: random.Random, _: str, one: dict[str, Any]) -> None:
    one[chance.choice(["secrets", "live_secrets"])] = chance.choice(
        [{}, {"/run/drawn": {"token": {"secret": "TOKEN"}}}]
    )
    if one.get("secrets") and one.get("live_secrets"):
        one["live_secrets"] = {}


def setting(key: str, *values: Any) -> Callable[[random.Random, str, dict[str, Any]], None]:
    """Return a change that gives a key one of these values."""

    def change(chance: random.Random, _: str, one: dict[str, Any]) -> None:
        one[key] = copy.deepcopy(chance.choice(values))

    return change


CHANGES: list[Callable[[random.Random, str, dict[str, Any]], None]] = [
    change_number,
    change_number,
    change_ports,
    change_ports,
    change_segments,
    change_config,
    change_config,
    change_config,
    change_secret,
    setting("reload", None, RELOAD, RELOAD),
    setting("reload", None, RELOAD, RELOAD),
    setting("image", "first", "second"),
    setting("environment", {}, {"A": "1"}, {"A": "2"}, {"B": "with spaces and 'quotes'"}, {"A": "", "B": "ä=ö"}),
    setting("memory", "16m", "24m", 20000000),
    setting("pids", 64, 256),
    setting("open_files", 1000, 4096),
    setting("init", True, False),
    setting("command", [SERVE], [SERVE, "argument"], [SERVE, 7]),
    setting("user", "65534:65534", "1000:1001"),
    setting("data", {}, {"/data": "kept"}, {"/data": "kept", "/more": "more"}),
    setting("tmpfs", {}, {"/tmp": "1m"}, {"/tmp": "2m"}),
    setting("binds", {}, {"/mnt/host": "/etc/default"}),
    setting("aliases", [], ["ALIAS"]),
    setting("capabilities", [], ["NET_BIND_SERVICE"], ["CHOWN", "NET_RAW"]),
    setting("read_only", True, False),
    setting("sysctls", {}, {"net.core.somaxconn": 200}),
    setting("group_add", [], ["4"], ["4", "5"]),
    setting("stop_signal", "SIGTERM", "SIGQUIT"),
    setting("stop_timeout", 4, 5),
    setting("listens", [], [8001], [8001, 8002]),
    setting("reaches_host", [], [22]),
    setting("hosts", [], ["HOSTS"]),
    setting("after", [], ["AFTER"]),
]


def release_by_chance(chance: random.Random) -> Drawn:
    """Draw a release of two to five containers."""
    layout = chance.choice([segments.SINGLE, segments.SINGLE, segments.SEGMENTED])
    names = [*chance.sample(SINGLES, chance.randint(1, 3)), *REPLICAS[: chance.randint(0, 3)]]
    return sound(Drawn(layout, {name: container(chance, layout, name) for name in names}, "s1"), chance)


def pair(seed: int) -> tuple[Drawn, Drawn]:
    """Draw a release, and another one that differs from it in a few things."""
    chance = random.Random(seed)
    first = release_by_chance(chance)
    changed = copy.deepcopy(first)
    for _ in range(chance.randint(1, 5)):
        what, name = chance.random(), chance.choice(sorted(changed.containers))
        other = chance.choice(sorted(changed.containers))
        if what < 0.12 and len(changed.containers) > 1:
            del changed.containers[name]
        elif what < 0.24:
            free = chance.choice([*SINGLES, *REPLICAS])
            changed.containers[free] = container(chance, changed.layout, free)
        elif what < 0.3:
            changed = changed._replace(secret="s2")
        elif what < 0.34 and changed.layout == segments.SINGLE and {name, other} <= {*SINGLES}:
            swap(changed.containers[name], changed.containers[other])
        elif what < 0.38:
            changed = changed._replace(layout=chance.choice([segments.SINGLE, segments.SEGMENTED]))
        else:
            chance.choice(CHANGES)(chance, changed.layout, changed.containers[name])
    return first, sound(changed, chance)


def swap(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Give two containers each other's address and ports."""
    for key in ("address", "ports"):
        one[key], other[key] = other[key], one[key]


def sound(drawn: Drawn, chance: random.Random) -> Drawn:
    """Make what was drawn something that may be declared: no name, address or port is claimed twice, names exist."""
    taken: set[object] = set()
    names = sorted(drawn.containers)
    for name in names:
        one = drawn.containers[name]
        one["aliases"] = [f"also-{name}"] if one.get("aliases") else []
        if drawn.layout == segments.SEGMENTED or (one["address"] is not None and one["address"] in taken):
            one["address"] = NUMBERS[name] if NUMBERS[name] not in taken else None
        if drawn.layout == segments.SEGMENTED:
            one["address"] = NUMBERS[name]
        one["ports"] = [port for port in one["ports"] if port["host_port"] not in taken]
        if not one["ports"]:
            one["segments"] = [each for each in one["segments"] if each != "ports"]
        taken |= {one["address"], *(port["host_port"] for port in one["ports"])} - {None}
        for key in ("secrets", "live_secrets"):
            if one.get(key):
                one[key] = {"/run/drawn": {"token": {"secret": f"{name.partition('-')[0]}_token"}}}
    for name in names:
        one = drawn.containers[name]
        earlier = [each for each in names if each < name]
        for key, able in (("after", earlier), ("hosts", [each for each in earlier if fits(drawn, name, each)])):
            one[key] = [chance.choice(able)] if one.get(key) and able else []
    return drawn


def fits(drawn: Drawn, name: str, other: str) -> bool:
    """Tell whether a container can know the address of another."""
    one, target = drawn.containers[name], drawn.containers[other]
    shared = {*one["segments"]} & {*target["segments"]} - {"ports"}
    return target["address"] is not None and (drawn.layout == segments.SINGLE or bool(shared))
