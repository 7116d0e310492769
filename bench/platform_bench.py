"""What platform.py does: it deploys the platform in each way, has platform_load.py load it, and writes the report."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Generator
from pathlib import Path
from typing import Any

import load
import platform_load
import platform_report
import platform_ways
import report
import usage
from fanout import machine
from measurements import Deployment, PlatformResult, Rest, Sample, Shape, ShapeJob
from platform_ways import LAYERS, WAYS, Client, Way

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "docs" / "performance.md", ROOT / "docs" / "sizing.md"]
STACK, OFFSET = "bench-platform", 2400
COMPARED = ("users-200", "users-1000", "broadcast", "posts-16", "posts-64")  # in every deployment, others in the first
LAYERED = ("users-1000", "broadcast", "posts-64")  # with --layers
ENCRYPTS_PORT = 7  # of this machine, above the port of NGINX
REST_SECONDS = 60.0
SETTLE_SECONDS = 20.0  # after a deployment: Prometheus and the replicas have begun all that they do regularly
CHECKS = 5  # runs of each health check, to learn what one costs
CLIENT_SECONDS = 120  # of one shape; a client that takes longer hangs


def shape(name: str, kind: Any, **given: Any) -> Shape:
    """Return a shape, with what most shapes have."""
    made: Shape = {
        "name": name, "kind": kind, "channels": 1, "each": 1, "rate": 0.0, "bytes": load.PAYLOAD_BYTES,
        "concurrency": 1, "batch": 1, "seconds": 5.0,
    }  # fmt: skip
    return {**made, **given}  # pyright: ignore[reportReturnType]


SHAPES = (
    shape("users-200", "window", channels=1000, rate=200),
    shape("users-1000", "window", channels=1000, rate=1000),
    shape("broadcast", "window", each=1000, rate=20),
    shape("channels", "window", channels=100, each=10, rate=100),
    shape("posts-16", "flood", concurrency=16),
    shape("posts-64", "flood", concurrency=64),
    shape("batches", "flood", concurrency=8, batch=100),
    shape("storm", "storm"),
    shape("churn", "churn", each=1000, rate=20, concurrency=50),
    shape("big-2k", "window", each=100, rate=50, bytes=2048),
    shape("big-50k", "window", each=100, rate=5, bytes=51200),
    shape("bystander", "bystander", rate=200),
)
REPLICA, REPLICA_PORT = "app-1", 8000  # what a bystander stands beside; each replica listens there, with both links
NAMES = [*(one["name"] for one in SHAPES), "rest"]


class Bench:
    """One run: where the stack is, and what is to be measured there."""

    def __init__(self, options: argparse.Namespace, reader: Path) -> None:
        self.stack: str = options.stack
        self.offset: int = options.offset
        self.url: str = options.url
        self.rounds: int = options.rounds
        self.only: list[str] = options.only or [*(LAYERED if options.layers else NAMES)]
        self.ways = LAYERS if options.layers else WAYS
        self.reader = reader
        self.client = Client()

    @property
    def port(self) -> int:
        """The port at which the client finds NGINX, or what encrypts for it."""
        plain = urllib.parse.urlsplit(self.url).port or 80 if self.url else 80 + self.offset
        return plain + ENCRYPTS_PORT if self.client.tls else plain

    @property
    def gateway(self) -> str:
        """The address of this machine in the network of the stack."""
        listed = ["docker", "network", "inspect", f"{self.stack}-network", "-f", "{{(index .IPAM.Config 0).Gateway}}"]
        return subprocess.run(listed, check=True, capture_output=True, text=True).stdout.strip()

    def address(self, name: str) -> str:
        """Return the address of a container, which this machine reaches without NGINX."""
        [one] = [found for found in usage.inspected(self.stack) if usage.name_of(found, self.stack) == name]
        networks: dict[str, Any] = one["NetworkSettings"]["Networks"]
        return next(found["IPAddress"] for found in networks.values() if found["IPAddress"])

    def wanted(self, name: str) -> bool:
        """Tell whether a shape was asked for, by its name or its beginning."""
        return any(name == one or name.startswith(f"{one}-") for one in self.only)

    def playbook(self, verb: str, *arguments: str) -> float:
        """Run a verb of ./sse for the stack of this run, and return how long it took."""
        command = [sys.executable, str(ROOT / "tools" / "front.py"), verb, "-e", f"stack_name={self.stack}"]
        begun = time.monotonic()
        done = subprocess.run(
            [*command, "-e", f"stack_offset={self.offset}", *arguments],
            cwd=ROOT,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8",
                 "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"./sse {verb} failed:\n{(done.stdout + done.stderr)[-4000:]}")
        return round(time.monotonic() - begun, 1)

    def first_processes(self) -> dict[str, int]:
        """Return the first process of each container of the stack."""
        return {usage.name_of(one, self.stack): one["State"]["Pid"] for one in usage.inspected(self.stack)}

    def sample(self, one: Shape) -> Sample:
        """Have a client make one shape of load."""
        beside = one["kind"] == "bystander"
        job: ShapeJob = {
            "host": self.address(REPLICA) if beside else load.HOST,
            "port": REPLICA_PORT if beside else self.port,
            "reader": str(self.reader),
            "containers": self.first_processes(),
            "headers": self.client.headers,
            "shape": one,
        }
        kept = log_bytes(self.stack)
        done = subprocess.run(
            [sys.executable, platform_load.__file__],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            check=False,
            timeout=CLIENT_SECONDS,
        )
        if done.returncode:
            raise SystemExit(f"the client failed at {one['name']}: {done.stderr.strip()[-600:]}")
        found: Sample = json.loads(done.stdout)
        # The events of the first second, which nobody counts, are in the log, too.
        events = max(1, found["events"] * (1 + 1 / one["seconds"]))
        found["disk_bytes"] = (log_bytes(self.stack) - kept) / events
        say(f"{one['name']}: {' | '.join(platform_report.cells([found]))}")
        return found

    def measure(self, deployment: Deployment, *, first: bool) -> None:
        """Measure one deployment once."""
        for one in SHAPES:
            if self.wanted(one["name"]) and (first or one["name"] in COMPARED):
                deployment["samples"].setdefault(one["name"], []).append(self.sample(one))
        if self.wanted("rest") and first and deployment["rest"] is None:
            deployment["rest"] = self.rest()
            say(platform_report.rest_table(deployment["rest"]))

    def rest(self) -> Rest:
        """Leave the stack alone, and return what it uses; then find out what one of its health checks costs."""
        containers = usage.inspected(self.stack)
        meter = usage.Meter(self.first_processes())
        before, begun = meter.read(), time.monotonic()
        time.sleep(REST_SECONDS)
        seconds, used = time.monotonic() - begun, usage.since(before, meter.read())
        programs = {one["Id"]: found for one in containers if (found := program(one))}
        before = meter.read()
        for _ in range(CHECKS):
            for container, (command, _) in programs.items():
                execute(container, command)
        time.sleep(0.5)  # what the engine still does afterwards
        spent = usage.since(before, meter.read())
        done = max(1, CHECKS * len(programs))
        return {
            "seconds": seconds,
            "used": used,
            "checks_a_minute": sum(60 / interval for _, interval in programs.values()),
            "check_ms": (sum(spent["containers"].values()) + spent["engine"]) / 1000 / done,
        }

    def run(self) -> dict[str, Deployment]:
        """Measure every deployment in each round; one that is given by its address as it is."""
        if self.url:
            replicas = sum(name.startswith("app-") for name in self.first_processes())
            found: dict[str, Deployment] = {f"{replicas} replicas": empty(replicas, "as deployed")}
        else:
            found = {name: empty(way.replicas, way.link) for name, way in self.ways.items()}
        for _ in range(self.rounds):
            for number, (name, one) in enumerate(found.items()):
                if number and not any(map(self.wanted, COMPARED)):
                    continue
                with contextlib.nullcontext() if self.url else self.prepared(self.ways[name], one):
                    say(f"-- {name}")
                    self.measure(one, first=not number)
        return found

    @contextlib.contextmanager
    def prepared(self, way: Way, one: Deployment) -> Generator[None]:
        """Deploy a way, with all that its client needs."""
        with contextlib.ExitStack() as held:
            client = held.enter_context(platform_ways.client(way, self.gateway if way.spans else ""))
            one["up_seconds"].append(self.playbook("up", *client.given))
            if client.tls:
                to, port = 443 + self.offset, self.port + ENCRYPTS_PORT
                held.enter_context(platform_ways.encrypting(self.stack, port, to))
            time.sleep(SETTLE_SECONDS)
            self.client = client
            held.callback(setattr, self, "client", Client())
            yield

    @contextlib.contextmanager
    def deployed(self) -> Generator[None]:
        """Remove the stack of this run at the end, with its data."""
        try:
            yield
        finally:
            if not self.url:
                self.playbook("destroy", "--yes", "-e", "stack_delete_data=true")


def empty(replicas: int, link: str) -> Deployment:
    """Return a deployment in which nothing was measured yet."""
    return {"replicas": replicas, "link": link, "samples": {}, "rest": None, "up_seconds": []}


def log_bytes(stack: str) -> int:
    """Return the bytes in the segments of Kafka's log."""
    data = Path(f"/var/lib/{stack}-platform/data")
    return sum(one.stat().st_size for one in data.glob("*kafka*/**/*.log"))


