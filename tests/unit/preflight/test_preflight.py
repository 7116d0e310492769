"""What keeps a release from running on a host, and which guarantees a host does not give."""

from __future__ import annotations

import copy
from typing import Any, cast

import pytest
import strange_hosts
from ansible_collections.sse.platform.plugins.action import prepare
from ansible_collections.sse.platform.plugins.module_utils.host import engine_traits
from ansible_collections.sse.platform.plugins.module_utils.model import segments
from ansible_collections.sse.platform.plugins.module_utils.preflight import network_preflight, network_steps, preflight
from ansible_collections.sse.platform.plugins.module_utils.preflight.notices import notices

GIB = 2**30
SETTINGS: Any = {
    "stack_name": "sse",
    "stack_offset": 0,
    "stack_state_directory": "/var/lib/sse-platform",
    "network_name": "sse-network",
    "network_subnet": "10.99.0.0/24",
    "network_gateway": "10.99.0.1",
    "network_ip_range": "10.99.0.128/25",
    "network_recreate_allowed": False,
    "network_overlap_allowed": False,
    "network_layout": "single",
    "network_ipv6": False,
    "exposure_allow_from": [],
    "docker_userland_proxy": False,
    "docker_package_source": "distribution",
    "docker_start_at_boot": "none",
    "docker_restart_allowed": False,
    "redis_port": 6379,
    "kafka_remote_servers": [],
    "redis_remote_server": "",
}
RELEASE: dict[str, Any] = {
    "containers": {
        "sse-redis": {
            "ports": [{"host_ip": "127.0.0.1", "host_port": 6379, "container_port": 6379}],
            "memory": GIB,
            "image": "redis:8",
            "data": {"/data": "redis"},
        }
    }
}
OWN = {"sse.platform.stack": "sse"}
NETWORK: dict[str, Any] = {
    "name": "sse-network",
    "driver": "bridge",
    "subnets": ["10.99.0.0/24"],
    "gateway": "10.99.0.1",
    "ip_range": "10.99.0.128/25",
    "ipv6": None,
    "internal": False,
    "labels": OWN,
    "device": "br-sse",
    "containers": [],
}
ENGINE: dict[str, Any] = {
    "version": "26.1.5",
    "api_version": "1.45",
    "stable_ip6tables": False,
    "live_restore": True,
    "userland_proxy": False,
    "swarm": "inactive",
    "swarm_error": "",
    "root_dir": "/var/lib/docker",
    "managed": False,
}
HOST: Any = {
    "distribution": {"id": "debian", "version": "13", "codename": "trixie"},
    "architecture": "amd64",
    "is_root": True,
    "service_manager": "systemd",
    "start_at_boot": {"present": [], "usable": ["cron"], "conflicts": {"rc.local": "it is not executable"}},
    "memory_bytes": 4 * GIB,
    "overcommit_memory": 1,
    "overcommit_writable": True,
    "bridge_filter": "on",
    "firewall": "/usr/sbin/iptables",
    "firewall6": "/usr/sbin/ip6tables",
    "ipv6": True,
    "ipv6_routes_lost": [],
    "ssh_client": "",
    "disk_free_bytes": {"/var/lib/docker": 20 * GIB, "/var/lib/sse-platform": 20 * GIB},
    "daemon_json": {},
    "dockerd_pid": None,
    "engine_error": "",
    "engine": ENGINE,
    "networks": [],
    "interfaces": [{"name": "lo", "addresses": ["127.0.0.1/8"]}, {"name": "eth0", "addresses": ["192.0.2.2/24"]}],
    "routes": [{"destination": "0.0.0.0/0", "device": "eth0"}],
    "listeners": [],
    "containers": [],
    "images": {"redis:8": "sha256:1"},
    "data_markers": {},
}


DISK = {"place": "/srv", "type": "ext4", "read_only": False}


def listener(address: str, process: str = "other (pid 7)", protocol: str = "tcp") -> dict[str, Any]:
    return {"protocol": protocol, "address": address, "port": 6379, "process": process}


