# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The backup that a timer starts on the host, without the controller. It needs nothing but Python's own library.

It keeps its outcome in a file, and writes it as metrics for the node exporter.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import (
    BackupError,
    refuse_full_disk,
    write,
)
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_package import checked, pack, refuse_damage
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.host.gauges import gauge
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError

if TYPE_CHECKING:
    from collections.abc import Generator

OUTCOME = "backup/last.json"  # in the state directory
METRICS = "matrix/backup.prom"  # where the node exporter looks
HELP = {
    "scheduled": ("sse_backup_scheduled_timestamp_seconds", "When the timer of backups was set up."),
    "period": ("sse_backup_period_seconds", "The time from one backup to the next."),
    "ok": ("sse_backup_last_ok", "1 where the last backup was made, 0 where it failed."),
    "ended": ("sse_backup_last_end_timestamp_seconds", "When the last backup ended, made or failed."),
    "made": ("sse_backup_last_success_timestamp_seconds", "When the last backup that was made began."),
    "size": ("sse_backup_size_bytes", "Size of the last backup that was made."),
    "seconds": ("sse_backup_duration_seconds", "How long the last backup that was made took."),
    "kept": ("sse_backup_kept", "How many backups are kept."),
}


class Job(TypedDict):
    """What the timer is set up for."""

    stack: str
    state_directory: str
    directory: str  # where backups go
    keep: int
    left_out: list[str]
    passphrase_file: str
    period: int  # seconds


def main() -> int:
    """Make one backup; the argument is a file with the job."""
    job = cast("Job", json.loads(Path(sys.argv[1]).read_text()))
    begun = time.time()
    try:
        path = run(job, begun)
    except (BackupError, SpecError, OSError, ValueError) as error:
        record(job, {"ok": 0, "ended": time.time()})
        sys.stderr.write(f"The backup of stack {job['stack']} failed: {error}\n")
        return 1
    kept, size, seconds = backups(job), path.stat().st_size, time.time() - begun
    record(job, {"ok": 1, "ended": time.time(), "made": begun, "size": size, "seconds": seconds, "kept": len(kept)})
    sys.stdout.write(f"Backup of stack {job['stack']}: {path} ({size / 1e6:.1f} MB in {seconds:.1f} s)\n")
    return 0


def run(job: Job, begun: float) -> Path:
    """Write a backup, read it again, and remove those above the count, the oldest first; return its path.

    :raises BackupError: it was not made, and no earlier one was removed
    """
    secret = passphrase(Path(job["passphrase_file"]))
    directory = Path(job["directory"])
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = directory / f"{job['stack']}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(begun))}.backup"
    archive = path.with_name(f".{path.name}.state")
    with alone(Path(job["state_directory"])):
        for left in directory.glob(f".{job['stack']}-*.backup.*"):  # of a backup that was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            written = write(job["stack"], job["state_directory"], job["left_out"], archive)
            archive.chmod(0o600)
            refuse_full_disk(directory, archive.stat().st_size)
            pack(path, written["manifest"], written["secrets"], archive, secret)
        finally:
            archive.unlink(missing_ok=True)
        refuse_damage(path)
        for old in backups(job)[: -job["keep"]]:
            old.unlink()
    return path


@contextlib.contextmanager
def alone(state: Path) -> Generator[None]:
    """Refuse a second backup at the same time."""
    with (state / "backup" / "lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("another backup of this stack is still being made") from None
        yield


def backups(job: Job) -> list[Path]:
    """Return the backups that a timer of this stack made, oldest first."""
    name = re.compile(rf"{re.escape(job['stack'])}-\d{{8}}T\d{{6}}Z\.backup")
    return sorted(one for one in Path(job["directory"]).glob("*.backup") if name.fullmatch(one.name))


def passphrase(path: Path) -> str:
    """Return the passphrase from a file that only root can read; raises BackupError, which never holds it."""
    expected = "expected a file of root with mode 0600 that holds the passphrase"
    try:
        found = path.stat()
        text = path.read_text().rstrip("\n")
    except OSError as error:
        raise BackupError(f"the passphrase file {path} can't be read ({error.strerror}): {expected}") from None
    except UnicodeDecodeError:  # whose message would hold a part of it
        raise BackupError(f"the passphrase file {path} holds something else than UTF-8: {expected}") from None
    if found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o077:
        mode = f"mode {stat.S_IMODE(found.st_mode):04o}, user {found.st_uid}"
        raise BackupError(f"others than root may read the passphrase file {path} ({mode}): {expected}")
    return checked(text)


def record(job: Job, news: dict[str, float]) -> None:
    """Keep the outcome, and write it as metrics. What a failure does not know stays from the backup before."""
    state = Path(job["state_directory"])
    known: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads((state / OUTCOME).read_text())
    known |= {"period": job["period"], **news}
    lines = [
        line
        for key, (name, text) in HELP.items()
        if key in known
        for line in gauge(name, text, ("", f"{known[key]:.15g}"))
    ]
    for path in (METRICS, OUTCOME):
        state_modes.make((state / path).parent)
    write_file(state / OUTCOME, json.dumps(known), durable=True)
    write_file(state / METRICS, "\n".join(lines) + "\n", mode=0o444)
