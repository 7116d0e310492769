# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Why a published port of the host does not lead into its container, and why a container does not reach the host."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor import commands, lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import connections
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Container, Facts, TriedPort
from ansible_collections.sse.platform.plugins.module_utils.host import blocking, iptables_rules, listeners
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Packet, Rule, Rules
from ansible_collections.sse.platform.plugins.module_utils.model.connections import containers_of
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, WILDCARDS, is_loopback
from ansible_collections.sse.platform.plugins.module_utils.model.spec import HOST
from ansible_collections.sse.platform.plugins.module_utils.preflight.engine_preflight import config_file
from ansible_collections.sse.platform.plugins.module_utils.preflight.network_preflight import manages_firewall
from ansible_collections.sse.platform.plugins.module_utils.preflight.preflight import conflicts
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.host_service import unheard
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication

# What the engine says when somebody else has a port.
PORT_TAKEN = ("address already in use", "port is already allocated", "failed programming external connectivity")


def ports_answer(facts: Facts) -> Iterator[Finding]:
    """Check that every published port of a running container answers on the host."""
    disturbed = lookup.disturbed(facts) | lookup.cut_off(facts)
    for tried in facts["ports"]:
        silent = tried.error and tried.container not in disturbed
        container = lookup.container(facts, tried.container) if silent else None
        # A network without its bridge is another finding.
        if container and any(lookup.bridge(facts, network) in facts["mtu"] for network in container["networks"]):
            yield unanswered(facts, container, tried)


def unanswered(facts: Facts, container: Container, tried: TriedPort) -> Finding:
    """Tell why a published port does not answer."""
    name, rules, (address, port, inside) = container["name"], facts["rules"], tried.published

    def found(rule: str, why: str, evidence: str, mend: str) -> Finding:
        wrong = f"port {port} of the host ({address}) does not lead into it: {why}"
        return Finding(rule, name, wrong, f"{tried.error}; {evidence}", (mend, *on_windows(facts, port)))

    silent = connections.not_listening(container, inside)
    if silent:
        return found(*silent)
    engine = facts["host"]["engine"]
    if engine and not engine["userland_proxy"] and not manages_firewall(facts["host"]):
        why = "the engine has neither rules of the firewall nor docker-proxy"
        evidence = '"iptables" and "userland-proxy" are false'
        return Finding(
            "rules-flushed",
            name,
            f"port {port} of the host ({address}) does not lead into it: {why}",
            f"{tried.error}; {evidence}",
            (f"# remove one of the two lines from {config_file(engine)}, then:", *commands.restart_engine(facts)),
        )
    stopped_by = blocking_rule(rules, facts, container, tried.published) if rules else None
    if stopped_by:
        mend = connections.allow(facts, stopped_by)
        return found("firewall", "a firewall rule blocks the connection", stopped_by.shown, mend)
    if rules and ("" if address == IPV4.wildcard else address, port) not in iptables_rules.published(rules):
        mend, evidence = commands.engine(facts, "restart"), f"no DNAT of port {port} in chain nat DOCKER"
        return found("rules-flushed", "Docker's firewall rule for it is missing", evidence, mend)
    proxies = [one for one in facts["host"]["listeners"] if one["process"].startswith("docker-proxy")]
    if engine and engine["userland_proxy"] and port not in [one["port"] for one in proxies]:
        evidence = f"userland-proxy is on, but no docker-proxy listens on {port}"
        return found("docker-proxy", "its process docker-proxy does not run", evidence, docker("restart", name))
    evidence = f"{connections.health(container)}; it listens on {inside}, and no firewall rule blocks it"
    return found("unexplained", "it listens, but it does not answer", evidence, commands.show_log(name))


def blocking_rule(rules: Rules, facts: Facts, container: Container, published: Publication) -> Rule | None:
    """Return the rule that blocks what the host sends to a published port, before or after the engine rewrites it."""
    address, port, inside = published
    rule = blocking.before_container(rules, address, port)
    for network, endpoint in container["networks"].items():
        packet = Packet("", endpoint["address"], inside, leaves=lookup.bridge(facts, network), asked_port=port)
        rule = rule or blocking.to_container(rules, packet, lookup.gateway(facts, network))
    return rule


