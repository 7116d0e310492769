"""bench/several_hosts.py: it has each fault of the scenario, and the tables say what was measured."""

from __future__ import annotations

import argparse
import re
from typing import Any

import pytest
import several_hosts

FOUND: dict[str, Any] = {
    "code": 0, "seconds": 12.3, "events": 1234, "delivered": 9000, "lost": 0, "doubled": 0, "disordered": 0, "gaps": 0,
    "reconnected": 70, "repeated": 3, "wrong": [],
    "publishers": {"count": 20, "p50": 0.1, "p99": 2.0, "longest": 2.04},
    "subscribers": {"count": 200, "p50": 0.3, "p99": 3.1, "longest": 3.2},
}  # fmt: skip


def report(**parts: Any) -> several_hosts.Report:
    made: Any = {"machine": "", "seconds": {}, "rest": [], "brokers": {}, "faults": {}, "loads": {}, **parts}
    return made


def test_the_scenario_has_each_fault_and_no_other_in_this_order() -> None:
    script = (several_hosts.SCENARIO / "lose.sh").read_text()
    assert set(re.findall(r"(?m)^    (\w+)\) ", script)) == set(several_hosts.FAULTS)
    verify = (several_hosts.SCENARIO / "verify.yml").read_text()
    assert f"all_faults: [{', '.join(several_hosts.FAULTS)}]" in verify


def test_a_fault_is_a_row_with_what_both_sides_waited() -> None:
    assert several_hosts.faults(report(faults={"broker": FOUND})).splitlines()[-1] == (
        "| a broker is killed | 1,234 in 12 s | 0 / 0 / 0 | 0.1 / 2.0 / 2.0 | 0.3 / 3.1 / 3.2 | 3 | 70 |"
    )


def test_costs_are_medians_and_the_ratio_is_that_of_pairs() -> None:
    three = [{"rate": rate} for rate in (100.0, 300.0, 200.0)]
    one = [{"rate": rate} for rate in (200.0, 300.0, 800.0)]
    told = several_hosts.brokers(report(brokers={"16 publishers at once": {"3": three, "1": one}}))
    assert told.splitlines()[-1] == "| 16 publishers at once: events/s | 200 | 300 | 0.50 |"
    rest = [{"host": "a", "share_of_core": one, "resident_mb": 100.0} for one in (0.01, 0.03, 0.02)]
    assert "2.0% of a core, 100 MB" in several_hosts.figures(report(rest=rest, seconds={"bare": 251.4}))


def test_the_time_of_a_process_is_that_of_user_and_system() -> None:
    assert several_hosts.ticks("7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 100 23 0 0\nVmRSS: 1 kB") == 123


def test_a_name_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="leader"):
        several_hosts.named("replica,nothing", list(several_hosts.FAULTS))
    assert several_hosts.named("broker,replica", list(several_hosts.FAULTS)) == ["replica", "broker"]
