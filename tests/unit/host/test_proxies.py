"""The proxies that builds of images get are those of the host. The rows are in tests/strange_hosts.py."""

from __future__ import annotations

import base64
import http.server
import json
import os
import shutil
import subprocess
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, ClassVar

import pytest
import strange_hosts
from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.host import proxies
from ansible_collections.sse.platform.plugins.module_utils.images import build_proxies
from strange_hosts import P, Q

# Else the program that finds the proxy runs as a user that may not read the directory of a test.
UNCONFINED = ' APT::Sandbox::User "root";'
GENERAL = proxies.Proxies(Q, Q, "localhost", "the environment")


MAVEN = strange_hosts.ROOT / "roles/images/files/maven"
needs_java = pytest.mark.skipif(not shutil.which("java"), reason="Java is not installed")


@pytest.fixture(autouse=True)
def bare_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_host(monkeypatch, tmp_path, strange_hosts.Proxy("nothing"))


def on_host(monkeypatch: pytest.MonkeyPatch, root: Path, row: strange_hosts.Proxy) -> None:
    (root / "home/.docker").mkdir(parents=True, exist_ok=True)
    (root / "home/.docker/config.json").write_text(json.dumps({"proxies": row.client, "auths": {"r": {"auth": "x"}}}))
    (root / "environment").write_text(row.file)
    (root / "proc/7").mkdir(parents=True, exist_ok=True)
    environments = [{"LANG": "C"}, {"HOME": str(root / "home"), **row.variables}]
    monkeypatch.setenv("HOME", str(root / "home"))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    monkeypatch.setattr(proxies, "ancestors", lambda: environments)
    monkeypatch.setattr(proxies, "ENVIRONMENT", str(root / "environment"))
    monkeypatch.setattr(daemon, "dockerd_pid", lambda: 7)
    monkeypatch.setattr(daemon, "command_line", lambda _: ["dockerd", *row.flags])
    monkeypatch.setattr(daemon, "configuration", lambda _: row.daemon)
    read = proxies.read
    monkeypatch.setattr(proxies, "read", lambda path: row.environ if path == "/proc/7/environ" else read(path))


@pytest.mark.parametrize("row", strange_hosts.BUILT_THROUGH, ids=lambda row: row.what)
def test_a_build_gets_the_proxies_of_the_host(
    row: strange_hosts.Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_host(monkeypatch, tmp_path, row)
    found = proxies.found()
    assert (found.http, found.https) == row.given[:2]
    assert found.place == row.place
    given = json.loads(proxies.docker_config(found))["proxies"]["default"]
    assert tuple(given.get(f"{key}Proxy", "") for key in ("http", "https", "no")) == row.given


@pytest.mark.skipif(not Path(proxies.APT_HELPER).exists(), reason="this host has no apt")
@pytest.mark.parametrize("row", strange_hosts.APTS, ids=lambda row: row.what)
def test_packages_of_debian_come_through_the_proxy_of_apt(
    row: strange_hosts.Apt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = tmp_path / "detect"
    detect.write_text(f"#!/bin/sh\necho {P}\n")
    detect.chmod(0o755)
    (tmp_path / "apt.conf").write_text(row.configuration.replace("DETECT", str(detect)) + UNCONFINED)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    found = proxies.for_apt(GENERAL, row.mirror)
    assert (found.http, found.https, found.no) == (row.through, row.through, "localhost")


def test_without_apt_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "APT_HELPER", "/nonexistent/apt-helper")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert proxies.for_apt(GENERAL, proxies.archive()) == GENERAL


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://localhost:3128", True),
        ("http://a:b@127.0.0.1:3128", True),
        ("http://127.8.8.8", True),
        ("http://[::1]:3128", True),
        (P, False),
        ("", False),
        ("http://10.0.0.1:1", False),
    ],
)
def test_a_proxy_on_the_loopback_of_the_host_is_told_from_others(address: str, expected: bool) -> None:
    assert proxies.is_on_loopback(proxies.Proxies(https=address)) is expected