def container(name: str, labels: dict[str, str], *addresses: str) -> dict[str, Any]:
    ports = [{"host_ip": address, "host_port": 6379, "protocol": "tcp"} for address in addresses]
    return {"name": name, "labels": labels, "ports": ports, "state": "running"}


def network(**changes: Any) -> dict[str, Any]:
    return {**NETWORK, **changes}


def with_settings(**changes: Any) -> Any:
    return {**SETTINGS, **changes}


def with_facts(**changes: Any) -> Any:
    return {**HOST, **changes}


def with_networks(settings: Any) -> Any:
    networks = segments.networks(settings)
    return {**RELEASE, "networks": {one["name"]: {"segment": name, **one} for name, one in networks.items()}}


def told(settings: dict[str, Any] | None = None, **host: Any) -> str:
    before = copy.deepcopy(with_facts(**host))
    given, wanted = copy.deepcopy(before), with_settings(**(settings or {}))
    problems = preflight.problems(wanted, given, with_networks(wanted))
    assert given == before
    return "\n".join(problems)


def test_a_good_host_has_no_problems() -> None:
    assert told() == ""
    assert notices(SETTINGS, HOST) == []


def test_a_bare_host_has_no_problems() -> None:
    assert told(engine=None, images={}) == ""


@pytest.mark.parametrize(
    ("host", "said"),
    [
        (
            {"distribution": {"id": "debian", "version": "11"}},
            ["debian 11", "debian 12 and 13, ubuntu 22.04 and 24.04"],
        ),
        ({"distribution": {"id": "fedora", "version": "43"}}, ["fedora 43"]),
        ({"architecture": "riscv64"}, ["riscv64", "amd64 or arm64"]),
        ({"is_root": False, "memory_bytes": 0, "distribution": {}}, ["ansible_become=true"]),
        ({"engine": None, "dockerd_pid": 7, "engine_error": "refused"}, ["pid 7", "refused", "docker.sock"]),
        ({"daemon_json": None}, ["daemon.json", "never overwrites"]),
        ({"memory_bytes": GIB // 2}, ["512 MiB", "768 MiB", "1024 MiB", "app_replicas"]),
        ({"disk_free_bytes": {"/var/lib/sse-platform": GIB // 2}}, ["/var/lib/sse-platform has 512 MiB", "1024 MiB"]),
        ({"disk_free_bytes": {"/var/lib/docker": GIB}, "images": {}}, ["/var/lib/docker has 1024 MiB", "6144 MiB"]),
        ({"disk_free_inodes": {"/var/lib/sse-platform": 9}}, ["/var/lib/sse-platform takes 9 more files", "5000"]),
        ({"disk_free_inodes": {"/var/lib/docker": 0}, "images": {}}, ["/var/lib/docker takes 0 more files", "60000"]),
        ({"containers": [container("sse-redis", {})]}, ["sse-redis", "never touched"]),
        ({"containers": [container("sse-redis", {"sse.platform.stack": "other"})]}, ["sse-redis", "never touched"]),
    ],
)
def test_what_the_host_lacks_is_told_with_what_is_needed(host: dict[str, Any], said: list[str]) -> None:
    text = told(**host)
    assert all(part in text for part in said), text
    assert "\n" not in text


def test_images_that_are_there_need_no_room() -> None:
    assert told(disk_free_bytes={"/var/lib/docker": 0}, disk_free_inodes={"/var/lib/docker": 0}) == ""


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ({"networks": [network(name="theirs")]}, "Docker network theirs (10.99.0.0/24)"),
        ({"networks": [network(name="wide", subnets=["10.0.0.0/8"])]}, "Docker network wide (10.0.0.0/8)"),
        ({"interfaces": [{"name": "wg0", "addresses": ["10.99.0.7/32"]}]}, "interface wg0 (10.99.0.7/32)"),
        ({"routes": [{"destination": "10.96.0.0/12", "device": "tun0"}]}, "the route 10.96.0.0/12 through tun0"),
    ],
)
def test_an_overlap_names_its_owner_and_a_free_subnet(host: dict[str, Any], owner: str) -> None:
    text = told(**host)
    assert text.startswith("network_subnet is '10.99.0.0/24': it overlaps ")
    assert owner in text
    free = text.rpartition("; ")[2].removesuffix(" is free.")
    assert told({"network_subnet": free, "network_gateway": "", "network_ip_range": ""}, **host) == ""


ALL_PRIVATE = [{"destination": one, "device": "tun0"} for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def test_a_vpn_that_holds_all_private_ranges_is_refused_with_the_way_on() -> None:
    assert "network_overlap_allowed=true" in told(routes=ALL_PRIVATE)
    assert told({"network_overlap_allowed": True}, routes=ALL_PRIVATE) == ""
    halves = [{"destination": one, "device": "tun0"} for one in ("10.0.0.0/9", "10.128.0.0/9")]
    assert told({"network_overlap_allowed": True}, routes=halves) == ""
    on_it = [{"name": "tun0", "addresses": ["10.8.0.2/8"]}]
    assert told({"network_overlap_allowed": True}, interfaces=on_it) == ""


@pytest.mark.parametrize(
    "host",
    [
        {"networks": [network(name="wide", subnets=["10.0.0.0/8"])]},  # Docker refuses it, too
        {"routes": [{"destination": "10.99.0.0/24", "device": "tun0"}]},  # not narrower than the VPN's
        {"routes": [{"destination": "10.99.0.7/32", "device": "tun0"}]},
        {"interfaces": [{"name": "tun0", "addresses": ["10.99.0.7/8"]}]},  # the host's own address would move
    ],
)
def test_what_would_break_is_refused_also_where_an_overlap_is_allowed(host: dict[str, Any]) -> None:
    text = told({"network_overlap_allowed": True}, **host)
    assert "overlaps" in text
    assert "network_overlap_allowed=true" not in text


@pytest.mark.parametrize("destination", ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/4", "8.0.0.0/5"])
def test_a_vpns_default_route_is_no_overlap(destination: str) -> None:
    assert told(routes=[{"destination": destination, "device": "tun0"}]) == ""


def test_an_offset_is_proposed_where_another_stack_has_the_ports_or_addresses() -> None:
    label = {"sse.platform.stack": "first"}
    by_port = told(containers=[container("first-redis", label, "127.0.0.1")])
    assert "Stack first has some of these ports or addresses: give stack sse others with -e stack_offset=100" in by_port
    by_address = told(networks=[network(name="first-network", labels=label)])
    assert "-e stack_offset=100" in by_address
    held = {**listener("127.0.0.1"), "port": 6479}
    assert "stack_offset=200" in told(networks=[network(name="first-network", labels=label)], listeners=[held])
    moved = with_settings(stack_offset=300)
    assert "stack_offset=400" in told(
        moved,
        networks=[network(name="first-network", labels=label)],
        listeners=[{**held, "port": port} for port in (6179, 6279, 6379)],
    )
    # What is nobody's stack moves for no offset, and our own is no other.
    assert "stack_offset" not in told(
        containers=[container("theirs", {}, "127.0.0.1")], networks=[network(name="a", labels={})]
    )
    assert "stack_offset" not in told(containers=[container("sse-redis", OWN, "127.0.0.1")], networks=[network()])


def test_the_stacks_own_network_is_no_overlap() -> None:
    own = {
        "networks": [NETWORK],
        "interfaces": [{"name": "br-sse", "addresses": ["10.99.0.1/24"]}],
        "routes": [{"destination": "10.99.0.0/24", "device": "br-sse"}],
    }
    assert told(**own) == ""
    changed = {"network_subnet": "10.99.0.0/23", "network_recreate_allowed": True}
    assert told(changed, **own) == ""


def test_the_bridge_that_a_stopped_engine_leaves_is_no_overlap() -> None:
    left = {
        "engine": None,
        "networks": [],
        "interfaces": [{"name": "br-sse", "addresses": ["10.99.0.1/24"]}],
        "routes": [{"destination": "10.99.0.0/24", "device": "br-sse"}],
    }
    assert "overlaps" not in told(**left)
    assert "overlaps interface br-sse" in told(**{**left, "engine": ENGINE})


@pytest.mark.parametrize(
    "change",
    [
        {"subnets": ["10.98.0.0/24"]},
        {"gateway": "10.99.0.9"},
        {"ip_range": ""},
        {"driver": "ipvlan"},
        {"internal": True},
    ],
)
def test_a_network_is_made_anew_only_where_that_is_allowed(change: dict[str, Any]) -> None:
    text = told(networks=[network(**change)])
    assert "network_recreate_allowed=true" in text
    assert told({"network_recreate_allowed": True}, networks=[network(**change)]) == ""


SEGMENTED = {"network_layout": "segmented", "network_segment_subnets": {"data": "10.50.0.0/24"}}


def test_every_segment_is_looked_at_before_anything_changes() -> None:
    assert told(SEGMENTED) == ""
    text = told(SEGMENTED, routes=[{"destination": "10.50.0.0/16", "device": "tun0"}])
    assert text.startswith("network_segment_subnets.data is '10.50.0.0/24': it overlaps the route 10.50.0.0/16")
    theirs = network(name="sse-data", subnets=["10.1.0.0/24"], labels={})
    assert "choose another stack_name" in told(SEGMENTED, networks=[theirs])
    assert "br_netfilter" in told(SEGMENTED, bridge_filter="none")
    assert "DOCKER-USER" in told(SEGMENTED, firewall="")
    assert told(SEGMENTED, firewall="", engine=None, bridge_filter="loadable") == ""


def test_networks_are_made_where_they_miss_or_differ_and_dropped_where_nobody_else_is_on_them() -> None:
    settings = with_settings(**SEGMENTED)
    old = [
        network(),
        network(name="sse-old"),
        network(name="sse-shared", containers=["guest"]),
        network(name="x", labels={}),
    ]
    host = with_facts(networks=old, containers=[container("guest", {})])
    steps = network_steps.network_steps(settings, host, [with_networks(settings)])
    assert [one["name"] for one in steps["make"]] == ["sse-app", "sse-data", "sse-monitoring", "sse-ports"]
    assert steps["drop"] == ["sse-old"]
    assert network_steps.network_steps(SETTINGS, host, [with_networks(SETTINGS)])["make"] == []


@pytest.mark.parametrize(
    ("allowed", "client", "refused"),
    [
        ([], "192.0.2.9", False),
        (["192.0.2.0/24"], "192.0.2.9", False),
        (["192.0.2.0/24"], "", False),
        (["198.51.100.0/24"], "192.0.2.9", True),
    ],
)
def test_nobody_locks_out_the_address_that_they_come_from(allowed: list[str], client: str, refused: bool) -> None:
    text = told({"exposure_allow_from": allowed}, ssh_client=client)
    assert bool(text) == refused
    if refused:
        assert client in text


def test_a_list_of_who_may_connect_is_refused_where_nothing_would_refuse_the_others() -> None:
    asked = {"exposure_allow_from": ["192.0.2.0/24"]}
    text = told(asked, firewall="")
    assert "exposure_allow_from is 192.0.2.0/24" in text
    assert "Restart the engine" in text
    assert told({}, firewall="") == told(asked) == told(asked, firewall="", engine=None) == ""


def test_a_network_that_is_not_ours_is_never_made_anew() -> None:
    theirs = network(labels={}, gateway="10.99.0.9")
    for allowed in (True, False):
        text = told({"network_recreate_allowed": allowed}, networks=[theirs])
        assert "choose another network_name" in text
    assert told(networks=[network(labels={})]) == ""


def test_strangers_on_a_network_that_is_made_anew_are_told() -> None:
    changed = network(gateway="10.99.0.9", containers=["sse-redis", "guest"])
    guests = [container("sse-redis", OWN), container("guest", {})]
    text = told({"network_recreate_allowed": True}, networks=[changed], containers=guests)
    assert "guest" in text
    assert "sse-redis" not in text


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ({"listeners": [listener("127.0.0.1")]}, "other (pid 7)"),
        ({"listeners": [listener("0.0.0.0")]}, "other (pid 7)"),
        ({"listeners": [listener("::")]}, "other (pid 7)"),
        ({"listeners": [listener("127.0.0.1", "")]}, "a process that can't be seen"),
        ({"containers": [container("theirs", {}, "0.0.0.0")]}, "container theirs"),
        ({"containers": [container("theirs", {}, "")]}, "container theirs"),
        (
            {
                "containers": [container("theirs", {}, "127.0.0.1")],
                "listeners": [listener("127.0.0.1", "dockerd (pid 1)")],
            },
            "container theirs",
        ),
        (
            {"containers": [container("sse-redis", OWN, "127.0.0.1")], "listeners": [listener("0.0.0.0")]},
            "other (pid 7)",
        ),
        *(
            (
                {
                    "containers": [{**container(name, OWN), "state": state}],
                    "listeners": [listener("127.0.0.1", process)],
                },
                process,
            )
            for name, state, process in (
                ("sse-redis", "exited", "dockerd (pid 1)"),
                ("sse-redis", "restarting", "other (pid 7)"),
                ("sse-old", "restarting", "dockerd (pid 1)"),
            )
        ),
    ],
)
def test_a_bound_port_is_told_with_who_binds_it(host: dict[str, Any], owner: str) -> None:
    text = told(**host)
    assert "Port 6379 on 127.0.0.1, which sse-redis publishes, is already bound by " in text
    assert owner in text
    assert "redis_port" in text


@pytest.mark.parametrize(
    "host",
    [
        {"listeners": [listener("127.0.0.53")]},
        {"listeners": [listener("0.0.0.0", protocol="udp")]},
        {"containers": [container("theirs", {}, "192.0.2.2")]},
        {
            "containers": [container("sse-redis", OWN, "127.0.0.1")],
            "listeners": [listener("127.0.0.1", "dockerd (pid 1)")],
        },
        {"containers": [container("sse-redis", OWN, "0.0.0.0")], "listeners": [listener("::", "docker-proxy (pid 2)")]},
        {"containers": [container("sse-old", OWN, "127.0.0.1")]},
        {
            "containers": [{**container("sse-redis", OWN), "state": "restarting"}],
            "listeners": [listener("127.0.0.1", "dockerd (pid 1)")],
        },
    ],
)
def test_what_does_not_collide_is_no_problem(host: dict[str, Any]) -> None:
    assert told(**host) == ""


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"engine": {**ENGINE, "live_restore": False}}, ["live-restore", "docker_restart_allowed"]),
        ({"engine": {**ENGINE, "live_restore": False, "swarm": "active"}}, ["live-restore", "Swarm"]),
        ({"engine": {**ENGINE, "userland_proxy": True}}, ["userland-proxy", "docker_restart_allowed"]),
        ({"engine": {**ENGINE, "swarm": "error", "swarm_error": "no key"}}, ["error state (no key)", "swarm leave"]),
        ({"engine": {**ENGINE, "swarm": "locked"}}, ["swarm unlock"]),
        ({"service_manager": "none"}, ["reboot", "set docker_start_at_boot to cron"]),
        ({"overcommit_memory": 0, "overcommit_writable": False}, ["vm.overcommit_memory=1"]),
        ({"overcommit_memory": 2}, ["vm.overcommit_memory=1"]),
        ({"state_mount": {**DISK, "no_exec": True}}, ["/srv is mounted noexec", "snappy or zstd"]),
        ({"clock_ahead": 86_400.2}, ["86,400 s ahead of that", "timedatectl set-ntp true"]),
        ({"clock_ahead": -31.0}, ["31 s behind that"]),
    ],
)
def test_a_guarantee_that_is_off_is_a_notice_and_no_problem(host: dict[str, Any], said: list[str]) -> None:
    assert told(**host) == ""
    (notice,) = notices(SETTINGS, with_facts(**host))
    assert all(part in notice for part in said), notice


