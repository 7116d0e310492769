"""Each rule of doctor: silent on a healthy host, and on a sick one told apart from its neighbours."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor import asked_connection as ways
from ansible_collections.sse.platform.plugins.module_utils.doctor import mending
from ansible_collections.sse.platform.plugins.module_utils.doctor.diagnosis import diagnose, summary
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import facts as gathering
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.connections import explain
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, report

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
WHILE = 'while connecting to upstream, client: 192.0.2.1, request: "GET / HTTP/1.1", upstream: "'
OWN = "*filter\n:SSE-sse - [0:0]\n-A SSE-sse -j REJECT"
EMPTY = "*filter\n:FORWARD ACCEPT [0:0]\n*nat\n:PREROUTING ACCEPT [0:0]\n"


def container(name: str, address: str, listening: tuple[Any, ...] = (), **changes: Any) -> Json:
    endpoint = {"id": "n1", "address": address, "wanted_address": address, "aliases": [name.removeprefix("sse-")]}
    return {
        "name": name,
        "id": f"id-{name}",
        "labels": OURS,
        "status": "running",
        "running": True,
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
        "exposed": [],
        "host_ports": [],
        "inside": {
            "listening": list(listening),
            "hosts": {},
            "dns": "",
            "interfaces": [{"name": "eth0", "addresses": [f"{address}/24"]}],
            "mtu": {"eth0": 1500},
        },
        **changes,
    }


def network(name: str, subnet: str, **changes: Any) -> Json:
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


NGINX = container("sse-nginx", "10.99.0.10", (("0.0.0.0", 80),), published=[["127.0.0.1", 8080, 80]])
APP = container("sse-app-1", "10.99.0.21", (("0.0.0.0", 8000),))
KAFKA = container("sse-kafka", "10.99.0.12", (("0.0.0.0", 9092), ("127.0.0.1", 9093)))
WAY: Json = {
    "source": "sse-app-1",
    "target": "sse-kafka",
    "name": "kafka",
    "port": 9092,
    "addresses": ["10.99.0.12"],
    "failed": "",
    "error": "",
}
DOOR: Json = {"container": "sse-nginx", "address": "127.0.0.1", "port": 8080, "inside": 80, "got": ""}
ENDPOINTS = {
    one["id"]: {"name": one["name"], "address": address_of}
    for one, address_of in (
        (NGINX, "10.99.0.10"),
        (APP, "10.99.0.21"),
        (KAFKA, "10.99.0.12"),
    )
}
NETWORK = network("sse-network", "10.99.0.0/24", endpoints=ENDPOINTS)
BRIDGE = network("bridge", "172.17.0.0/24", id="n0", device="docker0", labels={})
HEALTHY: Json = {
    "stack": "sse",
    "wanted": {
        "name": "sse-network",
        "subnet": "10.99.0.0/24",
        "gateway": "10.99.0.1",
        "ip_range": "10.99.0.128/25",
        "bridge": "br-sse",
        "mtu": 1500,
    },
    "bind": "127.0.0.1",
    "host": {
        "service_manager": "systemd",
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
        "listeners": [],
        "containers": [],
    },
    "now": 1000.0,
    "controller": 998.0,
    "kernel": {"release": "6.1.0", "ip_forward": "1", "bridge_nf": "1"},
    "disks": [{"path": "/", "bytes": 20 * GIB, "bytes_free": 9 * GIB, "inodes": 1000, "inodes_free": 900}],
    "mtu": {"eth0": 1500, "br-sse": 1500, "docker0": 1500},
    "rules": RULES,
    "rules_error": "",
    "info": {"LiveRestoreEnabled": True},
    "engine_started": 500.0,
    "daemon_json_changed": 400.0,
    "releases": [{"containers": {"sse-kafka": {}}, "networks": {}}],
    "releases_error": "",
    "firewall": {"chain": "SSE-sse", "stands": True, "script": "/var/lib/sse-platform/firewall/restore"},
    "networks": [NETWORK, BRIDGE],
    "containers": [NGINX, APP, KAFKA],
    "edges": [WAY],
    "doors": [DOOR],
    "clocks": [{"container": "sse-app-1", "port": 8000, "ahead": 0.4}],
    "refused_upstreams": [],
}


WHOLE = {"labels", "endpoints", "networks", "daemon_json", "hosts"}


def merged(base: Any, changes: Any) -> Any:
    """A copy of nested dictionaries with some values exchanged; what has keys of others' making is taken whole."""
    if isinstance(base, dict) and isinstance(changes, dict):
        return {**base, **{key: merged(None if key in WHOLE else base.get(key), one) for key, one in changes.items()}}
    return copy.deepcopy(changes)


