"""Clients that others wrote, through NGINX and a link that is cut: each does what docs/clients.md says of it."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.tests.clients import matrix

if TYPE_CHECKING:
    from ansible_collections.sse.platform.tests.integration.stack import Stack

# Those of other languages, and Firefox, need programs and minutes: `python tests/clients/matrix.py URL` runs all.
HERE = {"browser", "JavaScript", "Python", "shell"}


def test_each_client_does_what_the_documentation_says_of_it(stack: Stack) -> None:
    wanted = HERE if shutil.which("chromium") else HERE - {"browser"}
    clients = [one for one in matrix.CLIENTS if one.language in wanted]
    tools = {name: value for one in matrix.prepared(wanted).values() for name, value in one.items()}
    results = asyncio.run(matrix.every(matrix.Platform(f"http://127.0.0.1:{stack.http_port}"), clients, tools))
    lines = matrix.PAGE.read_text().splitlines()
    # What a client shows besides events depends on what happened to it, and is no promise.
    documented = {tuple(line.split(" | ")[:6]) for line in lines if line.startswith("| ")}
    assert {tuple(line.split(" | ")[:6]) for line in matrix.rows(results)[2:]} <= documented


def test_every_client_of_the_documentation_is_tried() -> None:
    rows = [line.split(" | ") for line in matrix.PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    names = {f"{one.library} {matrix.version_of(one)}".strip() for one in matrix.CLIENTS}
    assert {row[1] for row in rows} == names


def test_our_own_clients_do_all_of_it() -> None:
    rows = [line.split(" | ") for line in matrix.PAGE.read_text().splitlines() if "(ours)" in line]
    assert len(rows) == 2
    for row in rows:
        assert row[2:6] == ["yes"] * 4, row