@pytest.mark.parametrize(
    ("clock", "ahead"),
    [(105.0, 0.0), (100.0, 0.0), (110.0, 0.0), (150.0, 40.0), (99.0, -1.0), (0.0, -100.0)],
)
def test_a_clock_is_judged_by_when_it_may_have_been_read(clock: float, ahead: float) -> None:
    assert prepare.ahead(clock, 100.0, 110.0) == ahead


def test_a_redis_elsewhere_needs_no_overcommit_here() -> None:
    settings: Any = {**SETTINGS, "redis_remote_server": "redis.example.org:6380"}
    assert list(notices(settings, with_facts(overcommit_memory=2))) == []


@pytest.mark.parametrize(
    ("replicas", "cores", "said"),
    [
        (3, 1, None),
        (4, 1, "app_replicas is 4, and the host has 1 core: "),
        (4, 2, None),
        (6, 2, "app_replicas is 6, and the host has 2 cores: "),
        (16, 8, None),
        (17, 8, "Set app_replicas=16 or less"),
    ],
)
def test_more_replicas_than_the_cores_can_feed_are_a_notice_and_no_problem(
    replicas: int, cores: int, said: str | None
) -> None:
    settings = {"app_replicas": replicas}
    assert told(settings, cores=cores) == ""
    found = notices(with_settings(**settings), with_facts(cores=cores))
    assert len(found) == (said is not None)
    assert all(said in one for one in found if said)