def told(changes: Json) -> list[Finding]:
    given = copy.deepcopy(merged(HEALTHY, changes))
    given["host"]["networks"] = given["networks"]
    devices = {one["device"] for one in given["networks"]}
    moved_away = {one["id"] for one in given["containers"] if "sse-network" not in one["networks"]}
    for network in given["networks"]:
        if network["name"] == "sse-network":
            network["endpoints"] = {key: one for key, one in network["endpoints"].items() if key not in moved_away}
    for key, name in (("interfaces", "name"), ("routes", "device")):
        seen = given["host"][key]
        given["host"][key] = [one for one in seen if not one[name].startswith("br-") or one[name] in devices]
    before = copy.deepcopy(given)
    found = diagnose(given)
    assert given == before
    return found


def failed(stage: str, error: str, **changes: Any) -> Json:
    return {
        **WAY,
        "failed": stage,
        "error": error,
        "addresses": [] if stage == "resolve" else WAY["addresses"],
        **changes,
    }


def changed(one: Json, **changes: Any) -> Json:
    return merged(one, changes)


def with_kafka(**changes: Any) -> list[Json]:
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
    endpoints={KAFKA["id"]: {"name": "sse-kafka", "address": "10.98.0.2"}},
)
# Kafka is on the other network, and both are whole.
TWO: Json = {
    "networks": [NETWORK, BRIDGE, OTHER],
    "mtu": {"br-other": 1500},
    "rules": RULES.replace(
        "COMMIT\n*nat", "-A FORWARD -i br-other -j ACCEPT\n*nat\n-A POSTROUTING -s 10.98.0.0/24 -j MASQUERADE"
    ),
}


def moved(one: Json, networks: Json) -> Json:
    """A container on other networks, as its namespace shows too."""
    there = [{"name": "eth0", "addresses": [f"{each['address']}/24"]} for each in networks.values()]
    return {**one, "networks": networks, "inside": {**one["inside"], "interfaces": there}}


def forward(rule: str) -> str:
    return RULES.replace("-A FORWARD -i br-sse", f"-A DOCKER-USER {rule}\n-A FORWARD -i br-sse")


def test_a_healthy_host_has_no_finding_and_says_so_in_one_line() -> None:
    assert told({}) == []
    assert summary(HEALTHY) == "all is well: looked at 2 networks, 3 containers, 1 connections, 1 ports"


def test_a_host_without_an_engine_has_no_finding() -> None:
    bare = {"host": {"engine": None, "dockerd": "", "dockerd_pid": None, "daemon_json": {}}}
    bare |= {key: [] for key in ("networks", "containers", "edges", "doors", "clocks", "releases")} | {"rules": ""}
    assert told(bare) == []
    assert "no engine" in summary(merged(HEALTHY, bare))


