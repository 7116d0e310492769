"""What starts the engine at boot: only our block is written and removed, and what others wrote stays as it was."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import boot

RC_FOREIGN = "#!/bin/sh\n# ours for years\n/opt/tool start\n\nexit 0\n"
RC_WITHOUT_EXIT = "#!/bin/sh\n/opt/tool start"
WSL_FOREIGN = "[automount]\nenabled = true\n"
WSL_BOOT = "[boot]\nsystemd=false\n\n[network]\nhostname = here\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with cron."""
    for directory in ("etc/cron.d", "usr/sbin", "proc/sys/kernel"):
        (tmp_path / directory).mkdir(parents=True)
    (tmp_path / "usr/sbin/cron").touch()
    return tmp_path


def write(root: Path, path: str, text: str, mode: int = 0o755) -> Path:
    file = root / path
    file.write_text(text)
    file.chmod(mode)
    return file


def test_cron_gets_a_file_of_its_own_which_goes_when_unset(root: Path) -> None:
    assert boot.write("cron", root) == ["/etc/cron.d/sse-platform"]
    file = root / "etc/cron.d/sse-platform"
    assert f"@reboot root {boot.COMMAND}" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o644
    assert boot.observe(root)["present"] == ["cron"]
    assert boot.write("cron", root) == []
    assert boot.write("none", root) == ["/etc/cron.d/sse-platform"]
    assert not file.exists()
    assert boot.observe(root)["present"] == []


@pytest.mark.parametrize("before", [RC_FOREIGN, RC_WITHOUT_EXIT, "#!/bin/sh -e\nexit 0\n"])
def test_a_foreign_rc_local_keeps_its_content_and_runs_the_command_before_its_end(root: Path, before: str) -> None:
    file = write(root, "etc/rc.local", before, 0o750)
    assert boot.write("rc.local", root) == ["/etc/rc.local"]
    text = file.read_text()
    assert boot.write("rc.local", root) == []
    assert file.stat().st_mode & 0o777 == 0o750
    traced = text.replace(boot.COMMAND, "echo started").replace("/opt/tool start", "echo foreign")
    ran = subprocess.run(["sh", "-c", traced], capture_output=True, text=True, check=True).stdout.split()
    assert ran == (["foreign", "started"] if "/opt/tool" in before else ["started"])
    boot.write("none", root)
    if file.exists():  # one that held nothing of others goes
        assert file.read_text().rstrip("\n") == before.rstrip("\n")


def test_an_absent_rc_local_is_made_executable_and_removed_again(root: Path) -> None:
    boot.write("rc.local", root)
    file = root / "etc/rc.local"
    assert file.stat().st_mode & 0o777 == 0o755
    assert file.read_text().startswith("#!/bin/sh -e\n")
    boot.write("none", root)
    assert not file.exists()


@pytest.mark.parametrize("before", ["", WSL_FOREIGN, WSL_BOOT])
def test_wsl_runs_the_command_and_keeps_what_others_set(root: Path, before: str) -> None:
    file = write(root, "etc/wsl.conf", before, 0o644) if before else root / "etc/wsl.conf"
    boot.write("wsl", root)
    parsed = configparser.ConfigParser()
    parsed.read(file)
    assert parsed["boot"]["command"] == f'"{boot.COMMAND}"'
    was = configparser.ConfigParser()
    was.read_string(before)
    assert all(parsed[name][key] == value for name in was.sections() for key, value in was[name].items())
    boot.write("none", root)
    assert (file.read_text() if file.exists() else "") == before


def test_another_method_takes_the_place_of_the_one_before(root: Path) -> None:
    boot.write("cron", root)
    write(root, "etc/rc.local", RC_FOREIGN)
    assert sorted(boot.write("rc.local", root)) == ["/etc/cron.d/sse-platform", "/etc/rc.local"]
    assert boot.observe(root)["present"] == ["rc.local"]


@pytest.mark.parametrize(
    ("files", "method", "why"),
    [
        ({"etc/wsl.conf": '[boot]\ncommand = "service ssh start"\n'}, "wsl", "service ssh start"),
        ({"etc/rc.local": RC_FOREIGN}, "rc.local", "not executable"),
    ],
)
def test_what_only_others_may_change_is_named(root: Path, files: dict[str, str], method: Any, why: str) -> None:
    for path, text in files.items():
        write(root, path, text, 0o644)
    found = boot.observe(root)
    assert why in found["conflicts"][method]
    assert method not in found["usable"]


def test_our_own_command_is_no_conflict(root: Path) -> None:
    write(root, "etc/wsl.conf", WSL_FOREIGN, 0o644)
    boot.write("wsl", root)
    assert boot.conflict("wsl", root) == ""


@pytest.mark.parametrize(
    ("kernel", "rc_local", "usable"),
    [
        ("6.1.0-amd64", False, ["cron"]),
        ("6.1.0-amd64", True, ["cron", "rc.local"]),
        ("5.15.167.4-microsoft-standard-WSL2", False, ["wsl", "cron"]),
    ],
)
def test_the_host_says_which_ways_it_has(root: Path, kernel: str, rc_local: bool, usable: list[str]) -> None:
    write(root, "proc/sys/kernel/osrelease", kernel)
    if rc_local:
        write(root, "etc/rc.local", RC_FOREIGN)
    assert boot.observe(root)["usable"] == usable
