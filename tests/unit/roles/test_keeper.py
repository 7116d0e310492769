"""What the keeper of certificates believes of a directory, when it asks, and what stays in place when it fails."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keeper
import pytest
from ansible_collections.sse.platform.tests import certificates

NAME = "events.example.test"
DIRECTORY = {name: f"https://localhost/{name}" for name in keeper.NEEDED}
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def says(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        with contextlib.suppress(OSError):  # who has enough hangs up
            request.wfile.write(body)

    return answer


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    made = tmp_path_factory.mktemp("authority")
    pair = made / "localhost.pem", made / "localhost.key"
    certificates.make(*pair, extensions=["subjectAltName=DNS:localhost"])
    return pair


@contextlib.contextmanager
def directory(authority: tuple[Path, Path], answer: Answer) -> Iterator[str]:
    """Serve one answer over TLS; yield its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"https://localhost:{server.server_address[1]}/dir"
    finally:
        server.shutdown()
        server.server_close()


def make(path: Path, *, name: str = NAME, days: int = 2) -> str:
    """Write key and certificate into one file; return its text."""
    chain, key = path.with_suffix(".crt"), path.with_suffix(".key")
    certificates.make(chain, key, days=days, extensions=[f"subjectAltName=DNS:{name}"])
    path.write_text(f"{key.read_text()}\n{chain.read_text()}")
    return path.read_text()


@pytest.fixture
def wanted(tmp_path: Path, authority: tuple[Path, Path]) -> Any:
    places = {name: tmp_path / name for name in ("state", "serving", "challenges")}
    for place in places.values():
        place.mkdir()
    make(tmp_path / "own.pem", name="localhost")
    return keeper.Options(
        directory="https://localhost/dir",
        email="admin@example.test",
        names=(NAME,),
        challenge="dns-01",  # no NGINX is asked
        dns_provider="manual",
        private=True,
        authorities=str(authority[0]),
        proxy="localhost:1",
        own=tmp_path / "own.pem",
        credentials=tmp_path / "none.json",
        state=places["state"],
        serving=places["serving"] / "tls.pem",
        challenges=places["challenges"],
    )


@pytest.fixture
def lego(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Replace lego by a script that copies a certificate which the test made."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")

    def gives(name: str = NAME, script: str = "", *, days: int = 2, stranger: bool = False) -> str:
        text = make(tmp_path / "given.pem", name=name, days=days)
        if stranger:
            make(tmp_path / "other.pem")
            shutil.copy(tmp_path / "other.key", tmp_path / "given.key")
        folder = tmp_path / "state/certificates"
        copies = "".join(f"cp {tmp_path}/given.{end} {folder}/{NAME}.{end}\n" for end in ("crt", "key"))
        program = programs / "lego"
        program.write_text(f"#!/bin/sh\nmkdir -p {folder}\n{script or copies}")
        program.chmod(0o755)
        return text

    monkeypatch.setattr(keeper, "look_at_directory", lambda _: None)
    return gives


def test_the_hosts_own_certificate_serves_until_there_is_another(wanted: Any) -> None:
    one = keeper.Keeper(wanted)
    one.serve_own()
    assert wanted.serving.read_text() == wanted.own.read_text()
    assert wanted.serving.stat().st_mode & 0o777 == 0o600
    assert one.wait(time.time()) == 0
    text = make(wanted.own, name="renewed.example.test")  # the host made another one
    one.serve_own()
    assert wanted.serving.read_text() == text


def test_a_good_certificate_is_placed_and_known_after_a_restart(wanted: Any, lego: Callable[..., str]) -> None:
    given = lego()
    one = keeper.Keeper(wanted)
    one.serve_own()
    one.renew()
    assert one.problems() == []
    assert wanted.serving.read_text().split() == given.split()
    again = keeper.Keeper(wanted)
    again.serve_own()
    assert wanted.serving.read_text().split() == given.split()
    assert again.wait(time.time()) == keeper.LOOK_SECONDS  # two thirds of two days are more
    assert "sse_acme_issued 1" in again.metrics()


def test_it_is_renewed_when_a_third_is_left_and_where_other_names_are_wanted(
    wanted: Any, lego: Callable[..., str]
) -> None:
    lego(days=3)
    one = keeper.Keeper(wanted)
    one.renew()
    now = time.time()
    assert one.wait(now + 1.9 * 86400) > 0
    assert one.wait(now + 2.1 * 86400) == 0
    assert keeper.Keeper(wanted._replace(names=(NAME, "more.example.test"))).wait(now) == 0
    assert keeper.Keeper(wanted._replace(directory="https://other/dir")).wait(now) == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "other.example.test"}, f"not for {NAME}"),
        ({"stranger": True}, "no certificate with its key"),
        ({"script": "echo the order is invalid; exit 1\n"}, "the order is invalid"),
        ({"script": "kill -9 $$\n"}, "memory is short"),
        ({"script": "exit 0\n"}, "wrote no certificate"),
        ({"script": f"head -c 5000000 /dev/zero > $0.{NAME}.big\n"}, "gave no certificate"),
    ],
)
def test_what_does_not_fit_leaves_the_last_good_one_in_its_place(
    wanted: Any, lego: Callable[..., str], given: dict[str, Any], said: str
) -> None:
    lego()
    one = keeper.Keeper(wanted)
    one.renew()
    before = wanted.serving.read_text()
    shutil.rmtree(wanted.state / "certificates")
    lego(**given)
    one.renew()
    assert said in one.problems()[0]
    assert wanted.serving.read_text() == before
    one.serve_own()
    assert wanted.serving.read_text() == before


