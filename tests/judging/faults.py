"""What a stack may suffer, drawn from a seed: its parts are killed, stopped, paused, cut off, emptied and restarted.

Each fault is there for some seconds and is undone; what ended by itself comes back by its restart policy.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import docker
from docker.errors import APIError, DockerException

SECONDS = (1.0, 8.0)  # how long a fault lasts that does not end by itself
BACK_SECONDS = 120.0
ENGINE = 0.15  # of the draws are a killed engine, where it may be killed
PID_FILE = Path("/run/docker.pid")
CUT_BYTES = 4096  # of the log's end, where it is lost: some events
PARTS = ("nginx", "redis-master", "kafka")


class Target:
    """The containers of a stack on this machine's engine."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.engine: Any = docker.from_env()
        found = self.engine.containers.list(filters={"label": f"sse.platform.stack={name}"})
        self.replicas = sorted(one.name.removeprefix(f"{name}-") for one in found if f"{name}-app-" in one.name)
        bindings = self.container("nginx").attrs["NetworkSettings"]["Ports"]["80/tcp"]
        self.port = int(bindings[0]["HostPort"])
        self.networks = {one: self.container(one).attrs["NetworkSettings"]["Networks"] for one in self.parts}

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that events pass."""
        return (*self.replicas, *PARTS)

    def container(self, short: str) -> Any:
        """Return a container as it is now."""
        return self.engine.containers.get(f"{self.name}-{short}")

    def undo(self, part: str) -> None:
        """Let a part go on that a fault has left behind, because the engine refused something in the middle of it."""
        status = self.container(part).attrs["State"]["Status"]
        if status == "paused":
            self.container(part).unpause()
        elif status in ("exited", "created"):
            self.container(part).start()

    def whole(self) -> bool:
        """Tell whether every part runs, and every replica has Kafka and Redis."""
        running = all(self.container(one).attrs["State"]["Status"] == "running" for one in self.parts)
        return running and all(self.ready(one) for one in self.replicas)

    def ready(self, replica: str) -> bool:
        """Ask a replica itself; the engine asks it every 30 s only."""
        address = next(iter(self.networks[replica].values()))["IPAddress"]
        try:
            with urllib.request.urlopen(f"http://{address}:8000/health/ready", timeout=5) as answer:
                return json.load(answer)["status"] == "ok"
        except (OSError, ValueError):
            return False

    def recover(self) -> bool:
        """Wait until the stack is whole; undo what a fault has left behind when it failed."""
        until = time.monotonic() + BACK_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(APIError):
                for one in self.parts:
                    self.undo(one)
                if self.whole():
                    return True
            threading.Event().wait(0.5)
        return False


Fault = Callable[[Target, str, float], None]


def wait(seconds: float) -> None:
    """Let a fault last."""
    threading.Event().wait(seconds)


def kill(target: Target, part: str, _: float) -> None:
    """Kill its first process, as a crash does: the restart policy brings it back."""
    pid = target.container(part).attrs["State"]["Pid"]
    if pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def stop(target: Target, part: str, seconds: float) -> None:
    """Stop it, and start it after a while."""
    target.container(part).stop(timeout=10)
    wait(seconds)
    target.container(part).start()


def restart(target: Target, part: str, _: float) -> None:
    """Restart it at once."""
    target.container(part).restart(timeout=10)


def pause(target: Target, part: str, seconds: float) -> None:
    """Let it hang."""
    target.container(part).pause()
    try:
        wait(seconds)
    finally:
        target.container(part).unpause()


def stutter(target: Target, part: str, seconds: float) -> None:
    """Let it hang and go on, again and again: it is slow."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pause(target, part, 0.4)
        wait(0.2)


def disconnect(target: Target, part: str, seconds: float) -> None:
    """Take it out of its networks, and put it back with its names and addresses."""
    for name in target.networks[part]:
        target.engine.networks.get(name).disconnect(target.container(part))
    wait(seconds)
    for name, one in target.networks[part].items():
        target.engine.networks.get(name).connect(
            target.container(part), aliases=one["Aliases"], ipv4_address=one["IPAddress"]
        )


@contextlib.contextmanager
def rule(target: Target, part: str, *words: str) -> Iterator[None]:
    """Have a rule for the packets that come to a part."""
    pid = str(target.container(part).attrs["State"]["Pid"])
    command = ["nsenter", "-t", pid, "-n", "iptables", "-w"]
    subprocess.run([*command, "-I", "INPUT", *words], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([*command, "-D", "INPUT", *words], check=False, capture_output=True)


def lose(target: Target, part: str, seconds: float) -> None:
    """Lose a third of the packets that come to it."""
    with rule(target, part, "-m", "statistic", "--mode", "random", "--probability", "0.3", "-j", "DROP"):
        wait(seconds)


def reset(target: Target, part: str, seconds: float) -> None:
    """Reset each of its connections."""
    with rule(target, part, "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"):
        wait(seconds)


def reload(target: Target, part: str, _: float) -> None:
    """Have NGINX read its configuration anew."""
    target.container(part).exec_run("nginx -e stderr -c /etc/nginx/nginx.conf -s reload")


def flush(target: Target, part: str, _: float) -> None:
    """Empty Redis."""
    command = 'REDISCLI_AUTH="$(cat /run/users/password)" redis-cli --user admin -e FLUSHALL'
    code, said = target.container(part).exec_run(["sh", "-c", command])
    assert code == 0, said


def truncate(target: Target, part: str, seconds: float) -> None:
    """Kill Kafka, and take the end of its log away, as a power cut may do."""
    target.container(part).kill()
    data = Path(f"/var/lib/{target.name}-platform/data/{target.name}-{part}")
    newest = max(data.rglob("sse-events-0/*.log"))
    size = newest.stat().st_size
    os.truncate(newest, max(0, size - CUT_BYTES))
    wait(seconds / 4)
    target.container(part).start()


def kill_engine(target: Target, _: str, seconds: float) -> None:
    """Kill dockerd, as a crash does: what starts it at boot starts it again, and the containers live on (live-restore).

    Until then nothing resolves a name, and nothing that ends comes back.
    """
    os.kill(int(PID_FILE.read_text()), signal.SIGKILL)
    wait(seconds)
    until = time.monotonic() + BACK_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(DockerException, OSError):
            target.engine.ping()
            return
        wait(0.5)


ANYWHERE: tuple[Fault, ...] = (kill, stop, restart, pause, stutter, disconnect, lose, reset)
ONLY: dict[str, tuple[Fault, ...]] = {"nginx": (reload,), "redis-master": (flush,)}
LOSSES: dict[str, tuple[Fault, ...]] = {"kafka": (truncate,)}


class Suffering(NamedTuple):
    """A fault, of which part, and for how long."""

    fault: Fault
    part: str
    seconds: float

    def __str__(self) -> str:
        return " ".join(one for one in (self.fault.__name__, self.part, f"{self.seconds:.1f} s") if one)


def draw(chance: random.Random, parts: tuple[str, ...], losses: bool, engine: bool = False) -> tuple[Suffering, ...]:
    """Draw one fault, or two of different parts at the same time; an engine that is killed can do no other."""
    if engine and chance.random() < ENGINE:
        return (Suffering(kill_engine, "", chance.uniform(*SECONDS)),)
    found: list[Suffering] = []
    for part in chance.sample(parts, 2 if chance.random() < 0.3 else 1):
        faults = ANYWHERE + ONLY.get(part, ()) + (LOSSES.get(part, ()) if losses else ())
        found.append(Suffering(chance.choice(faults), part, chance.uniform(*SECONDS)))
    return tuple(found)