@pytest.mark.parametrize(
    ("settings", "engine"),
    [
        ({}, None),
        ({}, {**ENGINE, "managed": True, "live_restore": False}),
        ({"docker_restart_allowed": True}, {**ENGINE, "live_restore": False}),
    ],
)
def test_what_this_run_turns_on_is_no_notice(settings: dict[str, Any], engine: Any) -> None:
    assert notices(with_settings(**settings), with_facts(engine=engine)) == []


DUAL: Any = {**SETTINGS, "network_ipv6": True, "network_ipv6_subnet": "fd12:3456:789a::/64"}
OLD = {**ENGINE, "version": "20.10.24", "api_version": "1.41"}
# Its rules for IPv6 are none of ip6tables.
NFTABLES = engine_traits.describe(cast("Any", {"FirewallBackend": {"Driver": "nftables"}}), cast("Any", {}), {}, [], 7)


def problems6(settings: Any = DUAL, **facts: Any) -> str:
    networks = segments.networks(settings)
    release: Any = {**RELEASE, "networks": {one["name"]: {**one, "segment": name} for name, one in networks.items()}}
    return "\n".join(preflight.problems(settings, with_facts(**facts), release))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, ""),
        ({"ipv6": False}, "IPv6 is off on this host: turn it on with sysctl -w net.ipv6.conf.all.disable_ipv6=0"),
        ({"firewall6": ""}, 'this engine (26.1.5) does not manage ip6tables'),
        ({"firewall6": ""}, 'set "experimental": true and "ip6tables": true in /etc/docker/daemon.json'),
        ({"firewall6": "", "engine": {**ENGINE, "stable_ip6tables": True}}, 'set "ip6tables": true in /etc/docker'),
        ({"firewall6": "", "engine": {**ENGINE, "managed": True}}, ""),
        ({"firewall6": "", "engine": None}, ""),
        ({"firewall6": "", "firewall": "", "engine": {**ENGINE, "traits": NFTABLES}, "dockerd_pid": 7}, ""),
        ({"ipv6_routes_lost": ["ens3"]}, "Keep it with sysctl -w net.ipv6.conf.ens3.accept_ra=2"),
        (
            {"interfaces": [{"name": "wg0", "addresses": ["fd12:3456:789a::7/64"]}]},
            "it overlaps interface wg0 (fd12:3456:789a::7/64); fd12:3456:789a:1::/64 is free",
        ),
        (
            {"routes": [{"destination": "fd12:3456::/32", "device": "tun0"}]},
            "it overlaps the route fd12:3456::/32 through tun0",
        ),
        ({"routes": [{"destination": "::/0", "device": "eth0"}, {"destination": "8000::/1", "device": "tun0"}]}, ""),
        ({"networks": [{**NETWORK, "name": "x", "subnets": ["fd12:3456:789a::/64"]}]}, "it overlaps Docker network x"),
    ],
)  # fmt: skip
def test_a_host_that_can_not_give_ipv6_is_told_how_it_could(facts: dict[str, Any], said: str) -> None:
    assert (said in problems6(**facts)) if said else problems6(**facts) == ""
    # Where nobody asks for IPv6, none of it matters.
    assert problems6(SETTINGS, **facts) == ""