def test_failures_are_tried_again_later_and_later_also_after_a_restart(wanted: Any, lego: Callable[..., str]) -> None:
    lego(script="exit 1\n")
    waits: list[float] = []
    for _ in range(4):
        one = keeper.Keeper(wanted)
        one.renew()
        waits.append(round(one.wait(time.time()), -1))
    assert waits == [300, 600, 1200, 2400]
    assert keeper.Keeper(wanted).problems() != []


def test_a_program_that_takes_too_long_is_ended(
    wanted: Any, lego: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "ASK", 0.2)
    lego(script="sleep 60\n")
    with pytest.raises(keeper.KeeperError, match="within"):
        keeper.ask(wanted)


def trickles(request: http.server.BaseHTTPRequestHandler) -> None:
    with contextlib.suppress(OSError):
        while True:
            request.wfile.write(b"X")
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(json.dumps(DIRECTORY).encode()), ""),
        (says(b"", 302, Location="https://localhost/elsewhere"), "status 302"),
        (says(b"[" * 60000), "is no ACME directory"),
        (says(b"{}"), "is no ACME directory"),
        (says(b" " * 1_000_000), "more than 65536 bytes"),
        (says(json.dumps({**DIRECTORY, "newOrder": "http://localhost/x"}).encode()), "is no https address"),
        (trickles, "took longer than"),
    ],
)
def test_a_directory_is_looked_at_before_lego_believes_it(
    wanted: Any, authority: tuple[Path, Path], answer: Answer, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LOOK_AT_DIRECTORY", 1)
    with directory(authority, answer) as address:
        one = wanted._replace(directory=address)
        if not said:
            keeper.look_at_directory(one)
            return
        with pytest.raises(keeper.KeeperError, match=said):
            keeper.look_at_directory(one)


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:99999/o",
        "https://localhost:abc/",
        "https://localhost:0/",
        "https://a..b/",
        f"https://{'a' * 64}.example/",
        "https://[x/",
        "https:///x",
        "https://localhost/\xe4",
        "https://localhost/?\xe4",
        "https://localhost/\ud800",
        "https://local\ud800host/",
    ],
)
def test_an_address_that_makes_no_sense_is_a_failure_that_counts(
    wanted: Any, authority: tuple[Path, Path], url: str
) -> None:
    with directory(authority, says(json.dumps({**DIRECTORY, "newOrder": url}).encode())) as address:
        for one in (wanted._replace(directory=address), wanted._replace(directory=url, state=wanted.challenges)):
            kept = keeper.Keeper(one)
            kept.renew()
            assert "is no https address" in kept.problems()[0]
            assert kept.known["failures"] == 1
            assert kept.problem.encode()  # else printing it would end the keeper
            assert kept.wait(time.time()) > 200


def test_whatever_a_directory_leads_to_is_a_failure_that_counts(wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Any) -> None:
        raise UnicodeError("label too long")

    monkeypatch.setattr(keeper, "look_at_directory", fails)
    one = keeper.Keeper(wanted)
    one.renew()
    assert (one.known["failures"], one.known["problem"]) == (1, "label too long")


def test_a_private_address_is_refused_unless_it_is_allowed(wanted: Any, authority: tuple[Path, Path]) -> None:
    with directory(authority, says(b"{}")) as address, pytest.raises(keeper.KeeperError, match="acme_private"):
        keeper.look_at_directory(wanted._replace(directory=address, private=False))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("64:ff9b::808:808", True), ("10.0.0.1", False),
        ("169.254.169.254", False), ("::ffff:10.0.0.1", False), ("2002:a00:1::", False), ("64:ff9b::a00:1", False),
        ("224.0.0.1", False), ("fe80::1%eth0", False),
    ],
)  # fmt: skip
def test_an_address_that_holds_a_private_one_is_private(address: str, public: bool) -> None:
    assert keeper.is_public(address) is public


@pytest.mark.parametrize("text", ["canary", "[]", '["canary"]', '{"../canary": "x"}', "[" * 100_000, ""])
def test_credentials_that_make_no_sense_are_a_problem_that_shows_none_of_them(
    wanted: Any, tmp_path: Path, text: str
) -> None:
    wanted.credentials.parent.mkdir(exist_ok=True, parents=True)
    wanted.credentials.write_text(text)
    with pytest.raises(keeper.KeeperError, match="acme_dns_credentials_file") as found:
        keeper.environment_of(wanted._replace(challenge="dns-01"), str(tmp_path))
    assert "canary" not in str(found.value)


def test_a_directory_that_nobody_vouches_for_is_refused(wanted: Any, authority: tuple[Path, Path]) -> None:
    with directory(authority, says(b"{}")) as address, pytest.raises(keeper.KeeperError, match="CERTIFICATE_VERIFY"):
        keeper.look_at_directory(wanted._replace(directory=address, authorities=""))


def test_credentials_reach_lego_as_files_and_not_in_its_environment(wanted: Any, tmp_path: Path) -> None:
    credentials = tmp_path / "dns.json"
    credentials.write_text('{"PROVIDER_TOKEN": "canary"}')
    found = keeper.environment_of(wanted._replace(credentials=credentials), str(tmp_path))
    assert "canary" not in json.dumps(found)
    token = Path(found["PROVIDER_TOKEN_FILE"])
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("canary", 0o600)
