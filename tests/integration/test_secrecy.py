"""A secret is in its file, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.sse.platform.tests.integration.canaries import Processes, hits, needles
from ansible_collections.sse.platform.tests.integration.stack import CANARY, Stack

# A process that asks for as much of a core dump as it may have, and crashes: did the kernel write one?
CRASH = """import os, resource, tempfile
os.chdir(tempfile.gettempdir())
if not (child := os.fork()):
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    os.abort()
status = os.waitpid(child, 0)[1]
print(os.WTERMSIG(status), os.WCOREDUMP(status), *os.listdir())"""


def processes(stack: Stack) -> Iterator[tuple[str, Path]]:
    """Yield every process of every container, with the container's name."""
    for name, one in stack.containers().items():
        for row in one.top(ps_args="-o user,pid")["Processes"]:
            yield name, Path("/proc") / row[1]


def test_no_secret_is_in_release_inspect_log_or_environment(stack: Stack) -> None:
    secrets = {**needles(stack), "redis_password": CANARY.encode()}  # what is given is not kept with the others
    assert {"kafka_app_password 0", "redis_app_password 0"} <= set(secrets)
    # What tells what was: releases, the history of runs, and what a timer or a firewall keeps.
    kept = [path for path in stack.state.rglob("*") if path.is_file()]
    apart = {stack.state / name for name in ("secrets", "files", "data")}
    places = {str(path): path.read_bytes() for path in kept if not apart & set(path.parents)}
    assert any(path.endswith("/history.jsonl") for path in places)
    for name, one in stack.containers().items():
        places[f"inspect of {name}"] = json.dumps(one.attrs).encode()
        places[f"log of {name}"] = one.logs()
    for name, process in processes(stack):
        for file in ("environ", "cmdline"):
            places[f"{file} of {process.name} of {name}"] = (process / file).read_bytes()
    assert len(places) > 3 * len(stack.containers())
    assert hits(places.items(), secrets) == []


def test_no_secret_is_in_a_diff_or_in_what_the_most_talkative_run_prints(stack: Stack) -> None:
    secrets = needles(stack)
    with Processes() as seen:
        output = stack.up("--check", "--diff", "-vvv", redis_memory="300m").output  # CANARY is searched in every run
    assert "~ it-redis-master" in output
    assert any(b"ansible-playbook" in one for __, one in seen.places())
    assert hits([("the output", output.encode()), *seen.places()], secrets) == []


def test_no_process_of_a_container_leaves_a_core_dump(stack: Stack) -> None:
    """A core dump holds the memory of a process, and so its secrets, and the kernel writes it to the disk."""
    for name, one in stack.containers().items():
        limits = {each["Name"]: (each["Soft"], each["Hard"]) for each in one.attrs["HostConfig"]["Ulimits"]}
        assert limits["core"] == (0, 0), name
    said = {
        next(line for line in (process / "limits").read_text().splitlines() if line.startswith("Max core")).split()[4:6]
        == ["0", "0"]
        for __, process in processes(stack)
    }
    assert said == {True}
    crashed = stack.container("app-1").exec_run(["python", "-c", CRASH])
    assert crashed.output.decode().split() == ["6", "False"]


def test_a_secret_file_is_for_its_user_alone(stack: Stack) -> None:
    files = [path for path in stack.state.rglob("*") if path.is_file() and CANARY in path.read_text(errors="replace")]
    assert files
    assert {oct(path.stat().st_mode & 0o077) for path in files} == {"0o0"}
