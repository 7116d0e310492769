"""Why a port of the host does not lead into its container, and why a container does not reach a service on the host."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.deploy import preflight
from ansible_collections.sse.platform.plugins.module_utils.doctor.lookup import (
    container_of,
    device_of,
    health,
    is_ours,
    network_of,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import connections
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.engine import restart
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback
from ansible_collections.sse.platform.plugins.module_utils.model.spec import HOST
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import host_service as host_service_check
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import (
    ANY,
    LOOPBACK,
    WILDCARDS,
)

# What the engine says where it can't have a port.
TAKEN = ("address already in use", "port is already allocated", "failed programming external connectivity")


def dead(facts: Json) -> Iterator[Finding]:
    """See that every published port of a running container answers on the host."""
    for door in facts["doors"]:
        container = container_of(facts, door["container"])
        devices = {device_of(facts, name) for name in container["networks"]} if container else set[str]()
        # Without its bridge nothing reaches it: that is told of the network.
        if door["got"] and devices & set(facts["mtu"]):
            yield unanswered(facts, door)


def unanswered(facts: Json, door: Json) -> Finding:
    """Tell why a published port does not answer."""
    container = next(one for one in facts["containers"] if one["name"] == door["container"])
    name, port, inside = door["container"], door["port"], door["inside"]
    wrong = f"port {port} of the host ({door['address']}) does not lead into it"

    def found(rule: str, why: str, evidence: str, *mend: str) -> Finding:
        said = f"{door['got']}; {evidence}"
        return Finding(rule, name, f"{wrong}: {why}", said, (*mend, *windows(facts, port)))

    deaf = connections.listening(container, inside)
    if deaf:
        rule, why, mend = deaf
        return found(rule, why, health(container), *mend)
    rules = iptables_rules.parse(facts["rules"])
    key = ("" if door["address"] == ANY else door["address"], port)
    rule = blocking(facts, rules, container, door)
    if rule:
        return found("firewall", "a firewall rule stops it", rule.shown, connections.allow(facts, rule))
    if facts["rules"] and key not in iptables_rules.published(rules):
        return found(
            "rules-flushed", "the engine's rule for it is gone", f"no DNAT of port {port} in nat DOCKER", restart(facts)
        )
    if facts["host"]["engine"]["userland_proxy"] and not any(
        one["port"] == port and one["process"].startswith("docker-proxy") for one in facts["host"]["listeners"]
    ):
        evidence = f"userland-proxy is on, and no docker-proxy listens on {port}"
        return found("docker-proxy", "its docker-proxy is gone", evidence, docker("restart", name))
    evidence = f"{health(container)}; it listens on {inside}, and no rule is in the way"
    return found("unexplained", "it listens and does not answer", evidence, docker("logs", "--tail=50", name))


def blocking(facts: Json, rules: iptables_rules.Rules, container: Json, door: Json) -> iptables_rules.Rule | None:
    """The rule that stops what the host sends to a published port, before or after the engine rewrites its target."""
    there = LOOPBACK if door["address"] in WILDCARDS else door["address"]
    asked = iptables_rules.Packet("", there, door["port"])
    rule = rules.hindrance([("raw", "OUTPUT"), ("mangle", "OUTPUT")], asked)
    for network, endpoint in container["networks"].items():
        packet = iptables_rules.Packet(
            "", endpoint["address"], door["inside"], leaves=device_of(facts, network), asked_port=door["port"]
        )
        rule = rule or rules.hindrance([("filter", "OUTPUT")], packet)
        rule = rule or rules.hindrance(connections.ENTERING, packet.answer())
    return rule


def closed(facts: Json, address: str, port: int, error: str) -> Finding:
    """Tell why a port of the host that was asked for does not answer."""
    wrong = f"port {port} of {address} does not answer"
    containers = sorted(facts["containers"], key=lambda one: not is_ours(facts, one["labels"]))
    for one in containers:
        ports: list[tuple[str, int, int]] = one["published"] if one["running"] else []
        for at, number, inside in ports:
            if number == port and (at in WILDCARDS or at == address):
                door = {"container": one["name"], "address": at, "port": port, "inside": inside, "got": error}
                return unanswered(facts, door)
            if number == port:
                mend = f"# use {at}:{port}, or publish it on another address (exposure_bind, exposure_admin_bind)"
                why = f"{one['name']} publishes it on {at} only"
                return Finding("port-on-loopback", "host", f"{wrong}: {why}", error, (mend, *windows(facts, port)))
    for one in containers:
        if one["inside"] and one["mode"] != "host" and any(number == port for _, number in one["inside"]["listening"]):
            said = ", ".join(f"{at}:{number} for its {inside}" for at, number, inside in one["published"])
            why = f"{one['name']} listens on {port} and does not publish it"
            mend = f"# listening or EXPOSE publish nothing: make it anew with -p 127.0.0.1:{port}:{port}"
            evidence = f"{error}; it publishes {said or 'nothing'}"
            return Finding("not-published", "host", f"{wrong}: {why}", evidence, (mend,))
    look = ("ss -ltnp", "docker ps --format '{{.Names}} {{.Ports}}'")
    why = "no container publishes it, and nothing listens there"
    return Finding("not-published", "host", f"{wrong}: {why}", error, look)


def unpublished(facts: Json) -> Iterator[Finding]:
    """See that a running container got the ports which it asked for: on internal networks alone there is no error."""
    for one in facts["containers"]:
        lost = [f"{address}:{port}" for address, port, _ in one["wanted"] if port and not published_at(one, port)]
        if not one["running"] or not lost or one["mode"] == "host":
            continue
        networks = [found for name in one["networks"] if (found := network_of(facts, name))]
        internal = bool(networks) and all(network["internal"] for network in networks)
        names = ", ".join(network["name"] for network in networks) or "no network"
        why = (
            "it is on internal networks only, which publish nothing" if internal else "the engine publishes it nowhere"
        )
        mend = docker("network", "connect", "bridge" if internal else names, one["name"])
        if is_ours(facts, one["labels"]):
            mend = f"docker rm -f {one['name']} && ./sse up"
        evidence = f"asked for {', '.join(lost)}; on {names}"
        yield Finding("not-published", one["name"], f"its port is not published: {why}", evidence, (mend,))


def published_at(container: Json, port: int) -> bool:
    """Tell whether a container has a host port."""
    return any(number == port for _, number, _ in container["published"])


def taken(facts: Json) -> Iterator[Finding]:
    """Tell who holds the port that keeps a container from starting."""
    for one in facts["containers"]:
        if one["running"] or not any(words in one["error"] for words in TAKEN):
            continue
        for address, port, _ in one["wanted"]:
            owner = port_owner(facts, one, address, port)
            if owner:
                who, mend = owner
                evidence = f"the engine said: {one['error'][-160:]}; {who} holds {address}:{port} now"
                wrong = f"it can't start: port {port} of the host is bound by {who}"
                yield Finding("port-bound", one["name"], wrong, evidence, (mend, docker("start", one["name"])))


def port_owner(facts: Json, container: Json, address: str, port: int) -> tuple[str, str] | None:
    """Who holds a TCP port of the host, and the command that frees it."""
    for other in facts["containers"]:
        for at, number, _ in other["published"]:
            if other["running"] and other is not container and number == port and preflight.conflicts(address, at):
                return f"container {other['name']}", docker("stop", other["name"])
    for one in facts["host"]["listeners"]:
        if one["protocol"] == "tcp" and one["port"] == port and preflight.conflicts(address, one["address"]):
            pid = one["process"].rpartition("pid ")[2].rstrip(")")
            return one[
                "process"
            ] or "a process that can't be seen", f"kill {pid}  # or choose another port" if pid else "ss -ltnp"
    return None


def narrow(facts: Json) -> Iterator[Finding]:
    """See that the public ports are bound as the settings ask: on loopback no other machine reaches them."""
    for one in facts["containers"]:
        if (
            facts["bind"] == LOOPBACK
            or one["labels"].get("sse.platform.service") != "nginx"
            or not is_ours(facts, one["labels"])
        ):
            continue
        lone = [port for address, port, _ in one["published"] if address == LOOPBACK]
        if lone:
            ports = ", ".join(map(str, lone))
            evidence = f"{LOOPBACK}: {ports}; the settings ask for {facts['bind']}"
            wrong = "its public ports are bound to loopback only: other machines can't reach them"
            yield Finding("port-on-loopback", one["name"], wrong, evidence, ("./sse up", *windows(facts, lone[0])))


def host_services(facts: Json) -> Iterator[Finding]:
    """See that a service on the host which containers are told to use listens where they can reach it."""
    specs = {name: spec for release in facts["releases"] for name, spec in release["containers"].items()}
    for one in facts["containers"]:
        if not one["running"] or not one["inside"]:
            continue
        if one["mode"] == "host":
            yield from host_mode(facts, one)
        elif address := one["inside"]["hosts"].get(HOST):
            declared: list[int] = specs.get(one["name"], {}).get("reaches_host", [])
            for port in sorted({*one["host_ports"], *declared}):
                yield from host_service(facts, one["name"], address, port)


def host_mode(facts: Json, container: Json) -> Iterator[Finding]:
    """See that a container without a network of its own listens where others reach it."""
    places: list[tuple[str, int]] = container["inside"]["listening"]
    if places and all(is_loopback(address) for address, _ in places):
        shown = ", ".join(f"{address}:{port}" for address, port in places)
        wrong = "it is in host mode and listens on loopback only: no container reaches it"
        mend = (f"# make it listen on the gateway's address, {gateway(facts)}; 0.0.0.0 would open it to the world",)
        yield Finding("host-mode-on-loopback", container["name"], wrong, f"it listens on {shown}", mend)


def host_service(facts: Json, name: str, address: str, port: int) -> Iterator[Finding]:
    """Judge one service on the host that a container is told to use."""
    there = [one for one in facts["host"]["listeners"] if one["protocol"] == "tcp" and one["port"] == port]
    why = host_service_check.unheard({one["address"] for one in there}, address, port)
    if why:
        found = ", ".join(f"{one['process'] or 'a process'} at {one['address']}" for one in there) or "nobody"
        evidence = f"{HOST} is {address} in it; on the host {found} listens on {port}"
        mend = (f"# make the service listen on {address}:{port}; 0.0.0.0 would open it to the world",)
        yield Finding("host-service", name, f"it is told to use {HOST}:{port}, and {why}", evidence, mend)


def gateway(facts: Json) -> str:
    """The host's address on the default bridge, which host-gateway stands for."""
    return (network_of(facts, "bridge") or {"gateway": ""})["gateway"] or "172.17.0.1"


def windows(facts: Json, port: int) -> tuple[str, ...]:
    """What else may stand in the way on WSL2 (Microsoft, Accessing network applications with WSL)."""
    if "microsoft" not in facts["kernel"]["release"].lower():
        return ()
    return (
        f"# WSL2: from Windows use localhost:{port} (localhostForwarding in .wslconfig);",
        "# from other machines it needs, as administrator on Windows:",
        f"netsh interface portproxy add v4tov4 listenport={port} connectport={port} connectaddress=WSL_ADDRESS",
        f"netsh advfirewall firewall add rule name=sse-{port} dir=in action=allow protocol=TCP localport={port}",
    )


RULES = (dead, unpublished, taken, narrow, host_services)
