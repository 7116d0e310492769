# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Why a connection of the stack fails although both ends are well: the rule of a firewall that is in its way.

Rules are read only where a connection has failed: of the host once, of a container for each of its connections.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy.firewall_rules import let_pass
from ansible_collections.sse.platform.plugins.module_utils.host import blocking, iptables_rules, namespace
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Packet
from ansible_collections.sse.platform.plugins.module_utils.model.connections import networks_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Rule, Rules
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
    from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Place

HOST = "self"


class Blocked(NamedTuple):
    """A rule that blocks a connection, and the command that removes it."""

    where: str  # empty for the host
    shown: str
    mend: str


def nothing(*__: object) -> None:
    """Know of no rule that blocks a connection."""


class Blocking:
    """The rules on the ways of a stack's connections."""

    def __init__(self, releases: Sequence[Release]) -> None:
        """Read nothing yet."""
        self.stack = releases[0]["stack"] if releases else ""
        networks = networks_of(releases)
        self.bridges = {name: one.get("device", "") for name, one in networks.items()}
        self.gateways = {name: one.get("gateway", "") for name, one in networks.items()}
        self.read: dict[int | str, Rules | None] = {}
        self.reading = threading.Lock()

    def rules(self, pid: int | str) -> Rules | None:
        """Return the rules in the network namespace of a process; None where they cannot be read."""
        with self.reading:
            if pid not in self.read:
                try:
                    self.read[pid] = iptables_rules.parse(namespace.inside(pid, iptables_rules.save))
                except OSError:
                    self.read[pid] = None
            return self.read[pid]

    def between(self, source: Place, target: Place, names: tuple[str, str], address: str, port: int) -> Blocked | None:
        """Return what blocks a connection between two containers.

        :param names: of both
        :param address: of the target, as it was tried
        """
        shared = [name for name, one in target.addresses.items() if one == address and source.addresses.get(name)]
        if not shared:
            return None  # rules are known by addresses
        bridge = self.bridges.get(shared[0], "")
        packet = Packet(source.addresses[shared[0]], address, port)
        on_host = packet._replace(enters=bridge, leaves=bridge)
        if rule := blocking.blocked(self.rules(HOST), on_host, blocking.FORWARDED, blocking.FORWARDED):
            return self.told(rule)
        ends = ((names[0], source.pid, blocking.LEAVING, blocking.ENTERING),)
        ends += ((names[1], target.pid, blocking.ENTERING, blocking.LEAVING),)
        for name, pid, there, back in ends:
            if rule := blocking.blocked(self.rules(pid), packet, there, back):
                return Blocked(f" inside {name}", rule.shown, f"nsenter -t {pid} -n {rule.removal}")
        return None

    def published(self, target: Place, address: str, ports: tuple[int, int]) -> Blocked | None:
        """Return what blocks a connection of the host to a published port.

        :param address: of the host, as it was tried
        :param ports: of the host, and of the container
        """
        rules = self.rules(HOST)
        if rules is None:
            return None
        rule = blocking.before_container(rules, address, ports[0])
        for network, inside in target.addresses.items():
            packet = Packet("", inside, ports[1], leaves=self.bridges.get(network, ""), asked_port=ports[0])
            rule = rule or blocking.to_container(rules, packet, self.gateways.get(network, ""))
        return self.told(rule) if rule else None

    def told(self, rule: Rule) -> Blocked:
        """Tell of a rule of the host, and what lets the connection pass."""
        mend = let_pass(rule, self.stack)
        if rule.policy:  # the engine's own rules come before it: they are gone
            mend = "./sse doctor"
        return Blocked("", rule.shown, mend)