def test_a_shell_gets_them_whatever_the_password_is() -> None:
    hard = "http://me:it's$HOME`id`@proxy:1"
    lines = proxies.shell_variables(proxies.Proxies(http=hard, no="a b"))
    told = subprocess.run(
        ["sh", "-c", f'{lines} printf "%s\\n" "$http_proxy" "$no_proxy" "${{https_proxy-none}}"'],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert told.stdout.splitlines() == [hard, "a b", "none"]


def maven_settings(directory: Path, given: proxies.Proxies) -> str:
    """Return what the build of an image with Maven writes, from the variables that it is given."""
    variables = {"http_proxy": given.http, "https_proxy": given.https, "no_proxy": given.no}
    path = directory / "proxies.xml"
    command = ["java", str(MAVEN / "ProxySettings.java"), str(path)]
    ended = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    return path.read_text()


@needs_java
def test_maven_gets_them_in_its_own_words(tmp_path: Path) -> None:
    given = proxies.Proxies(P, "https://other.example", "localhost,.corp.example,10.0.0.0/8,*")
    settings = ET.fromstring(maven_settings(tmp_path, given))
    found = [{field.tag: field.text for field in one} for one in settings.iter("proxy")]
    skipped = "localhost|*.localhost|*.corp.example|10.0.0.0/8|*"
    assert found == [
        {"id": "host-http", "active": "true", "protocol": "http", "host": "proxy.example", "port": "3128",
         "username": "me", "password": "p@ss", "nonProxyHosts": skipped},
        {"id": "host-https", "active": "true", "protocol": "https", "host": "other.example", "port": "443",
         "nonProxyHosts": skipped},
    ]  # fmt: skip
    settings = ET.fromstring(maven_settings(tmp_path, proxies.Proxies()))
    assert not list(settings.iter("proxy"))
    assert settings.findtext("mirrors/mirror/blocked") == "true"


@needs_java
@pytest.mark.parametrize(
    ("address", "fields"),
    [
        ("HTTPS://me@proxy/", {"host": "proxy", "port": "443", "username": "me"}),
        ("http://[fd00::1]:1/x?y#z", {"host": "fd00::1", "port": "1"}),
        ("http://:a+b%%zz@proxy:1", {"host": "proxy", "port": "1", "password": "a+b%%zz"}),
        (
            "http://m%C3%A9:<it's>&\"$1\\`p@s:s@proxy:1",
            {"host": "proxy", "port": "1", "username": "mé", "password": "<it's>&\"$1\\`p@s:s"},
        ),
    ],
)
def test_maven_reads_each_address_as_others_do(address: str, fields: dict[str, str], tmp_path: Path) -> None:
    assert proxies.address(address) == address
    settings = ET.fromstring(maven_settings(tmp_path, proxies.Proxies(http=address)))
    [found] = [{field.tag: field.text for field in one} for one in settings.iter("proxy")]
    assert found == {"id": "host-http", "active": "true", "protocol": "http", **fields}


@needs_java
def test_maven_shows_nothing_of_an_address_that_it_cannot_read(tmp_path: Path) -> None:
    command = ["java", str(MAVEN / "ProxySettings.java"), str(tmp_path / "proxies.xml")]
    variables = {**os.environ, "https_proxy": "http://me:S3cret#1@proxy"}
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, list(tmp_path.glob("*.xml"))) == (1, [])
    assert ended.stderr == "https_proxy is no address of a proxy: expected a host and a port\n"


# --- what is written, and what is told


def contexts(root: Path) -> tuple[Path, Path]:
    for name, text in {"app": "RUN pip install x", "nginx": "RUN install_packages nginx"}.items():
        (root / name / ".host").mkdir(parents=True)
        (root / name / "Dockerfile").write_text(text)
    return root / "app", root / "nginx"


def written(root: Path, monkeypatch: pytest.MonkeyPatch, apt: proxies.Proxies) -> tuple[dict[str, Any], Any]:
    monkeypatch.setattr(proxies, "for_apt", lambda general, mirror: apt)
    app, nginx = contexts(root)
    answer = build_proxies.write(root / "clients", [app, nginx], [root / "mine"], "http://mirror")
    kinds = ("app", "nginx", "mine")
    files = {one: json.loads(Path(answer["directories"][str(root / one)], "config.json").read_text()) for one in kinds}
    return files, answer


