# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The timers of a stack on the host: a unit of systemd, or a file for cron, and the program that each starts."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import subprocess
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_job
from ansible_collections.sse.platform.plugins.module_utils.host import procfs, state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.deploy.schedule import Schedule

COLLECTION = "ansible_collections.sse.platform"
SYSTEMD = Path("/run/systemd/system")  # exists where systemd runs (sd_booted(3))
UNITS = Path("/etc/systemd/system")
CRON = Path("/etc/cron.d")
CRONS = {"cron", "crond"}  # processes that read CRON; those of BusyBox and fcron do not
OLDEST = (1980, 1, 1, 0, 0, 0)  # a zip file knows no earlier time; a fixed one makes the same file each time


class Kind(NamedTuple):
    """What a timer does."""

    word: str  # names its directory below the state directory, its program and its units
    about: str
    module: str  # whose main() is the program; the rooms below this one do not import it
    left: tuple[str, ...]  # files of the program, which go with the timer


BACKUP = Kind("backup", "Backup", backup_job.__name__, (backup_job.OUTCOME, backup_job.METRICS))
VERIFY = Kind("verify", "Verification", f"{COLLECTION}.plugins.module_utils.verify.again", ("matrix/verify.prom",))


class HostTimer:
    """The files of one timer of a stack, and what is to be in them."""

    def __init__(self, stack: str, state_directory: str, kind: Kind) -> None:
        """Look where this host has its timers."""
        self.stack, self.state, self.kind = stack, Path(state_directory), kind
        self.systemd = SYSTEMD.is_dir()
        self.name = f"sse-{kind.word}-{stack}"
        self.program = self.state / kind.word / f"{kind.word}.pyz"
        self.job = self.state / kind.word / "timer.json"
        self.units = [UNITS / f"{self.name}.{kind}" for kind in ("service", "timer")]
        self.cron = CRON / self.name

    def wanted(self, job: Mapping[str, Any], schedule: Schedule, python: str) -> dict[Path, bytes]:
        """Return the content of each file."""
        command = f"{python} {self.program} {self.job}"
        texts = {self.job: json.dumps(job, indent=1) + "\n"}
        if self.systemd:
            about = f"[Unit]\nDescription={self.kind.about} of the stack {self.stack} of sse.platform\n\n"
            texts[self.units[0]] = f"{about}[Service]\nType=oneshot\nNice=10\nExecStart={command}\n"
            when = f"[Timer]\nOnCalendar={schedule.calendar}\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
            texts[self.units[1]] = about + when
        else:
            texts[self.cron] = (
                f"# {self.kind.about} of the stack {self.stack} of sse.platform\n{schedule.cron} root {command}\n"
            )
        return {**{path: text.encode() for path, text in texts.items()}, self.program: program(self.kind.module)}

    def install(self, job: Mapping[str, Any], schedule: Schedule, python: str, *, check: bool) -> list[str]:
        """Write what differs; return what changed, for people."""
        changed = {path: body for path, body in self.wanted(job, schedule, python).items() if content(path) != body}
        if check or not (changed or self.is_off()):
            return self.lines(changed, schedule)
        state_modes.make(self.job.parent)
        CRON.mkdir(exist_ok=True)
        for path, body in changed.items():
            place(path, body)
        if self.systemd:
            systemctl("daemon-reload")
            systemctl("enable", "--now", f"{self.name}.timer")
        return self.lines(changed, schedule) or [f"+ {self.name}.timer is on again"]

    def is_off(self) -> bool:
        """Tell whether systemd would not start the timer: a run was interrupted, or somebody has switched it off."""
        return self.systemd and not (UNITS / "timers.target.wants" / f"{self.name}.timer").is_symlink()

    def lines(self, changed: dict[Path, bytes], schedule: Schedule) -> list[str]:
        """Say what changed."""
        return [f"+ {path}" for path in changed if path != self.program] + (
            [f"+ {self.program} ({schedule.calendar})"] if self.program in changed else []
        )

    def remove(self, *, check: bool) -> list[str]:
        """Remove the timer. What it made stays."""
        own = [self.job, self.program, *(self.state / one for one in self.kind.left)]
        there = [one for one in (*self.units, self.cron, *own) if one.exists()]
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
            f"No systemd and no cron runs here, so nothing starts what {self.cron} says. Install cron and start "
            "it (apt-get install cron; service cron start), or start this by a timer of your own: "
            f"python3 {self.program} {self.job}"
        )
        return [note]


class Timer(HostTimer):
    """The timer of backups."""

    def __init__(self, stack: str, state_directory: str) -> None:
        """Look where this host has its timers."""
        super().__init__(stack, state_directory, BACKUP)

    def set_up(self, job: backup_job.Job, schedule: Schedule, python: str, *, check: bool) -> list[str]:
        """Write what differs, and where backups go; return what changed, for people.

        :raises BackupError: the passphrase file is not one
        """
        backup_job.passphrase(Path(job["passphrase_file"]))
        changes = self.install(job, schedule, python, check=check)
        if changes and not check:
            Path(job["directory"]).mkdir(parents=True, exist_ok=True, mode=0o700)
            first = not (self.state / backup_job.OUTCOME).exists()
            news = {"scheduled": time.time(), "kept": float(len(backup_job.backups(job)))} if first else {}
            backup_job.record(job, news)
        return changes


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
    """Yield the name of each process of the host; those in containers, and BusyBox' own programs, are none."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            own = (path / "ns/pid").readlink() == Path("/proc/self/ns/pid").readlink()
            if own and (path / "exe").readlink().name != "busybox":
                yield procfs.read(path / "comm").strip()
        except PermissionError:  # nobody can tell here: then the name alone counts
            yield procfs.read(path / "comm").strip()
        except OSError:  # it has ended, or belongs to the kernel
            continue


def systemctl(*words: str) -> None:
    """Tell systemd something; raises OSError with what it said where it refuses."""
    run = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise OSError(f"systemctl {' '.join(words)}: {run.stderr.strip()}")


# --- the program


def program(module: str = backup_job.__name__) -> bytes:
    """Return the program as a zip file that Python runs (zipapp): a module, and what it imports of this collection."""
    texts = sources(module)
    files = {f"{name.replace('.', '/')}.py": text for name, text in texts.items()}
    for name in texts:
        parts = name.split(".")[:-1]
        for depth in range(1, len(parts) + 1):
            files.setdefault(f"{'/'.join(parts[:depth])}/__init__.py", "")
    files["__main__.py"] = f"import sys\n\nfrom {module} import main\n\nsys.exit(main())\n"
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
