"""`./sse publish` and `./sse listen` as programs: against a real replica, and against what is something else."""

from __future__ import annotations

import argparse
import json
import os
import re
import runpy
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lint import ROOT

sys.path += [str(ROOT / "app/tests"), str(ROOT / "clients/python/tests")]

# isort: split
import api_client
import containers
import listen
import sse_client
from sse_harness import Replicas
from strange_server import Server, answer, stream

LIMIT_SECONDS = 60
ID = r"\d+-[0-9a-f]{8}"


@contextmanager
def start(*words: str, stdin: Any = subprocess.DEVNULL, **environment: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, str(ROOT / "tools/front.py"), *words],
        env={**os.environ, **environment, "PYTHONWARNINGS": "error::ResourceWarning"},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()  # whatever a test found, it waits for nobody


def run(*words: str, given: str | None = None, **environment: str) -> tuple[int, str, str]:
    with start(*words, stdin=subprocess.PIPE if given is not None else subprocess.DEVNULL, **environment) as process:
        out, said = process.communicate(given, timeout=LIMIT_SECONDS)
    return process.returncode, out, said


def until_said(process: subprocess.Popen[str], words: str) -> None:
    for line in process.stderr or ():
        if words in line:
            return
    raise AssertionError(f"it ended before it said {words}")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Replicas(retry_milliseconds=100) as replicas:
        yield f"http://127.0.0.1:{replicas.port}"


def test_what_is_published_is_heard_at_once_as_lines_and_as_json(url: str) -> None:
    with (
        start("listen", "news", "n.*", "--url", url, "--count", "3") as plain,
        start("listen", "news", "--json", "--url", url, "--count", "2", "--event", "read") as machine,
    ):
        until_said(plain, "listening to news, n.*")
        until_said(machine, "listening to news")
        assert re.fullmatch(f"published to news: {ID}\n", run("publish", "news", '{"n": 1}', "--url", url)[1])
        assert run("publish", "n.x", "a \x1b[31mb", "--event", "read", "--url", url)[0] == 0
        code, out, said = run("publish", "news", "-", "--event", "read", "--url", url, "--json", given="é\nb\n")
        assert (code, said) == (0, "")
        stored = json.loads(out)
        assert stored["channel"] == "news"
        run("publish", "news", "[1", "--event", "read", "--url", url)
        heard, said = plain.communicate(timeout=LIMIT_SECONDS)
        shown = [line.partition("  ")[2] for line in heard.splitlines()]
        # Of several channels, each line names its own.
        assert shown == ['news  message  {"n":1}', "n.x  read  a \\x1b[31mb", "news  read  é\\nb"]
        assert re.fullmatch(rf"sse: 3 events in \d+ s; --last-event-id {stored['id']} goes on from here\n", said)
        documents = [json.loads(line) for line in machine.communicate(timeout=LIMIT_SECONDS)[0].splitlines()]
        assert documents[0] == {"event": "read", "id": stored["id"], "data": "é\nb"}
        assert [one["data"] for one in documents] == ["é\nb", "[1"]
    assert plain.returncode == machine.returncode == 0


def test_a_pattern_names_the_channel_of_each_event_in_json_too(url: str) -> None:
    with start("listen", "many.*", "--json", "--url", url, "--count", "2") as listening:
        until_said(listening, "listening to many.*")
        for one in ("many.a", "many.b"):
            assert run("publish", one, "1", "--url", url)[0] == 0
        found = [json.loads(line) for line in listening.communicate(timeout=LIMIT_SECONDS)[0].splitlines()]
    assert [one["channel"] for one in found] == ["many.a", "many.b"]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+Z", one["time"]) for one in found)


def test_ctrl_c_ends_it_with_0_and_one_line_that_sums_up(url: str) -> None:
    with start("listen", "quiet", "--url", url) as listening:
        until_said(listening, "listening to quiet")
        listening.send_signal(signal.SIGINT)
        out, said = listening.communicate(timeout=LIMIT_SECONDS)
    assert (listening.returncode, out) == (0, "")
    assert re.fullmatch(r"sse: 0 events in \d+ s; --last-event-id \S+ goes on from here\n", said)


def test_the_time_ends_it_with_0_and_with_1_where_events_were_asked_for(url: str) -> None:
    assert run("listen", "none", "--url", url, "--timeout", "0.5")[0] == 0
    code, _, said = run("listen", "none", "--url", url, "--timeout", "0.5", "--count", "2")
    assert code == 1
    assert "only 0 of 2 events came in time" in said