def test_each_build_gets_its_own_and_no_result_holds_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_host(monkeypatch, tmp_path, next(one for one in strange_hosts.BUILT_THROUGH if one.client))
    files, answer = written(tmp_path, monkeypatch, proxies.Proxies(Q, Q, "", "apt's configuration"))
    assert files["app"] == {"proxies": {"default": {"httpProxy": P, "noProxy": "a"}}}
    assert files["nginx"] == {"proxies": {"default": {"httpProxy": Q, "httpsProxy": Q}}}
    assert files["mine"] == {"auths": {"r": {"auth": "x"}}, **files["app"]}
    told = json.dumps(answer)
    assert not [one for one in ("me:", "p%40ss", "proxy.example", "other.example") if one in told]
    assert (
        answer["told"]
        == "Builds use the proxy of Docker's config.json, for Debian's packages that of apt's configuration."
    )
    assert {one.stat().st_mode & 0o777 for one in tmp_path.glob("clients/**/*") if one.is_file()} == {0o600}
    # A file that a build copies is in a stage that the engine keeps.
    assert not list(tmp_path.glob("app/.host/*"))


def test_where_there_is_no_proxy_it_says_where_it_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, answer = written(tmp_path, monkeypatch, proxies.Proxies())
    assert files["app"] == files["nginx"] == {"proxies": {"default": {}}}
    assert "/etc/environment" in answer["told"]
    assert answer["loopback"] is False


UNREADABLE = [
    strange_hosts.UNREADABLE,
    "http://me:1#S3cret@proxy:1",
    "me:1/S3cret@proxy",
    "http://u:S3cret[x@proxy",
    "http://proxy:80800",
    "http://proxy:0",
    "http://proxy:${PORT}",
    "http://:3128",
    "http://",
]


@pytest.mark.parametrize("address", UNREADABLE)
def test_an_address_that_nobody_can_read_is_ignored_and_its_place_named(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"HTTPS_PROXY": address}
    on_host(monkeypatch, tmp_path, strange_hosts.Proxy("", variables=variables, client={"default": {"httpProxy": Q}}))
    assert proxies.found().unread == ()  # what comes after a good one is not looked at
    on_host(monkeypatch, tmp_path, strange_hosts.Proxy("", variables=variables, file=f"http_proxy={Q}\n"))
    found = proxies.found()
    assert (found.http, found.place, found.unread) == (Q, "/etc/environment", ("the environment",))
    monkeypatch.setattr(proxies, "asked", lambda command: f"Acquire::http::Proxy={address}\n" * ("dump" in command))
    apt = proxies.for_apt(found, "http://mirror")
    assert (apt.http, apt.unread) == (Q, ("the environment", "apt's configuration"))
    told = build_proxies.told(found, apt)
    assert told.startswith(
        "Builds use the proxy of /etc/environment. The address of a proxy in the environment and in "
    )
    assert "S3cret" not in told
    assert build_proxies.told(proxies.Proxies(unread=("x",)), GENERAL).count("cannot be read") == 1


def test_no_image_needs_both_packages_of_debian_and_another_registry() -> None:
    both = []
    for dockerfile in strange_hosts.ROOT.glob("**/Dockerfile"):
        lines = [line for line in dockerfile.read_text().splitlines() if line.strip() and not line.startswith("#")]
        text = "\n".join(lines)
        if "RUN install_packages" in text and any(f" {one} " in text for one in ("pip", "npm", "mvn")):
            both.append(str(dockerfile))
    assert not both


class Refusing(http.server.BaseHTTPRequestHandler):
    """A proxy that asks who it is, and then passes nothing on."""

    asked: ClassVar[list[tuple[str, str]]] = []

    def do_CONNECT(self) -> None:
        login = self.headers.get("Proxy-Authorization", "")
        self.asked.append((self.path, login))
        self.send_response(403 if login else 407)
        self.send_header("Proxy-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


PROJECT = """<project><modelVersion>4.0.0</modelVersion><groupId>g</groupId><artifactId>a</artifactId>
<version>1</version><packaging>pom</packaging><parent><groupId>example</groupId><artifactId>none</artifactId><version>1</version></parent>
</project>"""


@pytest.mark.skipif(not shutil.which("mvn"), reason="Maven is not installed")
def test_maven_goes_through_the_proxy_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").write_text(PROJECT)
    (tmp_path / "settings.xml").write_text("<settings/>")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        proxy = f"http://me:p%40ss@127.0.0.1:{server.server_address[1]}"
        maven_settings(tmp_path, proxies.Proxies(https=proxy, no="other.example"))
        settings = ["--settings", "settings.xml", "--global-settings", "proxies.xml"]
        ended = subprocess.run(
            ["mvn", "--batch-mode", f"-Dmaven.repo.local={tmp_path}/repository", *settings, "validate"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        server.shutdown()
    login = "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert ("repo.maven.apache.org:443", login) in Refusing.asked, ended.stdout
