"""Tab completes what exists: verbs, options, hosts, containers, releases; and it is quick, quiet and harmless."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import completion
import pytest
from verbs import VERBS

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / "tools"
TAKEN = [name for name in VERBS if (TOOLS / f"{name}.py").exists() and name not in {"completion", "test"}]


def front(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOLS / "front.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that lists two containers, and writes down how it was asked."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\nprintf "app-1 app\\napp-2 app\\n"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def test_verbs_come_first_and_only_those_that_begin_so() -> None:
    assert set(VERBS) <= set(completion.candidates([]))
    assert front("completion", "--words", "0", "--", "de").stdout == "destroy\n"
    assert front("completion", "--words", "1", "--", "help", "rollb").stdout == "rollback\n"
    assert front("completion", "--words", "0", "--").stdout.split()[: len(VERBS)] == list(VERBS)


def test_options_are_those_of_the_verb() -> None:
    assert {"--watch", "--json", "-i"} <= set(completion.candidates(["status"]))
    assert {"--why", "--canary", "--check"} <= set(completion.candidates(["up"]))
    assert "--watch" not in completion.candidates(["up"])
    assert completion.candidates(["up", "--why"]) == []  # any text
    assert completion.candidates(["nosuch"]) == []


def test_where_a_file_is_meant_the_shell_completes_it_and_a_dash_still_asks_for_options() -> None:
    assert completion.candidates(["restore"], "") == completion.candidates(["publish", "x"], "y") == []
    assert "--check" in completion.candidates(["restore"], "-")
    assert "--watch" in completion.candidates(["status"], "")  # nothing else comes


@pytest.mark.parametrize("name", TAKEN)
def test_every_option_that_is_offered_for_a_tool_is_in_its_help(name: str) -> None:
    shown = front(name, "-h").stdout
    for flag in completion.flags(name, VERBS[name]):
        assert flag in shown, flag


@pytest.mark.parametrize("verb", ["logs", "exec", "restart", "probe"])
def test_containers_and_services_are_those_of_the_stack_that_is_meant(engine: Path, verb: str) -> None:
    found = completion.candidates([verb, "-e", "stack_name=demo"])
    assert {"app-1", "app-2", "app"} <= set(found)
    assert "label=sse.platform.stack=demo" in (engine / "asked").read_text()
    assert "app-1" not in completion.candidates([verb, "app-1"])
    (engine / "asked").unlink()
    assert "app-1" not in completion.candidates([verb, "-i", "inventory/vm"])  # of another machine nobody is asked
    assert not (engine / "asked").exists()


def test_an_engine_that_does_not_answer_is_not_waited_for(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "ENGINE_SECONDS", 0.1)
    (engine / "docker").write_text("#!/bin/sh\nexec sleep 60\n")
    assert completion.containers([]) == []
    (engine / "docker").write_text("#!/bin/sh\nexit 1\n")
    assert completion.containers([]) == []


def test_hosts_are_those_of_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(
        "# hosts:\nall:\n  children:\n    web:\n      hosts:\n        one: {ansible_host: 10.0.0.1}\n"
        "        two:\n          ansible_user: root\n    db:\n      vars: {x: 1}\n      hosts:\n        three:\n"
    )
    assert completion.hosts(["-i", str(tmp_path)]) == ["one", "two", "three"]
    assert completion.hosts(["-i", "a,b,"]) == ["a", "b"]
    assert completion.hosts(["-i", str(tmp_path / "gone")]) == []
    assert completion.candidates(["up", "-l"]) == ["localhost"]
    assert any(one.endswith("inventory/vm-example") for one in completion.candidates(["up", "-i"]))


def test_after_what_is_done_to_a_host_come_those_of_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all:\n  hosts:\n    one:\n    two:\n")
    assert completion.candidates(["node"], "") == ["add", "drain", "remove"]
    assert completion.candidates(["node", "-i", str(tmp_path), "drain"], "") == ["one", "two"]


def test_settings_are_offered_those_that_matter_to_the_verb_first() -> None:
    found = completion.candidates(["up", "-e"])
    assert found[: len(VERBS["up"].settings)] == [f"{name}=" for name in VERBS["up"].settings]
    assert {"app_memory=", "kafka_memory="} <= set(found)


@pytest.mark.parametrize("words", [(), ("tcsh",), ("bash", "zsh")])
def test_a_shell_that_is_not_known_is_refused(words: tuple[str, ...]) -> None:
    refused = front("completion", *words)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "{bash,zsh,fish}" in refused.stderr
    assert "./sse completion -h has examples" in refused.stderr


def test_tab_never_begins_to_install_an_environment() -> None:
    assert front("--before", "completion", "--words", "0", "--", "stat").stdout == "status\n"
    assert front("--before", "completion", "bash").stdout == completion.SCRIPTS["bash"]


def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    launcher = tmp_path / "sse"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} {TOOLS}/front.py "$@"\n')
    launcher.chmod(0o700)

    def tab(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in (str(launcher), *words))
        ask = f'eval "$({launcher} completion bash)"; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _sse 2>/dev/null; '
        run = subprocess.run(
            ["bash", "-c", ask + 'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True
        )
        return run.stdout.split()

    assert tab("stat") == ["status"]
    assert tab("status", "--w") == ["--watch"]
    assert tab("logs", "--level", "w") == ["warning"]
