"""A release as a Compose file: what Compose must know of a container, and what would keep it from starting twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.sse.platform.plugins.module_utils.model.release import build
from ansible_collections.sse.platform.plugins.module_utils.views import compose_export
from compose_files import reading

NETWORK: Any = {"name": "n", "segment": "network", "subnet": "10.0.0.0/24", "internal": False}
DECLARED: dict[str, Any] = {
    "db": {
        "image": "db",
        "address": 9,
        "entrypoint": ["serve"],
        "user": "7:7",
        "data": {"/data": "db"},
        "config": {"/etc/db": {"db.conf": "a"}},
        "ports": [{"host_ip": "127.0.0.1", "host_port": 5000, "container_port": 5432}],
        "healthcheck": {"command": ["sh", "-c", "echo $HOME"]},
    },
    "web": {
        "image": "web",
        "address": 10,
        "entrypoint": ["serve"],
        "user": "8:8",
        "hosts": ["db"],
        "after": ["db"],
        "environment": {"PRICE": "5$"},
        "healthcheck": {"http": {"port": 80}},
    },
}


def written(**changed: Any) -> Any:
    return yaml.safe_load(text(**changed))


def text(**changed: Any) -> str:
    declared = {name: {**one, **changed.get(name, {})} for name, one in DECLARED.items()}
    release = build(
        {"s": {"containers": declared}},
        stack="s",
        project="p",
        networks={"network": NETWORK},
        references={"db": "db:1", "web": "web:1"},
        unavailable={},
    )
    files, shared = {"s-db": {"/etc/db": "/state/db"}}, {"/state/shared/sock": "sock"}
    return compose_export.text(3, "s", release["containers"], files, shared)


def test_every_container_is_a_service_that_compose_reads() -> None:
    found = {one.name: one for one in reading.parse(written(), "x").services}
    assert set(found) == {"db", "web", "db-owner"}
    assert (found["db"].memory, found["db"].pids, found["db"].checked, found["web"].checked) == (
        True,
        True,
        True,
        False,
    )
    assert found["web"].needs == ("db",)
    assert [(one.host_ip, one.container_port) for one in found["db"].ports] == [("127.0.0.1", 5432)]


def test_nothing_in_it_can_be_there_only_once() -> None:
    content = written()
    assert content["networks"] == {"n": {}}
    for one in content["services"].values():
        assert "container_name" not in one
        assert all(set(network) == {"aliases"} for network in one.get("networks", {}).values())
    assert content["services"]["db"]["ports"][0]["published"] == "${PORT_5000:-5000}"
    assert "extra_hosts" not in content["services"]["web"]


def test_data_belong_to_the_user_of_their_container_before_it_starts() -> None:
    services = written()["services"]
    assert services["db-owner"]["entrypoint"] == ["chown", "7:7", "/data"]
    assert services["db"]["depends_on"] == {"db-owner": {"condition": "service_completed_successfully"}}


def test_files_are_mounted_read_only_and_a_dollar_sign_stays_one() -> None:
    services = written()["services"]
    assert {"type": "bind", "source": "/state/db", "target": "/etc/db", "read_only": True} in services["db"]["volumes"]
    assert services["db"]["healthcheck"]["test"][-1] == "echo $$HOME"
    assert services["web"]["environment"] == {"PRICE": "5$$"}


TELLS = """
import json, sys
given = json.load(sys.stdin)
print(sorted(given["now"]), given["before"], "$HOME")
sys.exit(3)
"""


def test_users_are_told_to_a_container_before_its_clients_start(tmp_path: Path) -> None:
    with_program = {"db": {"reload": {"program": TELLS, "takes": ["/etc/db"]}}}
    services = written(**with_program, web={"entrypoint": ["python"]})["services"]
    teller = services["db-users"]
    assert services["web"]["depends_on"]["db-users"] == {"condition": "service_completed_successfully"}
    assert "db-users" not in services["db"]["depends_on"]
    assert (teller["image"], teller["user"], teller["network_mode"]) == ("web:1", "7:7", "service:db")
    assert teller["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert teller["volumes"] == [{"type": "bind", "source": "/state/db", "target": "/etc/db", "read_only": True}]
    # Compose makes one dollar sign of two. The program gets the files of the directories that it takes.
    (tmp_path / "db.conf").write_text("a")
    words = [one.replace("$$", "$") for one in teller["entrypoint"]]
    assert words[-1] == "/etc/db"
    ended = subprocess.run([sys.executable, *words[1:-1], str(tmp_path)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (3, f"['{tmp_path}/db.conf'] {{}} $HOME\n")


def test_a_file_says_so_where_nothing_could_tell_a_container_its_users() -> None:
    with_program = {"db": {"reload": {"program": TELLS, "takes": ["/etc/db"]}}}
    assert "nothing tells db its users and rights" in text(**with_program)
    assert set(written(**with_program)["services"]) == {"db", "db-owner", "web"}
    quiet = {"db": {"reload": {"program": TELLS, "takes": ["/etc/db"], "at_start": False}}}
    assert "nothing tells" not in text(**quiet)


def test_sockets_of_the_file_are_its_own_and_nothing_of_it_reaches_the_stack() -> None:
    """What mounts the directory of the stack's sockets would publish into the stack."""
    found = written(
        db={"shared": {"/run/db": "sock"}}, web={"binds": {"/run/link": "/state/shared/sock", "/etc/x": "/state/x"}}
    )
    db, web = found["services"]["db"], found["services"]["web"]
    assert {"type": "volume", "source": "shared-sock", "target": "/run/db"} in db["volumes"]
    assert web["volumes"] == [
        {"type": "volume", "source": "shared-sock", "target": "/run/link", "read_only": True},
        {"type": "bind", "source": "/state/x", "target": "/etc/x", "read_only": True},
    ]
    assert "shared-sock" in found["volumes"]
    assert found["services"]["db-owner"]["entrypoint"] == ["chown", "7:7", "/data", "/run/db"]


def test_containers_that_need_each_others_names_wait_for_them_while_both_run() -> None:
    services = written(db={"hosts": ["web"]}, web={"hosts": ["db"]})["services"]
    assert services["db"]["entrypoint"][3:] == ["sh", "web", "serve"]
    assert services["web"]["entrypoint"][3:] == ["sh", "db", "serve"]
    words = [one.replace("$$", "$") for one in services["db"]["entrypoint"]]
    words[4:] = ["localhost", "echo", "it runs", "$HOME"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.stdout == "it runs $HOME\n"