def closed(facts: Facts, address: str, port: int, error: str) -> Finding:
    """Tell why a port of the host that somebody asked for does not answer."""

    def found(rule: str, why: str, evidence: str, *mend: str) -> Finding:
        return Finding(rule, "host", f"port {port} of {address} does not answer: {why}", evidence, mend)

    containers = sorted(facts["containers"], key=lambda one: not one["ours"])
    for one in containers:
        for published in one["published"] if one["running"] else ():
            at = published.host_ip
            if published.host_port != port:
                continue
            if at in WILDCARDS or at == address:
                return unanswered(facts, one, TriedPort(one["name"], published, error))
            why = f"{one['name']} publishes it on {at} only"
            mend = f"# use {at}:{port}, or publish it on another address (exposure_bind, exposure_admin_bind)"
            return found("port-on-loopback", why, error, mend, *on_windows(facts, port))
    for one in containers:
        if one["ours"] and not one["running"] and any(each.host_port == port for each in one["wanted"]):
            why = f"{one['name']}, which publishes it, does not run"
            return found("stopped", why, f"{error}; its status is {one['status']}", commands.start(one))
    for one in containers:
        if one["inside"] and one["mode"] != "host" and any(number == port for __, number in one["inside"]["listening"]):
            why = f"{one['name']} listens on {port} and does not publish it"
            evidence = f"{error}; it publishes {', '.join(each.shown for each in one['published']) or 'no port'}"
            mend = f"# EXPOSE publishes nothing: create the container again with -p 127.0.0.1:{port}:{port}"
            return found("not-published", why, evidence, mend)
    look = ("ss -ltnp", "docker ps --format '{{.Names}} {{.Ports}}'")
    return found("not-published", "no container publishes it, and nothing listens there", error, *look)


def ports_are_published(facts: Facts) -> Iterator[Finding]:
    """Check that a running container has the ports that it asks for: an internal network publishes none, silently."""
    disturbed = lookup.disturbed(facts)
    for one in facts["containers"]:
        published = {number for __, number, __ in one["published"]}
        lost = [f"{address}:{port}" for address, port, __ in one["wanted"] if port and port not in published]
        if not one["running"] or not lost or one["mode"] == "host" or one["name"] in disturbed:
            continue
        networks = [found for name in one["networks"] if (found := lookup.network(facts, name))]
        names = ", ".join(each["name"] for each in networks) or "no network"
        why, network = "the engine publishes it nowhere", names
        if networks and all(each["internal"] for each in networks):
            why, network = "it is on internal networks only, and these publish no port", "bridge"
        mend = docker("network", "connect", network, one["name"])
        if one["ours"]:
            mend = f"docker rm -f {one['name']} && ./sse up"
        evidence = f"it asks for {', '.join(lost)}; it is on {names}"
        yield Finding("not-published", one["name"], f"its port is not published: {why}", evidence, (mend,))


def ports_are_free(facts: Facts) -> Iterator[Finding]:
    """Tell who holds the port that keeps a container from starting."""
    for one in facts["containers"]:
        if one["running"] or not any(words in one["error"] for words in PORT_TAKEN):
            continue
        for address, port, __ in one["wanted"]:
            holder = holder_of_port(facts, one, address, port)
            if holder:
                who, mend = holder
                evidence = f"the engine said: {one['error'][-160:]}; {who} holds {address}:{port} now"
                wrong = f"it cannot start: {who} holds port {port} of the host"
                yield Finding("port-bound", one["name"], wrong, evidence, (mend, docker("start", one["name"])))


