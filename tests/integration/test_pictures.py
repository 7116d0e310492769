"""The pictures of the documentation show what the product shows, but for figures: they are not older than it."""

from __future__ import annotations

import json
import re
from html import unescape

import pictures
import pytest
import recording
from ansible_collections.sse.platform.tests.integration.stack import Stack

ALIKE = 0.6  # of the lines of a picture; some depend on the host, and on what else it runs
RENEW = "the picture is old: python tests/pictures.py"
# The rows of containers that change: test_terminal.py has a run that changes one. Here nothing changes.
CHANGES = re.compile(r"^\s*([✔+~]|changed)")


def usual(stack: Stack, text: list[str]) -> list[str]:
    return [recording.replaced(line, pictures.usual(stack.name, 0)) for line in text]


@pytest.mark.parametrize("name", pictures.TERMINALS)
def test_a_terminal_shows_what_its_picture_shows(deployed: Stack, name: str) -> None:
    given = ("-e", json.dumps(deployed.variables))
    seen = recording.record(name, pictures.call(name, given=given), pictures.ROOT, pictures.environment())
    picture = recording.last_screen(pictures.picture(f"terminal-{name}", "light").read_text())
    same = [line for line in picture if not CHANGES.match(line)]
    assert recording.kept(same, usual(deployed, recording.lines(seen))) >= ALIKE, RENEW


def texts(svg: str) -> list[str]:
    return [unescape(one) for one in re.findall(r"<text[^>]*>([^<]+)</text>", svg)]


def test_the_topology_shows_the_containers_that_run_and_their_ports(deployed: Stack) -> None:
    drawn = usual(deployed, texts(deployed.tool("diagram", "--svg").stdout))
    picture = texts(pictures.picture("topology", "light").read_text())
    assert recording.kept(picture, drawn) >= ALIKE, RENEW
