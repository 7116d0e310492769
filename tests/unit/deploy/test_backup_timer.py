"""A timer makes backups on the host with Python alone, keeps some of them, and says how it went."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_job, backup_timer, schedule
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.plugins.plugin_utils import backup_file

PASSPHRASE = "correct horse battery"
DAILY = schedule.parse("daily 03:30")


class Host:
    """A host with a stack that keeps data, and the timer of its backups."""

    def __init__(self, root: Path) -> None:
        self.state, self.directory, self.secret = root / "state", root / "backups", root / "passphrase"
        (self.state / "data/sse-log/log").mkdir(parents=True)
        (self.state / "data/sse-log/log/big.log").write_text("x" * 500)
        (self.state / "secrets").mkdir()
        (self.state / "secrets/password").write_text("canary-secret")
        spec: dict[str, Any] = {"container": "log", "service": "log", "user": "0:0", "data": {"/log": "log"}}
        release = {"format": FORMAT, "number": 1, "stack": "sse", "project": "p", "containers": {"sse-log": spec}}
        (self.state / "releases/p").mkdir(parents=True)
        (self.state / "releases/p/0001.json").write_text(json.dumps(release))
        self.secret.write_text(PASSPHRASE + "\n")
        self.secret.chmod(0o600)
        self.job: backup_job.Job = {
            "stack": "sse",
            "state_directory": str(self.state),
            "directory": str(self.directory),
            "keep": 2,
            "left_out": [],
            "passphrase_file": str(self.secret),
            "period": DAILY.seconds,
        }
        self.timer = backup_timer.Timer("sse", str(self.state))

    def install(self, *, check: bool = False) -> list[str]:
        return self.timer.set_up(self.job, DAILY, sys.executable, check=check)

    def run(self) -> subprocess.CompletedProcess[str]:
        """Run the program as the timer does, with nothing but Python's own library."""
        command = [sys.executable, "-I", "-S", str(self.timer.program)]
        job = str(self.timer.job)
        return subprocess.run([*command, job], capture_output=True, text=True, check=False)

    def backups(self) -> list[str]:
        return sorted(one.name for one in self.directory.iterdir())

    def metrics(self) -> dict[str, float]:
        text = (self.state / backup_job.METRICS).read_text()
        return {name: float(value) for name, value in re.findall(r"^(sse_\w+) (\S+)$", text, re.MULTILINE)}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with neither systemd nor cron."""
    monkeypatch.setattr(backup_timer, "SYSTEMD", tmp_path / "no systemd")
    monkeypatch.setattr(backup_timer, "CRON", tmp_path / "cron.d")
    monkeypatch.setattr(backup_timer, "UNITS", tmp_path / "units")
    return Host(tmp_path)


def test_the_program_makes_a_backup_that_the_controller_opens(host: Host, tmp_path: Path) -> None:
    assert host.install()
    ran = host.run()
    assert ran.returncode == 0, ran.stderr
    [name] = host.backups()
    assert (host.directory / name).stat().st_mode & 0o777 == 0o600
    manifest, secrets = backup_file.unpack(host.directory / name, PASSPHRASE, tmp_path)
    assert secrets == {"password": "canary-secret"}
    assert "data/log/log/big.log" in manifest["files"]
    assert PASSPHRASE not in ran.stdout + ran.stderr
    metrics = host.metrics()
    assert (metrics["sse_backup_last_ok"], metrics["sse_backup_kept"]) == (1, 1)
    assert metrics["sse_backup_size_bytes"] == (host.directory / name).stat().st_size
    assert metrics["sse_backup_period_seconds"] == 86400


def test_the_oldest_above_the_count_go_and_other_files_stay(host: Host) -> None:
    host.install()
    old = [f"sse-2026010{day}T033000Z.backup" for day in (1, 2, 3)]
    for name in (*old, "sse-by-hand.backup", "sse-other-20260101T033000Z.backup", ".sse-20260101T033000Z.backup.state"):
        (host.directory / name).touch()
    killed = host.directory / ".sse-by-hand.backup.state"
    killed.mkdir()
    (killed / "state.tar.gz").touch()
    assert host.run().returncode == 0
    assert not killed.exists()
    left = host.backups()
    assert old[2] in left
    assert len(left) == 4
    assert not {*old[:2], ".sse-20260101T033000Z.backup.state"} & set(left)


def test_a_failure_removes_nothing_and_is_told(host: Host) -> None:
    host.install()
    assert host.run().returncode == 0
    before, made = host.backups(), host.metrics()["sse_backup_last_success_timestamp_seconds"]
    for name in ("releases/p/0001.json",):
        (host.state / name).unlink()
    ran = host.run()
    assert ran.returncode == 1
    assert "The backup of stack sse failed: there is no release" in ran.stderr
    assert host.backups() == before
    assert host.metrics()["sse_backup_last_ok"] == 0
    assert host.metrics()["sse_backup_last_success_timestamp_seconds"] == made


@pytest.mark.parametrize(
    ("mode", "text", "told"),
    [(0o644, PASSPHRASE, "others than root may read"), (0o600, "short", "expected at least 12"), (0, None, "can't be")],
)
def test_a_passphrase_file_that_others_read_or_that_is_no_good_is_refused(
    host: Host, mode: int, text: str | None, told: str
) -> None:
    host.secret.unlink()
    if text is not None:
        host.secret.write_text(text)
        host.secret.chmod(mode)
    with pytest.raises(BackupError, match=told) as error:
        host.install(check=True)
    assert text is None or text not in str(error.value)
    assert not host.timer.cron.exists()


def test_a_passphrase_that_is_no_utf_8_is_refused_without_a_part_of_it(host: Host) -> None:
    host.secret.write_bytes("gehört nur mir allein".encode("latin-1"))
    with pytest.raises(BackupError, match="something else than UTF-8") as error:
        host.install(check=True)
    assert "xf6" not in str(error.value)


def test_a_second_run_changes_nothing_and_check_mode_writes_nothing(host: Host) -> None:
    assert host.install(check=True)
    assert not host.timer.cron.exists()
    assert host.install()
    assert host.install() == []
    assert host.timer.cron.read_text().splitlines()[1].startswith("30 3 * * * root ")


def test_an_emptied_setting_removes_the_timer_and_keeps_the_backups(host: Host) -> None:
    host.install()
    host.run()
    assert host.timer.remove(check=True) == host.timer.remove(check=False)
    assert not host.timer.cron.exists()
    assert not (host.state / backup_job.METRICS).exists()
    assert len(host.backups()) == 1
    assert host.timer.remove(check=False) == []


def test_systemd_gets_a_timer_of_its_own(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(backup_timer, "systemctl", lambda *words: said.append(words))
    monkeypatch.setattr(backup_timer, "SYSTEMD", tmp_path)
    (tmp_path / "units").mkdir()
    host.timer = backup_timer.Timer("sse", str(host.state))
    host.install()
    assert "OnCalendar=*-*-* 03:30:00" in (tmp_path / "units/sse-backup-sse.timer").read_text()
    assert not host.timer.cron.exists()
    host.timer.remove(check=False)
    assert said == [
        ("daemon-reload",),
        ("enable", "--now", "sse-backup-sse.timer"),
        ("disable", "--now", "sse-backup-sse.timer"),
        ("daemon-reload",),
    ]


def test_a_timer_that_systemd_refused_or_lost_is_switched_on_by_the_next_run(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants = tmp_path / "units/timers.target.wants"
    wants.mkdir(parents=True)
    answers = [OSError("systemctl daemon-reload: Failed to connect to bus"), None, None, None, None]

    def systemctl(*words: str) -> None:
        if answer := answers.pop(0):
            raise answer
        if words[0] == "enable":
            (wants / words[-1]).symlink_to("../" + words[-1])

    monkeypatch.setattr(backup_timer, "systemctl", systemctl)
    monkeypatch.setattr(backup_timer, "SYSTEMD", tmp_path)
    host.timer = backup_timer.Timer("sse", str(host.state))
    with pytest.raises(OSError, match="Failed to connect"):
        host.install()
    assert host.install() == ["+ sse-backup-sse.timer is on again"]
    assert host.install() == []
    (wants / "sse-backup-sse.timer").unlink()
    assert host.install() == ["+ sse-backup-sse.timer is on again"]


def test_a_process_with_an_odd_name_is_no_failure() -> None:
    # Halves of letters, as where the kernel cuts a long name.
    rename = r"open('/proc/self/comm', 'wb').write(b'\xd0' * 5); input(print(flush=True) or '')"
    with subprocess.Popen(
        [sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as named:
        assert named.stdout
        named.stdout.readline()
        found = list(backup_timer.processes())
        named.communicate("\n")
    assert "\ufffd" * 5 in found


def test_a_host_where_nothing_starts_the_timer_is_told(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_timer, "processes", lambda: iter(["bash"]))
    assert "No systemd and no cron runs here" in host.timer.notes()[0]
    monkeypatch.setattr(backup_timer, "processes", lambda: iter(["bash", "cron"]))
    assert host.timer.notes() == []
