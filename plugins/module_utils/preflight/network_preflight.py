# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a host can give a release its networks, told before anything changes.

Pure: settings, the host fact and a release in, sentences out.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model import addresses, engine_api, ip_family, segments
from ansible_collections.sse.platform.plugins.module_utils.preflight import engine_preflight
from ansible_collections.sse.platform.plugins.module_utils.preflight.network_steps import is_ours, network_difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts, Network, Release, Settings

# A route this wide or wider holds more than any private range: it is a VPN's default route, or one of the pieces that
# such a route is written in. Docker's route is narrower, so it wins.
WIDEST = 7


def problems(settings: Settings, host: HostFacts, release: Release) -> Iterator[str]:
    """Say why the host cannot give these networks, one sentence for each reason."""
    if settings["network_ipv6"]:
        yield from _ipv6_problems(settings, host)
    for wanted in release["networks"].values():
        yield from _one_network_problems(wanted, settings, host)
    if settings["network_layout"] == segments.SEGMENTED:
        if host["bridge_filter"] == "none":
            yield (
                "network_layout is 'segmented', but this kernel has no br_netfilter, so no firewall sees connections "
                "within a segment: expected single, or a kernel with that module."
            )
        if _lost_chain(host):
            yield (
                "network_layout is 'segmented', but this engine's firewall has no chain DOCKER-USER to refuse "
                "connections in: expected single, or an engine with the firewall backend iptables."
            )
    yield from exposure_problems(settings, host)


def twins(settings: Settings, host: HostFacts) -> dict[str, str]:
    """Return, by IPv4 address, the IPv6 address on which a port is published as well where networks have IPv6."""
    if host["engine"] is None or may_configure(settings, host):
        return ip_family.twins(loopback=settings["docker_userland_proxy"] or not manages_firewall(host))
    return ip_family.twins(loopback=host["engine"]["userland_proxy"])


def may_configure(settings: Settings, host: HostFacts) -> bool:
    """Tell whether role docker may configure the engine. One that nothing starts again is never restarted."""
    allowed = settings["docker_restart_allowed"] and host["service_manager"] != "none"
    return host["engine"] is None or host["engine"]["managed"] or allowed


def may_be_configured(settings: Settings, host: HostFacts) -> bool:
    """Tell whether docker_restart_allowed=true would be accepted here, and have an effect."""
    allowed: Settings = {**settings, "docker_restart_allowed": True}
    return may_configure(allowed, host) and not list(engine_preflight.problems(allowed, host))


def manages_firewall(host: HostFacts) -> bool:
    """Tell whether the engine writes firewall rules. Without them only its userland proxy serves published ports."""
    traits = host["engine"].get("traits") if host["engine"] else None
    options = traits["options"] if traits else host["daemon_json"] or {}
    return options.get("iptables") is not False


def passes_internal_ipv6(settings: Settings, host: HostFacts) -> bool:
    """Tell whether IPv6 passes on internal networks of the engine, or of the one that is about to be installed."""
    if host["engine"]:
        return engine_api.has(host["engine"]["api_version"], engine_api.INTERNAL_IPV6)
    return settings["docker_package_source"] != "distribution" or host["distribution"]["codename"] != "bookworm"


def _ipv6_problems(settings: Settings, host: HostFacts) -> Iterator[str]:
    if not host["ipv6"]:
        yield (
            "network_ipv6 is true, but IPv6 is off on this host: turn it on with sysctl -w "
            "net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 and a file in /etc/sysctl.d (if "
            "the kernel was started with ipv6.disable=1, start it without that), or set network_ipv6 to false."
        )
    has_rules = host["firewall6"] or engine_preflight.uses_nftables(host)
    if host["engine"] and not has_rules and not may_configure(settings, host):
        file = engine_preflight.config_file(host["engine"])
        allow = "run with docker_restart_allowed=true, " if may_be_configured(settings, host) else ""
        keys = (
            '"ip6tables": true' if host["engine"]["stable_ip6tables"] else '"experimental": true and "ip6tables": true'
        )
        yield (
            f"network_ipv6 is true, but this engine ({host['engine']['version']}) does not manage ip6tables, so over "
            f"IPv6 it would publish no port and refuse nothing: set {keys} in {file} and restart "
            f"the engine, {allow}or set network_ipv6 to false."
        )
    if settings["network_layout"] == segments.SEGMENTED and not passes_internal_ipv6(settings, host):
        yield (
            "network_ipv6 is true and network_layout is 'segmented', but on an internal network this engine drops IPv6 "
            "neighbour discovery, so no two containers would reach each other there: expected single, network_ipv6 "
            "false, or Engine 25 and newer (docker_package_source=docker)."
        )
    for device in host["ipv6_routes_lost"]:
        yield (
            "network_ipv6 is true, so the engine makes this host forward IPv6, and then the host loses its default "
            f"route: it learns the one through {device} from router advertisements, which a router ignores. "
            f"Keep it with sysctl -w net.ipv6.conf.{device}.accept_ra=2 and a file in /etc/sysctl.d, or set "
            "network_ipv6 to false."
        )