def program(container: dict[str, Any]) -> tuple[list[str], float] | None:
    """Return the command of a container's health check, and the seconds between two of them."""
    check: dict[str, Any] = container["Config"].get("Healthcheck") or {}
    test: list[str] = check.get("Test") or ["NONE"]
    return (test[1:], check.get("Interval", 30e9) / 1e9) if test[0] == "CMD" else None


class _Engine(http.client.HTTPConnection):
    def __init__(self) -> None:
        super().__init__("localhost", timeout=30)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")

    def post(self, path: str, body: object) -> bytes:
        self.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        return self.getresponse().read()


def execute(container: str, command: list[str]) -> None:
    """Run a program in a container as the engine runs a health check, without the client of Docker."""
    asked = {"Cmd": command, "AttachStdout": True, "AttachStderr": True}
    made = json.loads(_Engine().post(f"/containers/{container}/exec", asked))["Id"]
    _Engine().post(f"/exec/{made}/start", {"Detach": False, "Tty": False})


def say(text: str) -> None:
    """Show progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def end(*_: object) -> None:
    """End by SIGTERM as by an error, so that the stack is removed."""
    sys.exit("platform.py was ended by a signal")


def arguments() -> argparse.Namespace:
    """Read what was asked for."""
    parser = argparse.ArgumentParser(prog="platform.py", description="Measure the deployed platform as users load it.")
    parser.add_argument("--only", nargs="+", metavar="SHAPE", help=f"measure only these: {', '.join(NAMES)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure every deployment (default: 3)")
    parser.add_argument("--stack", default=STACK, help="the name of the stack (default: %(default)s)")
    parser.add_argument("--offset", type=int, default=OFFSET, help="its stack_offset (default: %(default)s)")
    parser.add_argument("--url", default="", help="deploy nothing, and measure the stack that answers here")
    parser.add_argument("--layers", action="store_true", help="measure what TLS, authorization, schemas and spans cost")
    parser.add_argument("--json", type=Path, default=ROOT / ".ansible" / "bench-platform.json", help="for the figures")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs")
    parser.add_argument("--no-run", action="store_true", help="measure nothing, and read the JSON file")
    options = parser.parse_args()
    for one in options.only or ():
        if not any(name == one or name.startswith(f"{one}-") for name in NAMES):
            parser.error(f"--only {one}: expected one of {', '.join(NAMES)}")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: expected at least 1")
    return options


def main() -> None:
    """Measure everything in one run."""
    options = arguments()
    if options.no_run:
        result: PlatformResult = json.loads(options.json.read_text())
    else:
        signal.signal(signal.SIGTERM, end)
        begun = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            bench = Bench(options, load.build(Path(directory)))
            with bench.deployed():
                deployments = bench.run()
        result = {
            "machine": machine(),
            "rounds": options.rounds,
            "minutes": round((time.monotonic() - begun) / 60, 1),
            "layers": options.layers,
            "deployments": deployments,
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(platform_report.markdown(result))
    if options.write_docs:
        for path in DOCUMENTS:
            path.write_text(report.put("platform", platform_report.sections(result), path.read_text()))
