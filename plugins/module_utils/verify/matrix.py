"""The matrix as measured: every container tries every port of every other, from its own network namespace."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import namespace, tcp
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge

HIDDEN_SECONDS = 1.0  # until a name that must not resolve is taken not to; what the engine knows it tells in 10 ms
MARKS = {"reached": "#", "refused": ".", "open": "o", "broken": "X", "leak": "!", "unmeasured": "?"}
MEANINGS = {
    "reached": "declared, and connects",
    "refused": "not declared, and does not connect",
    "open": "open, not needed: nothing declares it, and network_layout single lets it connect",
    "broken": "declared, and does not connect",
    "leak": "not declared, and connects all the same",
    "unmeasured": "one of the two does not run",
}


class Cell(NamedTuple):
    """One edge as measured."""

    edge: Edge
    verdict: str  # a key of MARKS
    address: str = ""  # that was tried
    got: str = ""  # why the name does not resolve or the connection did not come about
    unresolved: bool = False
    seconds: float = 0.0

    @property
    def connects(self) -> bool:
        """Tell whether a connection came about."""
        return self.verdict in {"reached", "open", "leak"} and not self.unresolved


class Place(NamedTuple):
    """Where a running container stands."""

    pid: int
    addresses: dict[str, str]  # by network
    addresses6: Mapping[str, str] = MappingProxyType({})  # the same of IPv6

    @property
    def every(self) -> list[str]:
        """Every address of it."""
        return [*self.addresses.values(), *self.addresses6.values()]

    def shared6(self, other: Place) -> list[str]:
        """The IPv6 addresses of another on networks that the two share."""
        return [address for name, address in other.addresses6.items() if name in self.addresses6]


def measure(source: Place, edges: list[Edge], places: dict[str, Place], *, enforced: bool) -> list[Cell]:
    """Try all edges of one source, side by side: a declared one by its name, any other at every address of its target.

    A name gives an IPv4 address here; over IPv6, a declared edge is tried at each address on a shared network.

    :param enforced: what nothing declares must not connect, and must not resolve where no network is shared
    """
    there = [edge for edge in edges if edge.target in places]
    if not there:
        return [Cell(edge, "unmeasured") for edge in edges]
    pinned = {edge.name: namespace.hosts_file(source.pid, edge.name) for edge in there}
    apart = {edge.target for edge in there if not set(source.addresses) & set(places[edge.target].addresses)}
    declared = {edge.name for edge in there if edge.declared and not pinned[edge.name]}
    hidden = {edge.name for edge in there if edge.target in apart and not edge.declared} if enforced else set[str]()

    def work() -> tuple[dict[str, list[str] | OSError], dict[tcp.Target, tcp.Attempt]]:
        # What the engine does not know goes on to the host's resolver; from an internal network no answer ever comes.
        answers = namespace.ask_all(declared)
        answers |= namespace.ask_all(hidden - declared, attempts=1, seconds=HIDDEN_SECONDS)
        answers |= {name: [address] for name, address in pinned.items() if address}
        targets = {(address, edge.port) for edge in there for address in places[edge.target].every}
        needed = {
            (found[0], edge.port) for edge in there if edge.declared and isinstance(found := answers[edge.name], list)
        }
        needed |= {
            (address, edge.port) for edge in there if edge.declared for address in source.shared6(places[edge.target])
        }
        return answers, tcp.connect_patiently(targets | needed, needed)

    answers, attempts = namespace.inside(source.pid, work)

    def cell(edge: Edge) -> Cell:
        if edge.target not in places:
            return Cell(edge, "unmeasured")
        own = places[edge.target].every
        answer = answers.get(edge.name)
        if edge.declared:
            if not isinstance(answer, list):
                return Cell(edge, "broken", got=str(answer), unresolved=True)
            if answer[0] not in own:
                got = f"{', '.join(answer)}, but {edge.target} is {', '.join(own) or 'not there'}"
                return Cell(edge, "broken", answer[0], got, unresolved=True)
            ways = [answer[0], *source.shared6(places[edge.target])]
            address = next((one for one in ways if attempts[one, edge.port].error), answer[0])
            tried = attempts[address, edge.port]
            return Cell(edge, "broken" if tried.error else "reached", address, tried.error, seconds=tried.seconds)
        if edge.name in hidden and isinstance(answer, list):
            return Cell(edge, "leak", answer[0], f"it resolves to {answer[0]}", unresolved=True)
        tried = {address: attempts[address, edge.port] for address in own}
        for address, one in tried.items():
            if not one.error:
                return Cell(edge, "leak" if enforced else "open", address, f"{address} answers", seconds=one.seconds)
        got = "; ".join(dict.fromkeys(one.error for one in tried.values()))
        return Cell(edge, "refused", ", ".join(own), got)

    return [cell(edge) for edge in edges]


def counts(cells: list[Cell]) -> dict[str, int]:
    """Count the verdicts that occur."""
    found = Counter(cell.verdict for cell in cells)
    return {verdict: found[verdict] for verdict in MARKS if found[verdict]}


def totals(cells: list[Cell]) -> dict[str, int]:
    """Count edges, measured ones, and each verdict."""
    found = counts(cells)
    return {"edges": len(cells), "measured": len(cells) - found.get("unmeasured", 0), **found}


def note(cells: list[Cell]) -> str:
    """Say in one line how much was measured and what came of it."""
    found = totals(cells)
    rest = [f"{found[one]} {MEANINGS[one].partition(':')[0]}" for one in MARKS if one in found]
    return f"matrix: {found['measured']} of {found['edges']} edges measured; " + ", ".join(rest)


def grid(cells: list[Cell]) -> list[str]:
    """Draw the matrix: a row for each container, a column for each port, and what the marks mean."""
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
    return lines + [f"  {MARKS[verdict]} {MEANINGS[verdict]} ({count})" for verdict, count in counts(cells).items()]


def record(cells: list[Cell], *, enforced: bool, when: dt.datetime) -> dict[str, Any]:
    """Return the matrix as JSON: what was expected of each edge, and what was found."""
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


def metrics(cells: list[Cell], when: dt.datetime) -> str:
    """Return the matrix in Prometheus' text format, for the node exporter's textfile collector."""

    def labels(cell: Cell) -> str:
        edge = cell.edge
        declared = "true" if edge.declared else "false"
        return f'{{source="{edge.source}",target="{edge.target}",port="{edge.port}",declared="{declared}"}}'

    measured = [cell for cell in cells if cell.verdict != "unmeasured"]
    lines = [
        "# HELP sse_reach_connects Whether a TCP connection from source to target comes about (0 or 1).",
        "# TYPE sse_reach_connects gauge",
        *(f"sse_reach_connects{labels(one)} {int(one.connects)}" for one in measured),
        "# HELP sse_reach_edges Edges of the matrix by verdict; broken and leak are findings.",
        "# TYPE sse_reach_edges gauge",
        *(f'sse_reach_edges{{verdict="{one}"}} {sum(cell.verdict == one for cell in cells)}' for one in MARKS),
        "# HELP sse_reach_measured_timestamp_seconds When ./sse verify measured this.",
        "# TYPE sse_reach_measured_timestamp_seconds gauge",
        f"sse_reach_measured_timestamp_seconds {when.timestamp():.0f}",
    ]
    return "\n".join(lines) + "\n"


def keep(state_directory: Path, cells: list[Cell], *, enforced: bool) -> None:
    """Write ``matrix/matrix.json`` and ``matrix/reach.prom``: that directory is what the node exporter reads."""
    now = dt.datetime.now(dt.timezone.utc)
    files = {
        "matrix.json": json.dumps(record(cells, enforced=enforced, when=now), indent=1) + "\n",
        "reach.prom": metrics(cells, now),
    }
    write_directory(state_directory / "matrix", files, mode=0o444, owner=(0, 0))
