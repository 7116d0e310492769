# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Keep a certificate from an ACME directory (RFC 8555) where NGINX reads it: ask for it, check it, place it, renew it.

`lego` speaks ACME. This program decides when it runs and how long, believes nothing that comes back, and places a
certificate in one step. Whatever goes wrong, the last good certificate stays in its place: at first the one that the
host made for itself. What went wrong is told at /problems and as a metric.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import http.server
import ipaddress
import json
import math
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import account

LOOK_SECONDS = 86400  # at least once a day
LEFT = 1 / 3  # of the lifetime: then it is renewed
# After a failure. Let's Encrypt takes five failed attempts an hour for one name: these are four.
FIRST_RETRY, LAST_RETRY = 300, 6 * 3600
DIRECTORY_BYTES = 65536  # a directory has some 1 KB
# lego is the first to end where memory is short, and writes no file above 1 MiB.
BOUNDED = ["choom", "-n", "1000", "--", "prlimit", "--fsize=1048576", "--"]
LOOK_AT_DIRECTORY, ASK, PROXY_ANSWERS = 20, 300, 60  # seconds
REGISTER, NONCES = 60, 5  # seconds, and how often a directory may say that a nonce is used up (RFC 8555, section 6.5)
NEEDED = ("newNonce", "newAccount", "newOrder")  # in a directory (RFC 8555, section 7.1.1)
PORT = 9120
NAME = re.compile(r"[A-Z][A-Z0-9_]*")  # of a variable of lego, which becomes the name of a file
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


class KeeperError(Exception):
    """There is no new certificate; the message says why, in one line."""


class Options(NamedTuple):
    """What the settings ask for, and where files are."""

    directory: str
    email: str
    names: tuple[str, ...]
    challenge: str  # http-01 or dns-01
    dns_provider: str
    private: bool  # the directory may have a private address
    authorities: str  # file with the certificates of the authorities that the directory's own may come from
    proxy: str  # host:port of the NGINX that answers challenges
    eab_kid: str = ""  # the name of the customer at a directory that binds accounts to its customers
    own: Path = Path("/run/own/tls.pem")  # the host's own certificate
    credentials: Path = Path("/run/dns/credentials.json")
    eab_hmac: Path = Path("/run/eab/hmac")
    state: Path = Path("/var/lib/acme/state")
    serving: Path = Path("/var/lib/acme/serving/tls.pem")
    challenges: Path = Path("/var/lib/acme/challenges")


class Certificate(NamedTuple):
    """What counts of a certificate. Times are in seconds since the epoch."""

    begins: float
    ends: float
    names: frozenset[str]

    @property
    def due(self) -> float:
        """When it is to be renewed."""
        return self.ends - (self.ends - self.begins) * LEFT


def options(environment: Mapping[str, str]) -> Options:
    """Read the settings."""
    return Options(
        directory=environment["ACME_DIRECTORY"],
        email=environment["ACME_EMAIL"],
        names=tuple(environment["ACME_NAMES"].split(",")),
        challenge=environment["ACME_CHALLENGE"],
        dns_provider=environment.get("ACME_DNS_PROVIDER", ""),
        private=environment.get("ACME_PRIVATE") == "true",
        authorities=environment.get("ACME_AUTHORITIES", ""),
        proxy=environment["ACME_PROXY"],
        eab_kid=environment.get("ACME_EAB_KID", ""),
    )


def read(path: Path) -> Certificate:
    """Read the first certificate of a file, and see that the key in it fits.

    :raises KeeperError: it is no certificate, or the key is of another one
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
        facts: dict[str, Any] = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]  # noqa: SLF001
    except (OSError, ValueError) as error:
        raise KeeperError(f"it is no certificate with its key ({error})") from None
    times = [float(ssl.cert_time_to_seconds(facts[key])) for key in ("notBefore", "notAfter")]
    names = frozenset(str(value).lower() for __, value in facts.get("subjectAltName", ()))
    return Certificate(times[0], times[1], names)


def place(text: str, path: Path) -> None:
    """Write a file that only its owner reads in one step: who reads it sees the old text or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    fresh.replace(path)


