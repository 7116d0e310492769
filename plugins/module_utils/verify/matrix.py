# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The matrix as measured: every container tries every port of every other one, from its own network namespace."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from ansible_collections.sse.platform.plugins.module_utils.host import (
    live_files,
    namespace,
    served_certificate,
    state_modes,
    tcp,
)
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_directory
from ansible_collections.sse.platform.plugins.module_utils.host.gauges import gauge
from ansible_collections.sse.platform.plugins.module_utils.model import moment

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from ansible_collections.sse.platform.plugins.module_utils.host.served_certificate import ServedCertificate
    from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge

Answer: TypeAlias = "list[str] | OSError | None"  # the addresses of a name, or why it has none
Attempts = dict[tcp.Target, tcp.Attempt]
LIVE = "matrix.json"  # in the live directory
REACH = "reach.prom"  # for the node exporter
Verdict = Literal["reached", "refused", "open", "broken", "leak", "unmeasured"]
HIDDEN_SECONDS = 1.0  # until a name counts as hidden; the engine answers for a name that it knows within 10 ms
MARKS: dict[Verdict, str] = {
    "reached": "#", "refused": ".", "open": "o", "broken": "X", "leak": "!", "unmeasured": "?",
}  # fmt: skip
MEANINGS: dict[Verdict, str] = {
    "reached": "declared and open",
    "refused": "undeclared and closed",
    "open": "undeclared and open, as network_layout single allows",
    "broken": "declared and closed",
    "leak": "undeclared and open, against network_layout segmented",
    "unmeasured": "not tested, because one of the two does not run",
}
# Where something is enforced, only the ports of containers on a shared overlay are open undeclared.
SHARED = "undeclared and open, because both are on one overlay, which closes no port between its containers"


class Cell(NamedTuple):
    """One edge as measured."""

    edge: Edge
    verdict: Verdict
    address: str = ""  # that was tried
    got: str = ""  # why the name did not resolve, or the connection failed
    unresolved: bool = False
    seconds: float = 0.0

    @property
    def connects(self) -> bool:
        """Tell whether a connection was made."""
        return self.verdict in {"reached", "open", "leak"} and not self.unresolved


class Place(NamedTuple):
    """The network namespace of a running container, and its addresses."""

    pid: int  # a process in the namespace
    addresses: dict[str, str]  # by network
    addresses6: Mapping[str, str] = MappingProxyType({})  # its IPv6 addresses, by network
    others: Sequence[str] = ()  # its addresses on networks that are no way to it, as the bridge of a Swarm's host
    namesakes: Collection[str] | None = ()  # addresses of others that share its name; None where not all are known

    @property
    def every(self) -> list[str]:
        """All its addresses."""
        return [*self.addresses.values(), *self.addresses6.values(), *self.others]

    def led(self, answer: list[str]) -> str:
        """Return the address by which an answer for its name leads to it; the first one where none does."""
        return next((one for one in answer if one in self.every), answer[0])

    def shared6(self, other: Place) -> list[str]:
        """The IPv6 addresses of another container on the networks that both are on."""
        return [address for name, address in other.addresses6.items() if name in self.addresses6]


