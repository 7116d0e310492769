"""Measure how long a deployment takes, and compare it with Compose on the same images; medians, as a table and JSON.

    .venv/bin/python bench/deploy.py [--rounds N] [--build] [--json FILE] [--write-docs]

It deploys its own stack (``bench``) and removes it. ``--build`` first removes every image of ours that no container
uses, and measures how long it takes to build them from nothing. Where Compose is not installed, it is skipped by name.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

import httpx
import report as documents
from fanout import machine
from report import Goal

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec  # noqa: E402
from ansible_collections.sse.platform.plugins.module_utils.views import compose_export  # noqa: E402
from ansible_collections.sse.platform.tests.integration.crowd import Crowd  # noqa: E402
from ansible_collections.sse.platform.tests.integration.stack import Run, Stack, eventually  # noqa: E402

EMPTY_PLAY = "- hosts: all\n  gather_facts: false\n  tasks: []\n"
# The floor of a run, which needs two modules: one that looks at the host, and one that compares and verifies.
TWO_MODULES = EMPTY_PLAY.replace("[]", 2 * "\n    - ansible.builtin.ping:")
CHANGE = ("GOMAXPROCS", "1")  # the Go runtime of Prometheus reads it; it does no harm
REQUEST_SECONDS = 20.0  # a connection may wait while NGINX is replaced
STREAMS = 200
APP_CHANGE = ("SSE_MAX_BODY_BYTES", "200000")  # it replaces every replica, and no client notices the new value
ENDED = "service_completed_successfully"  # a condition of Compose
REST_SECONDS = 20.0  # after this time a fresh stack has started everything
DOCUMENT = ROOT / "docs" / "performance.md"
# Goals: what is timed, what it is compared with (nothing: seconds count), and the limit.
GOALS = (
    ("up, nothing to change", "empty play", 3.0),
    ("plan, nothing to change", "empty play", 4.0),
    ("up, nothing to change", "compose up, nothing to change", 1.3),
    ("up, fresh", "compose up, fresh", 1.1),
    ("drift", "", 1.0),
    ("up, one variable of Prometheus changed", "", 3.0),
)


class Clients(TypedDict):
    """What the clients of one change noticed, in all rounds."""

    wrong: dict[str, int]  # refused, failed, lost, doubled, gaps
    asked_again: int  # publishes that were told to, or cut, and then settled
    interruption_p50: list[float]  # seconds from the end of a stream until its next event, of each round
    interruption_p99: list[float]
    longest_publish: list[float]


class Report(TypedDict):
    """The figures of a run. Times are in seconds."""

    machine: str
    medians_seconds: dict[str, float]
    rounds_seconds: dict[str, list[float]]
    ratios: dict[str, float]
    host_tasks: int
    image_bytes: dict[str, int]
    images_once_bytes: int
    memory_bytes: dict[str, int]
    failed_requests: dict[str, int]
    clients: dict[str, Clients]
    skipped: dict[str, str]


class Figures:
    """The figures of every round."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.host_tasks = 0
        self.image_bytes: dict[str, int] = {}
        self.images_once_bytes = 0
        self.memory_bytes: dict[str, int] = {}
        self.failed_requests: dict[str, int] = {}  # in all rounds
        self.clients: dict[str, Clients] = {}
        self.skipped: dict[str, str] = {}

    def under_streams(self, port: int, what: str, work: Callable[[], object]) -> None:
        """Time one round while streams and publishers go on, and keep what they noticed."""
        with Crowd(port, STREAMS) as crowd:
            self.time(what, work)
        empty: Clients = {
            "wrong": {},
            "asked_again": 0,
            "interruption_p50": [],
            "interruption_p99": [],
            "longest_publish": [],
        }
        found = self.clients.setdefault(what, empty)
        for one, times in crowd.wrong.items():
            found["wrong"][one] = found["wrong"].get(one, 0) + times
        found["asked_again"] += crowd.unsettled + crowd.cut
        found["interruption_p50"].append(round(crowd.interruption(50), 2))
        found["interruption_p99"].append(round(crowd.interruption(99), 2))
        found["longest_publish"].append(round(crowd.longest_publish, 2))

    def time(self, what: str, work: Callable[[], object]) -> None:
        """Time one round, and show it."""
        begun = time.monotonic()
        work()
        self.seconds.setdefault(what, []).append(round(time.monotonic() - begun, 2))
        print(f"  {what}: {self.seconds[what][-1]:.2f} s", file=sys.stderr)

    def median(self, what: str) -> float:
        """Return the median of all rounds."""
        return statistics.median(self.seconds[what])

    def report(self) -> Report:
        """Return all figures, and the ratios that have a goal."""
        ratios = {
            f"{what} / {beside} (goal: at most {limit:g})": self.median(what) / self.median(beside)
            for what, beside, limit in GOALS
            if beside in self.seconds
        }
        return {
            "machine": f"{documents.measured_on(machine())}; medians of {len(self.seconds['empty play'])} rounds.",
            "medians_seconds": {what: round(self.median(what), 2) for what in self.seconds},
            "rounds_seconds": self.seconds,
            "ratios": {what: round(ratio, 2) for what, ratio in ratios.items()},
            "host_tasks": self.host_tasks,
            "image_bytes": self.image_bytes,
            "images_once_bytes": self.images_once_bytes,
            "memory_bytes": self.memory_bytes,
            "failed_requests": self.failed_requests,
            "clients": self.clients,
            "skipped": self.skipped,
        }


