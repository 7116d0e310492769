"""A stack on the real engine of this machine, deployed with the playbooks as a person does it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import docker
import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
# A secret of every stack of these tests. Everything that a playbook prints is searched for it.
CANARY = "canary-5f1d7c0e9b3a"
UP_SECONDS = 1200  # the first run may build every image; a run that hangs must end with the session
TOOL_SECONDS = 400  # longer than any tool takes here
SETTLE_SECONDS = 60.0


class Run(NamedTuple):
    """A playbook that ended."""

    code: int
    output: str
    seconds: float

    @property
    def unchanged(self) -> bool:
        """Tell whether it says that nothing changed."""
        return self.code == 0 and "nothing changed" in self.output


class Running:
    """A playbook that runs."""

    def __init__(
        self, playbook: str, variables: dict[str, Any], arguments: tuple[str, ...], enter: tuple[str, ...] = ()
    ) -> None:
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            [
                *enter,
                *(str(Path(sys.executable).with_name("ansible-playbook")), str(ROOT / "playbooks" / f"{playbook}.yml")),
                *("--extra-vars", json.dumps(variables), *arguments),
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "LC_ALL": "C.UTF-8",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> Run:
        """Wait for its end."""
        try:
            output = self.process.communicate(timeout=UP_SECONDS)[0]
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert CANARY not in output, "a secret was printed"
        return Run(self.process.returncode, output, time.monotonic() - self.begun)

    def kill(self) -> None:
        """Kill it and everything that it started at the same moment, as a power cut does."""
        self.process.send_signal(signal.SIGSTOP)  # it must start nothing more while its processes are looked up
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()


def descendants(pid: int) -> list[int]:
    """List the processes that a process started, directly or not."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def tool(stack: str, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool as ./sse does, for a stack."""
    return subprocess.run(
        [sys.executable, str(ROOT / "tools" / f"{name}.py"), "-e", f"stack_name={stack}", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TOOL_SECONDS,
    )


class Stack:
    """A stack by name, with its own ports, and the engine that it runs on."""

    def __init__(self, name: str, subnet: str, first_port: int, **variables: Any) -> None:
        self.name = name
        self.http_port = first_port
        self.kafka_ports = (first_port + 2, first_port + 3)
        self.variables: dict[str, Any] = {
            "stack_name": name,
            "network_subnet": subnet,
            "exposure_http_port": first_port,
            "exposure_https_port": first_port + 1,
            "kafka_port": first_port + 2,
            "kafka_external_port": first_port + 3,
            "redis_port": first_port + 4,
            "prometheus_port": first_port + 5,
            "grafana_port": first_port + 6,
            "dashboard_port": first_port + 7,
            "stack_secrets": {"redis_password": CANARY},
            "kafka_users": {
                "writer": {"create": ["own.*"], "write": ["own.*"]},
                "reader": {"read": ["sse-events"], "groups": ["reports.*"]},
            },
            # Its streams and events would be among those that the tests count.
            "canary_interval_seconds": 0,
            **variables,
        }
        self.state = Path(f"/var/lib/{name}-platform")
        self.prefix = ".".join(subnet.split(".")[:3])
        self.engine = docker.from_env()
        self.enter: tuple[str, ...] = ()  # the command that runs a playbook on another host

    # Playbooks.

    def begin(self, playbook: str = "site", *arguments: str, **variables: Any) -> Running:
        """Start a playbook with the stack's variables, overridden by the given ones."""
        return Running(playbook, {**self.variables, **variables}, arguments, self.enter)

    def play(self, playbook: str, *arguments: str, **variables: Any) -> Run:
        """Run a playbook."""
        return self.begin(playbook, *arguments, **variables).end()

    def up(self, *arguments: str, **variables: Any) -> Run:
        """Bring the stack up, and expect that to work."""
        run = self.play("site", *arguments, **variables)
        assert run.code == 0, run.output
        return run

    def fail(self, *arguments: str, **variables: Any) -> str:
        """Bring the stack up, and expect that to fail; return what it says."""
        run = self.play("site", *arguments, **variables)
        assert run.code != 0, run.output
        return run.output

    def verify(self, **variables: Any) -> Run:
        """Verify the stack; only its name is given."""
        return Running("verify", {"stack_name": self.name, **variables}, (), self.enter).end()

    def destroy(self) -> Run:
        """Remove the stack and its data, where there is one."""
        run = self.play("destroy", stack_delete_data=True, stack_destroy_confirmed=True)
        assert run.code == 0 or f"There is no stack '{self.name}'" in run.output, run.output
        return run

    def tool(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a tool as ./sse does."""
        return tool(self.name, name, *arguments)

    # What runs.

    def containers(self) -> dict[str, Any]:
        """Return the stack's containers by name, stopped ones included."""
        found = self.engine.containers.list(all=True, filters={"label": f"sse.platform.stack={self.name}"})
        return {str(one.name): one for one in found}

    def container(self, short: str) -> Any:
        """Return a container by its short name."""
        return self.engine.containers.get(f"{self.name}-{short}")

    def ids(self) -> dict[str, tuple[str, str]]:
        """Return id and time of start by name. Where they are the same before and after, nothing was touched."""
        return {name: (one.id, one.attrs["State"]["StartedAt"]) for name, one in self.containers().items()}

    def api(self, path: str, port: int | None = None) -> httpx.Response:
        """GET a path of the API through NGINX."""
        return httpx.get(f"http://127.0.0.1:{port or self.http_port}/api/v1{path}", timeout=5)

    def publish(self, channel: str, data: Any) -> httpx.Response:
        """Publish an event through NGINX."""
        event = {"channel": channel, "event": "test", "data": data}
        return httpx.post(f"http://127.0.0.1:{self.http_port}/api/v1/events", json=event, timeout=15)

    def ready(self, replica: int) -> bool:
        """Ask a replica itself whether it is ready."""
        try:
            return httpx.get(f"http://{self.prefix}.{20 + replica}:8000/health/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def live_again(self) -> bool:
        """Tell whether the API answers through NGINX."""
        try:
            return self.api("/health/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def live(self, name: str) -> Any:
        """Return what the last run wrote for the control room: releases, topology or matrix."""
        return json.loads((self.state / "live" / f"{name}.json").read_text())

    def events(self) -> Events:
        """Watch what the engine does to containers and networks of this stack."""
        return Events(self)


class Events:
    """The engine's events about one stack, as they happen."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.stream: Any = stack.engine.events(decode=True)
        self.seen: list[dict[str, Any]] = []
        self.thread: threading.Thread | None = None

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        if self.thread:
            self.thread.join(SETTLE_SECONDS)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for event in self.stream:
            attributes = event.get("Actor", {}).get("Attributes", {})
            names = (attributes.get("sse.platform.stack"), attributes.get("name", "").removesuffix("-network"))
            if self.stack.name in names:
                yield {**attributes, "type": event["Type"], "action": event["Action"]}

    def watch(self, react: Callable[[dict[str, Any]], None]) -> None:
        """Call ``react`` for each event, from a thread, as soon as it happens."""

        def follow() -> None:
            for event in self:
                self.seen.append(event)
                react(event)

        self.thread = threading.Thread(target=follow, daemon=True)
        self.thread.start()


def eventually(true: Callable[[], bool], what: str, seconds: float = SETTLE_SECONDS) -> float:
    """Ask until the answer is yes, and return how many seconds that took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() < begun + seconds, f"{what}: did not happen within {seconds:g} s"
        threading.Event().wait(0.1)
    return time.monotonic() - begun
