"""Users rely on what the lab says: each answer is measured on the engine of this machine."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from ansible_collections.sse.platform.tests.integration.stack import Stack

CONNECTED, DROPPED, REFUSED = "connected", "no answer: dropped on the way", "refused: nobody listens there"


def networks(stack: Stack) -> set[str]:
    return {str(one.name) for one in stack.engine.networks.list(names=[f"{stack.name}-lab"])}


def links() -> set[str]:
    shown = subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True).stdout
    return {one["ifname"] for one in json.loads(shown) if one["ifname"].startswith("it")}


@pytest.fixture(scope="module")
def lab(deployed: Stack) -> dict[str, Any]:
    """One run of the lab: what it printed, and what it left behind."""
    before = (networks(deployed), links())
    run = deployed.play("lab")
    assert run.code == 0, run.output
    return {
        "output": run.output,
        "left": (networks(deployed) - before[0], links() - before[1]),
        "containers": deployed.engine.containers.list(
            all=True, filters={"label": f"sse.platform.lab={deployed.name}-lab"}
        ),
    }


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("a asks for the name b", "no such name"),
        ("c connects to d", CONNECTED),
        ("c asks for names at", "127.0.0.11"),
        ("e, on another network, asks for it-lab-d", "no such name"),
        ("e connects to d's address", DROPPED),
        ("e connects to d", CONNECTED),
        ("client connects to server, which listens on 127.0.0.1", REFUSED),
        ("client connects to server, which listens on 0.0.0.0", CONNECTED),
        ("the host connects to its own 127.0.0.1, port not published", REFUSED),
        ("the host connects to 127.0.0.1, port published there", CONNECTED),
        ("f connects to a machine beyond the host", DROPPED),
        ("o, on an ordinary bridge, connects to it", CONNECTED),
        ("the host connects to g's published port", REFUSED),
        ("its interfaces are the host's", "yes"),
        ("its interfaces", "lo 127.0.0.1"),
        ("i connects to j", CONNECTED),
        ("the host connects to j over the same cable", DROPPED),
    ],
)
def test_what_each_kind_of_network_does(lab: dict[str, Any], question: str, answer: str) -> None:
    measured = dict(
        line.strip().split("  ", 1)
        for line in lab["output"].splitlines()
        if line.startswith("  ") and "  " in line.strip()
    )
    assert measured[question].strip() == answer


def test_nothing_is_left_behind(lab: dict[str, Any]) -> None:
    assert lab["left"] == (set(), set())
    assert lab["containers"] == []


def test_what_this_host_cannot_show_is_skipped_by_name(lab: dict[str, Any]) -> None:
    assert "SKIPPED: it needs a throwaway engine" in lab["output"]