def measure(
    source: Place, edges: list[Edge], places: dict[str, Place], *, enforced: bool, ports: bool = True
) -> list[Cell]:
    """Try all edges of one source, side by side.

    A declared edge is tried by its name, which gives an IPv4 address, and at each IPv6 address on a shared network. Any
    other edge is tried at every address of its target.

    :param places: the containers that run
    :param enforced: undeclared edges must be closed, and undeclared names hidden from who shares no network with them
    :param ports: undeclared ones have to be closed between containers that share a network, too
    """
    there = [edge for edge in edges if edge.target in places]
    if not there:
        return [Cell(edge, "unmeasured") for edge in edges]
    declared = [edge for edge in there if edge.declared]
    pinned = {edge.name: namespace.hosts_file(source.pid, edge.name) for edge in there}
    asked = {edge.name for edge in declared if not pinned[edge.name]}
    apart = {edge.target for edge in there if not set(source.addresses) & set(places[edge.target].addresses)}
    hidden = {edge.name for edge in there if enforced and edge.target in apart and not edge.declared}

    def ways(target: str) -> Sequence[str]:
        # To an overlay that the source is not on, packets leave the host, and whoever answers out there is another one.
        return places[target].every if ports or target not in apart else places[target].others

    def work() -> tuple[dict[str, list[str] | OSError], Attempts]:
        # The engine passes unknown names on to the resolver of the host, which never answers on an internal network.
        answers = namespace.ask_all(asked)
        answers |= namespace.ask_all(hidden - asked, attempts=1, seconds=HIDDEN_SECONDS)
        answers |= {name: [address] for name, address in pinned.items() if address}
        targets = {(address, edge.port) for edge in there for address in ways(edge.target)}
        needed = {
            (places[edge.target].led(found), edge.port)
            for edge in declared
            if isinstance(found := answers[edge.name], list)
        }
        needed |= {(address, edge.port) for edge in declared for address in source.shared6(places[edge.target])}
        return answers, tcp.connect_patiently(targets | needed, needed)

    answers, attempts = namespace.inside(source.pid, work)

    def cell(edge: Edge) -> Cell:
        if edge.target not in places:
            return Cell(edge, "unmeasured")
        answer, target = answers.get(edge.name), places[edge.target]
        if edge.declared:
            return judge_declared(edge, source, target, answer, attempts)
        closed = enforced and (ports or edge.target in apart)
        target = target if ports or edge.target not in apart else Place(target.pid, {}, others=target.others)
        return judge_undeclared(edge, target, answer if edge.name in hidden else None, attempts, enforced=closed)

    return [cell(edge) for edge in edges]


def judge_declared(edge: Edge, source: Place, target: Place, answer: Answer, attempts: Attempts) -> Cell:
    """Judge a declared edge: its name leads to the target, which is open there and at each shared IPv6 address."""
    if not isinstance(answer, list):
        return Cell(edge, "broken", got=str(answer), unresolved=True)
    led = target.led(answer)
    strange = target.namesakes is not None and answer[0] not in {*target.every, *target.namesakes}
    if led not in target.every or strange:
        got = f"{', '.join(answer)}, but {edge.target} is {', '.join(target.every) or 'not there'}"
        return Cell(edge, "broken", answer[0], got, unresolved=True)
    ways = [led, *source.shared6(target)]
    address = next((one for one in ways if attempts[one, edge.port].error), led)
    tried = attempts[address, edge.port]
    return Cell(edge, "broken" if tried.error else "reached", address, tried.error, seconds=tried.seconds)


def judge_undeclared(edge: Edge, target: Place, hidden: Answer, attempts: Attempts, *, enforced: bool) -> Cell:
    """Judge an undeclared edge; ``hidden`` is the answer for a name that must not resolve."""
    if isinstance(hidden, list):
        return Cell(edge, "leak", hidden[0], f"it resolves to {hidden[0]}", unresolved=True)
    tried = {address: attempts[address, edge.port] for address in target.every}
    for address, one in tried.items():
        if not one.error:
            return Cell(edge, "leak" if enforced else "open", address, f"{address} answers", seconds=one.seconds)
    return Cell(edge, "refused", ", ".join(tried), "; ".join(dict.fromkeys(one.error for one in tried.values())))


def counts(cells: list[Cell]) -> dict[Verdict, int]:
    """Count the verdicts that occur."""
    found = Counter(cell.verdict for cell in cells)
    return {verdict: found[verdict] for verdict in MARKS if found[verdict]}


def totals(cells: list[Cell]) -> dict[str, int]:
    """Count the edges, the measured ones, and those of each verdict."""
    found = counts(cells)
    return {
        "edges": len(cells),
        "measured": len(cells) - found.get("unmeasured", 0),
        **{one: found[one] for one in found},
    }


def meanings(*, enforced: bool) -> dict[Verdict, str]:
    """Say what each verdict means; what is open where something is enforced shares an overlay."""
    return {**MEANINGS, "open": SHARED} if enforced else MEANINGS


def note(cells: list[Cell], *, enforced: bool = False) -> str:
    """Say in one line how many connections were tested, and with which results."""
    found, meant = counts(cells), meanings(enforced=enforced)
    tested = len(cells) - found.get("unmeasured", 0)
    return f"{tested} of {len(cells)} connections tested: {', '.join(f'{found[one]} {meant[one]}' for one in found)}"


