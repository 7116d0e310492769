"""The service that the inventory shows as an example does, uncommented, all that our own services do."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from ansible_collections.sse.platform.tests.integration.sickroom import findings
from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack, eventually

EXAMPLE = ROOT / "inventory/local/group_vars/all/services.yml"


def example() -> dict[str, Any]:
    """Uncomment the example, which is the last part of the file."""
    lines = EXAMPLE.read_text().splitlines()
    commented = lines[lines.index("# services_extra:") :]
    assert all(line.startswith("#") for line in commented)
    return yaml.safe_load("\n".join(line.removeprefix("#").removeprefix(" ") for line in commented))


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """A small stack with that service, in segments, where no connection is open but the declared ones."""
    stack = Stack("it-own", "10.86.0.0/24", 18480, app_replicas=1, network_layout="segmented", **example())
    stack.destroy()
    stack.up()
    yield stack
    stack.destroy()


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
    assert [one for one in findings(own.play("doctor").output) if one.subject.startswith("it-own")] == []
    hello, redis = (own.container(name).attrs["NetworkSettings"]["Networks"] for name in ("hello", "redis-master"))
    source, target = (networks["it-own-data"]["IPAddress"] for networks in (hello, redis))
    pair = ("-s", source, "-d", target, "-p", "tcp", "--dport", "6379", "-j", "REJECT")
    subprocess.run(["iptables", "-w", "-I", "DOCKER-USER", *pair], check=True)
    try:
        broken = own.verify()
    finally:
        subprocess.run(["iptables", "-w", "-D", "DOCKER-USER", *pair], check=True)
    assert broken.code != 0
    check = r"it-own-hello: GET http://10\.86\.\d\.100:8090/health was not answered with 200 \[http\]"
    assert re.search(rf"{check}\n +evidence: 503 Redis does not answer", broken.output), broken.output
    assert "it-own-hello: could not connect to redis-master:6379" in broken.output
