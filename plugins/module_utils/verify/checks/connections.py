# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Every container connects to what it declares and, in segments, to nothing else: the measured matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model.connections import without_host
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix
from ansible_collections.sse.platform.plugins.module_utils.verify.blocking import Blocked, nothing
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


CLOSED = "# This puts the firewall rules back."


def check(running: Running, subject: Subject, _asked: None) -> Checked:
    """Try every port of every other container from the network namespace of one."""
    edges = [edge for edge in running.edges if edge.source == subject.name]
    try:
        cells = matrix.measure(subject.place, edges, running.places, enforced=running.enforced)
    except OSError as error:
        wrong = "its network namespace could not be entered"
        return Checked([Finding("connection", subject.name, wrong, str(error), ("./sse verify",))], 0)
    running.cells += cells

    def blocked(cell: Cell) -> Blocked | None:
        edge, there = cell.edge, running.places[cell.edge.target]
        ends = (edge.source, edge.target)
        return running.blocking.between(subject.place, there, ends, cell.address, edge.port)

    return Checked(findings(cells, blocked), sum(cell.verdict == "reached" for cell in cells))


def findings(
    cells: list[Cell], blocked: Callable[[Cell], Blocked | None] = nothing, closed: str = CLOSED
) -> list[Finding]:
    """Name what is not as declared; one finding for each thing that was tried.

    :param blocked: tells which rule of a firewall is in the way of a connection
    :param closed: says how `./sse up` closes what nothing declares
    """
    return list(dict.fromkeys(finding(cell, blocked, closed) for cell in cells if cell.verdict in {"broken", "leak"}))


def finding(cell: Cell, blocked: Callable[[Cell], Blocked | None], closed: str = CLOSED) -> Finding:
    """Describe one edge that is not as declared."""
    edge = cell.edge
    if cell.verdict == "leak":
        could = f"resolve {edge.name}" if cell.unresolved else f"connect to {edge.target}:{edge.port}"
        wrong = f"could {could}, which nothing declares"
        return Finding("connection", edge.source, wrong, cell.got, (closed, "./sse up"))
    if cell.unresolved:
        advice = f"# Is {edge.target} on a network of {edge.source}, and the only container called {edge.name}?"
        return Finding("connection", edge.source, f"could not resolve {edge.name}", cell.got, (advice, "./sse status"))
    host = edge.target.removeprefix(without_host(edge.target))
    wrong = f"could not connect to {edge.name}:{edge.port}{host} ({cell.address})"
    if rule := blocked(cell):
        why = f"{wrong}: a firewall rule{rule.where} blocks it"
        return Finding("connection", edge.source, why, f"{cell.got}; {rule.shown}", (rule.mend,))
    mend = (f"# Does {edge.target} listen on {edge.port} on all its addresses?", f"./sse logs {edge.name}")
    return Finding("connection", edge.source, wrong, cell.got, mend)


KIND = Kind("connection", "connections between them", each(check))
