# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A canary of a cluster: judged as on one host, by a Prometheus that may run on another one.

A host has no way of its own into the overlay. So the manager asks from within a container of the stack that it runs.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ansible_collections.sse.platform.plugins.module_utils.deploy import node_told
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import namespace
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.verify import canary, one_replica, swarm_deliveries
from ansible_collections.sse.platform.plugins.module_utils.verify.canary import Canary, CanaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from typing import Any

    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec

Result = TypeVar("Result")


class Overlay(NamedTuple):
    """The network of a stack, as this host reaches it."""

    engine: Callable[[], Engine]  # asked when it is needed: a first run comes before there is one
    stack: str

    def at(self, name: str, work: Callable[[str], Result]) -> Result:
        """Do something with the address of a service, from within a container that knows it.

        :raises OSError: no container of this host finds it, or no engine answers
        """
        why = "no container of the stack runs on this manager, from which it could be asked: ./sse node add"
        try:
            engine = self.engine()
            here = list(node_told.running(engine, self.stack))
        except EngineError as error:
            raise OSError(str(error)) from error
        for __, identity in here:
            try:
                pid = engine.inspect(identity)["State"]["Pid"]
                addresses = namespace.inside(pid, lambda: namespace.ask(name))
            except (EngineError, OSError) as error:  # it ended meanwhile, or is on no network of the stack
                why = f"{name}: {error}"
            else:
                return namespace.inside(pid, functools.partial(work, addresses[0]))
        raise OSError(why)


class SwarmCanary(Canary):
    """Watches one replica of each service of a cluster for a time."""

    def __init__(
        self, asked: Mapping[str, Any], seconds: int, overlay: Overlay, releases: Sequence[Release], directory: str
    ) -> None:
        """Watch by the expressions of services and of the setting.

        :param asked: as O(canary) of the module stack
        :param releases: those that are rolled out
        :param directory: the state directory
        """
        super().__init__(canary.watches_of(asked), asked["metrics"], seconds)
        self.overlay, self.releases, self.directory = overlay, releases, directory
        self.prometheus = prometheus(releases)

    def refuse_now(self, releases: Sequence[Release], running: Collection[str]) -> None:
        """Ask every expression about what runs now, before anything changes.

        What keeps copies has no canary: each is waited for until it has what the others have.

        :param releases: those that were applied
        :param running: the names of the services that run
        :raises CanaryError: Prometheus does not run, refuses an expression, or has no data for it
        """
        found = {name: one for release in releases for name, one in release["containers"].items() if name in running}
        there = prometheus(releases)
        self.refuse_unjudged(
            [one for one in found.values() if not one["data"]], there if there and there.name in found else None
        )

    def watch(self, name: str, spec: Spec, gate: Callable[[], None]) -> None:
        """Send an event through a new replica, and watch it."""
        for release in self.releases:
            for __, asked in one_replica.declared(release, name) if name in release["containers"] else ():
                there = Endpoint(name, name, asked["port"], key=swarm_deliveries.key(asked, self.directory))
                try:
                    self.overlay.at(
                        name,
                        lambda address, it=there, how=asked: one_replica.send(
                            how, it._replace(host=address), self.directory
                        ),
                    )
                except OSError as error:
                    raise CanaryError(f"{name}: no event goes through it: {error}") from error
        super().watch(name, spec, gate)

    def answer(self, prometheus: Endpoint, path: str) -> Answer:
        """Return what Prometheus answers."""
        try:
            return self.overlay.at(
                prometheus.host,
                lambda address: request(prometheus._replace(host=address), "GET", path, timeout=canary.ANSWER_SECONDS),
            )
        except OSError as error:
            return Answer(0, str(error))


def prometheus(releases: Sequence[Release]) -> Endpoint | None:
    """Return the API of the Prometheus of a stack by its name, which any container of it finds."""
    full = {one["container"]: name for release in releases for name, one in release["containers"].items()}
    for shorts, port in canary.declared(releases):
        for short in shorts:
            if short in full:
                return Endpoint(full[short], full[short], port)
    return None
