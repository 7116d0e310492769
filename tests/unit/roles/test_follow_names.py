"""NGINX follows the names of its servers, whose addresses change: with a DNS and an NGINX that stand-ins play."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "roles/nginx/files/follow_names.sh"
PATIENCE = 6  # looks, in place of 30
SECONDS = 60.0  # until the script has done what it does at once; on a busy machine it waits its turn
CONFIG = """\
    upstream a {
        server app-1:8000 max_fails=0;
        server app-2:8000 max_fails=0 backup; # a remark
        server 192.0.2.9:8000;
        server unix:/run/x.sock;
    }
    map $x $y { default "a;\\b"; }
    server {
        server_name app-1;
    }
"""
GETENT = """#!/bin/sh
cat "$ANSWERS/$2" 2> /dev/null
"""
# The script looks again when the test says so, however busy the machine is.
SLEEP = """#!/bin/sh
touch "$ANSWERS/asleep"
until rm "$ANSWERS/look" 2> /dev/null || [ -e "$ANSWERS/end" ]; do /bin/sleep 0.01; done
"""
NGINX = """#!/usr/bin/env python3
import atexit, itertools, os, pathlib, signal, subprocess, sys, time
place, number = pathlib.Path(os.environ["ANSWERS"]), itertools.count(1)
def read(*__):
    (place / "writing").write_text(pathlib.Path(sys.argv[sys.argv.index("-c") + 1]).read_text())
    (place / "writing").rename(place / f"read-{next(number)}")
if "-t" in sys.argv:
    read()
    sys.exit(7)
signal.signal(signal.SIGHUP, read)
signal.signal(signal.SIGQUIT, lambda *__: sys.exit(0))
signal.signal(signal.SIGUSR2, lambda *__: sys.exit(3))
titles = ["worker process is shutting down"] * int(os.environ.get("OLD_WORKERS", "0")) + ["worker process"]
workers = [subprocess.Popen(["bash", "-c", f"exec -a 'nginx: {title}' /bin/sleep 60"]) for title in titles]
while not all(pathlib.Path(f"/proc/{one.pid}/cmdline").read_bytes().startswith(b"nginx") for one in workers):
    time.sleep(0.01)
(place / "pid").write_text(str(os.getpid()))
atexit.register(lambda: [one.kill() for one in workers])
read()
while True:
    time.sleep(0.05)
    (place / "alive.new").write_text(str([one.poll() is None for one in workers]))
    (place / "alive.new").rename(place / "alive")
"""


class Followed:
    """The script at work."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        programs = directory / "bin"
        programs.mkdir()
        for name, text in (("getent", GETENT), ("nginx", NGINX), ("sleep", SLEEP)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.script = directory / "follow_names.sh"
        text = SCRIPT.read_text()
        assert "\npatience=30\n" in text
        self.script.write_text(text.replace("\npatience=30\n", f"\npatience={PATIENCE}\n"))
        self.config = directory / "nginx.conf"
        self.config.write_text(CONFIG)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "ANSWERS": str(directory),
            "NGINX_CONFIG": str(self.config),
            "NGINX_WRITTEN": str(directory / "written.conf"),
        }
        self.running: subprocess.Popen[bytes] | None = None

    def answer(self, name: str, *addresses: str) -> None:
        """Have the DNS answer with these addresses, in each kind of socket, as getent does."""
        lines = [f"{address} {kind} {name}" for address in addresses for kind in ("STREAM", "DGRAM", "RAW")]
        (self.directory / "answer").write_text("\n".join([*lines, ""]))
        (self.directory / "answer").rename(self.directory / f"{name}.")

    def start(self) -> None:
        # Tests that run in the background ignore SIGQUIT, and bash traps no signal that was ignored when it began.
        command = ["env", "--default-signal=QUIT", "bash", str(self.script)]
        self.running = subprocess.Popen(command, env=self.environment, stderr=subprocess.DEVNULL)
        self.read(1)
        self.wait_until((self.directory / "asleep").exists, "it does not pause between two looks")

    def read(self, number: int) -> list[str]:
        """Return the servers of the configuration that NGINX read for this time, after waiting for it."""
        path = self.directory / f"read-{number}"
        self.wait_until(path.exists, f"NGINX has not read its configuration {number} times")
        lines = [line.strip() for line in path.read_text().splitlines()]
        return [line.removeprefix("server ") for line in lines if line.startswith("server ") and line.endswith(";")][
            :-2
        ]

    def times(self) -> int:
        return len(list(self.directory.glob("read-*")))

    def looks(self, count: int) -> None:
        """Have the script look so many times."""
        asleep = self.directory / "asleep"
        for __ in range(count):
            asleep.unlink()
            (self.directory / "look").touch()
            self.wait_until(asleep.exists, "it does not look")

    def wait_until(self, true: Callable[[], bool], why: str) -> None:
        until = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < until, why
            time.sleep(0.005)

    def end(self) -> int:
        assert self.running
        (self.directory / "end").touch()
        if self.running.poll() is None:
            self.running.send_signal(signal.SIGQUIT)
        try:
            return self.running.wait(SECONDS)
        finally:
            self.running.kill()


