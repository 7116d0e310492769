"""The service that the inventory shows as an example does, uncommented, all that our own services do."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
import yaml
from ansible_collections.sse.platform.tests.integration.sickroom import findings
from ansible_collections.sse.platform.tests.integration.stack import CANARY, ROOT, Stack, eventually

REGISTRY = "127.0.0.1:18488"
EXAMPLE = ROOT / "inventory/local/group_vars/all/services.yml"


def example() -> dict[str, Any]:
    """Uncomment the example, which is the last part of the file."""
    lines = EXAMPLE.read_text().splitlines()
    commented = lines[lines.index("# services_extra:") :]
    assert all(line.startswith("#") for line in commented)
    return yaml.safe_load("\n".join(line.removeprefix("#").removeprefix(" ") for line in commented))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Debian's container registry on this machine, and busybox, which makes an image of 2 MB; in a directory."""
    directory = tmp_path_factory.mktemp("registry")
    subprocess.run(["apt-get", "-qq", "download", "docker-registry", "busybox-static"], cwd=directory, check=True)
    for package in directory.glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, directory], check=True)
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(directory / "store")}},
        "http": {"addr": REGISTRY},
    }
    (directory / "config.yml").write_text(yaml.safe_dump(settings))
    command = [directory / "usr/bin/docker-registry", "serve", directory / "config.yml"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        eventually(lambda: answers(f"http://{REGISTRY}/v2/"), "the registry answers")
        yield directory
        process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def context(directory: Path, word: str) -> Path:
    """A build context of a web server that answers with a word."""
    made = directory / word
    (made / "www/below").mkdir(parents=True)
    (made / "www/index.html").write_text(word)
    shutil.copy(directory / "bin/busybox", made / "busybox")
    (made / "Dockerfile").write_text("FROM scratch\nCOPY busybox /busybox\nCOPY www /www\n")
    return made


def image(directory: Path, word: str, name: str) -> Any:
    """Build an image with a name, as somebody does who brings it to a registry or into an archive."""
    return docker.from_env().images.build(path=str(context(directory, word)), tag=name)[0]


def brought(directory: Path) -> dict[str, Any]:
    """Three services: their image is in a registry, in an archive, and in a build context."""
    engine = docker.from_env()
    image(directory, "pulled", f"{REGISTRY}/team/tool:1")
    engine.images.push(f"{REGISTRY}/team/tool:1")
    loaded = image(directory, "loaded", "st-own-loaded:1")
    with (directory / "loaded.tar").open("wb") as file:
        file.writelines(loaded.save(named="st-own-loaded:1"))
    for name in (f"{REGISTRY}/team/tool:1", "st-own-loaded:1"):
        engine.images.remove(name)
    images = {
        "pulled": f"{REGISTRY}/team/tool:1",
        "loaded": {"archive": str(directory / "loaded.tar")},
        "built": {"build": str(context(directory, "built"))},
    }
    return {name: web_server(name, one, number) for number, (name, one) in enumerate(images.items(), 101)}


def web_server(name: str, one: Any, address: int) -> dict[str, Any]:
    container = {
        "image": one,
        "address": address,
        "entrypoint": ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"],
        "user": "20200:20200",
        "memory": "16m",
        "listens": [8080],
        "healthcheck": {"http": {"port": 8080}},
        "segments": ["app"],
    }
    return {
        "containers": {name: container},
        "routes": [{"path": f"/{name}/", "containers": [name], "port": 8080, "strip": True}],
    }


@pytest.fixture(scope="module")
def own(registry: Path) -> Iterator[Stack]:
    """A small stack with these services, in segments, where no connection is open but the declared ones."""
    services = {**example()["services_extra"], **brought(registry)}
    variables: dict[str, Any] = {"app_replicas": 1, "network_layout": "segmented", "services_extra": services}
    stack = Stack("st-own", "10.86.0.0/24", 18480, **variables)
    stack.destroy()
    stack.up()
    yield stack
    stack.destroy()
    for name in (f"{REGISTRY}/team/tool:1", "st-own-loaded:1"):
        stack.engine.images.remove(name)


def test_an_image_of_ones_own_comes_from_a_registry_an_archive_or_a_directory(own: Stack) -> None:
    for name in ("pulled", "loaded", "built"):
        answer = httpx.get(f"http://127.0.0.1:{own.http_port}/{name}/", timeout=5)
        assert (answer.status_code, answer.text) == (200, name)
    used = {name: own.container(name).attrs["Config"]["Image"] for name in ("pulled", "loaded", "built")}
    assert used.pop("pulled") == f"{REGISTRY}/team/tool:1"
    assert all(re.fullmatch(rf"sse-platform/own-.*{name}:[0-9a-f]{{16}}", one) for name, one in used.items())
    assert (again := own.up()).unchanged, again.output


def test_a_route_that_strips_its_path_leads_back_to_itself(own: Stack) -> None:
    for asked, location in (("/pulled", "/pulled/"), ("/pulled/below", "/pulled/below/")):
        answer = httpx.get(f"http://127.0.0.1:{own.http_port}{asked}", timeout=5)
        assert (answer.status_code // 100, answer.headers["location"]) == (3, location)


def test_an_image_that_cannot_be_had_is_refused_by_its_place_before_anything_changes(own: Stack) -> None:
    before = own.ids()
    images = {"absent": f"{REGISTRY}/team/none:1", "silent": "127.0.0.1:1/team/tool:1"}
    services = {name: web_server(name, one, number) for number, (name, one) in enumerate(images.items(), 110)}
    text = " ".join(own.fail(services_extra=services).split())
    assert "nothing was changed" in text
    for name, reference in images.items():
        assert f"services_extra.{name}.containers.{name}.image: {reference} can't be had: " in text
    assert own.ids() == before


def prometheus(own: Stack, path: str) -> Any:
    return httpx.get(f"http://127.0.0.1:{own.variables['prometheus_port']}/api/v1/{path}", timeout=5).json()["data"]


def test_its_secret_is_made_and_mounted_and_its_route_leads_through_nginx(own: Stack) -> None:
    secret = (own.state / "secrets" / "hello_key").read_text()
    assert re.fullmatch(r"[0-9a-f]{64}", secret)
    assert own.container("hello").exec_run(["cat", "/run/secrets/key"]).output.decode() == secret
    answer = httpx.get(f"http://127.0.0.1:{own.http_port}/hello/you", timeout=5)
    assert answer.text == f"hello, signed {hashlib.sha256(secret.encode()).hexdigest()}\n"
    assert httpx.get(f"http://127.0.0.1:{own.http_port}/metrics", timeout=5).status_code == 404


def test_its_metrics_are_scraped_and_its_alert_is_loaded(own: Stack) -> None:
    def scraped() -> bool:
        found = prometheus(own, "query?query=hello_greetings_total")["result"]
        return bool(found) and float(found[0]["value"][1]) > 0

    eventually(scraped, "its metrics in Prometheus", 60)
    rules = [rule["name"] for group in prometheus(own, "rules")["groups"] for rule in group["rules"]]
    assert "HelloDown" in rules


def test_its_checks_pass_doctor_has_no_finding_and_a_broken_check_is_named(own: Stack) -> None:
    well = own.verify()
    assert well.code == 0, well.output
    # Two of the replica, one of the dashboard, one of hello itself, and each published port of NGINX for app and hello.
    assert "8 HTTP endpoints" in well.output
    assert [one for one in findings(own.play("doctor").output) if one.subject.startswith("st-own")] == []
    hello, redis = (own.container(name).attrs["NetworkSettings"]["Networks"] for name in ("hello", "redis-master"))
    source, target = (networks["st-own-data"]["IPAddress"] for networks in (hello, redis))
    pair = ("-s", source, "-d", target, "-p", "tcp", "--dport", "6379", "-j", "REJECT")
    subprocess.run(["iptables", "-w", "-I", "DOCKER-USER", *pair], check=True)
    try:
        broken = own.verify()
    finally:
        subprocess.run(["iptables", "-w", "-D", "DOCKER-USER", *pair], check=True)
    assert broken.code != 0
    check = r"st-own-hello: GET http://10\.86\.\d\.100:8090/health was not answered with 200 \[http\]"
    assert re.search(rf"{check}\n +evidence: 503 Redis does not answer", broken.output), broken.output
    assert "st-own-hello: could not connect to redis-master:6379" in broken.output


@pytest.mark.whole
def test_a_build_gets_the_proxy_of_the_host_and_neither_image_nor_output_tells_its_password(
    own: Stack, registry: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = f"http://me:{CANARY}@127.0.0.1:9"
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", "*")  # nothing else of this run goes there
    told = "echo -n $https_proxy | /busybox sha256sum >/www/proxy"
    with (registry / "built/Dockerfile").open("a") as file:
        # An image of an earlier session with the same content would not be built again.
        file.write(f'RUN ["/busybox", "sh", "-c", "{told}"]\n# {uuid.uuid4()}\n')
    run = own.up()
    assert CANARY not in run.output
    answer = httpx.get(f"http://127.0.0.1:{own.http_port}/built/proxy", timeout=5, trust_env=False)
    assert answer.text.split()[0] == hashlib.sha256(proxy.encode()).hexdigest()
    used = own.container("built").image
    assert CANARY not in f"{used.attrs}{used.history()}"