def test_segments_with_ipv6_want_an_engine_that_lets_neighbours_find_each_other() -> None:
    segmented = {**DUAL, "network_layout": "segmented", "network_segment_subnets": {}, "app_replicas": 1}
    assert "expected single, network_ipv6 false, or Engine 25" in problems6(segmented, engine=OLD)
    assert "Engine 25" in problems6(segmented, engine={**OLD, "version": "20.10.25+dfsg1"})
    assert problems6(segmented) == ""
    for odd in ("dev", "library-import", "", "v27", "27.0.0-rc.1"):
        assert problems6(segmented, engine={**ENGINE, "version": odd}) == ""
    bookworm = {"engine": None, "distribution": {"id": "debian", "version": "12", "codename": "bookworm"}}
    assert "Engine 25" in problems6(segmented, **bookworm)
    assert problems6({**segmented, "docker_package_source": "docker"}, **bookworm) == ""
    assert problems6(engine=OLD) == ""


@pytest.mark.parametrize("wanted", [True, False], ids=["on", "off"])
def test_switching_ipv6_on_or_off_makes_networks_anew_and_so_is_refused_without_leave(wanted: bool) -> None:
    pool = segments.networks(DUAL)["network"].get("ipv6", {})
    there = NETWORK if wanted else {**NETWORK, "subnets": ["10.99.0.0/24", pool["subnet"]], "ipv6": pool}
    settings = DUAL if wanted else SETTINGS
    said = problems6(settings, networks=[there])
    assert "allow it with network_recreate_allowed=true" in said
    assert "IPv6 subnet is" in said
    assert problems6({**settings, "network_recreate_allowed": True}, networks=[there]) == ""


