# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The stack that is verified: what its releases declare, and which of its containers run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import addresses, all_networks
from ansible_collections.sse.platform.plugins.module_utils.host import listeners
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read
from ansible_collections.sse.platform.plugins.module_utils.host.served_certificate import ServedCertificate
from ansible_collections.sse.platform.plugins.module_utils.model import connections, segments, spec
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6, is_loopback
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.plugins.module_utils.model.spec import fingerprint
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore
from ansible_collections.sse.platform.plugins.module_utils.verify.blocking import Blocking
from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec


class Key(TypedDict):
    """An API key of the stack's own: its name, and the secret behind it."""

    name: str
    secret: str


KEY = spec.record({"name": (spec.text, ...), "secret": (spec.text, ...)})


class Subject(NamedTuple):
    """One container: what it should be, and what the engine says of it."""

    name: str
    spec: Spec
    inspected: Inspected

    @property
    def runs(self) -> bool:
        """Tell whether it runs, and is not paused."""
        return self.inspected["State"]["Running"] and not self.inspected["State"]["Paused"]

    @property
    def pid(self) -> int:
        """Its first process, as the host counts."""
        return self.inspected["State"]["Pid"]

    @property
    def place(self) -> Place:
        """Its network namespace, and its addresses on each of its networks."""
        return Place(self.pid, addresses(self.inspected), addresses(self.inspected, "GlobalIPv6Address"))

    @property
    def address(self) -> str:
        """Its address on its first network."""
        return self.place.addresses.get(next(iter(self.spec["networks"])), "")

    def endpoint(self, port: int) -> Endpoint:
        """Return an HTTP server of the container."""
        return Endpoint(self.name, self.address, port)

    def secret(self, name: str) -> str | None:
        """Return a secret from the file that the container itself was given; None where it was given none."""
        sources = {mount["Destination"]: mount["Source"] for mount in self.inspected["Mounts"] or []}
        for target, files in self.spec["secrets"].items():
            for file, one in files.items():
                if one["secret"] == name and target in sources:
                    before, __, after = one["format"].partition("{}")
                    text = read(Path(sources[target]) / file)  # what somebody did to it, drift tells
                    return text[len(before) : len(text) - len(after)]
        return None

    def listens(self) -> set[int]:
        """Return the ports that it listens on for others."""
        return {one.port for one in listeners.listeners(self.pid) if not is_loopback(one.address)}


class Running:
    """The releases of one stack, and its containers on this host."""

    def __init__(self, engine: Engine, state_directory: str, releases: Sequence[Release]) -> None:
        """Look at every container once.

        :raises EngineError: where the engine does not answer
        """
        self.engine = engine
        self.state_directory = state_directory
        self.releases = releases
        self.observed = engine.containers()
        self.enforced = any(release["layout"] == segments.SEGMENTED for release in releases)
        self.edges = connections.reachability(releases)
        self.blocking = Blocking(releases)
        self.left_out = {short for release in releases for short in release["unavailable"]}
        by_name = {one.name: one for one in self.observed}
        self.found = {
            name: Subject(name, self._spec(release, by_name[name]), engine.inspect(by_name[name].id))
            for release in releases
            for name in release["containers"]
            if name in by_name and by_name[name].belongs(release["stack"], release["project"])
        }
        self.subjects = [one for one in self.found.values() if one.runs]
        self.places = {one.name: one.place for one in self.subjects}
        self.certificates: list[ServedCertificate] = []  # that only a run changes
        self.cells: list[Cell] = []  # of the matrix, as they are measured

    def _spec(self, release: Release, observed: Observed) -> Spec:
        """Return what a container was made from or was told by its last reload, also where that is another release."""
        spec: Spec = release["containers"][observed.name]
        [seen] = LoadedStore(self.state_directory).seen([observed])
        if seen.label("spec") == fingerprint(spec):
            return spec
        if loaded := LoadedStore(self.state_directory).of(observed):
            return loaded["spec"]
        made_from = ReleaseStore(self.state_directory, release["project"]).read(observed.release)
        if made_from is None or made_from["format"] != FORMAT:
            return spec
        return made_from["containers"].get(observed.name, spec)

    def named(self, shorts: Iterable[str]) -> list[Subject]:
        """Return those of these containers that run."""
        by_short = {one.spec["container"]: one for one in self.subjects}
        return [by_short[short] for short in shorts if short in by_short]

    def published(self, short: str) -> list[Endpoint]:
        """Return the published ports of a container as the host reaches them; URLs of endpoints tell which use TLS."""
        endpoints = [one for release in self.releases for one in release["endpoints"]]
        urls = [one.get("url", "") for one in endpoints if one.get("container") == short]
        own = self.own_addresses()
        return [
            Endpoint(
                one.name,
                own.get(port["host_ip"]) or port["host_ip"],
                port["host_port"],
                any(url.startswith("https:") and f":{port['host_port']}/" in url for url in urls),
            )
            for one in self.named([short])
            for port in one.spec["ports"]
        ]

    def own_addresses(self) -> dict[str, str]:
        """Return the address of the host to ask, by the address that stands for all of an IP family.

        Not ``::1``, where nothing published on ``::`` answers without docker-proxy.
        """
        return {IPV4.wildcard: IPV4.loopback, IPV6.wildcard: [*self.gateways("IPv6Gateway"), IPV6.loopback][0]}

    def gateways(self, *keys: str) -> list[str]:
        """Return the gateways of the containers' networks, by what the engine calls them in each IP family."""
        return [
            network[key]
            for one in self.subjects
            for network in all_networks(one.inspected).values()
            for key in keys
            if network.get(key)
        ]

    def secret(self, name: str) -> str:
        """Return a secret of the stack; empty where there is none, so that the server refuses it by name."""
        return read(Path(self.state_directory) / "secrets" / name)

    def key(self, asked: Key | None) -> str:
        """Return an API key as clients send it; empty where none is needed."""
        return f"{asked['name']}.{self.secret(asked['secret'])}" if asked else ""
