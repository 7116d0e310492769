"""A healthy host as facts, and what is changed in it to make it sick."""

from __future__ import annotations

import copy
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.doctor.diagnosis import diagnose
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import (
    Clock,
    Disk,
    Facts,
    FirewallState,
    ListedEndpoint,
    TriedConnection,
    TriedPort,
)
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.host.served_certificate import ServedCertificate
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, report
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication

Changes = dict[str, Any]  # parts of the facts that differ from those of the healthy host

GIB = 2**30

OURS = {"sse.platform.stack": "sse"}

RULES = """\
*filter
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -i br-sse -j ACCEPT
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 10.99.0.0/24 ! -o br-sse -j MASQUERADE
-A DOCKER -d 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.99.0.10:80
COMMIT
"""


EMPTY = "*filter\n:FORWARD ACCEPT [0:0]\n*nat\n:PREROUTING ACCEPT [0:0]\n"


def container(name: str, address: str, listening: tuple[Any, ...] = (), **changes: Any) -> Changes:
    endpoint = {"id": "n1", "address": address, "wanted_address": address, "aliases": [name.removeprefix("sse-")]}
    return {
        "name": name,
        "id": f"id-{name}",
        "labels": OURS,
        "status": "running",
        "running": True,
        "stays_down": False,
        "pid": 7,
        "program": name,
        "exit_code": 0,
        "error": "",
        "health": "healthy",
        "health_log": "",
        "mode": "sse-network",
        "networks": {"sse-network": endpoint},
        "wanted": [],
        "published": [],
        "host_ports": [],
        "inside": {
            "listening": list(listening),
            "hosts": {},
            "dns": "",
            "interfaces": [{"name": "eth0", "addresses": [f"{address}/24"]}],
            "mtu": {"eth0": 1500},
            "rules": None,
        },
        **changes,
    }


def network(name: str, subnet: str, **changes: Any) -> Changes:
    return {
        "name": name,
        "id": "n1",
        "driver": "bridge",
        "scope": "local",
        "subnets": [subnet],
        "gateway": subnet.replace("0/24", "1"),
        "ip_range": "",
        "labels": OURS,
        "device": "br-sse",
        "containers": [],
        "internal": False,
        "mtu": 0,
        "icc": True,
        "masquerade": True,
        "endpoints": {},
        **changes,
    }


NGINX = container("sse-nginx", "10.99.0.10", (("0.0.0.0", 80),), published=[Publication("127.0.0.1", 8080, 80)])

APP = container("sse-app-1", "10.99.0.21", (("0.0.0.0", 8000),))

KAFKA = container("sse-kafka", "10.99.0.12", (("0.0.0.0", 9092), ("127.0.0.1", 9093)))

SPEC: Changes = {"reaches_host": [], "networks": {}, "aliases": ["kafka", "broker"]}
CONNECTION = TriedConnection("sse-app-1", "sse-kafka", "kafka", 9092, ["10.99.0.12"], "", "")
CERTIFICATE = ServedCertificate("sse-nginx", 443, 0.0, 4e9, "")
PORT = TriedPort("sse-nginx", Publication("127.0.0.1", 8080, 80), "")
DISK = Disk("/", 20 * GIB, 9 * GIB, 1000, 900)
FIREWALL = FirewallState("SSE-sse", in_place=True, script="/var/lib/sse-platform/firewall/restore")
ENDPOINTS = {
    one["id"]: ListedEndpoint(one["name"], one["networks"]["sse-network"]["address"]) for one in (NGINX, APP, KAFKA)
}
NETWORK = network("sse-network", "10.99.0.0/24", endpoints=ENDPOINTS)

BRIDGE = network("bridge", "172.17.0.0/24", id="n0", device="docker0", labels={})

HEALTHY: Changes = {
    "stack": "sse",
    "network": {
        "name": "sse-network",
        "subnet": "10.99.0.0/24",
        "gateway": "10.99.0.1",
        "ip_range": "10.99.0.128/25",
        "overlap_allowed": False,
    },
    "bind": "127.0.0.1",
    "public_ports": [8080],
    "host": {
        "service_manager": "systemd",
        "start_at_boot": {"present": [], "usable": ["cron"], "conflicts": {}},
        "dockerd": "/usr/sbin/dockerd",
        "dockerd_pid": 1,
        "daemon_json": {"live-restore": True, "userland-proxy": False, "log-opts": {"max-size": "10m"}},
        "engine": {
            "live_restore": True,
            "userland_proxy": False,
            "swarm": "inactive",
            "swarm_error": "",
            "managed": True,
        },
        "engine_error": "",
        "networks": [NETWORK, BRIDGE],
        "interfaces": [
            {"name": "br-sse", "addresses": ["10.99.0.1/24"]},
            {"name": "eth0", "addresses": ["192.0.2.2/24"]},
        ],
        "routes": [{"destination": "0.0.0.0/0", "device": "eth0"}, {"destination": "10.99.0.0/24", "device": "br-sse"}],
        "uplink_mtu": 1500,
        "listeners": [],
        "containers": [],
    },
    "now": 1000.0,
    "controller": 998.0,
    "kernel": "6.1.0",
    "ip_forward": "1",
    "bridge_nf_call_iptables": "1",
    "disks": [DISK],
    "mtu": {"eth0": 1500, "br-sse": 1500, "docker0": 1500},
    "rules": RULES,
    "info": {"LiveRestoreEnabled": True},
    "engine_started": 500.0,
    "daemon_json_changed": 400.0,
    "releases": [{"containers": {"sse-kafka": SPEC}, "networks": {}}],
    "releases_error": "",
    "damaged_release": "",
    "unplugged": {},
    "host_side": [],
    "firewall": FIREWALL,
    "networks": [NETWORK, BRIDGE],
    "containers": [NGINX, APP, KAFKA],
    "connections": [CONNECTION],
    "ports": [PORT],
    "clocks": [Clock("sse-app-1", 8000, 0.4)],
    "refused_upstreams": [],
    "certificates": [CERTIFICATE],
    "told": [],
}