@pytest.mark.parametrize(
    ("client", "allowed", "ipv6", "said"),
    [
        ("2001:db8::5", ["192.0.2.0/24"], True, "such as 2001:db8::5/128"),
        ("2001:db8::5", ["192.0.2.0/24", "2001:db8::/32"], True, ""),
        ("2001:db8::5", ["192.0.2.0/24"], False, ""),
        ("192.0.2.9", ["2001:db8::/32"], True, "such as 192.0.2.9/32"),
        ("fe80::1%eth0", ["fe80::/10"], True, ""),
    ],
)
def test_a_list_that_locks_the_session_out_is_told_in_both_families(
    client: str, allowed: list[str], ipv6: bool, said: str
) -> None:
    found = problems6({**DUAL, "network_ipv6": ipv6, "exposure_allow_from": allowed}, ssh_client=client)
    assert (said in found) if said else found == ""


@pytest.mark.parametrize(
    ("engine", "changes", "loopback"),
    [
        (ENGINE, {}, False),
        ({**ENGINE, "userland_proxy": True}, {}, True),
        ({**ENGINE, "userland_proxy": True, "managed": True}, {}, False),
        ({**ENGINE, "managed": True}, {"docker_userland_proxy": True}, True),
        (None, {"docker_userland_proxy": True}, True),
    ],
    ids=["off", "on", "about to be off", "about to be on", "a new engine"],
)
def test_loopback_of_ipv6_is_published_where_the_engine_serves_it(
    engine: Any, changes: dict[str, Any], loopback: bool
) -> None:
    settings: Any = {**DUAL, **changes}
    host = with_facts(engine=engine)
    assert ("127.0.0.1" in network_preflight.twins(settings, host)) == loopback
    assert any("[::1]" in one for one in notices(settings, host)) != loopback