@pytest.mark.parametrize(
    ("changes", "rule", "subject", "said", "mend"),
    [
        # the engine
        (
            {"host": {"engine": None, "engine_error": "refused"}},
            "engine-silent",
            "engine",
            "does not answer",
            "systemctl restart docker",
        ),
        (
            {"host": {"engine": None, "dockerd_pid": None}},
            "engine-silent",
            "engine",
            "does not run",
            "systemctl start docker",
        ),
        ({"host": {"daemon_json": None}}, "daemon-json", "/etc/docker/daemon.json", "no JSON object", "json.tool"),
        (
            {"info": {"LiveRestoreEnabled": False}},
            "daemon-json-not-loaded",
            "/etc/docker/daemon.json",
            "live-restore",
            "restart docker",
        ),
        (
            {"host": {"engine": {"userland_proxy": True}}},
            "daemon-json-not-loaded",
            "/etc/docker/daemon.json",
            "userland-proxy",
            "restart",
        ),
        (
            {"daemon_json_changed": 600.0},
            "daemon-json-not-loaded",
            "/etc/docker/daemon.json",
            "100 s younger",
            "restart",
        ),
        (
            {
                "host": {"daemon_json": {"default-address-pools": [{"base": "10.1.0.0/16", "size": 24}]}},
                "info": {"DefaultAddressPools": None},
            },
            "daemon-json-not-loaded",
            "/etc/docker/daemon.json",
            "10.1.0.0/16",
            "restart",
        ),
        (
            {"host": {"engine": {"swarm": "error", "swarm_error": "bad key"}}},
            "swarm",
            "engine",
            "bad key",
            "swarm leave --force",
        ),
        ({"host": {"engine": {"swarm": "pending"}}}, "swarm", "engine", "invalid cluster node", "2377/tcp"),
        ({"host": {"engine": {"swarm": "locked"}}}, "swarm", "engine", "locked", "docker swarm unlock"),
        ({"controller": 900.0}, "clock-skew", "host", "100 s ahead of", "set-ntp"),
        ({"controller": 1100.0}, "clock-skew", "host", "100 s behind", "set-ntp"),
        (
            {"clocks": [{"container": "sse-app-1", "port": 8000, "ahead": -9.0}]},
            "clock-skew",
            "sse-app-1",
            "9 s behind",
            "FAKETIME",
        ),
        # the kernel
        (
            {"kernel": {"ip_forward": "0"}},
            "ip-forward",
            "kernel",
            "net.ipv4.ip_forward = 0",
            "sysctl -w net.ipv4.ip_forward=1",
        ),
        ({"kernel": {"bridge_nf": "0"}}, "bridge-nf", "kernel", "userland-proxy is off", "bridge-nf-call-iptables=1"),
        ({"kernel": {"bridge_nf": ""}}, "bridge-nf", "kernel", "br_netfilter is not loaded", "modprobe br_netfilter"),
        (
            {"disks": [{**HEALTHY["disks"][0], "bytes_free": GIB // 2}]},
            "disk-full",
            "/",
            "512 MiB of 20480 MiB",
            "docker system df",
        ),
        ({"disks": [{**HEALTHY["disks"][0], "inodes_free": 9}]}, "inodes-full", "/", "9 of 1000 inodes", "--inodes"),
        # networks
        (
            {"networks": [changed(NETWORK, labels={"a": "b"}), BRIDGE]},
            "network-foreign",
            "sse-network",
            "a=b",
            "network_name",
        ),
        (
            {"networks": [BRIDGE], "edges": [], "doors": []},
            "network-missing",
            "sse-network",
            "sse-nginx, sse-app-1, sse-kafka",
            "--subnet=10.99.0.0/24",
        ),
        (
            {"host": {"interfaces": [{"name": "wg0", "addresses": ["10.99.0.9/24"]}]}},
            "subnet-conflict",
            "sse-network",
            "interface wg0",
            "network_recreate_allowed",
        ),
        (
            {"host": {"routes": [{"destination": "10.99.0.0/16", "device": "tun0"}]}},
            "subnet-conflict",
            "sse-network",
            "through tun0",
            "is free",
        ),
        (
            {"info": {"DefaultAddressPools": [{"Base": "10.99.0.0/24", "Size": 24}]}},
            "address-pools",
            "engine",
            "all 1 subnets",
            "--subnet=10.98.0.0/24",
        ),
        ({"mtu": {"eth0": 1400}}, "mtu", "sse-network", "eth0 carries 1400", "./sse destroy && ./sse up"),
        (
            {"containers": with_kafka(inside={"mtu": {"eth0": 1200}})},
            "mtu",
            "sse-kafka",
            "has 1200",
            "docker restart sse-kafka",
        ),
        (
            {"networks": [changed(NETWORK, endpoints={"ep-1": {"name": "old", "address": "10.99.0.9"}}), BRIDGE]},
            "stale-endpoint",
            "sse-network",
            "belongs to no container",
            "disconnect --force sse-network old",
        ),
        (
            {**TWO, "networks": [NETWORK, BRIDGE, OTHER]},
            "stale-endpoint",
            "other",
            "sse-kafka (10.98.0.2) belongs to sse-kafka, which knows nothing of it",
            "disconnect --force other sse-kafka",
        ),
        (
            {"containers": with_kafka(inside={"interfaces": [{"name": "lo", "addresses": ["127.0.0.1/8"]}]})},
            "stale-endpoint",
            "sse-kafka",
            "it has 127.0.0.1",
            "connect --ip=10.99.0.12 --alias=kafka",
        ),
        (
            {"networks": [changed(NETWORK, device="br-gone"), BRIDGE], "rules": RULES.replace("br-sse", "br-gone")},
            "stale-endpoint",
            "sse-network",
            "no interface br-gone",
            "docker restart sse-kafka",
        ),
        (
            {
                "networks": [NETWORK, BRIDGE, changed(OTHER, labels={}, endpoints={}, containers=["old"])],
                "mtu": {"br-other": 1500},
            },
            "unused-network",
            "other",
            "still need it: old",
            "docker rm old",
        ),
        (
            {"rules": RULES.replace("-A POSTROUTING", "-A NOTHING")},
            "rules-flushed",
            "sse-network",
            "no MASQUERADE of 10.99.0.0/24",
            "restart docker",
        ),
        (
            {"rules": RULES.replace("-A DOCKER -d", "-A NOTHING -d")},
            "rules-flushed",
            "sse-network",
            "no DNAT of 127.0.0.1:8080",
            "restart docker",
        ),
        (
            {"rules": RULES.replace("-A FORWARD -i", "-A NOTHING -i")},
            "rules-flushed",
            "sse-network",
            "no ACCEPT",
            "restart docker",
        ),
        ({"firewall": {"stands": False}}, "firewall-open", "SSE-sse", "not asked", "sh /var/lib/sse-platform/firewall"),
        ({"firewall": {"stands": False, "script": ""}}, "firewall-open", "SSE-sse", "not asked", "./sse up"),
        (
            {
                "edges": REFUSED,
                "rules": forward("-j SSE-sse").replace(
                    ":DOCKER-USER", ":SSE-sse - [0:0]\n-A SSE-sse -j REJECT\n:DOCKER-USER"
                ),
            },
            "firewall",
            "sse-app-1",
            "filter SSE-sse: -j REJECT",
            "add it to the `reaches` of its source",
        ),
        ({"rules": EMPTY}, "rules-flushed", "iptables", "no chain nat DOCKER", "restart docker"),
        (
            {"rules": f"#iptables\n{EMPTY}#iptables-nft\n{RULES}"},
            "iptables-mix",
            "iptables",
            "shown by iptables-nft",
            "update-alternatives --set iptables /usr/sbin/iptables-nft",
        ),
        (
            {"rules": f"#iptables\n{RULES}#iptables-legacy\n{RULES.replace('br-sse', 'br-old')}"},
            "iptables-mix",
            "iptables",
            "shown by iptables and by iptables-legacy",
            "iptables-legacy -P FORWARD ACCEPT",
        ),
        (
            {"edges": LOST, "rules": f"#iptables\n{RULES}#iptables-legacy\n*filter\n:FORWARD DROP [0:0]\n"},
            "firewall",
            "sse-app-1",
            "policy of filter FORWARD of iptables-legacy",
            "iptables-legacy -t filter -P FORWARD ACCEPT",
        ),
        # names
        (
            {"edges": UNKNOWN, "containers": [NGINX, changed(APP, inside={"dns": "timed out"}), KAFKA]},
            "name-dns-silent",
            "sse-app-1",
            "timed out",
            "docker restart sse-app-1",
        ),
        (
            {"edges": UNKNOWN, "containers": [NGINX, moved(APP, {"bridge": ELSEWHERE["other"] | {"id": "n0"}}), KAFKA]},
            "name-default-bridge",
            "sse-app-1",
            "the default bridge",
            "docker network connect sse-network sse-app-1",
        ),
        (
            {"edges": UNKNOWN, "containers": [NGINX, APP, moved(KAFKA, ELSEWHERE)], **TWO},
            "name-not-attached",
            "sse-app-1",
            "sse-kafka on other",
            "connect --alias=kafka sse-network sse-kafka",
        ),
        (
            {
                "releases": [],
                "edges": UNKNOWN,
                "containers": with_kafka(running=False, status="exited", exit_code=1, inside=None),
            },
            "name-stopped",
            "sse-app-1",
            "exited (1)",
            "docker start sse-kafka",
        ),
        (
            {"edges": [failed("resolve", "no such name", name="bus")]},
            "name-alias",
            "sse-app-1",
            "is called kafka, sse-kafka",
            "--alias=bus",
        ),
        (
            {"edges": [failed("resolve", "no such name", name="kafak", target="")]},
            "name-typo",
            "sse-app-1",
            "did you mean kafka?",
            "write kafka",
        ),
        (
            {"edges": [failed("resolve", "no such name", name="elsewhere", target="")]},
            "name-unknown",
            "sse-app-1",
            "there are kafka",
            "docker ps",
        ),
        (
            {"containers": [NGINX, changed(APP, inside={"hosts": {"kafka": "10.99.0.99"}}), KAFKA]},
            "old-address",
            "sse-app-1",
            "kafka leads to 10.99.0.99, sse-kafka has 10.99.0.12",
            "./sse up",
        ),
        (
            {"edges": [{**WAY, "addresses": ["10.99.0.10"]}]},
            "name-stolen",
            "sse-app-1",
            "sse-nginx has 10.99.0.10",
            "alias kafka",
        ),
        (
            {"refused_upstreams": [{"container": "sse-nginx", "address": "10.99.0.99", "port": 8000, "error": "113"}]},
            "old-address",
            "sse-nginx",
            "10.99.0.99:8000",
            "nginx -s reload",
        ),
        # connections
        (
            {"edges": REFUSED, "containers": with_kafka(inside={"listening": [("127.0.0.1", 9092)]})},
            "listens-on-loopback",
            "sse-app-1",
            "sse-kafka listens on 127.0.0.1 only",
            "0.0.0.0:9092",
        ),
        (
            {"edges": REFUSED, "containers": with_kafka(inside={"listening": [("0.0.0.0", 1)]})},
            "not-listening",
            "sse-app-1",
            "it listens on 1",
            "docker logs",
        ),
        (
            {
                "edges": REFUSED,
                "containers": with_kafka(health="unhealthy", health_log="no broker", inside={"listening": []}),
            },
            "unhealthy",
            "sse-app-1",
            "no broker",
            "docker logs",
        ),
        (
            {"releases": [], "edges": LOST, "containers": with_kafka(running=False, status="paused", inside=None)},
            "stopped",
            "sse-app-1",
            "paused",
            "docker unpause",
        ),
        (
            {
                "edges": [failed("connect", "timed out", target="", addresses=["10.98.0.2"])],
                "containers": [NGINX, APP, moved(KAFKA, ELSEWHERE)],
                **TWO,
            },
            "not-same-network",
            "sse-app-1",
            "sse-kafka on other",
            "connect sse-network sse-kafka",
        ),
        (
            {"edges": LOST, "rules": forward("-s 10.99.0.21/32 -d 10.99.0.12/32 -j DROP")},
            "firewall",
            "sse-app-1",
            "filter DOCKER-USER",
            "iptables -t filter -D DOCKER-USER -s 10.99.0.21/32",
        ),
        (
            {"edges": LOST, "rules": forward("-s 10.99.0.12/32 -d 10.99.0.21/32 -j DROP")},
            "firewall",
            "sse-app-1",
            "-s 10.99.0.12/32",
            "iptables -t filter -D DOCKER-USER",
        ),
        (
            {
                "edges": REFUSED,
                "containers": with_kafka(inside={"rules": "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j REJECT\n"}),
            },
            "firewall",
            "sse-app-1",
            "inside sse-kafka",
            "nsenter -t 7 -n iptables -t filter -D INPUT -p tcp -j REJECT",
        ),
        (
            {"edges": LOST, "containers": with_kafka(health="unhealthy", health_log="stuck")},
            "unhealthy",
            "sse-app-1",
            "stuck",
            "docker logs",
        ),
        ({"edges": LOST}, "unexplained", "sse-app-1", "no rule is in the way", "docker logs"),
        ({"releases_error": "format 1"}, "releases", "releases", "format 1", "./sse up"),
        # ports
        (
            {
                "doors": [{**DOOR, "got": "refused"}],
                "containers": [changed(NGINX, inside={"listening": [("127.0.0.1", 80)]}), APP, KAFKA],
            },
            "listens-on-loopback",
            "sse-nginx",
            "127.0.0.1 only",
            "0.0.0.0:80",
        ),
        (
            {
                "doors": [{**DOOR, "got": "refused"}],
                "containers": [changed(NGINX, inside={"listening": []}), APP, KAFKA],
            },
            "not-listening",
            "sse-nginx",
            "does not listen on 80",
            "docker logs",
        ),
        (
            {
                "doors": [{**DOOR, "got": "timed out"}],
                "rules": RULES + "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p tcp -m tcp --dport 8080 -j DROP\n",
            },
            "firewall",
            "sse-nginx",
            "raw OUTPUT",
            "iptables -t raw -D OUTPUT",
        ),
        (
            {"doors": [{**DOOR, "got": "refused"}], "host": {"engine": {"userland_proxy": True}, "daemon_json": {}}},
            "docker-proxy",
            "sse-nginx",
            "no docker-proxy listens on 8080",
            "docker restart sse-nginx",
        ),
        ({"doors": [{**DOOR, "got": "refused"}]}, "unexplained", "sse-nginx", "no rule is in the way", "docker logs"),
        (
            {
                "containers": with_kafka(wanted=[["127.0.0.1", 9094, 9094]], labels={}),
                "networks": [changed(NETWORK, internal=True), BRIDGE],
            },
            "not-published",
            "sse-kafka",
            "internal networks only",
            "docker network connect bridge sse-kafka",
        ),
        (
            {"containers": with_kafka(wanted=[["127.0.0.1", 9094, 9094]])},
            "not-published",
            "sse-kafka",
            "publishes it nowhere",
            "./sse up",
        ),
        (
            {
                "containers": with_kafka(
                    running=False,
                    inside=None,
                    wanted=[["127.0.0.1", 8080, 1]],
                    error="Bind failed: port is already allocated",
                ),
                "edges": [],
            },
            "port-bound",
            "sse-kafka",
            "container sse-nginx",
            "docker stop sse-nginx",
        ),
        (
            {
                "containers": with_kafka(
                    running=False, inside=None, wanted=[["0.0.0.0", 22, 1]], error="bind: address already in use"
                ),
                "edges": [],
                "host": {"listeners": [{"protocol": "tcp", "address": "::", "port": 22, "process": "sshd (pid 9)"}]},
            },
            "port-bound",
            "sse-kafka",
            "sshd (pid 9)",
            "kill 9",
        ),
        (
            {
                "bind": "0.0.0.0",
                "containers": [changed(NGINX, labels={**OURS, "sse.platform.service": "nginx"}), APP, KAFKA],
            },
            "port-on-loopback",
            "sse-nginx",
            "ask for 0.0.0.0",
            "./sse up",
        ),
        (
            {
                "containers": with_kafka(
                    mode="host",
                    networks={"host": {**ELSEWHERE["other"], "id": "n0"}},
                    inside={"listening": [("127.0.0.1", 1)]},
                ),
                "edges": [],
            },
            "host-mode-on-loopback",
            "sse-kafka",
            "127.0.0.1:1",
            "172.17.0.1",
        ),
        (
            {
                "containers": with_kafka(host_ports=[8000], inside={"hosts": {"host.docker.internal": "172.17.0.1"}}),
                "host": {"listeners": [{"protocol": "tcp", "address": "127.0.0.1", "port": 8000, "process": ""}]},
            },
            "host-service",
            "sse-kafka",
            "listens on loopback only",
            "172.17.0.1:8000",
        ),
        (
            {"containers": with_kafka(host_ports=[8000], inside={"hosts": {"host.docker.internal": "172.17.0.1"}})},
            "host-service",
            "sse-kafka",
            "nothing listens on port 8000",
            "172.17.0.1:8000",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_sick_host_is_told_apart(changes: Json, rule: str, subject: str, said: str, mend: str) -> None:
    found = told(changes)
    assert [(one.rule, one.subject) for one in found] == [(rule, subject)], found
    assert said in f"{found[0].wrong} {found[0].evidence}"
    assert mend in "\n".join(found[0].mend)
    assert "1 finding:" in report(found)


@pytest.mark.parametrize(
    ("containers", "said", "mend"),
    [
        ([NGINX, APP], "it is not there", "./sse up"),
        (
            with_kafka(running=False, status="exited", exit_code=137, inside=None),
            "exited, exit code 137",
            "docker start sse-kafka",
        ),
        (with_kafka(running=False, status="paused", inside=None), "paused", "docker unpause sse-kafka"),
    ],
)
def test_a_declared_container_that_does_not_run_is_told(containers: list[Json], said: str, mend: str) -> None:
    (finding,) = told({"containers": containers, "edges": [], "networks": [changed(NETWORK, endpoints={}), BRIDGE]})
    assert (finding.rule, finding.subject) == ("not-running", "sse-kafka")
    assert said in f"{finding.wrong} {finding.evidence}"
    assert mend in finding.mend


def test_an_engine_that_loses_live_restore_stops_what_runs_and_its_start_is_told() -> None:
    (finding,) = told({"host": {"daemon_json": {"live-restore": False}}})
    assert finding.mend == ("systemctl restart docker", "docker start sse-nginx sse-app-1 sse-kafka")


def test_a_missing_network_is_made_as_the_stack_makes_it_and_its_containers_come_back() -> None:
    (finding,) = told({"networks": [BRIDGE], "edges": [], "doors": []})
    assert finding.fixable
    first, *rest = mending.commands([finding])
    assert first == (
        "docker network create --driver=bridge --subnet=10.99.0.0/24 --gateway=10.99.0.1 --ip-range=10.99.0.128/25 "
        "--opt=com.docker.network.bridge.name=br-sse --label=sse.platform.stack=sse sse-network"
    )
    assert rest[:3] == [
        "docker network disconnect --force sse-network sse-nginx",
        "docker network connect --ip=10.99.0.10 --alias=nginx sse-network sse-nginx",
        "docker start sse-nginx",
    ]


def test_a_missing_segment_is_made_as_the_release_says() -> None:
    data = {"subnet": "10.99.2.0/24", "gateway": "10.99.2.1", "ip_range": "10.99.2.128/25", "internal": True}
    release = {"containers": {}, "networks": {"sse-data": {**data, "device": "br-sse-data"}}}
    (finding,) = told({"releases": [release], "wanted": {"mtu": 1400}, "mtu": {"eth0": 1500}})
    assert (finding.subject, finding.fixable) == ("sse-data", True)
    assert " ".join(finding.mend) == (
        "docker network create --driver=bridge --subnet=10.99.2.0/24 --gateway=10.99.2.1 --ip-range=10.99.2.128/25 "
        "--internal --opt=com.docker.network.bridge.name=br-sse-data --opt=com.docker.network.driver.mtu=1400 "
        "--label=sse.platform.stack=sse sse-data"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"networks": [BRIDGE], "edges": [], "doors": [], "containers": with_kafka(labels={})},
        {"rules": EMPTY, "host": {"engine": {"managed": False}}},
        {"rules": EMPTY, "host": {"engine": {"live_restore": False}}, "info": {}},
        {"host": {"engine": {"swarm": "error"}}},
        {"networks": [NETWORK, BRIDGE, {**OTHER, "labels": {}, "endpoints": {}}]},
        {"containers": with_kafka(labels={}, inside={"interfaces": []})},
    ],
)
def test_what_is_not_ours_is_told_and_never_mended(changes: Json) -> None:
    found = told(changes)
    assert found
    assert mending.commands(found) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"daemon_json_changed": 600.0, "host": {"daemon_json": {"live-restore": True}}},  # loaded by SIGHUP
        {"kernel": {"bridge_nf": ""}, "host": {"engine": {"userland_proxy": True}, "daemon_json": {}}},
        {"rules": EMPTY, "info": {"FirewallBackend": {"Driver": "nftables"}}},
        {"rules": EMPTY, "host": {"daemon_json": {"iptables": False}}, "daemon_json_changed": 0.0},
        {"rules": ""},
        {"refused_upstreams": [{"container": "sse-nginx", "address": "10.99.0.21", "port": 8000, "error": "111"}]},
        {"refused_upstreams": [{"container": "sse-nginx", "address": "192.0.2.9", "port": 8000, "error": "111"}]},
        {"networks": [changed(NETWORK, internal=True), BRIDGE], "mtu": {"eth0": 1400}},
        {"host": {"routes": [{"destination": "0.0.0.0/1", "device": "tun0"}]}},
        {"releases": [], "containers": [], "edges": [], "doors": [], "networks": [BRIDGE]},
        {"disks": [{**HEALTHY["disks"][0], "inodes": 0, "inodes_free": 0}]},  # a file system that counts none
    ],
)
def test_what_only_looks_sick_is_no_finding(changes: Json) -> None:
    assert told(changes) == []


def test_on_wsl2_a_dead_port_tells_what_windows_needs() -> None:
    """By its words alone: no Windows is at hand."""
    (finding,) = told({"doors": [{**DOOR, "got": "refused"}], "kernel": {"release": "5.15.1-microsoft-standard-WSL2"}})
    text = "\n".join(finding.mend)
    assert "localhost:8080" in text
    assert "netsh interface portproxy add v4tov4 listenport=8080" in text
    assert "netsh advfirewall firewall add rule" in text


def test_a_way_from_the_host_is_judged_by_what_the_host_sends() -> None:
    way = failed("connect", "timed out", source="host")
    rules = RULES + "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 10.99.0.12/32 -j DROP\n"
    finding = explain(merged(HEALTHY, {"rules": rules}), way)
    assert finding
    assert (finding.rule, finding.subject) == ("firewall", "host")


@pytest.mark.parametrize(
    ("address", "port", "changes", "rule", "said"),
    [
        ("192.0.2.2", 8080, {}, "port-on-loopback", "sse-nginx publishes it on 127.0.0.1 only"),
        ("127.0.0.1", 9092, {}, "not-published", "sse-kafka listens on 9092 and does not publish it"),
        ("127.0.0.1", 4, {}, "not-published", "no container publishes it"),
        ("127.0.0.1", 8080, {"containers": [changed(NGINX, inside={"listening": []})]}, "not-listening", "on 80"),
    ],
)
def test_a_dead_port_of_the_host_is_told_apart(address: str, port: int, changes: Json, rule: str, said: str) -> None:
    asked: Json = {"source": "host", "target": "", "name": address, "addresses": [address], "port": port}
    way = failed("connect", "Connection refused", **asked)
    finding = ways.judge(merged(HEALTHY, changes), way)
    assert finding
    assert finding.rule == rule
    assert said in finding.wrong


def test_a_source_is_meant_by_any_of_its_names_and_only_where_it_runs() -> None:
    facts = merged(HEALTHY, {"containers": [changed(APP, labels={**OURS, "sse.platform.container": "app-1"}), NGINX]})
    assert ways.meant(facts, "app-1")["name"] == ways.meant(facts, "sse-app-1")["name"] == "sse-app-1"
    with pytest.raises(ways.WayError, match="there are sse-app-1, sse-nginx, and host"):
        ways.meant(facts, "app-9")
    facts["containers"][1]["running"] = False
    with pytest.raises(ways.WayError, match="does not run"):
        ways.meant(facts, "sse-nginx")


def test_segments_are_apart_by_design_and_never_joined_by_hand() -> None:
    facts = merged(HEALTHY, {"containers": [NGINX, APP, moved(KAFKA, ELSEWHERE)], **TWO})
    facts["networks"] = [NETWORK, BRIDGE, {**OTHER, "labels": OURS}]
    for way in (*UNKNOWN, failed("connect", "timed out", target="", addresses=["10.98.0.2"])):
        finding = explain(facts, way)
        assert finding
        assert "nothing declares this connection" in finding.mend[0]


def test_commands_run_once_and_advice_never() -> None:
    finding = Finding("a", "b", "c", "d", ("# think", "true", "true"), fixable=True)
    assert mending.commands([finding, finding]) == ["true"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f'connect() failed (113: No route to host) {WHILE}http://10.0.0.9:8000/x"',
            ("113: No route to host", "10.0.0.9", "8000"),
        ),
        (f'upstream timed out (110: timed out) {WHILE}http://10.0.0.9:80/"', ("110: timed out", "10.0.0.9", "80")),
        ('upstream timed out (110: timed out) while reading response, upstream: "http://10.0.0.9:80/"', None),
        (f'connect() failed (111: refused) {WHILE}http://unix:/run/a.sock:/"', None),
    ],
)
def test_an_upstream_that_was_not_reached_is_read_from_nginxs_log(line: str, expected: Any) -> None:
    match = gathering.UPSTREAM.search(line)
    assert (match.groups() if match else None) == expected


