"""Two stacks run beside each other with a name and an offset: nothing that they have on the host is the same."""

from __future__ import annotations

import ipaddress
import itertools
from typing import TYPE_CHECKING

import yaml
from ansible_collections.sse.platform.plugins.module_utils.model import addresses, segments
from ansible_collections.sse.platform.plugins.module_utils.settings import options

if TYPE_CHECKING:
    from rendered import Rendered

from rendered import ROOT

BY_ROLE = options.load(ROOT / "roles", yaml.safe_load)
PORTS = [name for role in BY_ROLE.values() for name, one in role.items() if one.get("format") == "published_port"]


def published(host: Rendered) -> set[int]:
    return {port["host_port"] for one in host.containers.values() for port in one["ports"]}


def test_the_offset_moves_every_port_that_has_no_value_of_its_own(rendered: dict[str, Rendered]) -> None:
    first, second, last = (rendered[name].settings for name in ("default", "second", "last"))
    assert {name: first[name] + 100 for name in PORTS} | {"redis_port": 7777} == {name: second[name] for name in PORTS}
    assert {name: first[name] + 5000 for name in PORTS} == {name: last[name] for name in PORTS}


def test_every_port_that_a_service_publishes_is_a_declared_one(each: Rendered) -> None:
    assert published(each) <= {each.settings[name] for name in PORTS}


def test_two_stacks_have_no_port_name_directory_or_address_in_common(rendered: dict[str, Rendered]) -> None:
    hosts = [rendered[name] for name in ("segmented", "second", "last")]
    for one, other in itertools.combinations(hosts, 2):
        assert not published(one) & published(other)
        assert not set(one.platform["containers"]) & set(other.platform["containers"])
        assert not set(one.dashboard["containers"]) & set(other.dashboard["containers"])
        assert one.settings["stack_state_directory"] != other.settings["stack_state_directory"]
        networks = [segments.networks(host.settings) for host in (one, other)]
        assert not {network["name"] for network in networks[0].values()} & {
            network["name"] for network in networks[1].values()
        }
        for mine, theirs in itertools.product(*(found.values() for found in networks)):
            assert not addresses.overlap(mine["subnet"], theirs["subnet"])


def test_every_offset_has_private_subnets_of_its_own(rendered: dict[str, Rendered]) -> None:
    """The default of network_subnet leaves room for the segments that follow it."""
    low = ipaddress.IPv4Network(rendered["default"].settings["network_subnet"])
    high = ipaddress.IPv4Network(rendered["last"].settings["network_subnet"])
    stride = int(ipaddress.IPv4Network("10.99.8.0/24").network_address) - int(low.network_address)
    assert int(high.network_address) - int(low.network_address) == 5000 * stride
    assert stride // low.num_addresses >= len(segments.SEGMENTS)
    assert all(ipaddress.IPv4Network(one).is_private for one in segments.subnets(str(high), {}).values())