@pytest.mark.parametrize(
    ("asked", "manager", "said"),
    [
        (
            "rc.local",
            "none",
            "docker_start_at_boot is rc.local: it is not executable. Expected one of none, auto, cron.",
        ),
        ("rc.local", "systemd", ""),
        ("cron", "none", ""),
        ("auto", "none", ""),
    ],
)
def test_a_way_to_start_at_boot_that_others_block_is_refused(asked: str, manager: str, said: str) -> None:
    settings: Any = {**SETTINGS, "docker_start_at_boot": asked}
    facts = with_facts(service_manager=manager)
    assert [*preflight._boot_problems(settings, facts)] == ([said] if said else [])
    assert notices(settings, facts) == []


def test_the_move_into_segments_is_announced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    segmented = with_settings(network_layout="segmented")
    [said] = notices(segmented, with_facts(networks=[NETWORK]))
    assert "each container is replaced once" in said
    assert "network_layout=single" in said
    moved = [NETWORK, {**NETWORK, "name": "sse-app"}]
    assert notices(segmented, with_facts(networks=moved)) == []
    assert notices(segmented, with_facts(networks=[])) == []
    assert notices(segmented, with_facts(networks=[{**NETWORK, "labels": {}}])) == []
    assert notices(SETTINGS, with_facts(networks=[NETWORK])) == []


