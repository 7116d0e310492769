"""What the program of Redis compares in a running server: what Redis keeps as its files say it, and no password."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from rendered import ROOT


@pytest.fixture
def program(tmp_path: Path) -> dict[str, Any]:
    """The functions of the program, which runs main() in its last lines."""
    path = tmp_path / "accounts.py"
    path.write_text((ROOT / "roles/redis/files/accounts.py").read_text().partition("\n\ntry:\n")[0])
    return runpy.run_path(str(path))


class Server:
    """A Redis with one user of its files, and another program that looks at it."""

    def __init__(self) -> None:
        self.users = {"admin": "~* on", "default": "off", "sse-platform-tried-1": "of the other program"}

    def ask(self, *words: str) -> object:
        match words[:2]:
            case ("ACL", "USERS"):
                return list(self.users)
            case ("ACL", "SETUSER"):
                self.users[words[2]] = " ".join(words[4:])
            case ("ACL", "DELUSER"):
                del self.users[words[2]]
            case _:
                return ["flags", [self.users[words[2]]], "keys", self.users[words[2]].split()[0]]
        return "OK"


def test_directives_that_redis_keeps_in_its_own_way_or_that_are_secret_are_not_compared(
    program: dict[str, Any],
) -> None:
    text = 'maxmemory 1kb\nappendonly yes\nsave ""\nmaxclients 99999\nport 6379\n'
    text += "requirepass 4711\nmasterauth 4711\ntls-key-file-pass 4711\n"
    assert program["directives"]({"/etc/redis/redis.conf": text}) == {"maxmemory": "1024", "appendonly": "yes"}


def test_two_who_look_at_once_do_not_disturb_each_other(program: dict[str, Any]) -> None:
    server = Server()
    assert list(program["other_users"](server, {"admin": ["on", "~*"]})) == []
    assert server.users["sse-platform-tried-1"] == "of the other program"
    assert len(server.users) == 3
