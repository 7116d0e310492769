"""What hosts are refused as a cluster for, by host and before anything changes, as a table."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Cluster, services
from ansible_collections.sse.platform.plugins.module_utils.preflight import cluster_preflight
from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import Shown, Wanted, problems

GIB = 2**30
SETTINGS: Any = {
    "deployment": "swarm",
    "backup_schedule": "",
    "stack_name": "sse",
    "stack_state_directory": "/state",
    "docker_package_source": "distribution",
    "docker_restart_allowed": False,
    "docker_start_at_boot": "none",
    "docker_userland_proxy": False,
    "network_layout": "single",
    "network_recreate_allowed": False,
    "exposure_allow_from": [],
    "http_port": 80,
}
ENGINE: dict[str, Any] = {
    "version": "26.1.5+dfsg1",
    "api_version": "1.45",
    "live_restore": False,
    "userland_proxy": False,
    "root_dir": "/var/lib/docker",
    "managed": False,
}


def host(address: str, **changes: Any) -> Any:
    engine = {**ENGINE, **changes.pop("engine", {})} if changes.get("engine", {}) is not None else changes.pop("engine")
    return {
        "is_root": True,
        "distribution": {"id": "debian", "version": "13", "codename": "trixie"},
        "architecture": "amd64",
        "service_manager": "systemd",
        "start_at_boot": {"present": [], "usable": [], "conflicts": {}},
        "memory_bytes": 8 * GIB,
        "daemon_json": {},
        "engine": engine,
        "engine_error": "",
        "dockerd": "",
        "dockerd_pid": None,
        "networks": [],
        "interfaces": [
            {"name": "lo", "addresses": ["127.0.0.1/8"]},
            {"name": "eth0", "addresses": ["fd00::1/64", f"{address}/24"]},
        ],
        "routes": [
            {"destination": "0.0.0.0/0", "device": "eth0", "protocol": 3},
            {"destination": "192.0.2.0/24", "device": "eth0", "protocol": 2},
        ],
        "listeners": [],
        "containers": [],
        "images": {"i": "sha256:1"},
        "disk_free_bytes": {},
        **changes,
    }


INACTIVE: dict[str, Any] = {
    "state": "inactive",
    "error": "",
    "id": "",
    "node": "",
    "address": "",
    "manager": False,
    "managers": [],
    "nodes": [],
}
ADDRESSES = {"a": "192.0.2.1", "b": "192.0.2.2", "c": "192.0.2.3"}
GROUPS: Any = {"managers": ["a"], "edge": ["a"], "app": ["a", "b", "c"], "data": ["b"]}


def shown(**changes: dict[str, Any]) -> dict[str, Shown]:
    """Three good hosts, with some changes of what they show."""
    found: dict[str, Shown] = {}
    for name, address in ADDRESSES.items():
        one = {"host": {}, "swarm": {}, **changes.get(name, {})}
        facts = host(address, **one.pop("host"))
        swarm: Any = None if one["swarm"] is None else {**INACTIVE, **one["swarm"]}
        del one["swarm"]
        found[name] = Shown(**{"host": facts, "swarm": swarm, "address": address, "unmet": [], "held": [], **one})
    return found


def container(short: str, **changes: Any) -> dict[str, Any]:
    declared = {"image": "i", "entrypoint": ["run"], "user": "7:8", "healthcheck": {"command": ["true"]}, **changes}
    one: dict[str, Any] = {**spec.parse(declared, "x"), "container": short, "service": "s", "aliases": [short]}
    return {**one, "networks": {"sse-network": ""}, "hosts": {}}


def release(*containers: dict[str, Any]) -> Any:
    network = {"name": "sse-network", "subnet": "10.99.0.0/24", "segment": "network"}
    return {
        "stack": "sse",
        "project": "p",
        "layout": "single",
        "networks": {"sse-network": network},
        "containers": {f"sse-{one['container']}": one for one in containers},
    }


EDGE = container("e", ports=[{"host_ip": "0.0.0.0", "host_port": 80, "container_port": 80}], memory="1g")
KEEPER = container("k", data={"/d": "d"}, memory="1g")
REPLICAS = [container(f"r-{number}", rolling=True, memory="1g") for number in range(1, 7)]


def wanted(groups: Any = GROUPS, **settings: Any) -> Wanted:
    made = release(EDGE, KEEPER, *REPLICAS)
    found = services(made, Cluster(groups, "/state"))
    every: Any = {**SETTINGS, **settings}
    return Wanted(every, groups, [made], found, {"sse-k": "b"})


def node(name: str, **changes: Any) -> dict[str, Any]:
    own = {"id": f"n-{name}", "name": name, "address": ADDRESSES.get(name, "192.0.2.9"), "labels": {}, "role": "worker"}
    return {**own, **changes}


TASK: dict[str, Any] = {
    "name": "sse-e.1",
    "state": "running",
    "ports": [{"host_ip": "0.0.0.0", "host_port": 80, "protocol": "tcp"}],
}
MANAGER = {"state": "active", "id": "swarm-1", "node": "n-a", "manager": True, "nodes": [node("a"), node("b")]}
HOLDS: dict[str, Any] = {"labels": {"sse.platform.holds.sse-k": "true"}}
HOLDER = node("x", state="down", **HOLDS)
WORKER = {"state": "active", "node": "n-b", "managers": ["192.0.2.1:2377"]}
OF_TASK = {"com.docker.swarm.task.id": "x"}
OVERLAY: dict[str, Any] = {
    "name": "sse-network",
    "driver": "overlay",
    "subnets": ["10.99.0.0/24"],
    "labels": {"sse.platform.swarm-stack": "sse"},
    "device": "",
}
LIVE: dict[str, Any] = {"engine": {"live_restore": True}}


def wanted_segments() -> Wanted:
    """A stack in segments."""
    found = wanted()
    [made] = found.releases
    app: Any = {"name": "sse-app", "subnet": "10.99.1.0/24", "segment": "app"}
    part: Any = {**made, "layout": "segmented", "networks": {**made["networks"], "sse-app": app}}
    return found._replace(releases=[part])


def unmet(port: int, protocol: str = "tcp", peer: str = "c") -> dict[str, Any]:
    return {"peer": peer, "protocol": protocol, "port": port, "why": "no answer"}


def test_three_good_hosts_are_a_cluster() -> None:
    assert problems(wanted(), shown()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {name: {"host": {"engine": None}, "swarm": None} for name in "abc"},
        {"a": {"swarm": MANAGER}, "b": {"swarm": WORKER}},
        {"a": {"swarm": {**MANAGER, "nodes": [node("a"), node("b", **HOLDS), HOLDER, node("y")]}}},
        {"a": {"unmet": [unmet(7946, "udp")]}, "c": {"held": ["7946/udp"]}},
        {"a": {"ahead": 4.0}},
        {"a": {"ahead": 6.0, "doubt": 1.5}},
        {"a": {"host": {"engine": {"live_restore": True, "managed": True}}}},
        {"a": {"host": {"networks": [OVERLAY]}}},
        {"a": {"host": {"containers": [{**TASK, "labels": {"sse.platform.swarm-stack": "sse"}}]}}},
        {"b": {"host": {"containers": [{**TASK, "name": "x", "labels": {"sse.platform.stack": "other"}}]}}},
    ],
    ids=[
        *(
            "bare hosts",
            "a Swarm that exists",
            "data that a host has",
            "an engine that has the port",
            "clocks",
            "unsure clocks",
            "own engine",
        ),
        *("the own overlay", "an own task that has the port", "another stack"),
    ],
)
def test_what_is_well_is_not_refused(changes: dict[str, Any]) -> None:
    assert problems(wanted(), shown(**changes)) == []


BOTH = {"a": {"swarm": MANAGER}, "c": {"swarm": {**MANAGER, "id": "swarm-2", "nodes": [node("c")]}}}
LISTENER = {"protocol": "tcp", "address": "0.0.0.0", "port": 80, "process": "x (pid 7)"}

BOOKWORM = {"id": "debian", "version": "12", "codename": "bookworm"}
OVERLAP = {"host": {"routes": [{"destination": "10.99.0.0/16", "device": "tun0", "protocol": 3}]}}

REFUSED: dict[str, tuple[Wanted, dict[str, Shown], str]] = {
    "two managers": (
        wanted({**GROUPS, "managers": ["a", "b"]}),
        shown(),
        "The group managers has 2 hosts (a, b): more than half of them must agree, so the Swarm survives the loss of 0",
    ),
    "one host's deployment": (
        wanted(deployment="host"),
        shown(),
        "deployment is host, and the inventory has managers, so its hosts are one cluster: expected deployment swarm",
    ),
    "a timer that one host would have": (
        wanted(backup_schedule="hourly"),
        shown(),
        "backup_schedule is 'hourly', and no host of a cluster makes backups by itself: expected ''",
    ),
    "eight managers": (wanted({**GROUPS, "managers": list("abcdefgh")}), shown(), "The group managers has 8 hosts"),
    "a group without a host": (wanted({**GROUPS, "data": []}), shown(), "The group data of the inventory has no host"),
    "a host in no group": (
        wanted({**GROUPS, "app": ["a", "b"]}),
        shown(),
        "c is in none of the groups managers, edge, app, data",
    ),
    "a host left out": (
        wanted({**GROUPS, "app": ["a", "b", "c", "d"]}),
        shown(),
        "d is in the group app, and this run leaves it out",
    ),
    "two Swarms": (wanted(), shown(**BOTH), "a and c are managers of different Swarms"),
    "somebody else's Swarm": (
        wanted(),
        shown(a={"swarm": MANAGER}, c={"swarm": {**WORKER, "node": "n-x", "managers": ["198.51.100.1:2377"]}}),
        "c is in a Swarm of 198.51.100.1:2377, not in that of a",
    ),
    "a Swarm whose managers are elsewhere": (
        wanted(),
        shown(b={"swarm": WORKER}),
        "b is in a Swarm of 192.0.2.1:2377, and none of them is a host of this inventory",
    ),
    "a manager that is not one": (
        wanted({**GROUPS, "managers": ["b"]}),
        shown(a={"swarm": MANAGER}),
        "a is a manager of a Swarm, and not in the group managers",
    ),
    "a broken Swarm": (
        wanted(),
        shown(b={"swarm": {**WORKER, "state": "error", "error": "bad key"}}),
        "The Swarm of b is in state error (bad key)",
    ),
    "a locked Swarm": (wanted(), shown(b={"swarm": {**WORKER, "state": "locked"}}), "The Swarm of b is locked"),
    "a closed port": (
        wanted(),
        shown(a={"unmet": [unmet(4789, "udp")]}),
        "a does not reach port 4789/udp of c (192.0.2.3): no answer.",
    ),
    "a closed port, although another one is held": (
        wanted(),
        shown(a={"unmet": [unmet(4789, "udp")]}, c={"held": ["7946/udp"]}),
        "a does not reach port 4789/udp of c",
    ),
    "mixed engines": (
        wanted(),
        shown(b={"host": {"engine": {"version": "28.0.1", "api_version": "1.48"}}}),
        "The engines have different major versions: a (26.1.5+dfsg1), c (26.1.5+dfsg1); b (28.0.1).",
    ),
    "an old engine": (
        wanted(),
        shown(b={"host": {"engine": {"version": "20.10.24", "api_version": "1.41"}}}),
        "The engine of b is 20.10.24: for a Swarm it drops no-new-privileges without an error",
    ),
    "an old engine to come": (
        wanted(),
        shown(b={"host": {"engine": None, "distribution": BOOKWORM}}),
        "b would get Engine 20.10 from its distribution",
    ),
    "a stack of one host": (
        wanted(),
        shown(b={"host": {"containers": [{**TASK, "name": "sse-k", "labels": {"sse.platform.stack": "sse"}}]}}),
        "b runs the stack sse as containers of one host (sse-k): remove them with ./sse destroy there",
    ),
    "live-restore": (wanted(), shown(c={"host": LIVE}), "The engine of c has live-restore on"),
    "clocks": (
        wanted(),
        shown(a={"ahead": -40.0, "doubt": 1.0}, c={"ahead": 20.0}),
        "The clock of c is 60 s ahead of that of a",
    ),
    "a subnet": (
        wanted(),
        shown(b=OVERLAP),
        "network_subnet is '10.99.0.0/24': on b it overlaps the route 10.99.0.0/16 through tun0; 10.98.0.0/24 is free",
    ),
    "a network of one host with the overlay's name": (
        wanted(),
        shown(b={"host": {"networks": [{**OVERLAY, "driver": "bridge"}]}}),
        "The network sse-network of b is of driver bridge and not the overlay of stack sse",
    ),
    "an overlay of another stack": (
        wanted(),
        shown(a={"host": {"networks": [{**OVERLAY, "labels": {}}]}}),
        "The network sse-network of a is of driver overlay and not the overlay of stack sse",
    ),
    "another subnet of an overlay": (
        wanted(),
        shown(a={"host": {"networks": [{**OVERLAY, "subnets": ["10.88.0.0/24"]}]}}),
        "The network sse-network has the subnet 10.88.0.0/24 on a, and would get 10.99.0.0/24. A Swarm changes no",
    ),
    "an overlay that is encrypted": (
        wanted(),
        shown(a={"host": {"networks": [{**OVERLAY, "encrypted": True}]}}),
        "The network sse-network is encrypted on a, and network_encrypted is false. A Swarm changes no network",
    ),
    "a kernel that cannot encrypt": (
        wanted(),
        shown(c={"no_ipsec": "its kernel has no ESP"}),
        "network_encrypted is true, and c cannot encrypt an overlay: its kernel has no ESP. Expected a kernel that has",
    ),
    "a host that ESP does not come to": (
        wanted(),
        shown(b={"unmet": [{"peer": "c", "protocol": "esp", "port": 50, "why": "no answer"}]}),
        "b does not reach c (192.0.2.3) by ESP, IP protocol 50: no answer. With network_encrypted, what containers",
    ),
    "the subnet of a segment": (
        wanted_segments(),
        shown(b=OVERLAP),
        "network_segment_subnets.app is '10.99.1.0/24': on b it overlaps the route 10.99.0.0/16 through tun0",
    ),
    "managers that decide nothing": (
        wanted(),
        shown(a={"swarm": {**MANAGER, "nodes": [], "error": "The swarm does not have a leader"}}),
        "The managers of the Swarm decide nothing, as a says (The swarm does not have a leader)",
    ),
    "data on a node that is no host of the inventory": (
        wanted(),
        shown(a={"swarm": {**MANAGER, "nodes": [node("a"), node("b"), HOLDER]}}),
        "The data of sse-k are on x (its node is down), which is no host of this inventory, and sse-k would begin on b",
    ),
    "data on a node that had the address of a host": (
        wanted(),
        shown(a={"swarm": {**MANAGER, "nodes": [node("a"), {**HOLDER, "address": ADDRESSES["b"]}, node("b")]}}),
        "The data of sse-k are on x (its node is down)",
    ),
    "memory of the host with data": (
        wanted(),
        shown(b={"host": {"memory_bytes": GIB}}),
        "b: The host has 1024 MiB of memory: expected 1792 MiB",
    ),
    "memory of the edge": (
        wanted(),
        shown(a={"host": {"memory_bytes": GIB}}),
        "a: The host has 1024 MiB of memory: expected 1792 MiB",
    ),
    "a port of the edge": (
        wanted(),
        shown(a={"host": {"listeners": [LISTENER]}}),
        "a: Port 80 on 0.0.0.0, which sse-e publishes, is already bound by x (pid 7)",
    ),
    "an image": (
        wanted(),
        shown(c={"unavailable": {"i": "no registry answers"}}),
        "The image i of sse-r-1, sse-r-2, sse-r-3 and 3 more has no way to c: no registry answers.",
    ),
    "one address twice": (
        wanted(),
        shown(b={"host": {"interfaces": host("192.0.2.1")["interfaces"]}, "address": "192.0.2.1"}),
        "a and b both have the address 192.0.2.1",
    ),
    "an address of nobody": (
        wanted(),
        shown(b={"address": "198.51.100.7"}),
        "deployment_address of b is '198.51.100.7', and this host has no such address: expected one of 192.0.2.2",
    ),
    "loopback": (wanted(), shown(b={"address": "127.0.0.1"}), "The address of b is 127.0.0.1"),
    "no address": (wanted(), shown(b={"address": ""}), "b has no default route"),
    "no root": (wanted(), shown(b={"host": {"is_root": False}}), "b: Tasks don't run as root on the host"),
    "an old system": (
        wanted(),
        shown(b={"host": {"distribution": {"id": "debian", "version": "10", "codename": "buster"}}}),
        "b: The host runs debian 10, which is not supported",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_cluster_is_refused_by_host(what: str) -> None:
    asked, found, said = REFUSED[what]
    before = copy.deepcopy(found)
    told = problems(asked, found)
    assert [one for one in told if one.startswith(said)], told
    assert found == before


def test_the_others_are_judged_as_if_a_host_carried_nothing() -> None:
    few = shown(c={"host": {"memory_bytes": int(1.3 * GIB)}})  # two replicas of six
    assert problems(wanted(), few) == []
    [told] = cluster_preflight.problems_without("a", wanted(), few)
    assert told.startswith("c: The host has 1331 MiB of memory: expected ")
    assert cluster_preflight.problems_without("c", wanted(), few) == []


def test_only_the_hosts_that_may_run_a_container_are_judged_by_it() -> None:
    few = shown(c={"host": {"memory_bytes": int(1.3 * GIB)}})  # two replicas of six
    assert problems(wanted(), few) == []
    assert not [one for one in problems(wanted(), shown(c={"host": {"memory_bytes": GIB}})) if "sse-k" in one]


def test_an_unavailable_image_counts_only_where_its_service_may_run() -> None:
    asked = wanted()._replace(services=[one for one in wanted().services if one.name == "sse-k"])
    assert problems(asked, shown(c={"unavailable": {"i": "x"}})) == []
    assert problems(asked, shown(b={"unavailable": {"i": "x"}})) == ["The image i of sse-k has no way to b: x."]


@pytest.mark.parametrize(
    ("changes", "taken"),
    [
        ({"engine": None}, []),
        ({"engine": {"swarm": "inactive"}}, []),
        ({"engine": {"swarm": "active"}}, ["7946/udp"]),
        ({"engine": {"swarm": "active"}, "containers": [{**TASK, "labels": {}}]}, ["7946/udp"]),
        ({"engine": {"swarm": "active"}, "containers": [{**TASK, "labels": OF_TASK}]}, ["7946/udp", "4789/udp"]),
        (
            {"engine": {"swarm": "active"}, "containers": [{**TASK, "state": "exited", "labels": OF_TASK}]},
            ["7946/udp"],
        ),
    ],
)
def test_the_udp_ports_that_an_engine_has_are_known(changes: dict[str, Any], taken: list[str]) -> None:
    assert cluster_preflight.taken_ports(host("192.0.2.1", **changes)) == taken


def test_a_swarm_that_is_used_is_told_with_nodes_of_others() -> None:
    told = list(cluster_preflight.notices(shown(a={"swarm": {**MANAGER, "nodes": [node("a"), node("x")]}})))
    assert told == [
        "The Swarm that a is a manager of is used as it is: 2 nodes.",
        (
            "It has nodes of others, which get nothing of this stack: x. So its ports are left as they are: let nobody "
            "but its nodes reach 2377, 7946 and 4789."
        ),
    ]


@pytest.mark.parametrize(
    ("given", "routes", "address"),
    [
        ("", True, "192.0.2.1"),
        ("198.51.100.1", True, "198.51.100.1"),
        ("", False, ""),
    ],
)
def test_the_address_is_that_of_the_default_route(given: str, routes: bool, address: str) -> None:
    facts = host("192.0.2.1", **({} if routes else {"routes": []}))
    assert cluster_preflight.address_of(facts, given) == address


def test_an_overlay_may_be_made_anew_where_that_is_allowed() -> None:
    allowed: Any = {**SETTINGS, "network_recreate_allowed": True}
    for changes in ({"subnets": ["10.88.0.0/24"]}, {"encrypted": True}):
        found = shown(a={"host": {"networks": [{**OVERLAY, **changes}]}})
        assert problems(wanted()._replace(settings=allowed), found) == []
        assert problems(wanted(), found)