def test_a_gap_is_shown_and_is_a_finding(url: str) -> None:
    code, out, said = run("listen", "gone", "--last-event-id", "nonsense", "--timeout", "2", "--url", url)
    assert code == 2
    assert re.match(r"gap: the events after nonsense are lost \(malformed\); it goes on after ", out)
    assert "1 gap" in said
    code, out, _ = run("listen", "gone", "--last-event-id", "nonsense", "--timeout", "2", "--json", "--url", url)
    assert (code, json.loads(out)["event"], json.loads(out)["reason"]) == (2, "gap", "malformed")


def test_a_reader_that_leaves_ends_it_quietly(url: str) -> None:
    with start("listen", "pipe", "--url", url) as listening:
        until_said(listening, "listening to pipe")
        assert listening.stdout
        listening.stdout.close()
        for n in range(2):
            run("publish", "pipe", str(n), "--url", url)
        assert listening.wait(LIMIT_SECONDS) == 0
        assert listening.stderr
        assert listening.stderr.read() == ""


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b31m", "\x7f", "a\u2028b", "\u202e", "\U000e0001"])
def test_no_event_reaches_the_terminal_as_a_command_or_as_two_lines(text: str) -> None:
    event = sse_client.Message(text, text, "1-a")
    assert listen.line(event, as_json=False).isprintable()
    shown = listen.line(event, as_json=True)
    assert shown.isprintable()
    assert json.loads(shown) == {"event": text, "data": text, "id": "1-a"}


def test_no_time_ago_is_before_1970() -> None:
    assert listen.moment("999999999d") == 0.0
    assert float(listen.moment("10m")) > 1e9


def test_a_key_stores_an_event_once_and_a_text_stays_a_text(url: str) -> None:
    words = ("publish", "once", "007", "--key", "k-1", "--json", "--url", url)
    ids = {json.loads(run(*words)[1])["id"] for _ in range(2)}
    assert len(ids) == 1
    run("publish", "once", '{"a":  1}', "--text", "--url", url)
    with sse_client.Client(url) as client:
        assert [one.data for one in client.history("once").events] == ["007", '{"a":  1}']