def grid(cells: list[Cell], *, enforced: bool = False) -> list[str]:
    """Draw the matrix with a row for each container and a column for each port, and explain the marks."""
    meant = meanings(enforced=enforced)
    sources = list(dict.fromkeys(cell.edge.source for cell in cells))
    columns = list(dict.fromkeys((cell.edge.target, cell.edge.port) for cell in cells))
    columns.sort(key=lambda column: (sources.index(column[0]) if column[0] in sources else len(sources), column[1]))
    marks = {(cell.edge.source, cell.edge.target, cell.edge.port): MARKS[cell.verdict] for cell in cells}
    width = max(map(len, sources), default=0)
    lines = [" " * width + "".join(f"{number:3}" for number in range(1, len(columns) + 1))]
    lines += [
        source.ljust(width) + "".join(f"  {marks.get((source, *column), ' ')}" for column in columns)
        for source in sources
    ]
    lines += [f"{number:3} {target}:{port}" for number, (target, port) in enumerate(columns, 1)]
    return lines + [f"  {MARKS[verdict]} {meant[verdict]} ({count})" for verdict, count in counts(cells).items()]


def record(cells: list[Cell], *, enforced: bool, when: dt.datetime) -> dict[str, object]:
    """Return the matrix for programs: what was expected of each edge, and what was found."""
    return {
        "measured_at": when.isoformat(timespec="seconds"),
        "enforced": enforced,
        "counts": counts(cells),
        "edges": [
            {
                "source": cell.edge.source,
                "target": cell.edge.target,
                "port": cell.edge.port,
                "why": cell.edge.why,
                "verdict": cell.verdict,
                "address": cell.address,
                "got": cell.got,
                "milliseconds": round(cell.seconds * 1000, 2),
            }
            for cell in cells
        ],
    }


def live(cells: list[Cell], *, enforced: bool, when: dt.datetime) -> dict[str, object]:
    """Return the matrix for the dashboard: what is wanted of each edge, and what was found, and when."""
    undeclared, measured = "closed" if enforced else "either", moment.text(when)
    return {
        "enforced": enforced,
        "counts": counts(cells),
        "meanings": meanings(enforced=enforced),
        "edges": [
            {
                "source": cell.edge.source,
                "target": cell.edge.target,
                "port": cell.edge.port,
                "wanted": "open" if cell.edge.declared else undeclared,
                "verdict": cell.verdict,
                "ms": round(cell.seconds * 1000, 2) if cell.connects else None,
                "when": None if cell.verdict == "unmeasured" else measured,
                "got": cell.got if cell.verdict in {"broken", "leak"} else "",
            }
            for cell in cells
        ],
    }


def metrics(cells: list[Cell], when: dt.datetime) -> str:
    """Return the matrix in Prometheus' text format, for the node exporter's textfile collector."""

    def labels(cell: Cell) -> str:
        edge = cell.edge
        declared = "true" if edge.declared else "false"
        return f'{{source="{edge.source}",target="{edge.target}",port="{edge.port}",declared="{declared}"}}'

    measured = [cell for cell in cells if cell.verdict != "unmeasured"]
    connects = [(labels(one), str(int(one.connects))) for one in measured]
    edges = [(f'{{verdict="{one}"}}', str(sum(cell.verdict == one for cell in cells))) for one in MARKS]
    possible = "Whether a TCP connection from source to target is possible (0 or 1)."
    by_verdict = "Edges of the matrix by verdict; broken and leak are findings."
    measured_at = "When ./sse verify measured this."
    lines = [
        *gauge("sse_reach_connects", possible, *connects),
        *gauge("sse_reach_edges", by_verdict, *edges),
        *gauge("sse_reach_measured_timestamp_seconds", measured_at, ("", f"{when.timestamp():.0f}")),
    ]
    return "\n".join(lines) + "\n"


def keep(state_directory: Path, cells: list[Cell], certificates: list[ServedCertificate], *, enforced: bool) -> None:
    """Write ``matrix/matrix.json``, ``matrix/*.prom`` for the node exporter, and the matrix of the live directory."""
    now = dt.datetime.now(dt.timezone.utc)
    write(
        state_directory,
        {
            "matrix.json": json.dumps(record(cells, enforced=enforced, when=now), indent=1) + "\n",
            REACH: metrics(cells, now),
            "certificates.prom": served_certificate.metrics(certificates),
        },
    )
    live_files.write(state_directory, LIVE, live(cells, enforced=enforced, when=now), now)


def write(state_directory: Path, files: dict[str, str]) -> None:
    """Write files where the node exporter looks."""
    state_modes.make(state_directory / state_modes.MATRIX)
    write_directory(
        state_directory / state_modes.MATRIX, files, mode=0o444, owner=(0, 0), enter=state_modes.MATRIX_MODE
    )
