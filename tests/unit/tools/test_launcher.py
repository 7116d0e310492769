from __future__ import annotations

import argparse
import subprocess
from pathlib import Path
from typing import Any

import containers
import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_the_launcher_hands_every_word_to_the_front() -> None:
    refused = run(str(ROOT / "sse"), "destory", "two words")
    assert refused.returncode == 1
    assert "did you mean 'destroy'?" in refused.stderr


def test_the_launcher_stays_below_80_lines() -> None:
    assert len((ROOT / "sse").read_text().splitlines()) < 80


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ("ssh", "vm")),
        ({"ansible_host": "10.0.0.2", "ansible_user": "debian"}, ("ssh", "debian@10.0.0.2")),
        ({"ansible_port": 2222}, ("ssh", "-p", "2222", "vm")),
        ({"ansible_ssh_private_key_file": "/k/id"}, ("ssh", "-i", "/k/id", "vm")),
        ({"ansible_ssh_common_args": "-o ProxyJump='a b'"}, ("ssh", "-o", "ProxyJump=a b", "vm")),
    ],
)
def test_ssh_follows_the_inventory(variables: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert containers.ssh("vm", variables) == expected


def test_connection_variables_may_be_templates(tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all: {hosts: {vm: {}, other: {}}, vars: {alias: real, stack_name: '{{ alias }}-stack',"
        " ansible_ssh_common_args: '-o HostKeyAlias={{ inventory_hostname }}'}}\n"
    )
    options = argparse.Namespace(inventory=str(inventory), limit="vm", extra_vars=[])
    found = containers.host(options)
    assert (found.ssh, found.stack) == (("ssh", "-o", "HostKeyAlias=vm", "vm"), "real-stack")
    options.limit = None
    with pytest.raises(SystemExit, match="Choose one host with -l: "):
        containers.host(options)


def test_a_remote_command_reaches_the_container_word_for_word() -> None:
    host = containers.Host(ssh=("ssh", "vm"), sudo=("sudo",), stack="sse")
    command = host.docker("exec", "sse-redis-master", "sh", "-c", "echo 'a b' > /tmp/x; id", terminal=True)
    assert command[:3] == ["ssh", "-t", "vm"]
    assert run("sh", "-c", f"printf '%s|' {command[3]}").stdout.endswith("|sh|-c|echo 'a b' > /tmp/x; id|")