@pytest.fixture
def followed(tmp_path: Path) -> Iterator[Followed]:
    one = Followed(tmp_path)
    yield one
    if one.running:
        one.end()


def test_names_are_written_as_addresses_and_what_is_not_answered_is_down(followed: Followed) -> None:
    followed.answer("app-1", "10.0.0.5")
    followed.start()
    assert followed.read(1) == ["10.0.0.5:8000 max_fails=0;", "127.0.0.1:8000 max_fails=0 backup down;"]
    text = (followed.directory / "read-1").read_text()
    unlike = set(CONFIG.splitlines()) ^ set(text.splitlines())
    assert all("server " in line or "remark" in line for line in unlike)
    assert '"a;\\b"' in text
    assert followed.end() == 0


def test_an_address_that_changes_is_one_reload_also_while_both_are_answered(followed: Followed) -> None:
    followed.answer("app-1", "10.0.0.5")
    followed.answer("app-2", "10.0.0.6")
    followed.start()
    followed.answer("app-1", "10.0.0.5", "10.0.0.7")  # the new one is healthy, the old one about to leave
    followed.looks(2)
    followed.answer("app-1", "10.0.0.7")
    followed.looks(2)
    assert followed.times() == 1
    followed.looks(1)
    assert followed.read(2)[0] == "10.0.0.7:8000 max_fails=0;"
    followed.looks(4)
    assert followed.times() == 2


def test_several_addresses_of_a_name_are_several_servers_in_whatever_order_they_come(followed: Followed) -> None:
    followed.answer("app-1", "10.0.0.8", "10.0.0.7")
    followed.start()
    assert followed.read(1)[:2] == ["10.0.0.7:8000 max_fails=0;", "10.0.0.8:8000 max_fails=0;"]
    followed.answer("app-1", "10.0.0.7", "10.0.0.8")
    followed.looks(5)
    assert followed.times() == 1


@pytest.mark.parametrize("left", [["app-2"], []])
def test_a_name_that_is_not_answered_for_a_while_leads_where_it_did(followed: Followed, left: list[str]) -> None:
    followed.answer("app-1", "10.0.0.5")
    followed.answer("app-2", "10.0.0.6")
    followed.start()
    for name in {"app-1", "app-2"} - set(left):
        followed.answer(name)
    followed.looks(PATIENCE)
    assert followed.times() == 1


def test_a_name_that_is_not_answered_for_long_is_down_where_the_dns_answers_others(followed: Followed) -> None:
    followed.answer("app-1", "10.0.0.5")
    followed.answer("app-2", "10.0.0.6")
    followed.start()
    followed.answer("app-1")
    followed.looks(PATIENCE + 3)
    assert followed.read(2) == ["127.0.0.1:8000 max_fails=0 down;", "10.0.0.6:8000 max_fails=0 backup;"]
    followed.answer("app-1", "10.0.0.9")
    followed.looks(3)
    assert followed.read(3)[0] == "10.0.0.9:8000 max_fails=0;"


def test_a_socket_that_an_nginx_before_has_left_is_removed(followed: Followed) -> None:
    left = followed.directory / "left.sock"
    left.touch()
    followed.config.write_text(f"{CONFIG}    server {{ listen 80; }}\n    listen unix:{left};\n")
    followed.start()
    assert not left.exists()


@pytest.mark.parametrize(("old", "left"), [(5, [False, False, True, True, True, True]), (3, [True] * 4), (0, [True])])
def test_the_oldest_workers_end_before_there_are_too_many(followed: Followed, old: int, left: list[bool]) -> None:
    followed.environment["OLD_WORKERS"] = str(old)
    followed.answer("app-1", "10.0.0.5")
    followed.start()
    followed.answer("app-1", "10.0.0.6")
    followed.looks(3)
    followed.read(2)
    alive = followed.directory / "alive"
    followed.wait_until(lambda: alive.exists() and alive.read_text() == str(left), f"the workers are not {left}")


def test_a_new_configuration_counts_at_the_signal(followed: Followed) -> None:
    followed.answer("app-1", "10.0.0.5")
    followed.answer("app-3", "10.0.0.3")
    followed.start()
    followed.config.write_text(CONFIG.replace("app-2", "app-3"))
    assert followed.running
    followed.running.send_signal(signal.SIGHUP)
    assert followed.read(2) == ["10.0.0.5:8000 max_fails=0;", "10.0.0.3:8000 max_fails=0 backup;"]


def test_when_nginx_ends_by_itself_so_does_the_container(followed: Followed) -> None:
    followed.start()
    os.kill(int((followed.directory / "pid").read_text()), signal.SIGUSR2)
    assert followed.running
    (followed.directory / "end").touch()
    assert followed.running.wait(SECONDS) == 3


def test_a_check_needs_no_dns_and_tells_what_nginx_says(followed: Followed) -> None:
    ended = subprocess.run(["bash", str(followed.script), "-t"], env=followed.environment, check=False)
    assert ended.returncode == 7
    assert followed.read(1)[0] == "127.0.0.1:8000 max_fails=0 down;"