def _one_network_problems(wanted: Network, settings: Settings, host: HostFacts) -> Iterator[str]:
    name, segment = wanted["name"], wanted["segment"]
    present = next((network for network in host["networks"] if network["name"] == name), None)
    if present:
        difference = network_difference(wanted, present)
        if not difference:
            return
        what = f"Docker network {name} exists and differs: {'; '.join(difference)}."
        if not is_ours(present, settings):
            other = "network_name" if segment == "network" else "stack_name"
            yield f"{what} This stack did not make it, so it is never touched: choose another {other}."
            return
        if not settings["network_recreate_allowed"]:
            yield (
                f"{what} Docker can only remove and recreate it, which detaches every container for that time: "
                "allow it with network_recreate_allowed=true, or take the old values."
            )
            return
        strangers = {one["name"] for one in host["containers"] if not is_ours(one, settings)}
        guests = [one for one in present["containers"] if one in strangers]
        if guests:
            yield f"{what} Containers that this stack did not make are on it: detach {', '.join(guests)} first."
    variable = "network_subnet" if segment == "network" else f"network_segment_subnets.{segment}"
    allowed = settings["network_overlap_allowed"]
    yield from _overlap_problems(variable, wanted["subnet"], host, wanted, allowed=allowed)
    if "ipv6" in wanted:
        yield from _overlap_problems("network_ipv6_subnet", wanted["ipv6"]["subnet"], host, wanted, allowed=allowed)


def _overlap_problems(variable: str, subnet: str, host: HostFacts, wanted: Network, *, allowed: bool) -> Iterator[str]:
    overlapping, free = overlaps(subnet, host, wanted["name"], wanted["device"], within=allowed)
    if not overlapping:
        return
    proposal = f"{free} is free"
    if not free:
        proposal = "no private network of this size is free"
        if not overlaps(subnet, host, wanted["name"], wanted["device"], within=True)[0]:
            proposal += (
                ". If nothing at these addresses of the VPN is needed from this host, "
                "network_overlap_allowed=true takes them"
            )
    yield f"{variable} is '{subnet}': it overlaps {', '.join(overlapping)}; {proposal}."


def overlaps(
    subnet: str, host: HostFacts, network: str, device: str = "", *, within: bool = False
) -> tuple[list[str], str | None]:
    """Return who else on the host uses addresses of a subnet, each with its place, and a free subnet of its size.

    :param network: name of the Docker network that the subnet is for; it does not overlap itself
    :param device: the bridge that this network has, or will have
    :param within: accept that the subnet is a part of what a route or an interface holds, such as a VPN's
    """
    # Without an engine nobody lists the networks, and the bridge of this one may have stayed.
    own_device = next(
        (one["device"] for one in host["networks"] if one["name"] == network), None if host["engine"] else device
    )
    owners: dict[str, str] = {}
    prefix = ipaddress.ip_network(subnet).prefixlen
    for one in host["networks"]:
        if one["name"] != network:
            owners.update({taken: f"Docker network {one['name']} ({taken})" for taken in one["subnets"]})
    for interface in host["interfaces"]:
        for address in interface["addresses"] if interface["name"] != own_device else ():
            held = ipaddress.ip_interface(address)
            taken = str(held.network)
            if within and held.network.prefixlen < prefix and not addresses.overlap(str(held.ip), subnet):
                continue
            owners.setdefault(taken, f"interface {interface['name']} ({address})")
    for route in host["routes"]:
        taken = route["destination"]
        if within and int(taken.partition("/")[2]) < prefix:
            continue
        if route["device"] != own_device and int(taken.partition("/")[2]) > WIDEST:
            owners.setdefault(taken, f"the route {taken} through {route['device'] or 'no device'}")
    overlapping = [owner for taken, owner in owners.items() if addresses.overlap(taken, subnet)]
    if not overlapping:
        return [], None
    if ip_family.of(subnet) is ip_family.IPV6:
        return overlapping, addresses.free_subnet6([*owners, subnet], subnet)
    return overlapping, addresses.free_subnet([*owners, subnet], ipaddress.IPv4Network(subnet).prefixlen)


def _lost_chain(host: HostFacts) -> bool:
    """Tell whether the engine lacks its chain for others, and no setting of it says why."""
    tells = not manages_firewall(host) or engine_preflight.uses_nftables(host)
    return bool(host["engine"]) and not host["firewall"] and not tells


def exposure_problems(settings: Settings, host: HostFacts) -> Iterator[str]:
    """Yield why nothing would enforce `exposure_allow_from`, and whether it leaves out who runs this."""
    allowed = settings["exposure_allow_from"]
    if allowed and _lost_chain(host):
        yield (
            f"exposure_allow_from is {', '.join(allowed)}, but this engine's firewall has no chain DOCKER-USER, in "
            "which others are refused: expected that chain, which the engine makes when it starts. Restart the engine, "
            "or leave exposure_allow_from empty."
        )
    if not allowed or not host["ssh_client"]:
        return
    address = ipaddress.ip_address(host["ssh_client"].partition("%")[0])
    if address.version == ip_family.IPV6.version and not settings["network_ipv6"]:
        return  # the stack answers nobody over IPv6
    if not any(address in ipaddress.ip_network(one) for one in allowed):
        yield (
            f"exposure_allow_from is {', '.join(allowed)}: it leaves out {address}, where this run comes from by SSH; "
            f"expected a list that holds it, such as {address}/{address.max_prefixlen}."
        )
