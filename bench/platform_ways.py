"""The ways in which platform.py deploys the platform, and what a client of each of them needs."""

from __future__ import annotations

import contextlib
import http.server
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHANNELS = "bench.*"
SCHEMA = (
    '{"type":"object","required":["n","symbol","price","note"],"additionalProperties":false,"properties":{'
    '"n":{"type":"string","pattern":"^[0-9]{10}$"},"symbol":{"type":"string","maxLength":8},'
    '"price":{"type":"string"},"note":{"type":"string","maxLength":60000}}}'
)
# What encrypts for the client, which speaks plain HTTP: a program in C, whose time is counted for no part of the stack.
ENCRYPTS = """\
daemon off;
pid /tmp/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path /tmp/body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;
    upstream platform {{ server 127.0.0.1:{to}; keepalive 128; }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass https://platform;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_buffering off;
            proxy_read_timeout 1h;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Way:
    """One way to deploy the platform."""

    replicas: int = 3
    link: str = "socket"
    tls: bool = False
    keys: bool = False
    schemas: bool = False
    spans: bool = False


WAYS = {"3-socket": Way(), "3-tcp": Way(link="tcp"), "6-socket": Way(replicas=6)}
LAYERS = {
    "as it is": Way(),
    "TLS": Way(tls=True),
    "authorization by keys": Way(keys=True),
    "a schema for each event": Way(schemas=True),
    "spans of each publish": Way(spans=True),
}


@dataclass
class Client:
    """What a way asks of `./sse up`, and of the client."""

    given: tuple[str, ...] = ()
    headers: str = ""  # of each request
    tls: bool = False


class _Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans, and counts requests."""

    protocol_version = "HTTP/1.1"
    taken = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        type(self).taken += 1
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - its name in the library


@contextlib.contextmanager
def client(way: Way, address: str) -> Generator[Client]:
    """Prepare what a way needs beside the stack.

    :param address: of this machine, as containers reach it; a collector of spans listens there
    """
    with contextlib.ExitStack() as held:
        directory = Path(held.enter_context(tempfile.TemporaryDirectory()))
        given = [f"app_replicas={way.replicas}", f"app_link={way.link}"]
        headers = ""
        if way.keys:
            file = directory / "keys.json"
            make = [sys.executable, str(ROOT / "tools" / "key.py"), str(file), "bench"]
            rights = ["--publish", CHANNELS, "--subscribe", CHANNELS]
            made = subprocess.run([*make, *rights], check=True, capture_output=True, text=True)
            headers = f"Authorization: Bearer {made.stdout.split()[-1]}\r\n"
            given += ["app_auth=true", f"app_keys_file={file}"]
        if way.schemas:
            given.append(f'{{"app_schemas": {{"{CHANNELS}": {SCHEMA}}}}}')
        if way.spans:
            server = http.server.ThreadingHTTPServer((address, 0), _Collector)
            held.callback(server.shutdown)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            given += [f"app_otlp_endpoint=http://{address}:{server.server_port}", "app_otlp_sample=1"]
        yield Client(tuple(word for one in given for word in ("-e", one)), headers, way.tls)
        if way.spans and not _Collector.taken:
            raise SystemExit("no replica sent a span to the collector: its figures would mean nothing")


@contextlib.contextmanager
def encrypting(stack: str, port: int, to: int) -> Generator[None]:
    """Take plain HTTP at a port of this machine, and pass it on over TLS, by the stack's own image of NGINX."""
    image = ["docker", "inspect", "-f", "{{.Config.Image}}", f"{stack}-nginx"]
    name = f"{stack}-encrypts"
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "nginx.conf"
        config.write_text(ENCRYPTS.format(port=port, to=to))
        Path(directory).chmod(0o755)
        run = ["docker", "run", "--detach", "--rm", "--name", name, "--network", "host", "--entrypoint", "nginx"]
        found = subprocess.run(image, check=True, capture_output=True, text=True).stdout.strip()
        command = [
            *run,
            "--tmpfs",
            "/tmp:mode=1777",
            "--volume",
            f"{directory}:/conf:ro",
            found,
            "-c",
            "/conf/nginx.conf",
        ]
        subprocess.run(command, check=True, capture_output=True)
        try:
            yield
        finally:
            subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)