WHOLE = {"labels", "endpoints", "networks", "daemon_json", "hosts"}


def merged(base: Any, changes: Any) -> Any:
    """A copy of nested dictionaries with some values exchanged; what has keys of others' making is taken whole."""
    if isinstance(base, dict) and isinstance(changes, dict):
        return {**base, **{key: merged(None if key in WHOLE else base.get(key), one) for key, one in changes.items()}}
    return copy.deepcopy(changes)


def facts(changes: Changes) -> Facts:
    """The facts about a host that differs from the healthy one: consistent, with labels and firewall rules read."""
    given = copy.deepcopy(merged(HEALTHY, changes))
    given["host"]["networks"] = given["networks"]
    given["rules"] = iptables_rules.parse(given["rules"]) if given["rules"] else None
    devices = {one["device"] for one in given["networks"]}
    moved_away = {one["id"] for one in given["containers"] if "sse-network" not in one["networks"]}
    for network in given["networks"]:
        if network["name"] == "sse-network":
            network["endpoints"] = {key: one for key, one in network["endpoints"].items() if key not in moved_away}
    for container in given["containers"]:
        rules = (container["inside"] or {}).get("rules")
        if rules:
            container["inside"]["rules"] = iptables_rules.parse(rules)
    for one in (*given["networks"], *given["containers"]):
        one["ours"] = one["labels"].get("sse.platform.stack") == "sse"
    for key, name in (("interfaces", "name"), ("routes", "device")):
        present = given["host"][key]
        given["host"][key] = [one for one in present if not one[name].startswith("br-") or one[name] in devices]
    return given


def findings(changes: Changes) -> list[Finding]:
    """What doctor finds on such a host; the rules change no fact."""
    given = facts(changes)
    before = copy.deepcopy(given)
    found = diagnose(given)
    assert given == before
    return found


def expect_finding(changes: Changes, rule: str, subject: str, said: str, mend: str) -> None:
    """Expect one finding, with these words and this command."""
    found = findings(changes)
    assert [(one.rule, one.subject) for one in found] == [(rule, subject)], found
    assert said in f"{found[0].wrong} {found[0].evidence}"
    assert mend in "\n".join(found[0].mend)
    assert "1 finding:" in report(found)


def short(value: object) -> str:
    """The id of a parameter: what is a single word."""
    return value if isinstance(value, str) and " " not in value else ""


def failed(stage: str, error: str, **changes: Any) -> TriedConnection:
    addresses = [] if stage == "resolve" else CONNECTION.addresses
    return CONNECTION._replace(**{"failed": stage, "error": error, "addresses": addresses, **changes})


def changed(one: Changes, **changes: Any) -> Changes:
    return merged(one, changes)


def with_kafka(**changes: Any) -> list[Changes]:
    return [NGINX, APP, changed(KAFKA, **changes)]


REFUSED = [failed("connect", "Connection refused")]

LOST = [failed("connect", "timed out")]

UNKNOWN = [failed("resolve", "no such name")]

ELSEWHERE = {"other": {"id": "n2", "address": "10.98.0.2", "wanted_address": "", "aliases": []}}

OTHER = network(
    "other",
    "10.98.0.0/24",
    id="n2",
    labels={},
    device="br-other",
    endpoints={KAFKA["id"]: ListedEndpoint("sse-kafka", "10.98.0.2")},
)

# Kafka is on the other network, and both are whole.
TWO: Changes = {
    "networks": [NETWORK, BRIDGE, OTHER],
    "mtu": {"br-other": 1500},
    "rules": RULES.replace(
        "COMMIT\n*nat", "-A FORWARD -i br-other -j ACCEPT\n*nat\n-A POSTROUTING -s 10.98.0.0/24 -j MASQUERADE"
    ),
}


def moved(one: Changes, networks: Changes) -> Changes:
    """A container on other networks, as its namespace shows too."""
    there = [{"name": "eth0", "addresses": [f"{each['address']}/24"]} for each in networks.values()]
    return {**one, "networks": networks, "inside": {**one["inside"], "interfaces": there}}


def forward(rule: str) -> str:
    return RULES.replace("-A FORWARD -i br-sse", f"-A DOCKER-USER {rule}\n-A FORWARD -i br-sse")
