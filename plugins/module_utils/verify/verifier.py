"""The proof of a stack: every check asks the running thing itself, side by side, and all faults are told at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy import firewall
from ansible_collections.sse.platform.plugins.module_utils.deploy.release_store import History, newest_releases
from ansible_collections.sse.platform.plugins.module_utils.engine import answers
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health, passed_lately, question
from ansible_collections.sse.platform.plugins.module_utils.host import http, iptables, listeners
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model import connections, segments
from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge
from ansible_collections.sse.platform.plugins.module_utils.model.fault import Fault
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, IPV4, IPV6, is_loopback
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.plugins.module_utils.model.spec import fingerprint
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import (
    datasources,
    deliveries,
    host_service,
    published_ports,
    scraped,
    unix_socket,
)
from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.release import Release
    from ansible_collections.sse.platform.plugins.module_utils.model.spec import Spec

THREADS = 32  # nearly all of them wait on sockets nearly all the time
ANSWER_SECONDS = 5.0  # for one HTTP request inside the host
READY_PAUSE = 0.1  # seconds between two questions to a replica that is not ready
REPLICA_PORT = 8000
PROOF_KEY = "app_proof_key"
TLS_PORTS = {443, 8443}  # container ports of nginx that speak TLS
REDIRECTS = {301, 302, 307, 308}


class Subject(NamedTuple):
    """One container under proof: what it should be, and what the engine says of it."""

    name: str
    spec: Spec
    inspected: Inspected

    @property
    def pid(self) -> int:
        """Its first process, as the host counts."""
        return self.inspected["State"]["Pid"]

    @property
    def addresses(self) -> dict[str, str]:
        """Its address on each of its networks."""
        return answers.addresses(self.inspected)

    @property
    def addresses6(self) -> dict[str, str]:
        """Its IPv6 address on each of its networks."""
        return answers.addresses(self.inspected, "GlobalIPv6Address")

    @property
    def address(self) -> str:
        """Its address on its first network."""
        return self.addresses.get(next(iter(self.spec["networks"])), "")


class Checked(NamedTuple):
    """What one check found."""

    faults: list[Fault]
    verified: int = 1
    notes: Sequence[str] = ()


class Verdict:
    """What all checks found."""

    def __init__(self) -> None:
        """Start with nothing proved."""
        self.faults: list[Fault] = []
        self.counts: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []

    def add(self, what: str, checked: Checked, seconds: float) -> None:
        """Take what a check found; what is at fault does not count as proved."""
        self.faults += checked.faults
        self.notes += checked.notes
        self.counts[what] = self.counts.get(what, 0) + checked.verified
        self.seconds[what] = max(self.seconds.get(what, 0.0), round(seconds, 2))

    @property
    def summary(self) -> str:
        """One line for people."""
        return "verified: " + ", ".join(f"{count} {what}" for what, count in self.counts.items())


def verify_stack(state_directory: str, releases: list[Release], patience: float = 0.0) -> Verifier:
    """Prove a whole stack, and keep the measured matrix for Prometheus.

    :param releases: the newest of each project
    :param patience: seconds that replicas have to become ready before they are proved
    :raises EngineError: where the engine does not answer
    """
    verifier = Verifier(Engine(), state_directory, releases)
    verifier.run(patience)
    matrix.keep(Path(state_directory), verifier.cells, enforced=verifier.enforced)
    return verifier


class Verifier:
    """Proves releases of one stack on this host."""

    def __init__(self, engine: Engine, state_directory: str, releases: list[dict[str, Any]]) -> None:
        """Look at what runs.

        :raises EngineError: where the engine does not answer
        """
        self.engine = engine
        self.state_directory = state_directory
        self.releases = releases
        self.verdict = Verdict()
        self.observed = engine.containers()
        self.subjects: dict[str, Subject] = {}
        self.enforced = any(release["layout"] == segments.SEGMENTED for release in releases)
        self.cells: list[Cell] = []
        self.left_out = {short for release in releases for short in release["unavailable"]}

    def run(self, patience: float = 0.0) -> Verdict:
        """Run every check that these releases give reason for."""
        begun = time.monotonic()
        self.verdict.add("containers running", self.presence(), time.monotonic() - begun)
        self.await_ready(begun + patience)
        subjects = list(self.subjects.values())
        edges = connections.reachability(self.releases)
        places = {one.name: Place(one.pid, one.addresses, one.addresses6) for one in subjects}
        checks: list[tuple[str, Callable[[], Checked]]] = [
            *(("healthy", partial(self.health, one)) for one in subjects),
            *(("connections between them", partial(self.reach, one, edges, places)) for one in subjects),
            *(("ports listened on", partial(self.listens, one)) for one in subjects),
            ("published ports", self.ports),
            ("firewall", self.firewall),
            *(("replica health endpoints", partial(self.replica_health, one)) for one in self.of("app")),
            *(
                ("services on the host", partial(self.host_services, one))
                for one in subjects
                if one.spec["reaches_host"]
            ),
            *(("dashboard's way to the API", partial(self.dashboard, one)) for one in self.of("dashboard")),
            *(("metric targets", partial(self.targets, one)) for one in self.of("prometheus")),
            *(("datasources", partial(self.datasources, one)) for one in self.of("grafana")),
        ]
        if self.of("nginx") and self.of("app"):
            checks.insert(0, ("deliveries of events", self.events))
            if self.sockets():
                checks.insert(1, ("streams over a Unix socket", self.link))

        def timed(work: Callable[[], Checked]) -> tuple[Checked, float]:
            begun = time.monotonic()
            return work(), time.monotonic() - begun

        with ThreadPoolExecutor(THREADS) as pool:
            futures = [(what, pool.submit(timed, work)) for what, work in checks]
        for what, future in futures:
            self.verdict.add(what, *future.result())
        measured = {cell.edge: cell for cell in self.cells}
        self.cells = [measured.get(edge) or Cell(edge, "unmeasured") for edge in edges]
        return self.verdict

    def report(self, *, grid: bool = False) -> dict[str, Any]:
        """Return everything that was found, as the modules give it."""
        faults = self.verdict.faults
        told = [f"{len(faults)} checks failed:", *(f"- {fault.line}" for fault in faults)]
        return {
            "msg": "\n".join(told) if faults else self.verdict.summary,
            "faults": [fault._asdict() for fault in faults],
            "counts": self.verdict.counts,
            "seconds": self.verdict.seconds,
            "matrix": matrix.totals(self.cells),
            "grid": matrix.grid(self.cells) if grid else [],
            "notes": [*self.verdict.notes, matrix.note(self.cells)],
        }

    def of(self, service: str) -> list[Subject]:
        """Return the running containers of a service."""
        return [one for one in self.subjects.values() if one.spec["service"] == service]

    def presence(self) -> Checked:
        """See that every declared container runs, and no other carries the stack's labels."""
        faults: list[Fault] = []
        by_name = {one.name: one for one in self.observed}
        for release in self.releases:
            ours = {one.name for one in self.observed if one.belongs(release["stack"], release["project"])}
            faults += [
                Fault(name, "find only declared containers", "it runs, and no release names it", f"docker rm -f {name}")
                for name in sorted(ours - set(release["containers"]))
            ]
            for name in release["containers"]:
                if name not in ours:
                    faults.append(Fault(name, "find it on this host", "there is no such container", "./sse up"))
                    continue
                inspected = self.engine.inspect(by_name[name].id)
                subject = Subject(name, self.spec_of(release, by_name[name]), inspected)
                if inspected["State"]["Running"] and not inspected["State"]["Paused"]:
                    self.subjects[name] = subject
                else:
                    faults.append(self.stopped(subject))
        return Checked(faults, len(self.subjects))

    def spec_of(self, release: dict[str, Any], observed: Observed) -> Spec:
        """Return the spec that a container was made from, also where a failed run left one of another release."""
        spec: Spec = release["containers"][observed.name]
        if observed.label("spec") == fingerprint(spec):
            return spec
        made_from = History(self.state_directory, release["project"]).read(observed.release)
        if made_from is None or made_from["format"] != FORMAT:
            return spec
        return made_from["containers"].get(observed.name, spec)

    def stopped(self, subject: Subject) -> Fault:
        """Say how a container stands that should run."""
        state = subject.inspected["State"]
        lines = " | ".join(self.engine.last_lines(subject.name, 3))
        got = f"{state['Status']}, exit code {state['ExitCode']}" + (f"; its last lines: {lines}" if lines else "")
        return Fault(subject.name, "find it running", got, f"./sse logs {subject.name}; ./sse up starts it")

    def health(self, subject: Subject) -> Checked:
        """Take the engine's last check where it is fresh; else ask the same, now: an exec costs some 80 ms of CPU."""
        if passed_lately(subject.inspected, subject.spec["healthcheck"]["interval"]):
            return Checked([])
        try:
            healthy, got = check_health(self.engine, subject.inspected["Id"], subject.spec)
        except EngineError as error:
            healthy, got = False, str(error)
        if healthy:
            return Checked([])
        how = question(subject.spec["healthcheck"])
        advice = f"./sse logs {subject.name}"
        return Checked([Fault(subject.name, f"pass its healthcheck ({how[:120]})", got[-300:], advice)], 0)

    def await_ready(self, deadline: float) -> None:
        """Wait for replicas that are not ready: one that was kept has to find a broker that was replaced."""
        waiting = [Endpoint(one.name, one.address, REPLICA_PORT) for one in self.of("app")]
        while waiting and time.monotonic() < deadline:
            waiting = [endpoint for endpoint in waiting if self.answers(endpoint, "/health/ready", {200})]
            if waiting:
                time.sleep(READY_PAUSE)

    def replica_health(self, replica: Subject) -> Checked:
        """Ask a replica's own health endpoints."""
        endpoint = Endpoint(replica.name, replica.address, REPLICA_PORT)
        paths = ("/health/live", "/health/ready")
        faults = [fault for path in paths for fault in self.answers(endpoint, path, {200})]
        return Checked(faults, len(paths) - len(faults))

    def dashboard(self, subject: Subject) -> Checked:
        """Ask the API's health through the dashboard's own nginx."""
        endpoint = Endpoint(subject.name, subject.address, 80)
        faults = self.answers(endpoint, "/api/v1/health/live", {200})
        return Checked(faults, 1 - len(faults))

    @staticmethod
    def host_services(subject: Subject) -> Checked:
        """Connect to what a container uses on the host itself."""
        return Checked(*host_service.check(subject.name, subject.pid, subject.spec["reaches_host"]))

    def answers(self, endpoint: Endpoint, path: str, accepted: set[int]) -> list[Fault]:
        """GET one path."""
        answer = http.request(endpoint, "GET", path, timeout=ANSWER_SECONDS)
        if answer.status in accepted:
            return []
        advice = f"./sse logs {endpoint.name}; the answer names the check that fails"
        return [Fault(endpoint.name, f"GET {endpoint.url}{path}", answer.shown, advice)]

    def reach(self, subject: Subject, edges: list[Edge], places: dict[str, Place]) -> Checked:
        """Try, from a container's own network namespace, every port of every other one."""
        edges = [edge for edge in edges if edge.source == subject.name]
        try:
            cells = matrix.measure(places[subject.name], edges, places, enforced=self.enforced)
        except OSError as error:
            fault = Fault(subject.name, "look from inside its network namespace", str(error), "run ./sse verify again")
            return Checked([fault], 0)
        self.cells += cells
        return Checked(matrix.faults(cells), sum(cell.verdict == "reached" for cell in cells))

    def listens(self, subject: Subject) -> Checked:
        """See that a container listens on declared ports only: the matrix is no more than these."""
        listening = self.listening(subject)
        advice = f"name the port in `listens` of its declaration, or have {subject.name} bind it to 127.0.0.1"
        faults = [
            Fault(subject.name, "find it listening on declared ports only", f"it listens on {port}", advice)
            for port in sorted(listening - set(subject.spec["listens"]))
        ]
        return Checked(faults, len(listening) - len(faults))

    @staticmethod
    def listening(subject: Subject) -> set[int]:
        """Return the ports that a container listens on for others."""
        return {one.port for one in listeners.listeners(subject.pid) if not is_loopback(one.address)}

    def peers(self, subject: Subject) -> list[str]:
        """Return ``name:port`` of all that a container reaches, but for what is not available here."""
        peers: list[str] = [one["to"] for one in subject.spec["reaches"]]
        return [peer for peer in peers if connections.split(peer)[0] not in self.left_out]

    def ports(self) -> Checked:
        """See that the declared ports answer on the host, and only those."""
        wanted = {name: published_ports.declared(one.spec) for name, one in self.subjects.items()}
        faults: list[Fault] = []
        for name, one in self.subjects.items():
            faults += published_ports.undeclared(name, wanted[name], published_ports.published(one.inspected))
        others = [one for one in self.observed if one.name not in self.subjects and one.status == "running"]
        by_others = {port for one in others for port in published_ports.published(self.engine.inspect(one.id))}
        listening = {name: self.listening(subject) for name, subject in self.subjects.items()}
        own = [address for one in FAMILIES for address in (one.loopback, published_ports.host_address(one))]
        addresses = sorted({*own, *self.gateways("Gateway", "IPv6Gateway")} - {""})
        owned = published_ports.owners(listeners.listeners("self"), by_others)
        open_endpoints = [(name, one) for name in wanted for one in sorted(wanted[name])]
        closed = published_ports.closed_doors(listening, wanted, addresses)
        with ThreadPoolExecutor(THREADS) as pool:
            answered = pool.map(partial(published_ports.unanswered, self.own_addresses()), open_endpoints)
            leaked = pool.map(partial(published_ports.leaking, owned), closed)
        silent = [fault for found in answered for fault in found]
        return Checked(
            faults + silent + [fault for found in leaked for fault in found], len(open_endpoints) - len(silent)
        )

    def own_addresses(self) -> dict[str, str]:
        """Return, by what stands for all addresses of a family, the one of the host that is asked.

        Not ``::1``, where nothing published on ``::`` answers without docker-proxy.
        """
        return {IPV4.wildcard: IPV4.loopback, IPV6.wildcard: [*self.gateways("IPv6Gateway"), IPV6.loopback][0]}

    def gateways(self, *keys: str) -> list[str]:
        """Return the gateways of the containers' networks, by what the engine calls them in each family."""
        return [
            network[key]
            for one in self.subjects.values()
            for network in (one.inspected["NetworkSettings"]["Networks"] or {}).values()
            for key in keys
            if network.get(key)
        ]

    def firewall(self) -> Checked:
        """See that the stack's own chain holds the rules of these releases."""
        stack = self.releases[0]["stack"]
        found = firewall.Firewall(stack, self.state_directory)
        if not found.places:
            return Checked([], 0, [f"this engine has no chain {iptables.PARENT}, so no rule closes the stack"])
        if found.stands(firewall.walls(newest_releases(self.state_directory))):
            return Checked([])
        got = "other rules, fewer, or none that are asked"
        return Checked(
            [Fault(found.chain, "find the stack's firewall rules in place", got, "./sse up puts them back")], 0
        )

    def targets(self, prometheus: Subject) -> Checked:
        """See that Prometheus scrapes what it should."""
        names = {alias: one.name for one in self.subjects.values() for alias in one.spec["aliases"]}
        port = prometheus.spec["ports"][0]["container_port"] if prometheus.spec["ports"] else 9090
        endpoint = Endpoint(prometheus.name, prometheus.address, port)
        return Checked(*scraped.check(endpoint, prometheus.pid, self.peers(prometheus), names))

    def datasources(self, subject: Subject) -> Checked:
        """See that Grafana's datasources answer."""
        password = datasources.password_of(subject.spec, subject.inspected)
        if password is None:
            return Checked([], 0, [f"{subject.name} has no admin password file, so its datasources were not asked"])
        port = subject.spec["ports"][0]["container_port"] if subject.spec["ports"] else 3000
        return Checked(*datasources.check(Endpoint(subject.name, subject.address, port), password))

    def sockets(self) -> dict[str, tuple[int, str]]:
        """Return process and path of every replica that listens on a Unix socket, too."""
        paths = {one.name: (one.pid, unix_socket.socket_path(one.spec)) for one in self.of("app")}
        return {name: (pid, path) for name, (pid, path) in paths.items() if path}

    def link(self) -> Checked:
        """See that nginx takes the socket, where replicas have one."""
        serving = [
            endpoint
            for endpoint in self.published_endpoints()
            if not self.answers(endpoint, "/api/v1/health/live", {200})
        ]
        if not serving:
            return Checked([], 0)  # events() says so
        paths = {name: path for name, (_, path) in self.sockets().items()}
        return Checked(*unix_socket.check(serving[0], self.of("nginx")[0].pid, paths))

    def published_endpoints(self) -> list[Endpoint]:
        """Return nginx' published ports."""
        nginx, own = self.of("nginx")[0], self.own_addresses()
        return [
            Endpoint(
                nginx.name,
                own.get(one["host_ip"]) or one["host_ip"],
                one["host_port"],
                one["container_port"] in TLS_PORTS,
            )
            for one in nginx.spec["ports"]
        ]

    def key(self) -> str:
        """Return the API key that the proof has on its own channel; empty where the service asks for none."""
        directories = [files for app in self.of("app") for files in app.spec.get("live_secrets", {}).values()]
        if not any(one["secret"] == PROOF_KEY for files in directories for one in files.values()):
            return ""
        return f"{deliveries.KEY_NAME}.{(Path(self.state_directory) / 'secrets' / PROOF_KEY).read_text()}"

    def events(self) -> Checked:
        """Publish through nginx, receive from every replica and through nginx, each event once."""
        nginx, endpoints = self.of("nginx")[0], self.published_endpoints()
        path = "/api/v1/health/live"
        faults = [fault for endpoint in endpoints for fault in self.answers(endpoint, path, {200, *REDIRECTS})]
        serving = (one for one in endpoints if http.request(one, "GET", path, timeout=ANSWER_SECONDS).status == 200)
        endpoint = next(serving, None)
        if endpoint is None:
            if not faults:
                got = "no published port serves /api/v1/"
                faults.append(Fault(nginx.name, "find nginx' endpoint", got, "./sse logs nginx"))
            return Checked(faults, 0)
        replicas = [Endpoint(one.name, one.address, REPLICA_PORT) for one in self.of("app")]
        key = self.key()
        passage = deliveries.travel(
            endpoint._replace(key=key),
            [one._replace(key=key) for one in (*replicas, *unix_socket.endpoints(self.sockets()))],
        )
        return Checked(faults + passage.faults, passage.deliveries)