def holder_of_port(facts: Facts, container: Container, address: str, port: int) -> tuple[str, str] | None:
    """Return who else holds a TCP port of the host, and the command that frees the port."""
    for other in facts["containers"]:
        for at, number, __ in other["published"]:
            if other["running"] and other is not container and number == port and conflicts(address, at):
                return f"container {other['name']}", docker("stop", other["name"])
    for one in facts["host"]["listeners"]:
        if one["protocol"] == "tcp" and one["port"] == port and conflicts(address, one["address"]):
            stop = listeners.way_to_stop(one["process"])
            mend = f"{stop}  # or choose another port" if stop else "ss -ltnp"
            return one["process"] or "a process that cannot be seen", mend
    return None


def ports_are_public(facts: Facts) -> Iterator[Finding]:
    """Check that public ports are bound as the settings ask: no other machine reaches a port on loopback."""
    for one in facts["containers"] if facts["bind"] != IPV4.loopback else ():
        public = [port for at, port, __ in one["published"] if at == IPV4.loopback and port in facts["public_ports"]]
        if public and one["ours"]:
            ports = ", ".join(map(str, public))
            evidence = f"{IPV4.loopback}: {ports}; the settings ask for {facts['bind']}"
            wrong = "its public ports are bound to loopback only: no other machine can reach them"
            yield Finding("port-on-loopback", one["name"], wrong, evidence, ("./sse up", *on_windows(facts, public[0])))


def host_services_listen(facts: Facts) -> Iterator[Finding]:
    """Check that a service on the host that a container uses listens where containers reach it."""
    specs = containers_of(facts["releases"])
    for one in facts["containers"]:
        if not one["running"] or not one["inside"]:
            continue
        if one["mode"] == "host":
            yield from host_mode_listens(facts, one["name"], one["inside"]["listening"])
        elif address := one["inside"]["hosts"].get(HOST):
            declared: list[int] = specs[one["name"]]["reaches_host"] if one["name"] in specs else []
            for port in sorted({*one["host_ports"], *declared}):
                yield from host_service_listens(facts, one["name"], address, port)


def host_mode_listens(facts: Facts, name: str, listening: list[tuple[str, int]]) -> Iterator[Finding]:
    """Check that a container that uses the network of the host listens where other containers reach it."""
    if listening and all(is_loopback(address) for address, __ in listening):
        bridge = lookup.network(facts, "bridge")
        gateway = (bridge and bridge["gateway"]) or "172.17.0.1"  # what the engine calls host-gateway
        evidence = f"it listens on {', '.join(f'{address}:{port}' for address, port in listening)}"
        wrong = "it uses the network of the host, and listens on loopback only: no container reaches it"
        mend = f"# make it listen on {gateway}, the host's address for containers; 0.0.0.0 would open it to everybody"
        yield Finding("host-mode-on-loopback", name, wrong, evidence, (mend,))


def host_service_listens(facts: Facts, name: str, address: str, port: int) -> Iterator[Finding]:
    """Check one service on the host that a container uses."""
    listeners = [one for one in facts["host"]["listeners"] if one["protocol"] == "tcp" and one["port"] == port]
    why = unheard({one["address"] for one in listeners}, address, port)
    if why:
        shown = ", ".join(f"{one['process'] or 'a process'} at {one['address']}" for one in listeners) or "nobody"
        evidence = f"inside it, {HOST} is {address}; on the host, {shown} listens on {port}"
        mend = f"# make the service listen on {address}:{port}; 0.0.0.0 would open it to everybody"
        yield Finding("host-service", name, f"it is to use {HOST}:{port}, but {why}", evidence, (mend,))


def on_windows(facts: Facts, port: int) -> tuple[str, ...]:
    """Return what WSL2 needs besides (Microsoft, Accessing network applications with WSL)."""
    if "microsoft" not in facts["kernel"].lower():
        return ()
    return (
        f"# WSL2: from Windows use localhost:{port} (localhostForwarding in .wslconfig);",
        "# other machines need these commands, run by an administrator of Windows:",
        f"netsh interface portproxy add v4tov4 listenport={port} connectport={port} connectaddress=WSL_ADDRESS",
        f"netsh advfirewall firewall add rule name=sse-{port} dir=in action=allow protocol=TCP localport={port}",
    )


RULES = (ports_answer, ports_are_published, ports_are_free, ports_are_public, host_services_listen)
