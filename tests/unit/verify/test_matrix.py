"""Properties of the measured matrix: every edge has a verdict, and only what is not as declared is a finding."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import namespace, tcp
from ansible_collections.sse.platform.plugins.module_utils.host.served_certificate import ServedCertificate
from ansible_collections.sse.platform.plugins.module_utils.host.tcp import Attempt
from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import connections
from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell, Place

NEEDED = Edge("sse-app", "sse-redis", 6379, "redis", "history")
NOT_NEEDED = Edge("sse-nginx", "sse-redis", 6379, "redis-master", "")
FRONT, DATA = {"sse-network": "10.99.0.10"}, {"sse-data": "10.99.2.11"}
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def measured(
    monkeypatch: pytest.MonkeyPatch,
    edge: Edge,
    *,
    source: dict[str, str] = DATA,
    answers: list[str] | str = "no such name",
    error: str = "",
    enforced: bool = False,
    six: dict[str, str] | None = None,
    error6: str = "",
) -> Cell:
    """One edge, where the engine's DNS answers so, and every connection ends in this error, or well."""

    def inside(_: int, work: Callable[[], object]) -> object:
        return work()

    def ask_all(names: Any, **_: Any) -> dict[str, Any]:
        return {name: OSError(answers) if isinstance(answers, str) else answers for name in names}

    def connect_patiently(targets: Any, _: Any) -> dict[Any, Attempt]:
        return {target: Attempt(error6 if ":" in target[0] else error, 0.001) for target in targets}

    monkeypatch.setattr(namespace, "inside", inside)
    monkeypatch.setattr(namespace, "hosts_file", lambda *_: "")
    monkeypatch.setattr(namespace, "ask_all", ask_all)
    monkeypatch.setattr(tcp, "connect_patiently", connect_patiently)
    places = {"sse-redis": Place(2, DATA, six or {})}
    [cell] = matrix.measure(Place(1, source, six or {}), [edge], places, enforced=enforced)
    return cell


@pytest.mark.parametrize(
    ("answers", "error", "verdict", "got"),
    [
        (["10.99.2.11"], "", "reached", ""),
        (["10.99.2.11"], "Connection refused", "broken", "Connection refused"),
        ("no such name", "", "broken", "no such name"),
        (["10.99.2.77"], "", "broken", "10.99.2.77, but sse-redis is 10.99.2.11"),
    ],
)
def test_a_declared_edge_is_tried_by_its_name(
    monkeypatch: pytest.MonkeyPatch, answers: list[str] | str, error: str, verdict: str, got: str
) -> None:
    for enforced in (False, True):
        cell = measured(monkeypatch, NEEDED, answers=answers, error=error, enforced=enforced)
        assert (cell.verdict, cell.got) == (verdict, got)
        assert len(connections.findings([cell])) == (verdict == "broken")


@pytest.mark.parametrize(
    ("source", "answers", "error", "enforced", "verdict"),
    [
        (DATA, ["10.99.2.11"], "", False, "open"),
        (DATA, ["10.99.2.11"], "", True, "leak"),
        (DATA, ["10.99.2.11"], "Connection refused", True, "refused"),
        (FRONT, "no such name", "timed out", True, "refused"),
        (FRONT, "no such name", "", True, "leak"),
        (FRONT, ["10.99.2.11"], "timed out", True, "leak"),
        (FRONT, ["10.99.2.11"], "timed out", False, "refused"),
    ],
    ids=[
        "single lets it",
        "segmented does not",
        "refused in its segment",
        "in another segment",
        "in another segment, by its address",
        "in another segment, by its name",
        "names are not judged in single",
    ],
)
def test_an_edge_that_nothing_declares_is_tried_by_address_and_by_name_where_it_must_not_resolve(
    monkeypatch: pytest.MonkeyPatch, source: Any, answers: Any, error: str, enforced: bool, verdict: str
) -> None:
    cell = measured(monkeypatch, NOT_NEEDED, source=source, answers=answers, error=error, enforced=enforced)
    assert cell.verdict == verdict
    assert len(connections.findings([cell])) == (verdict == "leak")