def table(report: Report) -> str:
    """Write the report as a table for people."""
    rows = [(what, f"{seconds:.2f} s") for what, seconds in report["medians_seconds"].items()]
    rows += [(what, f"{ratio:.2f}") for what, ratio in report["ratios"].items()]
    rows += [(f"failed requests: {what}", str(failed)) for what, failed in report["failed_requests"].items()]
    for what, found in report["clients"].items():
        wrong = ", ".join(f"{one}: {times}" for one, times in found["wrong"].items()) or "0"
        rows.append((f"refused, failed, lost, doubled, gaps: {what}", wrong))
        rows.append((f"publishes asked again: {what}", str(found["asked_again"])))
        rows += [
            (f"interruption of a stream, {name}: {what}", f"{statistics.median(seconds):.2f} s")
            for name, seconds in (("p50", found["interruption_p50"]), ("p99", found["interruption_p99"]))
        ]
        rows.append((f"longest publish: {what}", f"{statistics.median(found['longest_publish']):.2f} s"))
    rows.append(("host tasks in a run with nothing to change", str(report["host_tasks"])))
    rows += [(f"image {name}", megabytes(size)) for name, size in report["image_bytes"].items()]
    rows.append(("all images, shared layers once", megabytes(report["images_once_bytes"])))
    rows += [(f"memory of {name} at rest", megabytes(size)) for name, size in report["memory_bytes"].items()]
    rows.append(("memory of the whole stack at rest", megabytes(sum(report["memory_bytes"].values()))))
    rows += [(what, f"skipped: {why}") for what, why in report["skipped"].items()]
    width = max(len(what) for what, _ in rows)
    return "\n".join(f"{what.ljust(width)}  {value}" for what, value in rows)


def sections(report: Report) -> dict[str, str]:
    """Write the parts of docs/performance.md."""
    medians = report["medians_seconds"]
    goals: list[Goal] = []
    for what, beside, limit in GOALS:
        if beside and beside not in medians:
            continue
        found = medians[what] / medians[beside] if beside else medians[what]
        name, unit = (f"{what}, of {beside}", " x") if beside else (what, " s")
        goals.append(Goal(f"{name}: at most {limit:g}{unit}", f"{found:.2f}{unit}", found <= limit))
    return {
        "machine": textwrap.fill(report["machine"], 120),
        "runs": documents.grid(["run", "seconds"], [[what, f"{seconds:.2f}"] for what, seconds in medians.items()]),
        "goals": documents.goal_table(goals),
    }