@contextlib.contextmanager
def deadline(seconds: int, what: str) -> Iterator[None]:
    """End what takes longer, also where a byte comes now and then."""

    def over(*__: object) -> None:
        raise KeeperError(f"{what} took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_public(text: str) -> bool:
    """Tell whether an address is in no private network, also where it holds another one."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast


def address_of(url: str, *, private: bool) -> tuple[urllib.parse.SplitResult, str]:
    """Return the parts of a URL and an address of its host, which must be public unless a private one is allowed."""
    wrong = KeeperError(f"{url[:200]} is no https address")
    try:
        parts = urllib.parse.urlsplit(url)
        port = 443 if parts.port is None else parts.port
    except ValueError:  # of the port, or of brackets
        raise wrong from None
    if parts.scheme != "https" or not parts.hostname or not port or not f"{parts.path}{parts.query}".isascii():
        raise wrong
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise KeeperError(f"{parts.hostname} has no address ({error})") from None
    except ValueError:  # of a name that DNS cannot have
        raise wrong from None
    addresses = [str(one[4][0]) for one in found]
    closed = [one for one in addresses if not is_public(one)]
    if closed and not private:
        raise KeeperError(f"{parts.hostname} has the private address {closed[0]}, which acme_private does not allow")
    return parts, addresses[0]


class PinnedConnection(http.client.HTTPSConnection):
    """A connection to an address that was looked at before; the certificate has to be of the host's name."""

    def __init__(self, parts: urllib.parse.SplitResult, address: str, context: ssl.SSLContext) -> None:
        """Connect where ``address_of`` looked."""
        super().__init__(parts.hostname or "", parts.port or 443, timeout=LOOK_AT_DIRECTORY, context=context)
        self.address, self.trust = address, context

    def connect(self) -> None:
        """Connect to the address."""
        plain = socket.create_connection((self.address, self.port), self.timeout)
        self.sock = self.trust.wrap_socket(plain, server_hostname=self.host)


class Answer(NamedTuple):
    """What a directory answered."""

    status: int
    headers: Mapping[str, str]  # by their names in lower case: a proxy may spell them as it likes (RFC 9110, 5.1)
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in it; an empty one where it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def exchange(wanted: Options, url: str, method: str = "GET", body: bytes = b"") -> Answer:
    """Ask a directory: over TLS, at an address that is allowed, for a bounded answer; no redirect is followed."""
    parts, address = address_of(url, private=wanted.private)
    try:
        context = ssl.create_default_context(cafile=wanted.authorities or None)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # lego does not ask for more than RFC 5280 needs either
    except OSError as error:
        raise KeeperError(f"the authorities that acme_authorities_file names cannot be read ({error})") from None
    connection = PinnedConnection(parts, address, context)
    try:
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        headers = {"Accept": "application/json", **({"Content-Type": "application/jose+json"} if body else {})}
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        found = answer.read(DIRECTORY_BYTES + 1)
    except (OSError, http.client.HTTPException) as error:
        raise KeeperError(f"{url} does not answer ({error or type(error).__name__})") from None
    finally:
        connection.close()
    if len(found) > DIRECTORY_BYTES:
        raise KeeperError(f"{url} answered with more than {DIRECTORY_BYTES} bytes")
    return Answer(answer.status, {name.lower(): value for name, value in answer.headers.items()}, found)


def look_at_directory(wanted: Options) -> dict[str, str]:
    """See that the directory is one before lego trusts it: no redirect, no huge answer, nothing that leads inside.

    Return the addresses that it names.
    """
    with deadline(LOOK_AT_DIRECTORY, f"{wanted.directory}: the answer"):
        answer = exchange(wanted, wanted.directory)
        if answer.status != 200:
            raise KeeperError(f"{wanted.directory} answered with status {answer.status}, and not with a directory")
        urls = {key: str(url) for key, url in answer.document.items()}
        if not urls.keys() >= set(NEEDED):
            raise KeeperError(f"{wanted.directory} is no ACME directory: it lacks {', '.join(NEEDED)}")
        for key in NEEDED:
            address_of(urls[key], private=wanted.private)
        meta = answer.document.get("meta")
        closed = isinstance(meta, dict) and meta.get("externalAccountRequired") is True
        if closed and not wanted.eab_kid:
            needs = "acme_eab_kid and acme_eab_hmac_file, which it gives to its customers"
            raise KeeperError(f"{wanted.directory} makes no account without {needs}")
        return urls


def key_for(wanted: Options) -> account.Key:
    """Return the key of the account, the same one at each try.

    A customer's name may be good for one account alone. Where the answer is lost, the directory has the account, and
    gives it again to whoever has its key (RFC 8555, section 7.3.1). So the key is kept before anything is asked.
    """
    file, name = wanted.state / "account-keys.json", f"{wanted.directory} {wanted.email} {wanted.eab_kid}"
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        found = None
    kept: dict[str, str] = found if isinstance(found, dict) else {}
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return account.Key(int(kept[name], 16))
    key = account.Key()
    place(json.dumps({**kept, name: f"{key.secret:x}"}), file)
    return key


def bind_account(wanted: Options, urls: Mapping[str, str]) -> None:
    """Make an account that is bound to a customer of the directory, where lego looks for one."""
    try:
        secret = account.decoded(wanted.eab_hmac.read_text())
    except (OSError, ValueError):
        least = f"base64url of {account.LEAST_KEY} bytes or more, as the directory gave it"
        raise KeeperError(f"the file of acme_eab_hmac_file is wrong: expected {least}") from None
    key, url = key_for(wanted), urls["newAccount"]
    bound = account.binding(key, wanted.eab_kid, secret, url)
    with deadline(REGISTER, f"{url}: the account"):
        answer = exchange(wanted, urls["newNonce"], "HEAD")
        for __ in range(NONCES):
            nonce = answer.headers.get("replay-nonce", "")
            answer = exchange(wanted, url, "POST", account.request(key, wanted.email, bound, url, nonce))
            if not str(answer.document.get("type", "")).endswith(":badNonce"):
                break
    where = answer.headers.get("location", "")
    if answer.status not in (200, 201) or not where:
        why = f"{answer.document.get('detail') or ''}"[:300] or f"status {answer.status}"
        raise KeeperError(f"{url} gave no account to acme_eab_kid {wanted.eab_kid}: {why}")
    host = urllib.parse.urlsplit(wanted.directory).netloc.replace(":", "_")
    folder = wanted.state / "accounts" / host / wanted.email
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    place(key.pem, folder / "keys" / f"{wanted.email}.key")
    place(account.record(wanted.email, where), folder / "account.json")


def await_proxy(wanted: Options) -> None:
    """Wait until NGINX answers challenges: an attempt that must fail counts against the limits of the directory."""
    token = secrets.token_hex(16)
    folder = wanted.challenges / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f"look-{token}"
    probe.write_text(token)
    host, __, port = wanted.proxy.partition(":")
    end, why = time.monotonic() + PROXY_ANSWERS, ""
    try:
        while time.monotonic() < end:
            connection = http.client.HTTPConnection(host, int(port), timeout=5)
            try:
                connection.request(
                    "GET", f"/.well-known/acme-challenge/{probe.name}", headers={"Host": wanted.names[0]}
                )
                answer = connection.getresponse()
                if answer.status == 200 and answer.read(1024) == token.encode():
                    return
                why = f"status {answer.status}"
            except (OSError, http.client.HTTPException) as error:
                why = str(error) or type(error).__name__
            finally:
                connection.close()
            time.sleep(0.5)
    finally:
        probe.unlink(missing_ok=True)
    raise KeeperError(f"NGINX does not answer challenges at http://{wanted.proxy} ({why})")


def credentials_of(wanted: Options) -> dict[str, Any]:
    """Read the credentials for the DNS provider. No message shows any of them."""
    try:
        found = json.loads(wanted.credentials.read_text())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(NAME.fullmatch(name) for name in found):
        expected = 'a JSON object of names and values, such as {"PROVIDER_TOKEN": "..."}'
        raise KeeperError(f"the file of acme_dns_credentials_file is wrong: expected {expected}")
    return found


def environment_of(wanted: Options, folder: str) -> dict[str, str]:
    """Return the environment of lego. Credentials are named by files: those of a process can be read in its stead."""
    found = {"PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin"), "HOME": folder}
    if wanted.authorities:
        found["LEGO_CA_CERTIFICATES"] = wanted.authorities
    if wanted.challenge == "dns-01" and wanted.credentials.exists():
        for name, value in credentials_of(wanted).items():
            path = Path(folder) / name
            place(str(value), path)
            found[f"{name}_FILE"] = str(path)
    return found