REFUSED = {
    "a channel": (("publish", "ne ws", "1"), "'ne ws' is not a channel: expected 1 to 200"),
    "a pattern": (("publish", "news.*", "1"), "'news.*' is a pattern"),
    "a misspelt option": (("listen", "news", "--jsn"), "--jsn: did you mean '--json'?"),
    "a misspelt option of publish": (("publish", "news", "1", "--evnt", "x"), "did you mean '--event'?"),
    "a misspelt place": (("listen", "news", "--from", "earlist"), "choose from"),
    "two beginnings": (("listen", "news", "--last", "1", "--since", "10m"), "not allowed with"),
    "a time": (("listen", "news", "--since", "yesterday"), "expected how long ago (90s, 10m, 2h, 1d)"),
    "a time without zone": (("listen", "news", "--since", "2026-01-31T12:00:00"), "a time with its zone"),
    "no count": (("listen", "news", "--count", "0"), "expected a number of events, 1 or more"),
    "no time": (("publish", "news", "1", "--timeout", "soon"), "expected seconds, such as 30 or 0.5"),
    "a name twice": (("publish", "news", '{"a": 1, "a": 2}'), "'a' twice"),
    "no address": (("listen", "news", "--url", "localhost"), "--url: found 'localhost'; expected an address"),
    "two places": (("listen", "news", "--url", "http://h", "-i", "x"), "two places"),
    "no file": (("listen", "news", "--url", "http://h", "--token-file", "none"), "none cannot be read: No such file"),
    "no key": (("publish", "news", "1", "--url", "http://h", "--key", "a b"), "key: found 'a b'"),
    "an empty key": (("publish", "news", "1", "--url", "http://h", "--key", ""), "key: found ''; expected 1 to 200"),
    "a password": (
        ("listen", "news", "--url", "http://u:p@h"),
        "give the credential by --token-file FILE or in SSE_TOKEN",
    ),
    "no authority": (("listen", "news", "--url", "https://h", "--cafile", "none"), "none: this is no PEM file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused_with_what_was_expected(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (verb, *words), shown = REFUSED[name]
    tool = str(ROOT / f"tools/{verb}.py")
    monkeypatch.setattr(sys, "argv", [tool, *words])
    with pytest.raises(SystemExit) as refused:
        runpy.run_path(tool, run_name="__main__")
    printed = capsys.readouterr()
    assert refused.value.code == 1 or isinstance(refused.value.code, str)
    assert printed.out == ""
    assert shown in f"{printed.err}{refused.value.code}"


WRONG: dict[str, tuple[list[bytes], str]] = {
    "a page": (answer(200, "<title>Sign in</title>", "text/html"), "text/html, which begins with '<title>Sign in"),
    "no credential": (
        answer(401, '{"detail": "a credential is needed"}', "application/problem+json"),
        "401: a credential is needed. Give a credential by --token-file FILE or in SSE_TOKEN.",
    ),
    "not allowed": (answer(403, '{"detail": "not news"}', "application/problem+json"), "403: not news. The credential"),
    "another program": (answer(404, "nothing here"), "404: "),
}


@pytest.mark.parametrize("verb", ["publish", "listen"])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_the_platform_is_said_in_plain_words(verb: str, name: str) -> None:
    given, shown = WRONG[name]
    with Server([given]) as server:
        code, out, said = run(
            verb, "news", *(["1"] if verb == "publish" else []), "--url", server.url, SSE_TOKEN="x.geheim"
        )
    assert (code, out) == (1, "")
    assert shown in said
    assert "Traceback" not in said
    assert "geheim" not in said
    assert server.asked[0].headers["authorization"] == "Bearer x.geheim"


def test_a_certificate_that_is_not_trusted_names_the_option_that_trusts_it() -> None:
    said = api_client.said(sse_client.UntrustedError("localhost", "self-signed certificate"))
    assert said == (
        "sse: localhost is not trusted: self-signed certificate. --cafile FILE trusts the authority in a PEM file."
    )


def test_where_nobody_answers_it_says_so_and_how_to_go_on() -> None:
    code, _, said = run("publish", "news", "1", "--url", "http://127.0.0.1:1", "--timeout", "0.5")
    assert code == 1
    assert "gave no answer: Connection refused. ./sse status shows what runs" in said
    code, _, said = run("listen", "news", "--url", "http://127.0.0.1:1", "--timeout", "0.5")
    assert code == 1
    assert "no stream came about in 0.5 s. ./sse status shows what runs" in said
    with Server([answer(503, '{"status": 503, "outcome": "unknown"}', "application/problem+json")]) as server:
        code, _, said = run("publish", "news", "1", "--url", server.url, "--timeout", "0.5", "--key", "k-2")
    assert code == 1
    assert "may be stored or not" in said
    assert "--key k-2" in said


def test_a_credential_from_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old.one\n")

    def change(_: object) -> list[bytes]:
        file.write_text("new.one\n")
        return answer(401)

    with Server([change, stream("id: 1-a\ndata: x\n\n")]) as server:
        code, out, _ = run("listen", "news", "--url", server.url, "--token-file", str(file), "--count", "1")
    assert (code, out) == (0, "1-a  message  x\n")
    assert [one.headers["authorization"] for one in server.asked] == ["Bearer old.one", "Bearer new.one"]


# A stand-in for ssh: it carries out a command, or connects its input and output to what -W names.
SSH = """#!PYTHON
import os, socket, subprocess, sys, threading
words = sys.argv[1:]
if "-W" not in words:
    sys.exit(subprocess.call(["sh", "-c", words[-1]]))
host, port = words[words.index("-W") + 1].rsplit(":", 1)
other = socket.create_connection((host, int(port)))
def pump(read, write):
    while part := read():
        write(part)
threading.Thread(target=pump, args=(lambda: os.read(0, 65536), other.sendall), daemon=True).start()
pump(lambda: other.recv(65536), lambda part: os.write(1, part))
"""
DOCKER = """#!/bin/sh
case "$*" in
*" ps "*) printf 'sse-nginx\\tnginx\\tnginx\\n' ;;
*inspect*) printf ':: 1\\n0.0.0.0 %s\\n\\n' "$PORT" ;;
esac
"""


@pytest.mark.parametrize("remote", [False, True], ids=["here", "over SSH"])
def test_the_stack_of_a_host_is_reached_by_its_loopback_and_through_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, remote: bool
) -> None:
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=nobody"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "crt")]
    subprocess.run(["openssl", *made, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    for name, text in {"docker": DOCKER, "ssh": SSH.replace("PYTHON", sys.executable)}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    ssh = ("ssh", "-p", "22", "vm") if remote else ()
    monkeypatch.setattr(containers, "host", lambda _: containers.Host(ssh=ssh, sudo=(), stack="sse", name="box"))
    options = argparse.Namespace(url=None, cafile=None, token_file=None, inventory=[], limit=None)
    with Server([stream("retry: 10\nid: 1-a\ndata: x\n\n")], tls=context) as server:
        monkeypatch.setenv("PORT", str(server.port))
        with api_client.client(options) as client, client.stream("news") as events:
            for _ in range(2):  # through a connection of its own each
                assert next(events) == sse_client.Message("message", "x", "1-a")
    assert server.asked[0].headers["host"] == "localhost"
