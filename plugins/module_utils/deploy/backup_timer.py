# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The timer of backups on the host: a unit of systemd, or a file for cron, and the program that it starts."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_job
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.host.machine import BACKUP_TIMER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.deploy.schedule import Schedule

COLLECTION = "ansible_collections.sse.platform"
SYSTEMD = Path("/run/systemd/system")  # exists where systemd runs (sd_booted(3))
UNITS = Path("/etc/systemd/system")
CRON = Path("/etc/cron.d")
CRONS = {"cron", "crond", "busybox", "fcron"}  # names of processes
OLDEST = (1980, 1, 1, 0, 0, 0)  # a zip file knows no earlier time; a fixed one makes the same file each time
PROGRAM = "backup/backup.pyz"


class Timer:
    """The files of one stack's timer, and what is to be in them."""

    def __init__(self, stack: str, state_directory: str) -> None:
        """Look where this host has its timers."""
        self.stack, self.state = stack, Path(state_directory)
        self.systemd = SYSTEMD.is_dir()
        self.name = f"sse-backup-{stack}"
        self.units = [UNITS / f"{self.name}.{kind}" for kind in ("service", "timer")]
        self.cron = CRON / self.name

    def wanted(self, job: backup_job.Job, schedule: Schedule, python: str) -> dict[Path, bytes]:
        """Return the content of each file."""
        command = f"{python} {self.state / PROGRAM} {self.state / BACKUP_TIMER}"
        texts = {self.state / BACKUP_TIMER: json.dumps(job, indent=1) + "\n"}
        if self.systemd:
            about = f"[Unit]\nDescription=Backup of the stack {self.stack} of sse.platform\n\n"
            texts[self.units[0]] = f"{about}[Service]\nType=oneshot\nNice=10\nExecStart={command}\n"
            when = f"[Timer]\nOnCalendar={schedule.calendar}\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
            texts[self.units[1]] = about + when
        else:
            texts[self.cron] = f"# Backup of the stack {self.stack} of sse.platform\n{schedule.cron} root {command}\n"
        return {**{path: text.encode() for path, text in texts.items()}, self.state / PROGRAM: program()}

    def install(self, job: backup_job.Job, schedule: Schedule, python: str, *, check: bool) -> list[str]:
        """Write what differs; return what changed, for people.

        :raises BackupError: the passphrase file is not one
        """
        backup_job.passphrase(Path(job["passphrase_file"]))
        changed = {path: body for path, body in self.wanted(job, schedule, python).items() if content(path) != body}
        if not changed or check:
            return self.lines(changed, schedule)
        state_modes.make((self.state / BACKUP_TIMER).parent)
        Path(job["directory"]).mkdir(parents=True, exist_ok=True, mode=0o700)
        CRON.mkdir(exist_ok=True)
        for path, body in changed.items():
            place(path, body)
        if not (self.state / backup_job.OUTCOME).exists():
            backup_job.record(job, {"scheduled": time.time(), "kept": len(backup_job.backups(job))})
        else:
            backup_job.record(job, {})
        if self.systemd:
            systemctl("daemon-reload")
            systemctl("enable", "--now", f"{self.name}.timer")
        return self.lines(changed, schedule)

    def lines(self, changed: dict[Path, bytes], schedule: Schedule) -> list[str]:
        """Say what changed."""
        return [f"+ {path}" for path in changed if path != self.state / PROGRAM] + (
            [f"+ {self.state / PROGRAM} ({schedule.calendar})"] if self.state / PROGRAM in changed else []
        )

    def remove(self, *, check: bool) -> list[str]:
        """Remove the timer. Backups stay."""
        own = [self.state / BACKUP_TIMER, self.state / PROGRAM, self.state / backup_job.OUTCOME]
        there = [one for one in (*self.units, self.cron, *own, self.state / backup_job.METRICS) if one.exists()]
        if check:
            return [f"- {one}" for one in there]
        if self.systemd and self.units[1] in there:
            systemctl("disable", "--now", f"{self.name}.timer")
        for one in there:
            one.unlink()
        if self.systemd and self.units[0] in there:
            systemctl("daemon-reload")
        return [f"- {one}" for one in there]

    def notes(self) -> list[str]:
        """Say what keeps the timer from running."""
        if self.systemd or any(name in CRONS for name in processes()):
            return []
        note = (
            f"No systemd and no cron runs here, so nothing starts the backups of {self.cron}. Install cron and start "
            "it (apt-get install cron; service cron start), or start this by a timer of your own: "
            f"python3 {self.state / PROGRAM} {self.state / BACKUP_TIMER}"
        )
        return [note]


def place(path: Path, body: bytes) -> None:
    """Write a file in one step."""
    if path.suffix == ".pyz":
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_bytes(body)
        fresh.chmod(0o600)
        fresh.replace(path)
    else:
        write_file(path, body.decode(), mode=0o600 if path.suffix == ".json" else 0o644, durable=True)


def content(path: Path) -> bytes | None:
    """Return what is in a file; None where there is none."""
    return path.read_bytes() if path.is_file() else None


def processes() -> Iterator[str]:
    """Yield the name of each process of the host."""
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            yield path.read_text().strip()
        except OSError:
            continue


def systemctl(*words: str) -> None:
    """Tell systemd something; raises OSError with what it said where it refuses."""
    run = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise OSError(f"systemctl {' '.join(words)}: {run.stderr.strip()}")


# --- the program


def program() -> bytes:
    """Return the program as a zip file that Python runs (zipapp): the job, and what it imports of this collection."""
    texts = sources(backup_job.__name__)
    files = {f"{name.replace('.', '/')}.py": text for name, text in texts.items()}
    for name in texts:
        parts = name.split(".")[:-1]
        for depth in range(1, len(parts) + 1):
            files.setdefault(f"{'/'.join(parts[:depth])}/__init__.py", "")
    files["__main__.py"] = f"import sys\n\nfrom {backup_job.__name__} import main\n\nsys.exit(main())\n"
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files):
            packed.writestr(zipfile.ZipInfo(name, OLDEST), files[name], zipfile.ZIP_DEFLATED)
    return body.getvalue()


def sources(first: str) -> dict[str, str]:
    """Return the source of a module of this collection, and of each one of it that it imports, by name."""
    found: dict[str, str] = {}
    left = [first]
    while left:
        name = left.pop()
        if name in found:
            continue
        specification = importlib.util.find_spec(name)
        loader: Any = specification and specification.loader
        found[name] = loader.get_source(name) or ""
        left += [one for one in imported(ast.parse(found[name])) if is_module(one)]
    return found


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield what a module may import of this collection, without what only type checkers import."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(COLLECTION):
            yield str(node.module)
            yield from (f"{node.module}.{one.name}" for one in node.names)
        else:
            yield from imported(node)


def is_module(name: str) -> bool:
    """Tell whether this is a module, and neither a package nor a name in a module."""
    try:
        specification = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return specification is not None and specification.submodule_search_locations is None
