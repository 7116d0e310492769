"""How `./sse publish` and `./sse listen` reach the API of a stack, and what they say where that does not work."""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import containers

sys.path.insert(0, str(containers.ROOT / "clients" / "python"))
sys.path.append(str(containers.ROOT / "app"))

# isort: split
import sse_client
from sse_app.base import channels
from sse_client import Client

WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what others bind to  # nosec B104
TOKEN_VARIABLE = "SSE_TOKEN"  # noqa: S105 - the name of a variable
WAYS_ON = {
    401: "Give a credential by --token-file FILE or in SSE_TOKEN. docs/authorization.md says how to make one.",
    403: "The credential does not cover this. docs/authorization.md says what a credential allows.",
    404: "Is this the address of the platform? --url takes it without a path, such as https://sse.example.org.",
    429: "Try again later: docs/authorization.md has the limits.",
}


def parser() -> argparse.ArgumentParser:
    """Return a parser with the options by which both verbs find the API and its credential."""
    made = containers.parser()
    made.add_argument("--url", help="use the API at this address, such as https://sse.example.org, not a host")
    made.add_argument("--cafile", type=Path, help="trust the authority in this PEM file for --url, too")
    made.add_argument(
        "--token-file", type=Path, help=f"read the credential from this file (default: the variable {TOKEN_VARIABLE})"
    )
    made.add_argument("--json", action="store_true", help="print one JSON document on each line, for a program")
    return made


def require_channels(names: list[str], *, patterns: bool) -> None:
    """Refuse what is no channel, before anything is asked."""
    try:
        found = channels.parse(names)
    except ValueError as error:
        raise SystemExit(f"sse: {error}. Nothing was done.") from None
    if found.prefixes and not patterns:
        raise SystemExit(f"sse: {names[0]!r} is a pattern: an event is published to one channel. Nothing was done.")


@contextmanager
def client(options: argparse.Namespace) -> Generator[Client]:
    """Give a client of the API: at --url, or of the stack on the host that the options choose."""
    token = credential(options.token_file)
    if options.url:
        if options.inventory or options.limit:
            raise SystemExit("sse: --url and an inventory are two places: give one of them. Nothing was done.")
        with elsewhere(options, token) as made:
            yield made
        return
    if options.cafile:
        raise SystemExit("sse: --cafile is for --url: what reaches a host by SSH or its loopback needs none.")
    host = containers.host(options)
    host.say_where(options)
    address, port = published(host)
    with (
        way(host, address, port) as there,
        Client("https://localhost", token=token, tls=own(), connect_to=there) as made,
    ):
        yield made


def elsewhere(options: argparse.Namespace, token: sse_client.client.Token | None) -> Client:
    """Return a client of --url."""
    tls = ssl.create_default_context()
    try:
        if options.cafile:
            tls.load_verify_locations(options.cafile)
    except (OSError, ssl.SSLError) as error:
        raise SystemExit(f"sse: {options.cafile}: this is no PEM file of certificates: {error}") from None
    if "@" in re.split(r"[/?#]", options.url.partition("://")[2], maxsplit=1)[0]:
        raise SystemExit(
            "sse: --url: an address with a password in it is not taken: give the credential by --token-file FILE or in "
            f"{TOKEN_VARIABLE}. Nothing was done."
        )
    try:
        return Client(options.url, token=token, tls=tls)
    except ValueError as error:
        raise SystemExit(f"sse: --{error}. Nothing was done.") from None


def credential(path: Path | None) -> sse_client.client.Token | None:
    """Return the credential; that of a file is read again when the service does not take it any more."""
    if path is None:
        return os.environ.get(TOKEN_VARIABLE) or None

    def read() -> str:
        try:
            text = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(f"sse: {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if not text or len(text.split()) > 1:
            raise SystemExit(f"sse: {path}: expected one credential, found {len(text.split())} words")
        return text

    read()
    return read


def own() -> ssl.SSLContext:
    """TLS that takes the certificate as it is: the connection ends on the host itself, by its loopback or by SSH."""
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls


def published(host: containers.Host) -> tuple[str, int]:
    """Return where NGINX of the stack answers by HTTPS, as the host itself reaches it."""
    [nginx, *_] = host.containers(["nginx"])
    form = '{{range index .NetworkSettings.Ports "443/tcp"}}{{.HostIp}} {{.HostPort}}{{"\\n"}}{{end}}'
    lines = host.output("inspect", "--format", form, nginx.name).split("\n")
    bound = sorted((line for line in lines if line.strip()), key=lambda line: ":" in line)  # IPv4 first
    if not bound:
        raise SystemExit(f"sse: {nginx.name} does not run, or publishes no port. ./sse doctor finds out why.")
    address, _, port = bound[0].rpartition(" ")
    return WILDCARDS.get(address, address), int(port)


@contextmanager
def way(host: containers.Host, address: str, port: int) -> Generator[tuple[str, int] | Callable[[], socket.socket]]:
    """Give what to connect to: the address itself, or a function that connects to it through SSH, as Ansible does."""
    if not host.ssh:
        yield address, port
        return
    *ssh, target = host.ssh
    started: list[subprocess.Popen[bytes]] = []

    def dial() -> socket.socket:
        ours, theirs = socket.socketpair()
        there = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        with theirs:
            end = theirs.fileno()
            started.append(subprocess.Popen([*ssh, "-W", there, target], stdin=end, stdout=end))
        return ours

    try:
        yield dial
    finally:
        for one in started:
            one.terminate()
            one.wait()


def said(error: sse_client.SseError) -> str:
    """Return an error with the way on."""
    on = WAYS_ON.get(error.status, "") if isinstance(error, sse_client.RefusedError) else ""
    if isinstance(error, sse_client.UntrustedError):
        return f"sse: {error.host} is not trusted: {error.reason}. --cafile FILE trusts the authority in a PEM file."
    if isinstance(error, sse_client.UnreachableError):
        on = "./sse status shows what runs, and ./sse doctor finds out what is wrong."
    return f"sse: {error}" + (f"{'' if str(error).endswith('.') else '.'} {on}" if on else "")


def whole(text: str, least: int = 0) -> int:
    """Read a number of events."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < least:
        raise argparse.ArgumentTypeError(f"found '{text}'; expected a number of events, {least} or more")
    return int(text)


def count(text: str) -> int:
    """Read a number of events that is not 0."""
    return whole(text, 1)


def seconds(text: str) -> float:
    """Read a time to wait."""
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text) or not float(text):
        raise argparse.ArgumentTypeError(f"found '{text}'; expected seconds, such as 30 or 0.5")
    return float(text)


def on_one_line(text: str) -> str:
    """Return a text without anything that a terminal would carry out, or that would begin a new line."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def as_json(document: dict[str, Any]) -> str:
    """Return a document as one line of JSON, which escapes what a terminal would carry out, and every end of a line."""
    text = json.dumps(document, ensure_ascii=False)
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def write(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
