"""A search in logs: JSON is understood, other lines are kept as they are, and what is not known is not hidden."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import log_lines
import logs
import pytest
from log_lines import Filter, FilterError

REQUEST = "4bf92f3577b34da6a3ce929d0e0e4736"
KAFKA = "[2026-11-29 04:00:00,000] ERROR Error while reading checkpoint (kafka.server.Log)"


def line(**fields: object) -> str:
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (line(level="info", message="an error that is over"), "info"),
        (line(level="WARNING"), "warning"),
        (line(severity="fatal"), "critical"),
        (line(status=200, path="/"), "info"),
        (line(status=404), "warning"),
        (line(status=503), "error"),
        (line(level="odd"), ""),
        (KAFKA, "error"),
        ("[2026-11-29 04:00:00,000] INFO [Broker id=1] it had an ERROR before", "info"),
        ("2026/11/29 04:00:00 [crit] 7#7: *1 connect() failed", "critical"),
        ('ts=2026-11-29 caller=main.go:1 level=warn msg="slow"', "warning"),
        ("1:M 29 Nov 2026 04:00:00.000 # WARNING: overcommit", "warning"),
        ("1:M 29 Nov 2026 04:00:00.000 * Ready to accept connections", "info"),
        ('  File "app.py", line 7, in main', ""),
        ("hello", ""),
        ("{broken", ""),
        ("[" * 5000, ""),
        ("", ""),
    ],
)
def test_the_level_is_read_as_each_program_writes_it(text: str, level: str) -> None:
    assert log_lines.level_of(log_lines.parsed(text), text) == level


def test_a_level_takes_worse_ones_and_lines_that_name_none() -> None:
    wanted = log_lines.made(None, "Warn", None)
    shown = [one for one in (line(level="info"), line(level="error"), KAFKA, "  trace of it") if wanted.takes(one)]
    assert shown == [line(level="error"), KAFKA, "  trace of it"]


def test_a_request_is_found_in_json_and_in_text_and_no_other_one_is() -> None:
    wanted = log_lines.made(None, None, REQUEST)
    taken = (line(request_id=REQUEST), line(trace_id=REQUEST.upper()), f"request {REQUEST}: timed out")
    left = (line(request_id=f"{REQUEST}0"), f"x{REQUEST}", line(request_id="other"), "plain")
    assert all(wanted.takes(one) for one in taken)
    assert not any(wanted.takes(one) for one in left)


def test_a_pattern_is_looked_for_in_the_line_and_in_what_json_says() -> None:
    wanted = log_lines.made('caf\u00e9|a "b"', None, None)
    assert wanted.takes(line(message="caf\u00e9"))  # written as caf\\u00e9
    assert wanted.takes(line(message='a "b"'))
    assert not wanted.takes("tea")


def test_filters_hold_together() -> None:
    wanted = log_lines.made("disk", "error", REQUEST)
    assert wanted.takes(line(level="error", message="disk", request_id=REQUEST))
    assert not wanted.takes(line(level="info", message="disk", request_id=REQUEST))
    assert not wanted.takes(line(level="error", message="net", request_id=REQUEST))
    assert not Filter().is_set
    assert Filter().takes("anything")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("[", None, None), "--grep '[' is no regular expression: unterminated character set"),
        (("a{99999999999}", None, None), "is no regular expression"),
        ((None, "loud", None), "--level 'loud': expected one of debug, info, warning, error, critical"),
        ((None, None, "a b"), "--request-id 'a b': expected an id"),
        ((None, None, "x" * 300), "--request-id"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(given: tuple[str | None, ...], said: str) -> None:
    with pytest.raises(FilterError) as refused:
        log_lines.made(*given)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("10m", "10m"),
        ("1h30m", "1h30m"),
        ("1.5h", "1.5h"),
        ("500ms", "500ms"),
        ("1d", "24h"),
        ("2d12h", "48h12h"),  # Go adds parts of one unit
        ("1d2h3m4.5s6ms", "24h2h3m4.5s6ms"),
        ("0", "0"),
        ("1767225600", "1767225600"),
        ("1767225600.5", "1767225600.5"),
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T12", "2026-01-31T12"),
        ("2026-01-31T12:00", "2026-01-31T12:00"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31t12:00:00.123456789z", "2026-01-31T12:00:00.123456789Z"),
        ("2026-01-31 12:00:00+02:00", "2026-01-31T12:00:00+02:00"),
    ],
)
def test_a_time_is_handed_to_the_engine_as_it_takes_it(given: str, taken: str) -> None:
    assert log_lines.since(given) == taken


@pytest.mark.parametrize(
    "given",
    [
        *("", "yesterday", "10 minutes", "-10m", "1w", "m", "9999999h", "0.5d", "1e3s", "\u0661h"),
        *("2026-02-30", "2026-01-31T25:00", "2026-01-31T12:00:00+25:00", "31.01.2026", "12:00", "2026-01-31Z"),
    ],
)
def test_what_is_no_time_is_refused_before_anything_is_read(given: str) -> None:
    with pytest.raises(FilterError, match=r"--since '.*': expected how long ago \(90s, 10m, 1h30m, 2d\)"):
        log_lines.since(given)


class Host:
    """A host on which each container's log is read by a shell."""

    def __init__(self, **commands: str) -> None:
        self.commands = commands
        self.asked: list[tuple[str, ...]] = []
        self.limit: str | None = None
        self.of_cluster = False

    def containers(self, _: list[str]) -> list[Any]:
        return [SimpleNamespace(short=name, name=name) for name in self.commands]

    services = containers

    def start(self, *arguments: str, errors: int | None = None) -> subprocess.Popen[str]:
        self.asked.append(arguments)
        command = ["sh", "-c", self.commands[arguments[-1]]]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)

    def lines(self, started: subprocess.Popen[str]) -> Any:
        return started.stdout


