"""What a module tells while it works comes to the callback: at once on this machine, by a channel over SSH."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.progress import Progress
from ansible_collections.sse.platform.plugins.plugin_utils import progress

WAIT = 30.0  # seconds after which a test fails


class Connection:
    """What is used of Ansible's connections; the `ssh` of this one runs its command here."""

    def __init__(self, transport: str, program: Path | None = None) -> None:
        self.transport = transport
        self.host = "vm"
        self.program = str(program)

    def get_option(self, _: str) -> str:
        return self.program

    def _build_command(self, program: str, _: str) -> list[bytes]:
        return [b"sshpass", program.encode(), b"-q"]


def read_until(reader: progress.Reader, wanted: int) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    pause = threading.Event()
    for _ in range(int(WAIT / 0.05)):
        found += reader.events()
        if len(found) >= wanted:
            break
        pause.wait(0.05)
    return found


def test_without_a_reader_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(progress.DIRECTORY, raising=False)
    with progress.told(Connection("local"), "vm") as path:
        assert path == ""
    Progress("").tell(row="x")


def test_on_this_machine_each_event_is_read_once_and_names_its_host(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(progress.DIRECTORY, str(tmp_path))
    reader = progress.Reader(str(tmp_path))
    with progress.told(Connection("local"), "vm") as path:
        tells = Progress(path)
        tells.tell(row="kafka", doing="create")
        assert list(reader.events()) == [("vm", {"row": "kafka", "doing": "create"})]
        with Path(path).open("ab") as file:  # half a line is no event yet
            file.write(b'{"row": "k')
        assert list(reader.events()) == []
        assert not tells.gone(0)
        Path(path).unlink()
        assert tells.gone(0)


def test_over_ssh_the_lines_come_by_a_channel_which_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The program stands for ssh: it runs what it is given, as the host would."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o700)
    (tmp_path / "read").mkdir()
    monkeypatch.setenv(progress.DIRECTORY, str(tmp_path / "read"))
    monkeypatch.setattr(progress, "CHANNEL_AFTER_SECONDS", 0.05)
    reader = progress.Reader(str(tmp_path / "read"))
    with progress.told(cast("Any", Connection("ssh", ssh)), "vm") as path:
        tells = Progress(path)
        tells.tell(row="kafka", doing="create")  # before the channel is open: nothing is lost
        assert read_until(reader, 1) == [("vm", {"row": "kafka", "doing": "create"})]
        assert Path(path).stat().st_mode & 0o777 == 0o600
        tells.tell(row="kafka", seconds=6.1)
        assert read_until(reader, 1) == [("vm", {"row": "kafka", "seconds": 6.1})]
    assert not Path(path).exists()
    assert tells.gone(0)


def test_a_short_run_opens_no_channel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(progress.DIRECTORY, str(tmp_path))
    monkeypatch.setattr(progress.subprocess, "Popen", lambda *_, **__: pytest.fail("a channel was opened"))
    with progress.told(cast("Any", Connection("ssh", tmp_path)), "vm") as path:
        assert path.startswith("/tmp/sse-")


def test_neither_a_link_nor_a_device_is_written_to(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    (tmp_path / "link").symlink_to(target)
    Progress(str(tmp_path / "link")).tell(row="x")
    assert target.read_text() == ""
    os.mkfifo(tmp_path / "fifo")
    Progress(str(tmp_path / "fifo")).tell(row="x")
