"""Another proxy in front of the platform, as its default settings are: events arrive at once, and a stream lives on."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.stack import eventually

if TYPE_CHECKING:
    from ansible_collections.sse.platform.tests.integration.stack import Stack

WAIT_SECONDS = 30  # an event that is held back comes when a buffer is full, or never


class Proxy(NamedTuple):
    """A proxy of Debian's, with what its own documentation shows first for a site behind it."""

    packages: tuple[str, ...]
    program: str
    file: str
    settings: str  # {port}: where it listens; {to}: the platform; {at}: a directory for it
    command: Callable[[str, str], list[str]]


PROXIES = {
    "nginx": Proxy(
        ("nginx",),
        "usr/sbin/nginx",
        "nginx.conf",
        "daemon off;\npid {at}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n    access_log off;\n"
        "    client_body_temp_path {at}/a;\n    proxy_temp_path {at}/b;\n    fastcgi_temp_path {at}/c;\n"
        "    uwsgi_temp_path {at}/d;\n    scgi_temp_path {at}/e;\n"
        "    server {{\n        listen 127.0.0.1:{port};\n"
        "        location / {{\n            proxy_pass http://{to};\n        }}\n    }}\n}}\n",
        lambda program, file: [program, "-c", file],
    ),
    "haproxy": Proxy(
        ("haproxy", "liblua5.3-0", "libopentracing1", "libopentracing-c-wrapper0"),
        "usr/sbin/haproxy",
        "haproxy.cfg",
        "defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 50s\n"
        "frontend site\n    bind 127.0.0.1:{port}\n    default_backend platform\n"
        "backend platform\n    server one {to}\n",
        lambda program, file: [program, "-f", file],
    ),
    "caddy": Proxy(
        ("caddy",),
        "usr/bin/caddy",
        "Caddyfile",
        "{{\n    admin off\n}}\nhttp://127.0.0.1:{port} {{\n    reverse_proxy {to}\n}}\n",
        lambda program, file: [program, "run", "--adapter", "caddyfile", "--config", file],
    ),
    "apache": Proxy(
        ("apache2-bin", "libapr1", "libaprutil1"),
        "usr/sbin/apache2",
        "apache.conf",
        "ServerRoot {at}\nPidFile pid\nServerName localhost\nErrorLog {at}/error.log\nUser #65534\nGroup #65534\n"
        "LoadModule mpm_event_module usr/lib/apache2/modules/mod_mpm_event.so\n"
        "LoadModule authz_core_module usr/lib/apache2/modules/mod_authz_core.so\n"
        "LoadModule proxy_module usr/lib/apache2/modules/mod_proxy.so\n"
        "LoadModule proxy_http_module usr/lib/apache2/modules/mod_proxy_http.so\n"
        'Listen 127.0.0.1:{port}\nProxyPass "/" "http://{to}/"\nProxyPassReverse "/" "http://{to}/"\n',
        lambda program, file: [program, "-D", "FOREGROUND", "-f", file],
    ),
}


@pytest.fixture(params=PROXIES)
def proxied(request: pytest.FixtureRequest, stack: Stack, tmp_path: Path) -> Iterator[str]:
    """The address of a proxy whose packages are unpacked aside: nothing is installed."""
    if not shutil.which("apt-get"):
        pytest.skip("this host has no packages of Debian")
    proxy = PROXIES[request.param]
    subprocess.run(["apt-get", "-qq", "download", *proxy.packages], cwd=tmp_path, check=True, capture_output=True)
    for package in tmp_path.glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", str(package), str(tmp_path)], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = tmp_path / proxy.file
    file.write_text(proxy.settings.format(port=port, to=f"127.0.0.1:{stack.http_port}", at=tmp_path))
    libraries = ":".join(str(path) for path in (tmp_path / "usr/lib").glob("*-linux-gnu*"))
    with subprocess.Popen(
        proxy.command(str(tmp_path / proxy.program), str(file)),
        cwd=tmp_path,
        env={"LD_LIBRARY_PATH": libraries, "HOME": str(tmp_path), "PATH": "/usr/bin"},
        stdout=subprocess.DEVNULL,
        stderr=(tmp_path / "said").open("wb"),
    ) as process:
        try:
            eventually(lambda: listens(port), f"{request.param}: {(tmp_path / 'said').read_text()}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_an_ordinary_proxy_in_front_holds_no_event_back(proxied: str, stack: Stack) -> None:
    url = f"{proxied}/api/v1/stream?channel=outer"
    with httpx.stream("GET", url, timeout=WAIT_SECONDS) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("id: "))  # the opening, before any event
        for number in range(3):
            event = {"channel": "outer", "data": number}
            assert httpx.post(f"{proxied}/api/v1/events", json=event, timeout=WAIT_SECONDS).status_code == 202
            assert next(line for line in lines if line == f"data: {number}")
