"""The names that a container has pinned are compared with its /etc/hosts, and put back in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import hosts_file

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6\n10.0.0.9\tdb database # ours\n10.0.0.7\t0123abcd\n"
HOSTS = {"db": "10.0.0.9", "app-1": "10.0.0.11", "host.docker.internal": "host-gateway"}


def test_each_name_is_read_with_its_address() -> None:
    assert list(hosts_file.entries("# none\n127.0.0.1 localhost\n\n10.0.0.9\tdb database # ours\n")) == [
        ("localhost", "127.0.0.1"),
        ("db", "10.0.0.9"),
        ("database", "10.0.0.9"),
    ]


@pytest.mark.parametrize(
    ("more", "misled"),
    [
        ("10.0.0.11 app-1\n", []),
        ("10.0.0.11 app-1\n10.0.0.11 app-1\n", []),
        ("", []),  # not there; it is put back all the same
        ("# 10.0.0.11 app-1\n", []),
        ("10.0.0.12 app-1\n", ["app-1"]),
        ("10.0.0.11 app-1\n10.0.0.12 app-1\n", ["app-1"]),
        ("10.0.0.11 app-1\nfd00::1 db\n", ["db"]),
        ("10.9.9.9 db app-1\n", ["db", "app-1"]),
    ],
)
def test_a_name_that_leads_elsewhere_is_named_and_each_is_put_back(
    tmp_path: Path, more: str, misled: list[str]
) -> None:
    path = tmp_path / "hosts"
    path.write_text(TEXT + more)
    file = path.stat().st_ino
    assert hosts_file.misled(str(path), HOSTS) == misled

    hosts_file.put_back(str(path), HOSTS)
    assert hosts_file.misled(str(path), HOSTS) == []
    assert {("db", "10.0.0.9"), ("app-1", "10.0.0.11")} <= set(hosts_file.entries(path.read_text()))
    assert path.stat().st_ino == file, "the container has the earlier file mounted"
    kept = {("localhost", "127.0.0.1"), ("ip6", "::1"), ("database", "10.0.0.9"), ("0123abcd", "10.0.0.7")}
    assert kept <= set(hosts_file.entries(path.read_text()))


def test_without_a_file_nothing_is_known_and_nothing_is_written(tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "gone")):
        assert hosts_file.misled(path, HOSTS) == []
        hosts_file.put_back(path, HOSTS)
    assert not list(tmp_path.iterdir())
