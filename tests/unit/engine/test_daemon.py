"""What the host shows of dockerd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine import daemon


@pytest.mark.parametrize(
    ("configuration", "flags", "route_localnet", "expected"),
    [
        ({}, [], "0", True),
        ({"userland-proxy": False}, [], "1", False),
        ({"userland-proxy": False}, [], "0", True),  # the file is younger than the engine
        ({}, ["--userland-proxy=false"], "1", False),
        ({}, ["--userland-proxy=False"], "1", False),
        ({}, ["--userland-proxy=F", "--iptables=false"], "", False),
        ({}, ["--userland-proxy-path=/usr/libexec/docker-proxy"], "", True),
        ({"userland-proxy": False}, ["--userland-proxy-path", "/usr/libexec/docker-proxy"], "1", False),
        ({"userland-proxy": False}, ["--userland-proxy"], "1", True),
        ({"userland-proxy": True}, [], "1", True),
        ({"userland-proxy": False}, [], "", False),  # docker0 is switched off
    ],
)
def test_userland_proxy_is_off_only_where_the_kernel_shows_it(
    configuration: dict[str, Any], flags: list[str], route_localnet: str, expected: bool
) -> None:
    assert daemon.has_userland_proxy(configuration, flags, route_localnet) is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("", {}), ('{"debug": true}', {"debug": True}), ("{,}", None), ("[1]", None), ("null", None)]
)
def test_a_broken_daemon_json_is_not_taken_for_an_empty_one(tmp_path: Path, text: str, expected: Any) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text)
    assert daemon.configuration(str(path)) == expected


def test_a_process_with_an_odd_name_is_not_dockerd_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = r"open('/proc/self/comm', 'wb').write(b'\xd0\xd0'); input(print(flush=True) or '')"
    with subprocess.Popen(
        [sys.executable, "-c", rename], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as named:
        assert named.stdout
        named.stdout.readline()
        (tmp_path / "pid").write_text(f"{named.pid}\n")
        monkeypatch.setattr(daemon, "PID_FILE", str(tmp_path / "pid"))
        found = daemon.dockerd_pid()
        named.communicate("\n")
    assert found != named.pid


class Process(NamedTuple):
    """A process as /proc shows it: what it is called, its numbers in namespaces, and the sockets that it has open."""

    comm: str = "dockerd"
    numbers: str = "7"
    sockets: tuple[int, ...] = ()


SYSTEMD, SYSTEM, USERS, NESTED = (
    Process("systemd", "1", (70,)),
    Process(),
    Process(sockets=(71,)),
    Process("dockerd", "5\t1"),
)
LISTENS = Process(sockets=(71, 70))


@pytest.mark.parametrize(
    ("pid_file", "processes", "expected"),
    [
        ("9", {"9": SYSTEM}, 9),
        ("", {"9": SYSTEM}, 9),
        ("4", {"4": Process("bash"), "9": SYSTEM}, 9),  # left by an engine that ended
        ("4", {"9": SYSTEM}, 9),
        ("not a number", {"9": SYSTEM}, 9),
        ("", {"5": NESTED, "9": SYSTEM}, 9),
        ("5", {"5": NESTED, "9": SYSTEM}, 9),  # a container wrote it into a directory that it shares with the host
        ("", {"5": NESTED}, None),
        ("", {"1": SYSTEMD, "5": USERS, "9": LISTENS}, 9),  # started by docker.socket
        ("", {"1": SYSTEMD, "5": LISTENS, "9": USERS}, 5),
        ("", {"1": SYSTEMD}, None),
    ],
    ids=["pid file", "no pid file", "of another process", "of none", "broken", "beside one in a container",
         "a pid file from a container", "in a container only", "beside one of a user", "before one of a user", "none"],
)  # fmt: skip
def test_dockerd_is_the_one_that_runs_on_this_host(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pid_file: str,
    processes: dict[str, Process],
    expected: int | None,
) -> None:
    for pid, process in processes.items():
        (tmp_path / pid / "fd").mkdir(parents=True)
        (tmp_path / pid / "comm").write_text(f"{process.comm}\n")
        (tmp_path / pid / "status").write_text(f"Name:\t{process.comm}\nNSpid:\t{process.numbers}\n")
        for number, inode in enumerate(process.sockets):
            (tmp_path / pid / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    (tmp_path / "net").mkdir()
    (tmp_path / "net/unix").write_text(UNIX)
    monkeypatch.setattr(daemon, "PROC", tmp_path)
    monkeypatch.setattr(daemon, "PID_FILE", str(tmp_path / "pid"))
    if pid_file:
        (tmp_path / "pid").write_text(f"{pid_file}\n")
    assert daemon.dockerd_pid() == expected


UNIX = """Num               RefCount Protocol Flags    Type St Inode Path
0: 00000002 00000000 00010000 0001 01 70 /run/docker.sock
0: 00000003 00000000 00000000 0001 03 71 /run/docker.sock
0: 00000002 00000000 00010000 0001 01 72 /run/user/1000/docker.sock
0: 00000002 00000000 00000000 0002 01 73
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_daemon_json_that_an_editor_of_windows_wrote_is_read_as_the_engine_does(
    tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "daemon.json").write_text('{"iptables": false}\r\n', encoding=encoding)
    assert daemon.configuration(str(tmp_path / "daemon.json")) == {"iptables": False}


def test_a_missing_daemon_json_is_an_empty_one(tmp_path: Path) -> None:
    assert daemon.configuration(str(tmp_path / "none.json")) == {}
