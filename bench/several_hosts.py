"""What a cluster costs, and what clients notice of its faults; figures as Markdown tables and JSON.

    .venv/bin/python bench/several_hosts.py [--inventory PATH] [--parts bare,rest,...] [--json FILE]

It makes the three nested hosts of Molecule's scenario `swarm` on the engine of this machine, and removes them; or it
uses those that `molecule converge -s swarm` left, where --inventory names theirs. Then `bare` is left out. Beside the
stack with three brokers it brings up one with one broker on the same hosts, and both get the same load in turns. Each
fault is one of molecule/swarm/lose.sh, beside 200 streams and 20 publishers. All of it takes some 35 minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypedDict

import load
import yaml
from fanout import machine, say
from measurements import Sample, Shape, ShapeJob
from platform_bench import shape
from report import grid, measured_on

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "tests"))

from judging.outages import MARK, good  # noqa: E402

SCENARIO = ROOT / "molecule" / "swarm"
PARTS = ("bare", "unchanged", "rest", "brokers", "faults")
FAULTS = {
    "replica": "a replica is killed",
    "broker": "a broker is killed",
    "edge": "the NGINX of another edge is killed",
    "host": "a host is killed for 40 s, with a broker",
    "leader": "the leader of the managers is killed for 60 s",
    "redis": "the host of Redis is killed for 40 s",
    "partition": "a host is cut off from all others for 40 s",
    "update": "a run replaces all replicas",
    "rollback": "`./sse rollback` of that",
    "drain": "a host with a broker is drained",
    "add": "it gets tasks again",
    "nginx": "a run changes settings of NGINX alone",
}
OFFSET = 1000
SMALL = {"stack_name": "one", "stack_offset": OFFSET, "kafka_brokers": 1}  # the stack with one broker
SHAPES = (
    shape("16 publishers at once", "flood", concurrency=16, seconds=8.0),
    shape("20 events/s to 50 streams", "window", each=50, rate=20, seconds=8.0),
)
PLAY_SECONDS = 1800
LOAD_SECONDS = 120
FAULT_SECONDS = 900
SETTLE_SECONDS = 60.0  # until nothing of a deployment is left to do
REST_SECONDS = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


class Plane(TypedDict):
    """What the control plane of one host takes at rest: dockerd, with its managers and health checks."""

    host: str
    share_of_core: float
    resident_mb: float


class Report(TypedDict):
    """The figures of a run. Parts that were left out are empty."""

    machine: str
    seconds: dict[str, float]
    rest: list[Plane]
    brokers: dict[str, dict[str, list[Sample]]]  # rounds, by shape and by number of brokers
    faults: dict[str, dict[str, Any]]  # what outages.py says, by fault
    loads: dict[str, float]  # load average of the machine when a part began


class Cluster:
    """The hosts of the scenario, and the playbooks that users run."""

    def __init__(self, inventory: Path) -> None:
        self.inventory = inventory
        hosts = yaml.safe_load((SCENARIO / "vars" / "hosts.yml").read_text())["test_hosts"]
        self.hosts: dict[str, str] = {name: one["address"] for name, one in hosts.items()}

    @property
    def edge(self) -> str:
        """The address of the first edge."""
        return next(iter(self.hosts.values()))

    def play(self, name: str, **variables: Any) -> float:
        """Run a playbook, and return how many seconds it took."""
        begun = time.monotonic()
        command = [program("ansible-playbook"), f"--inventory={self.inventory}", f"playbooks/cluster/{name}.yml"]
        ran([*command, f"--extra-vars={json.dumps(variables)}"], PLAY_SECONDS, environment=settings())
        return time.monotonic() - begun

    def inside(self, host: str, command: str) -> str:
        """Run a shell command on a host, and return what it says."""
        return ran(["docker", "exec", host, "sh", "-ec", command], LOAD_SECONDS)

    def planes(self) -> list[Plane]:
        """Return what dockerd takes on each host while nothing happens."""
        read = "pid=$(cat /run/docker.pid); cat /proc/$pid/stat; grep VmRSS /proc/$pid/status"
        before = {host: (time.monotonic(), self.inside(host, read)) for host in self.hosts}
        time.sleep(REST_SECONDS)
        found: list[Plane] = []
        for host, (begun, then) in before.items():
            now = self.inside(host, read)
            share = (ticks(now) - ticks(then)) / TICKS / (time.monotonic() - begun)
            resident = int(re.findall(r"VmRSS:\s+(\d+) kB", now)[0]) / 1024
            found.append({"host": host, "share_of_core": round(share, 4), "resident_mb": round(resident, 1)})
        return found

    def loaded(self, reader: Path, port: int, wanted: Shape) -> Sample:
        """Make one load through the first edge, and return what came of it."""
        job: ShapeJob = {
            "host": self.edge, "port": port, "reader": str(reader), "containers": {}, "headers": "", "shape": wanted,
        }  # fmt: skip
        command = [sys.executable, str(ROOT / "bench" / "platform_load.py")]
        return json.loads(ran(command, LOAD_SECONDS, json.dumps(job)))

    def brokers(self, rounds: int) -> dict[str, dict[str, list[Sample]]]:
        """Load the stack of three brokers and one of one broker in turns."""
        found: dict[str, dict[str, list[Sample]]] = {one["name"]: {"3": [], "1": []} for one in SHAPES}
        self.play("up", **SMALL)
        try:
            with tempfile.TemporaryDirectory() as place:
                reader = load.build(Path(place))
                for number in range(rounds):
                    for wanted in SHAPES:
                        turns = [("3", 80), ("1", 80 + OFFSET)]
                        for brokers, port in turns if number % 2 else turns[::-1]:
                            sample = self.loaded(reader, port, wanted)
                            found[wanted["name"]][brokers].append(sample)
                            told = f"{sample['rate']:.0f}/s, p99 {sample['p99_ms']} ms"
                            say(f"{wanted['name']}, {brokers} brokers: {told}")
        finally:
            self.play("destroy", **SMALL, stack_destroy_confirmed=True)
        return found

    def fault(self, name: str) -> dict[str, Any]:
        """Have one fault, and return what clients noticed."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {**settings(), "PATH": path, "INVENTORY": str(self.inventory), "PYTHON": sys.executable}
        command = ["bash", str(SCENARIO / "lose.sh"), name]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=FAULT_SECONDS, env=environment
        )
        told = [line.removeprefix(MARK) for line in done.stdout.splitlines() if line.startswith(MARK)]
        if not told:
            sys.exit(f"several_hosts.py: {name} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        found: dict[str, Any] = json.loads(told[-1])
        if done.returncode:
            sys.stderr.write(f"several_hosts.py: {name} ended with {done.returncode}: {told[-1]}\n{done.stderr}")
        return found


def settings() -> dict[str, str]:
    """Return the environment for programs of Ansible."""
    return {**os.environ, "ANSIBLE_CONFIG": os.environ.get("ANSIBLE_CONFIG", str(ROOT / "ansible.cfg"))}


def program(name: str) -> str:
    """Return a program of the environment of this script."""
    return str(Path(sys.executable).with_name(name))


def ran(
    command: Sequence[str], seconds: float, given: str | None = None, environment: dict[str, str] | None = None
) -> str:
    """Run a command, and return what it says; end where it failed, because its figures would mean nothing."""
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, check=False, timeout=seconds, cwd=ROOT, env=environment
    )
    if done.returncode:
        sys.exit(f"several_hosts.py: {' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def ticks(stat: str) -> int:
    """Return the processor time of a process in ticks, by its line in /proc."""
    fields = stat.partition("\n")[0].rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


@contextmanager
def hosts() -> Generator[Path]:
    """Make the hosts of the scenario, bare; remove them at the end."""
    molecule = program("molecule")
    try:
        for step in ("create", "prepare"):
            ran([molecule, step, "-s", SCENARIO.name], PLAY_SECONDS)
        made = max(Path.home().glob(f".ansible/tmp/molecule.*.{SCENARIO.name}"), key=lambda one: one.stat().st_mtime)
        yield made / "inventory"
    finally:
        ran([molecule, "destroy", "-s", SCENARIO.name], PLAY_SECONDS)


def measured(cluster: Cluster, options: argparse.Namespace) -> Report:
    """Measure the parts that were asked for, in their order."""
    found: Report = {
        "machine": measured_on(machine()), "seconds": {}, "rest": [], "brokers": {}, "faults": {}, "loads": {},
    }  # fmt: skip
    if "bare" not in options.parts:
        cluster.play("up")  # nothing may run yet, or with other settings
    for part in options.parts:
        found["loads"][part] = round(os.getloadavg()[0], 1)
        say(part)
        if part in ("bare", "unchanged"):
            found["seconds"][part] = round(cluster.play("up"), 1)
        elif part == "rest":
            time.sleep(SETTLE_SECONDS)
            found["rest"] = cluster.planes()
        elif part == "brokers":
            found["brokers"] = cluster.brokers(options.rounds)
        for name in options.faults if part == "faults" else ():
            found["faults"][name] = cluster.fault(name)
            say(f"{name}: {json.dumps(found['faults'][name])}")
    return found


def figure(sample: Sample, what: str) -> float:
    """Return one figure of a load."""
    return float(dict[str, Any](sample)[what])


def middle(rounds: list[Sample], what: str) -> float:
    """Return the median of a figure over all rounds."""
    return statistics.median(figure(one, what) for one in rounds)


def figures(report: Report) -> str:
    """Write what the cluster costs as a table."""
    names = {"bare": "from three bare hosts until all is verified", "unchanged": "a run that changes nothing"}
    rows = [[names[part], f"{seconds:.0f} s"] for part, seconds in report["seconds"].items()]
    if planes := report["rest"]:
        share = statistics.median(one["share_of_core"] for one in planes)
        resident = statistics.median(one["resident_mb"] for one in planes)
        rows.append(["dockerd of a host at rest, health checks included", f"{share:.1%} of a core, {resident:.0f} MB"])
    return grid(["what", "measured"], rows)


def brokers(report: Report) -> str:
    """Write the load of three brokers beside that of one as a table."""
    rows: list[list[str]] = []
    for name, rounds in report["brokers"].items():
        whats = (("rate", "events/s"),) if "publishers" in name else (("p50_ms", "p50, ms"), ("p99_ms", "p99, ms"))
        for what, unit in whats:
            three, one = middle(rounds["3"], what), middle(rounds["1"], what)
            pairs = zip(rounds["3"], rounds["1"], strict=True)
            ratio = statistics.median(figure(a, what) / figure(b, what) for a, b in pairs)
            rows.append([f"{name}: {unit}", f"{three:,.0f}", f"{one:,.0f}", f"{ratio:.2f}"])
    return grid(["load through one edge", "three brokers, replication 3", "one broker", "ratio"], rows)


def seen(seconds: dict[str, float]) -> str:
    """Write the figures of publishers or of subscribers."""
    return " / ".join(f"{seconds[one]:.1f}" for one in ("p50", "p99", "longest"))


def faults(report: Report) -> str:
    """Write what clients noticed as a table."""
    rows = [
        [
            FAULTS[name],
            f"{one['events']:,} in {one['seconds']:.0f} s",
            " / ".join(str(one[what]) for what in ("lost", "doubled", "gaps")),
            seen(one["publishers"]),
            seen(one["subscribers"]),
            str(one["repeated"]),
            str(one["reconnected"]),
        ]
        for name, one in report["faults"].items()
    ]
    head = ["what", "events", "lost / doubled / gaps", "a publisher waited, s", "a subscriber waited, s"]
    return grid([*head, "publishes repeated", "streams anew"], rows)


def named(text: str, known: Sequence[str]) -> list[str]:
    """Return the names of a list with commas, in the order in which they are known."""
    given = text.split(",")
    if wrong := [one for one in given if one not in known]:
        raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: expected some of {', '.join(known)}")
    return [one for one in known if one in given]


def main() -> int:
    """Measure, and print tables; the status is 1 where an event was lost or doubled, or a gap was told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inventory", type=Path, help="hosts of the scenario `swarm` that run the stack already")
    parser.add_argument("--parts", type=lambda text: named(text, PARTS), default=list(PARTS))
    parser.add_argument("--faults", type=lambda text: named(text, list(FAULTS)), default=list(FAULTS))
    parser.add_argument("--rounds", type=int, default=3, help="of the load of each stack (default: 3)")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    if options.inventory:
        options.parts = [one for one in options.parts if one != "bare"]
        report = measured(Cluster(options.inventory.resolve()), options)
    else:
        with hosts() as inventory:
            report = measured(Cluster(inventory), options)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(report["machine"], f"Load of the machine: {report['loads']}", sep="\n")
    if report["seconds"] or report["rest"]:
        print(figures(report))
    if report["brokers"]:
        print(brokers(report))
    if report["faults"]:
        print(faults(report))
    return int(any(one["code"] or not good(one) for one in report["faults"].values()))


if __name__ == "__main__":
    sys.exit(main())
