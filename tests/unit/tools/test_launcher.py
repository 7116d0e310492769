from __future__ import annotations

import subprocess
from pathlib import Path

import containers

ROOT = Path(__file__).resolve().parents[3]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_the_launcher_hands_every_word_to_the_front() -> None:
    refused = run(str(ROOT / "sse"), "destory", "two words")
    assert refused.returncode == 1
    assert "did you mean 'destroy'?" in refused.stderr


def test_the_launcher_stays_below_80_lines() -> None:
    assert len((ROOT / "sse").read_text().splitlines()) < 80


def test_a_remote_command_reaches_the_container_word_for_word() -> None:
    host = containers.Host(ssh=("ssh", "vm"), sudo=("sudo",), stack="sse")
    command = host.docker("exec", "sse-redis-master", "sh", "-c", "echo 'a b' > /tmp/x; id", terminal=True)
    assert command[:3] == ["ssh", "-tt", "vm"]
    assert run("sh", "-c", f"printf '%s|' {command[3]}").stdout.endswith("|sh|-c|echo 'a b' > /tmp/x; id|")