def test_a_target_that_does_not_run_is_not_measured_and_not_hidden() -> None:
    cells = [Cell(NEEDED, "unmeasured"), Cell(NOT_NEEDED, "open")]
    assert matrix.totals(cells) == {"edges": 2, "measured": 1, "open": 1, "unmeasured": 1}
    assert matrix.note(cells) == (
        "1 of 2 connections tested: 1 undeclared and open, as network_layout single allows, "
        "1 not tested, because one of the two does not run"
    )


def test_the_grid_has_a_row_for_each_source_and_a_column_for_each_port() -> None:
    back = Edge("sse-redis", "sse-app", 8000, "app", "")
    lines = matrix.grid([Cell(NEEDED, "reached"), Cell(NOT_NEEDED, "leak"), Cell(back, "refused")])
    assert lines == [
        "           1  2",
        "sse-app       #",
        "sse-nginx     !",
        "sse-redis  .   ",
        "  1 sse-app:8000",
        "  2 sse-redis:6379",
        "  # declared and open (1)",
        "  . undeclared and closed (1)",
        "  ! undeclared and open, against network_layout segmented (1)",
    ]


def test_what_is_kept_is_json_for_programs_and_text_for_prometheus(tmp_path: Path) -> None:
    cells = [Cell(NEEDED, "reached", "10.99.2.11", seconds=0.00125), Cell(NOT_NEEDED, "leak", got="x", unresolved=True)]
    certificates = [
        ServedCertificate("it-nginx", 443, 1.0, 90001.0, ""),
        ServedCertificate("x", 1, 0.0, 0.0, "refused"),
    ]
    matrix.keep(tmp_path, cells, certificates, enforced=True)
    assert (tmp_path / "matrix/certificates.prom").read_text().splitlines() == [
        'sse_certificate_ends_timestamp_seconds{container="it-nginx"} 90001',
        'sse_certificate_lifetime_seconds{container="it-nginx"} 90000',
    ]
    kept = json.loads((tmp_path / "matrix" / "matrix.json").read_text())
    assert kept["counts"] == {"reached": 1, "leak": 1}
    assert kept["edges"][0] == {
        "source": "sse-app",
        "target": "sse-redis",
        "port": 6379,
        "why": "history",
        "verdict": "reached",
        "address": "10.99.2.11",
        "got": "",
        "milliseconds": 1.25,
    }
    text = matrix.metrics(cells, NOW).splitlines()
    assert 'sse_reach_connects{source="sse-app",target="sse-redis",port="6379",declared="true"} 1' in text
    assert 'sse_reach_connects{source="sse-nginx",target="sse-redis",port="6379",declared="false"} 0' in text
    assert 'sse_reach_edges{verdict="leak"} 1' in text
    assert 'sse_reach_edges{verdict="broken"} 0' in text
    assert f"sse_reach_measured_timestamp_seconds {NOW.timestamp():.0f}" in text


SIX = {"sse-data": "fd99:0:0:2::b"}


@pytest.mark.parametrize(
    ("edge", "error", "error6", "verdict", "address"),
    [
        (NEEDED, "", "", "reached", "10.99.2.11"),
        (NEEDED, "", "timed out", "broken", "fd99:0:0:2::b"),
        (NOT_NEEDED, "timed out", "timed out", "refused", "10.99.2.11, fd99:0:0:2::b"),
        (NOT_NEEDED, "timed out", "", "leak", "fd99:0:0:2::b"),
    ],
)
def test_an_edge_is_as_declared_only_if_it_is_so_in_both_families(
    monkeypatch: pytest.MonkeyPatch, edge: Edge, error: str, error6: str, verdict: str, address: str
) -> None:
    cell = measured(monkeypatch, edge, answers=["10.99.2.11"], error=error, enforced=True, six=SIX, error6=error6)
    assert (cell.verdict, cell.address) == (verdict, address)
