# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Have a host of a cluster carry nothing, so that it can be off or leave; and take one out that has left.

Both are runs like any other: alone on the stack, and a line of its history.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy import swarm_apply
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_rollout import (
    SwarmReport,
    SwarmRequest,
    SwarmRollout,
)
from ansible_collections.sse.platform.plugins.module_utils.model import swarm_nodes
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_placement import NodeStep
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import HOLDS_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
    from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi
    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService

DOWN_SECONDS = 60.0  # that managers may take until they see that a node has left


class Asked(NamedTuple):
    """The host that is meant, and how."""

    host: str
    away: bool = False  # whether services may be away whose data no other host has
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Drain(SwarmRollout):
    """The way to a host without tasks: no new ones, replicas elsewhere one after the other, then the rest ends."""

    def __init__(
        self, request: SwarmRequest, asked: Asked, api: SwarmApi | None = None, engine: Api | None = None
    ) -> None:
        """Look at the Swarm."""
        super().__init__(request, api, engine)
        self.asked = asked
        node = self.nodes.get(asked.host)
        # One that is drained already stays so: with another word it would get what waits for it.
        if node and node["availability"] != swarm_nodes.DRAINED:
            self.request = replace(request, availability={asked.host: "pause"})

    def chosen(self, actions: list[Action], services: list[SwarmService]) -> list[Action]:
        """Leave out what does not change: services whose data are here may wait for this host."""
        return [one for one in super().chosen(actions, services) if one.changes]

    def bring(self, report: SwarmReport, fresh: int) -> bool:
        """Refuse what must not be; then move what may move, and end the rest.

        :raises ApplyError: nothing was changed, or the host gets no new tasks and still has some
        """
        preview = SwarmReport()
        ends = self.judge(preview, fresh)
        if self.request.check:
            report.around += preview.around
            report.outcomes += preview.outcomes
            report.afterwards += preview.afterwards
            return True
        try:
            super().bring(report, fresh)
            self.empty(report)
        except ApplyError as error:
            raise ApplyError(
                f"{error}\n\n{self.asked.host} gets no new tasks now. ./sse node drain {self.asked.host} goes on from "
                f"here, and ./sse node add {self.asked.host} gives it tasks again."
            ) from error
        report.afterwards += ends
        return True

    def judge(self, preview: SwarmReport, fresh: int) -> list[str]:
        """Write what would be done into a preview, and return what ends without a successor, one line each.

        :raises ApplyError: the host must not be drained; nothing was changed
        """
        host = self.asked.host
        services = self.compiled()
        observed = {one.name: one for one in self.api.services()} if self.is_there else {}
        held = self.held(services)
        problems = swarm_nodes.drain_problems(
            swarm_nodes.Draining(
                host,
                self.request.cluster.hosts,
                self.nodes,
                services,
                held,
                observed,
                self.asked.away,
                self.request.behind or {},
            )
        )
        if problems:
            raise ApplyError("\n- ".join([f"{host} is not drained; nothing was changed.", *problems]))
        look = SwarmRollout(replace(self.request, check=True), self.api, self.engine)
        look.bring(preview, fresh)
        actions = [action for outcome in preview.outcomes for action in outcome.actions]
        if unlike := swarm_nodes.differing(host, preview.around, actions, held):
            what = f"{host} is not drained, because the Swarm is not as the inventory says; nothing was changed"
            raise ApplyError("\n- ".join([f"{what}. Run ./sse up first. What differs:", *unlike]))
        node = self.nodes[host]
        moved = {one.container for one in actions if one.changes}
        ends = [f"- {name} on {host}" for name in self.api.running_on(node["id"]) if name not in moved]
        if node["availability"] != swarm_nodes.DRAINED:
            preview.afterwards += [f"~ node {host}: availability: pause -> {swarm_nodes.DRAINED}", *ends]
        return ends

    def empty(self, report: SwarmReport) -> None:
        """End what runs on the host all the same, and wait until nothing does.

        :raises ApplyError: some of it does not end
        """
        node = next(node for node in self.api.local()["nodes"] if node["id"] == self.nodes[self.asked.host]["id"])
        if node["availability"] != swarm_nodes.DRAINED:
            reason = f"availability: {node['availability']} -> {swarm_nodes.DRAINED}"
            step = NodeStep(self.asked.host, node["id"], node["role"], node["labels"], [reason], swarm_nodes.DRAINED)
            report.afterwards += swarm_apply.change_nodes(self.api, [step])
        services = self.compiled()
        until = self.asked.clock() + swarm_apply.EXTRA_SECONDS + max(map(swarm_apply.stop_seconds, services), default=0)
        while left := self.api.running_on(node["id"]):
            if self.asked.clock() > until:
                raise ApplyError(f"{', '.join(left)} on {self.asked.host} did not end.")
            self.asked.sleep(swarm_apply.PAUSE_SECONDS)


class Removal(SwarmRollout):
    """The way to a Swarm that knows nothing of a host any more. The host itself leaves before that."""

    def __init__(
        self, request: SwarmRequest, asked: Asked, api: SwarmApi | None = None, engine: Api | None = None
    ) -> None:
        """Look at the Swarm."""
        super().__init__(request, api, engine)
        self.asked = asked

    def bring(self, report: SwarmReport, fresh: int) -> bool:
        """Refuse what must not be; then wait until the managers see that the host has left, and forget it.

        :raises ApplyError: it must not leave, or has not left
        """
        host = self.asked.host
        node = self.nodes.get(host)
        if node is None:
            if host not in self.request.addresses:
                raise ApplyError(
                    f"{host} does not answer, and no node of the Swarm is called so; nothing was changed. Find its "
                    "node with docker node ls on a manager, and take it out with docker node rm."
                )
            return True
        identity = node["id"]
        running = self.api.running_on(identity)
        asked = self.judged()
        problems = swarm_nodes.removal_problems(asked, running)
        if problems:
            raise ApplyError("\n- ".join([f"{host} is not removed; nothing was changed.", *problems]))
        if not self.request.check:
            until = self.asked.clock() + DOWN_SECONDS
            while any(one["id"] == identity and one["state"] == "ready" for one in self.api.local()["nodes"]):
                if self.asked.clock() > until:
                    raise ApplyError(f"{host} has not left the Swarm: docker swarm leave there takes it out.")
                self.asked.sleep(swarm_apply.PAUSE_SECONDS)
            self.api.remove_node(identity)
        report.around.append(f"- node {host}")
        report.afterwards += [
            f"~ {name} has no host now: take {host} out of the inventory and run ./sse up, which starts it on another "
            "host of the group data, where it copies what the others have. Until then, lose none of them."
            for name in swarm_nodes.left_behind(asked)
        ]
        return True

    def judged(self) -> swarm_nodes.Draining:
        """Return what there is beside the host."""
        services = self.compiled()
        observed = {one.name: one for one in self.api.services()}
        held = {
            label.removeprefix(HOLDS_LABEL): host
            for host, node in self.nodes.items()
            for label in node["labels"]
            if label.startswith(HOLDS_LABEL)
        }
        hosts, behind = self.request.cluster.hosts, self.request.behind or {}
        return swarm_nodes.Draining(self.asked.host, hosts, self.nodes, services, held, observed, behind=behind)
