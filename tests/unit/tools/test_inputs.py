"""What is wrong with the variables and the inventories of a command line is said in one line, before Ansible begins."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import inputs
import inventories
import pytest

ROOT = Path(__file__).resolve().parents[3]
SECRET = "canary-4711"
FILES = [
    (b"a: b: c\n", "line 1: YAML cannot be parsed here"),
    (b'{"a": 1', "cannot be parsed here"),
    (b"a: [1\n", "cannot be parsed here"),
    (b"x: 1\na: 'canary-4711\n", "cannot be parsed here"),
    (b"a:\n\tb: canary-4711\n", "line 2: a tab is where YAML has spaces"),
    (b"- a: canary-4711\n", "line 1: it is a list"),
    (b"canary-4711\n", "line 1: it is one value"),
    (b"a: 1\nb: {c: 1, d: 2, c: canary-4711}\n", "line 2: the key 'c' is there twice"),
    (b"a: 1\nb: 2\na: canary-4711\n", "line 3: the key 'a' is there twice"),
    (b'{"a": 1, "a": "canary-4711"}', "line 1: the key 'a' is there twice"),
    (b'{"a": "\\ud83d\\ude00",\n "a": "canary-4711"}', "line 2: the key 'a' is there twice"),
    (b"a: '\\ud83d\\ude00'\nb: [canary-4711\n", "cannot be parsed here"),
    (b"a: 1\n---\nb: canary-4711\n", "line 3: a second document begins"),
    (b"a: 1\nb: \xff\xfe\n", "line 2: it is not UTF-8"),
    (b"a: \x00\n", "a character in it is not allowed"),
    (b"a: !python/name:os.system canary-4711\n", "line 1: the tag !python/name:os.system is unknown"),
]
RIGHT = [
    b"a: 1\n", b'{"a": [1, {"b": null}]}', b"a: '{{ b }}'\n", b"---\na: 1\n", b"a: &x [1]\nb: *x\n", b"a: &x\n  - *x\n",
    b"a: !unsafe '{{ b'\n", b"a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n", b"$ANSIBLE_VAULT;1.1;AES256\n6162\n",
    b'{"a": "\\ud83d\\uDE00", "b": 1}', b"\xef\xbb\xbfa: 1\r\n", b'{\n\t"a": [1, 2]\n}',
    b"x: &x {a: 1}\ny: &y {b: 1}\nz: {<<: *x, <<: *y}\n",
]  # fmt: skip


@pytest.mark.parametrize(("content", "said"), FILES)
def test_a_malformed_file_is_told_by_its_line_wherever_it_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    inventory = tmp_path / "inventory"
    (inventory / "group_vars" / "all").mkdir(parents=True)
    (inventory / "hosts.yml").write_text("all: {hosts: {vm: }}")
    own = inventory / "group_vars" / "all" / "own.yml"
    own.write_bytes(content)
    hosts = tmp_path / "hosts.yml"
    hosts.write_bytes(content)
    for found in (
        inputs.problem([f"@{own}"], []),
        inputs.problem([], [str(inventory)]),
        inputs.problem([], [str(inventory / "hosts.yml")]),
        inputs.problem([], [str(hosts)]),
    ):
        assert said in found
        assert "own.yml" in found or "hosts.yml" in found
        assert "; expected " in found
        assert found.endswith(". Nothing was done.")
        assert "\n" not in found
        assert SECRET not in found


@pytest.mark.parametrize("content", RIGHT)
def test_a_file_that_ansible_takes_is_no_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "own.yml"
    path.write_bytes(content)
    assert inputs.problem([f"@{path}"], []) == ""


def test_files_that_ansible_passes_over_are_not_looked_at(tmp_path: Path) -> None:
    for name in (".own.yml", "keys.json", "group_vars/.own.yml", "group_vars/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("- no hosts")
    assert inputs.problem([], [str(tmp_path)]) == ""
    (tmp_path / "own.yml").write_text("- no hosts")
    assert "own.yml, line 1: it is a list" in inputs.problem([], [str(tmp_path)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("@/nowhere/own.yml", "-e @/nowhere/own.yml: there is no such file; expected YAML or JSON"),
        ("@", "it is a directory"),
        (f"@{Path(__file__).parent}", "it is a directory"),
        (f"@{__file__}/own.yml", "there is no such file"),
        ("@a\0b", "there is no such file"),
        ("@/dev/null/x", "there is no such file"),
        ('{"a": "canary-4711"', "-e, line 1: YAML cannot be parsed here"),
        ('{"a": 1, "a": "canary-4711"}', "the key 'a' is there twice"),
        ('["canary-4711"]', "it is a list"),
        ("app_replicas", "-e 'app_replicas' sets nothing; expected NAME=VALUE"),
        ("app_key: canary-4711", "-e 'app_key' sets nothing; expected NAME=VALUE"),
        ("app_key:canary-4711", "-e 'app_key' sets nothing"),
        ("a='canary-4711", "-e a=...: a quotation mark is not closed"),
        ("app_replicas = 5", "-e: 'app_replicas' sets nothing; expected NAME=VALUE"),
        ("app_replicas= 5", "-e: a word behind 'app_replicas' sets nothing"),
        ("app_replicas =5", "-e: 'app_replicas' sets nothing"),
        ("app_key=canary 4711 b=2", "-e: a word behind 'app_key' sets nothing; expected NAME=VALUE, with quotation"),
        ("a=1 b", "-e: a word behind 'a' sets nothing"),
        ("a=1\n b='x y'\n\n c={{ d | e }}", ""), ("a='b = c'", ""), (' a="b c"  d=', ""), ("a={{ b c=1", ""),
        ("a=1", ""), ("a='b c' d=2", ""), ('{"a": 1}', ""), ("", ""), ("@/dev/null", ""), ("a=it\\'s", ""),
    ],
)  # fmt: skip
def test_each_form_of_variables_is_looked_at(given: str, said: str) -> None:
    found = inputs.problem([given], [])
    assert said in found
    assert bool(said) == bool(found)
    assert SECRET not in found


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_nobody_may_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "own.yml"
    path.touch(0o000)
    assert "it can't be read (Permission denied)" in inputs.problem([f"@{path}"], [])


def test_every_way_to_write_the_options_is_known() -> None:
    words = [
        "-e",
        "a=1",
        "-eb=2",
        "-e=@c",
        "--extra-vars",
        "d=4",
        "--extra-vars=e=5",
        "--extra=f=6",
        "-CDe@g",
        "-i",
        "x",
    ]
    assert inputs.variables(words) == ["a=1", "b=2", "@c", "d=4", "e=5", "f=6", "@g"]
    assert inventories.values(["-i", "a", "-ib", "-i=c", "--inventory=d"], "-i", "--inventory") == ["a", "b", "c", "d"]


@pytest.mark.parametrize("verb", ["plan", "up", "logs"])
@pytest.mark.parametrize("flag", ["-e", "--extra-vars"])
def test_a_verb_ends_with_the_line_alone_and_starts_nothing(tmp_path: Path, verb: str, flag: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / "front.py"), verb, flag, "@nope.yml"]
    environment = {**os.environ, "PATH": "/nonexistent"}  # nothing can be started
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    expected = "sse: -e @nope.yml: there is no such file; expected YAML or JSON with variables and values"
    assert ended.stderr.startswith(expected)
    assert ended.stderr.count("\n") == 1
