"""The program of a role gets the files that its container has and had, and its sentence is the reason of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import program
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ECHO = "import json, sys; given = json.load(sys.stdin); print(given['now']['/run/a/x'], given['before'])"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    def inside(_: int, work: Callable[[], Any]) -> Any:
        return work()

    monkeypatch.setattr(program, "inside", inside)


def test_a_program_gets_the_files_and_says_what_it_verified() -> None:
    assert program.run("s-a", 1, ECHO, {"/run/a/x": "new"}, {}) == "new {}"


@pytest.mark.parametrize(
    ("output", "lines"), [("", []), ("a is 1 -> 2\\nb is missing", ["a is 1 -> 2", "b is missing"])]
)
def test_a_program_that_looks_says_what_differs_one_line_for_each_thing(output: str, lines: list[str]) -> None:
    text = f"import json, sys; assert json.load(sys.stdin)['look']; print('{output}')"
    assert program.look("s-a", 1, text, {}, {}) == lines


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys; sys.exit('it refuses the new password')", "s-a: it refuses the new password"),
        ("import sys; sys.exit(1)", "s-a: its program failed and wrote nothing"),
    ],
)
def test_what_a_program_says_is_the_reason(text: str, told: str) -> None:
    with pytest.raises(ApplyError) as error:
        program.run("s-a", 1, text, {}, {})
    assert str(error.value) == told


def test_a_program_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "SECONDS", 0.2)
    with pytest.raises(ApplyError, match="did not count within"):
        program.run("s-a", 1, "import threading; threading.Event().wait(60)", {}, {})
    with pytest.raises(ApplyError, match=r"^s-a: its program did not end within 0.2 s$"):  # it was only asked
        program.behind("s-a", 1, "import threading; threading.Event().wait(60)", {})


def test_secrets_are_neither_in_the_environment_nor_in_the_command_of_a_program() -> None:
    text = (
        "import json, os, sys; [secret] = json.load(sys.stdin)['now'].values(); "
        "print(secret in open('/proc/self/cmdline').read(), secret in str(os.environ))"
    )
    assert program.run("s-a", 1, text, {"/run/a/x": "canary-7d"}, {}) == "False False"


def test_only_the_directories_that_a_program_takes_are_read(tmp_path: Path) -> None:
    for name in ("taken", "other"):
        (tmp_path / name / "below").mkdir(parents=True)
        (tmp_path / name / "below/x").write_text(name)
        (tmp_path / name / "no-text").write_bytes(b"\xff")  # of somebody; the run that reads it writes it anew
    mounts = [{"Destination": f"/run/{name}", "Source": str(tmp_path / name)} for name in ("taken", "other")]
    inspected: Any = {"Mounts": mounts}
    assert program.taken(inspected, ["/run/taken", "/run/none"]) == {
        "/run/taken/below/x": "taken",
        "/run/taken/no-text": "\ufffd",
    }