def megabytes(size: int) -> str:
    """Write bytes as megabytes of 10^6 bytes, as Docker does."""
    return f"{size / 1e6:.0f} MB"


def expect(run: Run) -> None:
    """End where a playbook failed: its time would mean nothing."""
    if run.code:
        sys.exit(run.output)


class Asking:
    """A client that asks NGINX twenty times a second, each time over a new connection, until the block ends."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.failed = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def __enter__(self) -> Asking:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def ask(self) -> None:
        url = f"http://127.0.0.1:{self.stack.http_port}/api/v1/health/live"
        while not self.ended.wait(0.05):
            try:
                self.failed += not httpx.get(url, timeout=REQUEST_SECONDS).is_success
            except httpx.HTTPError:
                self.failed += 1


def run_play(text: str) -> None:
    """Run a play that does nothing."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as play:
        play.write(text)
        play.flush()
        command = [str(Path(sys.executable).with_name("ansible-playbook")), play.name]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)


def host_tasks(stack: Stack) -> int:
    """Count the modules that run on the host when there is nothing to change."""
    return len(re.findall(r"Using module file", stack.up("-vvv").output))


def build_images(stack: Stack, figures: Figures) -> None:
    """Build every image from nothing. Images that a container uses stay, and the report names them."""
    api: Any = stack.engine.api
    for image in stack.engine.images.list():
        for tag in [tag for tag in image.tags if tag.startswith("sse-platform/")]:
            api.remove_image(tag, force=True)
    api.prune_builds()
    left = [tag for image in stack.engine.images.list() for tag in image.tags if tag.startswith("sse-platform/")]
    if left:
        figures.skipped["building from nothing"] = f"in use: {', '.join(left)}"
        return
    figures.time("building all images from nothing, and a first up", stack.up)


def image_sizes(stack: Stack) -> tuple[dict[str, int], int]:
    """Return the size of each image, and the size of all images with shared layers counted once."""
    references = sorted({one.attrs["Config"]["Image"] for one in stack.containers().values()})
    sizes = {name: int(stack.engine.images.get(name).attrs["Size"]) for name in references}
    with (
        subprocess.Popen(["docker", "save", *references], stdout=subprocess.PIPE) as saved,
        tarfile.open(fileobj=saved.stdout, mode="r|") as archive,
    ):
        # A shared layer is one file in the archive (or a file and links to it).
        once = {member.name: member.size for member in archive if member.isfile()}
    return sizes, sum(once.values())


def memory(stack: Stack) -> dict[str, int]:
    """Return the memory of each container, without page cache that the kernel may drop."""
    held: dict[str, int] = {}
    for name, one in sorted(stack.containers().items()):
        found = one.stats(stream=False)["memory_stats"]
        cache = found["stats"].get("total_inactive_file", found["stats"].get("inactive_file", 0))  # cgroup v1, v2
        held[name] = found["usage"] - cache
    return held