def asked_for(monkeypatch: pytest.MonkeyPatch, host: Host, *words: str) -> int:
    def chosen(options: argparse.Namespace, *, of_cluster: bool) -> Host:
        host.limit, host.of_cluster = options.limit, of_cluster
        return host

    monkeypatch.setattr(logs.containers, "host", chosen)
    monkeypatch.setattr(sys, "argv", ["logs.py", *words])
    return logs.main()


def test_a_time_that_cannot_be_meant_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host(app="echo 2026 a")
    with pytest.raises(SystemExit):
        asked_for(monkeypatch, host, "--since", "yesterday", "--grep", "a")
    assert capsys.readouterr().err.endswith("or seconds since 1970. Nothing was read.\n")
    assert host.asked == []
    assert asked_for(monkeypatch, host, "--since", "2d") == 0
    assert host.asked == [("logs", "--timestamps", "--tail", "100", "--since", "48h", "app")]


def test_the_logs_of_a_cluster_are_those_of_its_services_by_a_manager(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hosts.ini").write_text("[managers]\na\n")
    for words, limit in (([], "managers[0]"), (["-l", "b"], "b")):
        host = Host(app="echo 2026 a")
        assert asked_for(monkeypatch, host, "-i", str(tmp_path), *words) == 0
        assert (host.limit, host.of_cluster) == (limit, True)
        assert host.asked == [("service", "logs", "--raw", "--timestamps", "--tail", "100", "app")]


def test_a_log_that_could_not_be_read_is_no_log_without_such_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = "echo no such container >&2; exit 1"
    assert asked_for(monkeypatch, Host(app="echo 2026 fine", redis=broken), "--grep", "timeout") == 1
    assert capsys.readouterr() == ("", "sse: not read: redis; without the filter you see why\n")
    assert asked_for(monkeypatch, Host(app="echo 2026 fine"), "--grep", "timeout") == 0
    assert capsys.readouterr() == ("", "sse: no line of these logs is what you asked for\n")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /\x1b[2J\x1b]0;title\x07 done", r"GET /\x1b[2J\x1b]0;title\x07 done"),
        ("\x1b[1;31mERROR\x1b[0m\tred", "\x1b[1;31mERROR\x1b[0m\tred"),
        ("left\rright\x08\x7f\x9b2J", r"left\rright\x08\x7f\x9b2J"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("größe 漢字 ✓", "größe 漢字 ✓"),
        ("of Windows\r", "of Windows"),
    ],
)
def test_a_terminal_carries_out_nothing_of_a_log_but_its_colours(
    text: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for terminal, expected in ((True, shown), (False, text)):  # a program that reads it gets it as it is
        monkeypatch.setattr(sys.stdout, "isatty", lambda terminal=terminal: terminal)
        logs.show("app", text, 3)
        assert capsys.readouterr().out == f"app | {expected}\n"