def test_metrics_that_are_larger_than_the_disk_are_refused() -> None:
    disk = {"disk_size_bytes": {"/var/lib/sse-platform": 40 * GIB}}
    said = told({"prometheus_retention_size": "40g"}, **disk)
    assert said.startswith("prometheus_retention_size is 40g, and the disk of /var/lib/sse-platform has 40 GiB")
    assert told({"prometheus_retention_size": "2g"}, **disk) == ""


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (0, ["at most 50 GiB of them, on a disk of 100 GiB: at 1 MiB of events a second,", "of the last 14.2 h"]),
        (36 * GIB, ["keeps events for 24 h, and at most 36 GiB", "last 10.2 h"]),
        (200 * GIB, ["holds those of the last 24 h", "full before the oldest events go, after 11.4 h"]),
    ],
)  # fmt: skip
def test_how_long_the_disk_of_the_log_lasts_is_told(asked: int, told: list[str]) -> None:
    settings = with_settings(stack_state_directory="/data", app_retention_bytes=asked, app_retention_seconds=86_400)
    disk = {"disk_size_bytes": {"/data": 100 * GIB}, "disk_free_bytes": {"/data": 40 * GIB}}
    said = " ".join(notices(settings, with_facts(**disk)))
    assert bool(said) == bool(told)
    assert all(one in said for one in told)
    elsewhere = with_settings(**{**settings, "kafka_remote_servers": ["kafka.example.org:9093"]})
    assert "MiB of events a second" not in " ".join(notices(elsewhere, with_facts(**disk)))


def test_a_link_in_place_of_what_no_container_has_is_no_problem() -> None:
    data = "/var/lib/sse-platform/data"
    assert not told(data_links={f"{data}/sse-old": "/big", f"{data}/sse-redis/other": "/big"})
    for path in (data, f"{data}/sse-redis", f"{data}/sse-redis/redis"):
        assert f"{path} is a link to /big: expected a directory" in told(data_links={path: "/big"})


@pytest.mark.parametrize("wall", strange_hosts.WALLS, ids=lambda wall: wall.what)
def test_each_refusal_tells_the_way_on(wall: strange_hosts.Wall) -> None:
    text = told(wall.settings, **wall.host)
    assert wall.said in text