def compose_command() -> list[str] | None:
    """Return the command of Compose, which is a plugin or a program; None where there is none."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


def compose_file(stack: Stack, directory: Path) -> dict[str, Any]:
    """Describe the running stack as a Compose file, with the same images, commands, limits, files and checks.

    :param directory: where the files of the containers are copied to
    """
    services: dict[str, Any] = {}
    containers = stack.containers()
    specs = {name: spec_of(stack, name) for name in containers}
    python = compose_export.with_python(specs)
    for name, spec in specs.items():
        files = {
            mount["Destination"]: volume(stack, mount, directory / name, spec["user"])
            for mount in containers[name].attrs["Mounts"]
        }
        after = [specs[one] for one in spec["after"]]
        needed = {one["container"]: "service_healthy" for one in after}
        needed |= {f"{one['container']}-users": ENDED for one in after if compose_export.program(one)}
        services[spec["container"]] = compose_service(spec, list(files.values()), needed)
        if compose_export.program(spec):
            sources = {target: one.partition(":")[0] for target, one in files.items()}
            services[f"{spec['container']}-users"] = compose_export.teller(spec, python, sources)
    subnet = stack.variables["network_subnet"]
    networks = {"stack": {"driver": "bridge", "ipam": {"config": [{"subnet": subnet}]}}}
    return {"name": "bench-compose", "services": services, "networks": networks}


def volume(stack: Stack, mount: dict[str, Any], directory: Path, user: str) -> str:
    """Return a mount as Compose writes it. Files of the stack are copied, and its data directories begin empty."""
    source = Path(mount["Source"])
    if stack.state in source.parents:
        copy = directory / source.relative_to(stack.state)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if mount["RW"]:
            copy.mkdir()
            shutil.chown(copy, *map(int, user.split(":")))
        else:
            subprocess.run(["cp", "-a", str(source), str(copy)], check=True)
        source = copy
    return f"{source}:{mount['Destination']}" + ("" if mount["RW"] else ":ro")


def compose_service(spec: Spec, volumes: list[str], needed: Mapping[str, str]) -> dict[str, Any]:
    """Return a container as a service of a Compose file."""
    check = spec["healthcheck"]
    service: dict[str, Any] = {
        "image": spec["image"],
        "entrypoint": dollars(spec["entrypoint"]),
        "command": dollars(spec["command"]),
        "user": spec["user"],
        "environment": {key: dollars(value) for key, value in spec["environment"].items()},
        "networks": {"stack": {"ipv4_address": next(iter(spec["networks"].values())), "aliases": spec["aliases"]}},
        "volumes": volumes,
        "tmpfs": [f"{path}:size={size}" for path, size in spec["tmpfs"].items()],
        "ports": [f"{one['host_ip']}:{one['host_port']}:{one['container_port']}" for one in spec["ports"]],
        "mem_limit": spec["memory"],
        "pids_limit": spec["pids"],
        "cap_drop": ["ALL"],
        "cap_add": spec["capabilities"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": spec["read_only"],
        "stop_signal": spec["stop_signal"],
        "stop_grace_period": f"{spec['stop_timeout']}s",
        "sysctls": spec["sysctls"],
        "extra_hosts": [f"{host}:{address}" for host, address in spec["hosts"].items()],
        "restart": "unless-stopped",
        "depends_on": {name: {"condition": condition} for name, condition in needed.items()},
    }
    if check["command"]:
        service["healthcheck"] = {
            "test": ["CMD", *dollars(check["command"])],
            "interval": "1s",  # Compose has no other way to notice a start sooner
            "timeout": f"{check['timeout']}s",
            "retries": check["start"],
        }
    return service


def dollars(value: Any) -> Any:
    """Write $ so that Compose does not read it as one of its variables."""
    return value.replace("$", "$$") if isinstance(value, str) else [dollars(one) for one in value]


def spec_of(stack: Stack, name: str) -> Spec:
    """Return the spec of a container from the newest release that has it."""
    for path in sorted((stack.state / "releases").glob("*/*.json"), reverse=True):
        release: Release = json.loads(path.read_text())
        if name in release["containers"]:
            return release["containers"][name]
    sys.exit(f"no release has the container {name}")


def measure_compose(command: list[str], file: dict[str, Any], directory: Path, port: int, figures: Figures) -> None:
    """Measure with Compose what was measured with the playbook."""
    path = directory / "compose.json"

    def compose(*arguments: str) -> None:
        run = subprocess.run([*command, "-f", str(path), *arguments], capture_output=True, text=True, check=False)
        if run.returncode:
            sys.exit(run.stderr[-2000:])

    path.write_text(json.dumps(file))
    try:
        figures.time("compose up, fresh", lambda: compose("up", "-d", "--wait"))
        figures.time("compose up, nothing to change", lambda: compose("up", "-d", "--wait"))
        file["services"]["prometheus"]["environment"][CHANGE[0]] = CHANGE[1]
        path.write_text(json.dumps(file))
        figures.time("compose up, one variable of Prometheus changed", lambda: compose("up", "-d", "--wait"))
        for service in file["services"].values():
            if service.get("command") == ["-m", "sse_app"]:
                service["environment"][APP_CHANGE[0]] = APP_CHANGE[1]
        path.write_text(json.dumps(file))
        what = f"compose up, one variable of the replicas changed, {STREAMS} streams"
        figures.under_streams(port, what, lambda: compose("up", "-d", "--wait"))
    finally:
        compose("down", "-v")


def one_round(stack: Stack, command: list[str] | None, figures: Figures) -> None:
    """Deploy, change and go back once, and the same with Compose.

    :param command: of Compose; None where there is none
    """

    def changed() -> None:
        stack.up(prometheus_environment_extra=dict([CHANGE]))

    def replicas() -> None:
        stack.up(app_environment_extra=dict([APP_CHANGE]))

    def nginx(what: str, **settings: Any) -> None:
        with Asking(stack) as asking:
            figures.time(what, lambda: stack.up(prometheus_environment_extra=dict([CHANGE]), **settings))
        figures.failed_requests[what] = figures.failed_requests.get(what, 0) + asking.failed

    stack.destroy()
    figures.time("empty play", lambda: run_play(EMPTY_PLAY))
    figures.time("play of two modules that do nothing", lambda: run_play(TWO_MODULES))
    figures.time("up, fresh", stack.up)
    figures.time("up, nothing to change", stack.up)
    figures.time("plan, nothing to change", lambda: expect(stack.play("plan")))
    figures.time("drift", lambda: expect(stack.play("drift")))
    for what, work in (
        ("rolling update of the replicas", replicas),
        ("rollback of the replicas", lambda: expect(stack.play("rollback"))),
    ):
        figures.under_streams(stack.http_port, f"{what}, {STREAMS} streams", work)
    figures.time("up, one variable of Prometheus changed", changed)
    nginx("up, one setting of NGINX changed", nginx_config_extra={"send_timeout": "61s"})
    nginx("up, the memory of NGINX changed", nginx_memory="600m")
    if command:
        with tempfile.TemporaryDirectory() as directory:
            file = compose_file(stack, Path(directory))
            file["services"]["prometheus"]["environment"].pop(CHANGE[0])
            stack.destroy()
            measure_compose(command, file, Path(directory), stack.http_port, figures)
        stack.up()


def main() -> None:
    """Measure everything in one run."""
    parser = argparse.ArgumentParser(description="Measure how long a deployment takes.")
    parser.add_argument("--rounds", type=int, default=3, help="how often to deploy (default: 3)")
    parser.add_argument("--build", action="store_true", help="also measure how long building all images takes")
    parser.add_argument(
        "--json", type=Path, default=ROOT / ".ansible" / "bench-deploy.json", help="write figures there"
    )
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # users do not have it, and it makes each run compile everything
    figures = Figures()
    stack = Stack("bench", "10.86.0.0/24", 18280)
    command = compose_command()
    if command is None:
        figures.skipped["compose"] = "not installed"

    stack.destroy()
    try:
        if options.build:
            build_images(stack, figures)
        else:
            figures.skipped["building from nothing"] = "only with --build"
            stack.up()
        for _ in range(options.rounds):
            one_round(stack, command, figures)
        expect(stack.play("verify"))
        figures.host_tasks = host_tasks(stack)
        figures.image_bytes, figures.images_once_bytes = image_sizes(stack)
        started = time.monotonic()
        eventually(lambda: time.monotonic() - started > REST_SECONDS, "rest", 2 * REST_SECONDS)
        figures.memory_bytes = memory(stack)
    finally:
        stack.destroy()
    report = figures.report()
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(table(report))
    if options.write_docs:
        DOCUMENT.write_text(documents.put("deploy", sections(report), DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