def ask(wanted: Options) -> str:
    """Have lego ask for a certificate; return its key and chain.

    :raises KeeperError: with what lego said
    """
    command = [
        "lego",
        "--accept-tos",
        "--email",
        wanted.email,
        "--server",
        wanted.directory,
        "--path",
        str(wanted.state),
    ]
    if wanted.eab_kid:
        command += ["--eab"]  # which lego wants to hear also where the account is there
    command += ["--key-type", "ec256", "--http-timeout", "20"]
    command += [word for name in wanted.names for word in ("--domains", name)]
    if wanted.challenge == "dns-01":
        command += ["--dns", wanted.dns_provider]
    else:
        command += ["--http", "--http.webroot", str(wanted.challenges)]
    with tempfile.TemporaryDirectory() as folder, Path(folder, "said").open("w+b") as said:
        run = subprocess.Popen(
            [*BOUNDED, *command, "run"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment_of(wanted, folder),
            start_new_session=True,
        )
        try:
            code = run.wait(ASK)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.wait()
            raise KeeperError(f"{wanted.directory} gave no certificate within {ASK} s") from None
        size = said.seek(0, os.SEEK_END)
        said.seek(max(0, size - 4096))
        lines = [line.strip() for line in said.read().decode(errors="replace").splitlines() if line.strip()]
        print(*lines, sep="\n", flush=True)
    if code:
        why = f"signal {-code}, as where memory is short" if code < 0 else " ".join(lines[-3:])[-600:]
        raise KeeperError(f"{wanted.directory} gave no certificate: {why}")
    base = wanted.state / "certificates" / wanted.names[0].replace("*", "_")
    try:
        return "\n".join(Path(f"{base}{end}").read_text().strip() for end in (".key", ".crt")) + "\n"
    except OSError as error:
        raise KeeperError(f"lego wrote no certificate ({error})") from None


def refuse_unfit(found: Certificate, wanted: Options, now: float) -> None:
    """Refuse a certificate that clients would refuse."""
    absent = sorted({name.lower() for name in wanted.names} - found.names)
    if absent:
        raise KeeperError(f"{wanted.directory} gave a certificate that is not for {absent[0]}")
    if not found.begins - 60 <= now < found.ends:
        raise KeeperError(f"{wanted.directory} gave a certificate that is not valid now: is the host's clock right?")


class Keeper:
    """Keeps one certificate, and knows what it last did."""

    def __init__(self, wanted: Options) -> None:
        """Begin where an earlier process ended."""
        self.wanted = wanted
        self.record = wanted.state / "keeper.json"
        try:
            self.known: dict[str, Any] = json.loads(self.record.read_text())
        except (OSError, ValueError):
            self.known = {}
        self.problem = str(self.known.get("problem", ""))

    def note(self, **changes: Any) -> None:
        """Keep what another process is to know, such as after a restart in the middle of failures."""
        self.known |= changes
        place(json.dumps(self.known), self.record)

    def fingerprint(self) -> str:
        """Tell which certificate is in its place, and what it was asked for."""
        try:
            text = self.wanted.serving.read_bytes()
        except OSError:
            return ""
        asked = json.dumps([self.wanted.directory, sorted(self.wanted.names)]).encode()
        return hashlib.sha256(asked + text).hexdigest()

    def issued(self) -> Certificate | None:
        """Return the certificate in its place, where it is the one that the settings ask for."""
        if not self.known.get("issued") or self.known["issued"] != self.fingerprint():
            return None
        try:
            return read(self.wanted.serving)
        except KeeperError:
            return None

    def serve_own(self) -> None:
        """Put the host's own certificate where there is none, or an earlier one of the host.

        What came from a directory stays, even when it has ended: then the metric of its end tells the truth.
        """
        if not self.wanted.own.exists():
            return
        text = self.wanted.own.read_text()
        try:
            read(self.wanted.serving)
            held = self.wanted.serving.read_text()
        except KeeperError:
            held = ""
        if held == text or (held and hashlib.sha256(held.encode()).hexdigest() != self.known.get("own")):
            return
        place(text, self.wanted.serving)
        self.note(own=hashlib.sha256(text.encode()).hexdigest())

    def wait(self, now: float) -> float:
        """Return in how many seconds the next certificate is to be asked for; at most one day."""
        found = self.issued()
        due = found.due if found else now
        if failures := int(self.known.get("failures", 0)):
            retry = min(LAST_RETRY, FIRST_RETRY * 2 ** (min(failures, 10) - 1))
            # A certificate with minutes to live cannot wait for hours.
            left = (found.ends - now) / 4 if found and found.ends > now else math.inf
            due = max(due, float(self.known.get("tried", 0)) + min(retry, max(left, 1)))
        return min(max(due - now, 0.0), LOOK_SECONDS)

    def renew(self) -> None:
        """Ask for a certificate, check it, and put it into its place."""
        wanted = self.wanted
        try:
            self.note(tried=time.time())
            urls = look_at_directory(wanted)
            asked_by = [wanted.directory, wanted.email, wanted.eab_kid]
            if wanted.eab_kid and self.known.get("bound") != asked_by:
                bind_account(wanted, urls)
                self.note(bound=asked_by)
            if wanted.challenge == "http-01":
                await_proxy(wanted)
            text = ask(wanted)
            with tempfile.TemporaryDirectory() as folder:
                given = Path(folder, "given.pem")
                place(text, given)
                refuse_unfit(read(given), wanted, time.time())
            place(text, wanted.serving)
            self.note(issued=self.fingerprint(), failures=0, problem="", succeeded=time.time())
            self.problem = ""
            print(f"placed a certificate for {', '.join(wanted.names)}", flush=True)
        except (KeeperError, OSError, ValueError) as error:
            # A directory may have said what cannot be printed.
            self.problem = str(error).encode(errors="backslashreplace").decode()
            self.note(failures=int(self.known.get("failures", 0)) + 1, problem=self.problem)
            print(f"no new certificate, the last good one stays: {self.problem}", flush=True)

    def problems(self) -> list[str]:
        """Say what an operator has to know."""
        if not self.problem:
            return []
        again = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time.time() + self.wait(time.time())))
        return [f"there is no new certificate: {self.problem}; it is tried again at {again}"]

    def metrics(self) -> str:
        """Return what Prometheus reads."""
        lines = [f"sse_acme_failures {self.known.get('failures', 0)}"]
        lines += [f"sse_acme_last_success_timestamp_seconds {float(self.known.get('succeeded', 0)):.0f}"]
        lines += [f"sse_acme_issued {int(self.issued() is not None)}"]
        with contextlib.suppress(KeeperError):
            served = read(self.wanted.serving)
            lines += [f"sse_certificate_ends_timestamp_seconds {served.ends:.0f}"]
            lines += [f"sse_certificate_lifetime_seconds {served.ends - served.begins:.0f}"]
        return "\n".join(lines) + "\n"


def answering(keeper: Keeper) -> type[http.server.BaseHTTPRequestHandler]:
    """Return what answers Prometheus, the health check and doctor."""

    class Answers(http.server.BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            """Answer one request."""
            texts = {"/metrics": keeper.metrics, "/problems": lambda: json.dumps(keeper.problems())}
            body = texts.get(self.path, lambda: "ok\n")().encode()
            self.send_response(200 if self.path in {*texts, "/health"} else 404)
            self.send_header("Content-Type", "application/json" if self.path == "/problems" else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing of each question."""

    return Answers


def main() -> None:
    """Keep a certificate until the container stops."""
    os.umask(0o077)
    signal.signal(signal.SIGTERM, lambda *__: os._exit(0))  # lego ends with the container
    keeper = Keeper(options(os.environ))
    keeper.serve_own()
    server = http.server.ThreadingHTTPServer(("", PORT), answering(keeper))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        if not keeper.wait(time.time()):
            keeper.renew()
        keeper.serve_own()
        time.sleep(min(max(keeper.wait(time.time()), 1), 3600))


if __name__ == "__main__":
    main()