def test_what_a_container_pins_and_asks_is_read() -> None:
    assert gathering.hosts_of("127.0.0.1 localhost\n::1 six\n10.0.0.9\tdb database # ours\n") == {
        "localhost": "127.0.0.1",
        "db": "10.0.0.9",
        "database": "10.0.0.9",
    }
    assert gathering.nameserver("search lan\nnameserver 127.0.0.11\nnameserver 1.1.1.1\n") == "127.0.0.11"
    assert gathering.seconds_of("1970-01-01T00:01:00.500000Z") == 60.5


def test_every_rule_has_a_fault_that_is_injected_for_real() -> None:
    """On this machine's engine (integration) or on a whole host (Molecule); only what Windows needs has words alone."""
    root = Path(gathering.__file__).resolve().parents[4]
    sources = {path.stem: path.read_text() for path in Path(gathering.__file__).parents[1].rglob("*.py")}
    rules = {rule for text in sources.values() for rule in re.findall(r'Finding\(\s*"([a-z-]+)"', text)}
    for name in ("connections", "ports", "names"):
        prefix = "name-" if name == "names" else ""
        rules |= {prefix + rule for rule in re.findall(r'\bfound\(\s*"([a-z-]+)"', sources[name])}
    rules |= set(re.findall(r'return "([a-z-]+)", f"', sources["connections"]))
    stages = (root / "molecule" / "doctor" / "vars" / "stages.yml").read_text()
    tested = {
        rule for listed in re.findall(r"^    rules: \[(.*)\]$", stages, re.MULTILINE) for rule in listed.split(", ")
    }
    told = (root / "tests" / "integration" / "test_doctor.py").read_text()
    tested |= set(re.findall(r'["[]([a-z-]+)["\]]', told))
    assert len(rules) > 40
    assert rules - tested == set()
