"""A secret is in its file, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.sse.platform.tests.integration.stack import CANARY, Stack


def made(stack: Stack) -> list[str]:
    """The secrets that the host made itself."""
    directory = stack.state / "secrets"
    return [path.read_text().strip() for path in directory.iterdir() if path.name.endswith("password")]


def test_no_secret_is_in_release_inspect_log_or_environment(stack: Stack) -> None:
    secrets = [CANARY, *made(stack)]
    places = {str(path): path.read_bytes() for path in (stack.state / "releases").rglob("*.json")}
    for name, one in stack.containers().items():
        places[f"inspect of {name}"] = json.dumps(one.attrs).encode()
        places[f"log of {name}"] = one.logs()
        pids = [int(row[1]) for row in one.top(ps_args="-o user,pid")["Processes"]]
        for pid in pids:
            for file in ("environ", "cmdline"):
                places[f"{file} of {name}"] = Path(f"/proc/{pid}/{file}").read_bytes()
    assert len(places) > 3 * len(stack.containers())
    assert [where for where, content in places.items() for one in secrets if one.encode() in content] == []


def test_no_secret_is_in_a_diff_or_in_what_the_most_talkative_run_prints(stack: Stack) -> None:
    secrets = made(stack)
    output = stack.up("--check", "--diff", "-vvv", redis_memory="300m").output  # CANARY is searched for in every run
    assert "~ it-redis-master" in output
    assert not any(one in output for one in secrets)


def test_a_secret_file_is_for_its_user_alone(stack: Stack) -> None:
    files = [path for path in stack.state.rglob("*") if path.is_file() and CANARY in path.read_text(errors="replace")]
    assert files
    assert {oct(path.stat().st_mode & 0o077) for path in files} == {"0o0"}
