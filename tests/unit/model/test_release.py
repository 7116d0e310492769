"""Properties of releases: how declarations resolve."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import release, types
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError


def container(**changes: Any) -> dict[str, Any]:
    return {
        "image": "bb",
        "entrypoint": ["x"],
        "user": "1:1",
        "healthcheck": {"command": ["true"]},
        **changes,
    }


def network(name: str, subnet: str, *, internal: bool = False) -> Any:
    return {"name": name, "segment": name.removeprefix("sse-"), "subnet": subnet, "internal": internal}


SEGMENTS: Any = {
    "network": network("sse-network", "10.99.0.0/24"),
    "data": network("sse-data", "10.99.2.0/24", internal=True),
    "ports": network("sse-ports", "10.99.4.0/24"),
}
PORT = {"host_ip": "127.0.0.1", "host_port": 6379, "container_port": 6379}


def build(containers: dict[str, Any], **changes: Any) -> Any:
    given: dict[str, Any] = {
        "stack": "sse",
        "project": "sse-platform",
        "networks": {"network": network("sse-network", "10.99.0.0/24")},
        "references": {"bb": "sse-platform/bb:1"},
        "unavailable": {},
        **changes,
    }
    return release.build({"things": {"containers": containers}}, **given)


def test_short_names_addresses_and_images_are_resolved() -> None:
    built = build(
        {
            "app-1": container(address=21),
            "nginx": container(address=10, hosts=["app-1"], after=["app-1"], aliases=["web"]),
        }
    )
    nginx = built["containers"]["sse-nginx"]
    assert nginx["networks"] == {"sse-network": "10.99.0.10"}
    assert nginx["hosts"] == {"app-1": "10.99.0.21"}
    assert nginx["after"] == ["sse-app-1"]
    assert nginx["aliases"] == ["nginx", "web"]
    assert nginx["image"] == "sse-platform/bb:1"


def test_a_replica_that_may_come_later_has_its_address_already() -> None:
    three = {f"app-{number}": container(address=20 + number) for number in (1, 2, 3)}
    later = ["app-1", "app-3", "app-9"]
    hosts = build({**three, "nginx": container(address=10, hosts=later)})["containers"]["sse-nginx"]["hosts"]
    assert hosts == {"app-1": "10.99.0.21", "app-3": "10.99.0.23", "app-9": "10.99.0.29"}
    ten = {f"app-{number}": container(address=20 + number) for number in range(1, 11)}
    assert build({**ten, "nginx": container(address=10, hosts=later)})["containers"]["sse-nginx"]["hosts"] == hosts


def test_in_segments_a_container_joins_those_it_names_and_a_bridge_of_its_own_where_it_publishes() -> None:
    one = container(address=11, segments=["data", "ports"], ports=[PORT])
    two = container(address=12, segments=["network", "data"], hosts=["redis"])
    built = build({"redis": one, "app": two}, networks=SEGMENTS)
    assert built["layout"] == "segmented"
    assert built["containers"]["sse-redis"]["networks"] == {"sse-data": "10.99.2.11", "sse-redis-ports": "10.99.4.6"}
    assert built["containers"]["sse-app"]["networks"] == {"sse-network": "10.99.0.12", "sse-data": "10.99.2.12"}
    assert built["containers"]["sse-app"]["hosts"] == {"redis": "10.99.2.11"}
    assert list(built["networks"]) == ["sse-network", "sse-data", "sse-redis-ports"]
    own = built["networks"]["sse-redis-ports"]
    assert (own["subnet"], own["gateway"], own["internal"]) == ("10.99.4.4/30", "10.99.4.5", False)
    single = build({"redis": one, "app": two})
    assert (single["layout"], list(single["networks"])) == ("single", ["sse-network"])


def test_without_bridges_for_ports_a_container_joins_the_other_segments_that_it_names() -> None:
    swarm = {name: network for name, network in SEGMENTS.items() if name != "ports"}
    one = container(address=11, segments=["data", "ports"], ports=[PORT])
    built = build({"redis": one}, networks=swarm)
    assert (built["layout"], list(built["networks"])) == ("segmented", ["sse-data"])
    assert built["containers"]["sse-redis"]["networks"] == {"sse-data": "10.99.2.11"}


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"address": 11}, "things.containers.a.segments: on no network; name at least one of network, data"),
        ({"address": 11, "segments": ["ports"]}, "things.containers.a.segments: on no network"),
        (
            {"address": 11, "segments": ["data"], "ports": [PORT]},
            "things.containers.a.ports: sse-data is an internal network, where nothing is published; add ports to its",
        ),
        ({"segments": ["data"]}, "things.containers.a.address: missing; in segments, the stack firewall knows"),
        ({"address": 99, "segments": ["data", "ports"]}, "things.containers.a.address: .* an `address` from 10 to 73"),
        ({"address": 300, "segments": ["data"]}, "things.containers.a.address: 300 is no host number inside"),
        (
            {"address": 11, "segments": ["dta"]},
            r"things.containers.a.segments\[0\]: 'dta' is not accepted; expected one",
        ),
    ],
)
def test_what_does_not_fit_into_segments_is_refused_by_name(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        build({"a": container(**keys)}, networks=SEGMENTS)


def test_containers_that_share_no_network_cannot_be_pinned() -> None:
    one, two = container(address=11, segments=["data"]), container(address=12, segments=["network"], hosts=["a"])
    with pytest.raises(SpecError, match=r"things.containers.b.hosts: 'a' has no reserved address on a network of 'b'"):
        build({"a": one, "b": two}, networks=SEGMENTS)


def test_a_container_listens_on_published_ports_its_health_endpoint_and_what_it_names_beyond() -> None:
    port = {"host_ip": "127.0.0.1", "host_port": 1080, "container_port": 80}
    built = build({"a": container(listens=[8080], ports=[port], healthcheck={"http": {"port": 81}})})
    assert built["containers"]["sse-a"]["listens"] == [80, 81, 8080]


def test_containers_that_wait_for_each_other_are_refused_and_named() -> None:
    with pytest.raises(SpecError, match=r"things.containers.[ab].after: sse-[ab] waits for sse-[ab] waits for sse-"):
        build({"a": container(after=["b"]), "b": container(after=["a"]), "c": container(after=["a"])})


def test_a_stack_name_comes_before_every_name() -> None:
    assert set(build({"a": container(), "b": container()}, stack="two")["containers"]) == {"two-a", "two-b"}


def test_a_container_whose_image_is_unavailable_is_left_out_and_named() -> None:
    built = build({"a": container(image="gone"), "b": container()}, unavailable={"gone": "no archive given"})
    assert set(built["containers"]) == {"sse-b"}
    assert built["unavailable"] == {"a": "no archive given"}


@pytest.mark.parametrize(
    ("containers", "message"),
    [
        ({"a": container(image="nope")}, "'nope' is not in the image catalogue"),
        ({"a": container(after=["b"])}, "'b' is not a container of this project"),
        ({"a": container(address=256)}, "256 is no host number inside"),
        ({"a": container(hosts=["b"]), "b": container()}, "'b' has no reserved address"),
        ({"a": container(address=9), "b": container(address=9)}, "address 10.99.0.9 is claimed twice"),
        ({"a": container(), "b": container(aliases=["a"])}, "alias a is claimed twice: by sse-a and by sse-b"),
        (
            {name: container(shared={"/run": "x"}, user=f"{user}:1") for name, user in (("a", 1), ("b", 2))},
            "things.containers.b.shared: sse-a has the directory 'x', too, as user 1:1, and this container is user 2:1",
        ),
        (
            {name: container(ports=[{"host_ip": "0.0.0.0", "host_port": 80, "container_port": 1}]) for name in "ab"},
            "published port 80 is claimed twice",
        ),
        ({"A b": container()}, "'A b' is not accepted"),
    ],
)
def test_declarations_that_do_not_fit_together_are_refused(containers: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        build(containers)


def test_a_key_that_no_service_has_is_refused_by_its_place() -> None:
    with pytest.raises(SpecError, match=r"x\.chekcs: unknown key; known keys are canary, checks, "):
        release.parse_all({"x": {"containers": {}, "chekcs": []}})


def dual(name: str, subnet: str, subnet6: str, *, internal: bool = False) -> dict[str, Any]:
    pool = {"subnet": subnet6, "gateway": "", "ip_range": ""}
    return {**network(name, subnet, internal=internal), "ipv6": pool}


DUAL = {
    "network": dual("sse-network", "10.99.0.0/24", "fd99::/64"),
    "data": dual("sse-data", "10.99.2.0/24", "fd99:0:0:2::/64", internal=True),
    "ports": dual("sse-ports", "10.99.4.0/24", "fd99:0:0:4::/64"),
}


def test_a_resolved_container_has_the_keys_of_a_spec() -> None:
    reload = {"check": ["c"], "says": "done"}
    relations = {"farewell": {"b": "SIGUSR1"}, "shared": {"/run/a": "a"}, "tier": "data", "ways_out": ["a.example:1"]}
    built = build(
        {"a": container(address=9, reload=reload, **relations)},
        networks={"network": DUAL["network"]},
    )
    known_on_the_host = {"image_id", "fingerprints"}
    assert set(built["containers"]["sse-a"]) == set(types.Spec.__annotations__) - known_on_the_host


def test_a_container_that_cannot_reload_has_no_key_for_it() -> None:
    assert "reload" not in build({"a": container()})["containers"]["sse-a"]


def test_with_ipv6_a_container_has_the_same_host_number_there_and_its_ports_have_twins() -> None:
    built = build(
        {"redis": container(address=11, segments=["data", "ports"], ports=[PORT])},
        networks=DUAL,
        twins={"127.0.0.1": "::1"},
    )
    redis = built["containers"]["sse-redis"]
    assert redis["networks6"] == {"sse-data": "fd99:0:0:2::b", "sse-redis-ports": "fd99::4:0:0:b:2"}
    assert redis["ports"] == [PORT, {**PORT, "host_ip": "::1"}]
    assert built["networks"]["sse-redis-ports"]["ipv6"]["subnet"] == "fd99::4:0:0:b:0/112"


def test_without_ipv6_nothing_of_it_is_in_a_release_and_a_port_on_it_is_refused() -> None:
    built = build({"redis": container(ports=[PORT])}, twins={"127.0.0.1": "::1"})
    assert "networks6" not in built["containers"]["sse-redis"]
    assert built["containers"]["sse-redis"]["ports"] == [PORT]
    with pytest.raises(SpecError, match=r"things.containers.redis.ports\[0\].host_ip: :: is an IPv6 address, and"):
        build({"redis": container(ports=[{**PORT, "host_ip": "::"}])})
