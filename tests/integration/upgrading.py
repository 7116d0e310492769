"""Upgrades with streams alive: Kafka and Redis to newer versions under load, and the first landed version taken over.

The earlier stack comes from a checkout of git's history, or from one of today with earlier versions of two programs. It
builds images, so it takes some minutes and is not part of ./sse test: pytest tests/integration/upgrading.py
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack
from ansible_collections.sse.platform.tests.integration.test_backup import resumed

FIRST = "6f29dad"  # the first version that landed
OLD_KAFKA = "4.0.1"
# Each a file of the checkout, what stands there, and what the earlier version had there.
EARLIER = (
    ("roles/images/vars/main.yml", "VERSION: 4.1.2", f"VERSION: {OLD_KAFKA}"),
    ("roles/kafka/vars/main.yml", "'4.1' if kafka", "'4.0' if kafka"),
    (
        "roles/images/files/redis/Dockerfile",
        "RUN install_packages redis-server",
        """RUN sed s/trixie/bookworm/g /etc/apt/sources.list >/etc/apt/sources.list.d/earlier.list \\
    && install_packages -t bookworm redis-server""",
    ),
    ("roles/redis/vars/main.yml", 'writes: "8.0"', 'writes: "7.0"'),
    ("roles/services/vars/main.yml", " +client|setinfo", ""),  # Redis has it since 7.2
)
# The archives that the earlier Kafka has and today's has not: the build refuses what is not in its list.
EARLIER_ARCHIVES = Path(__file__).with_name("earlier_artifacts.sha256")
SUBSCRIBERS = 20
EVENTS = 20
UNANSWERED_SECONDS = 60.0  # a publish is accepted within this time, with its retries, on a busy machine, too


def checkout(commit: str, target: Path) -> Path:
    """Unpack a commit, and let it use this environment."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(target, filter="data")
    link = target / ".ansible/collections/ansible_collections/sse/platform"
    link.parent.mkdir(parents=True)
    link.symlink_to(Path("../../../.."))
    return target


def up(root: Path, variables: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Bring a stack up with the playbook of a checkout."""
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    return subprocess.run(
        [program, str(root / "playbooks/site.yml"), "-e", json.dumps(variables)],
        cwd=root,
        env={**os.environ, "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack of its own; what a test needs of it, the test brings up."""
    found = Stack("older", "10.79.0.0/24", 19480, app_replicas=2, images_source="packages")
    found.destroy()
    yield found
    found.destroy()


def redis_version(stack: Stack) -> str:
    return str(stack.container("redis-master").exec_run(["redis-server", "--version"]).output.decode().split()[2])


def test_kafka_and_redis_are_upgraded_under_load_with_nothing_lost(stack: Stack, tmp_path: Path) -> None:
    old = checkout("HEAD", tmp_path / "old")
    for name, now, then in EARLIER:
        text = (old / name).read_text()
        assert now in text, f"{name} has no '{now}' any more: say what the earlier version had"
        (old / name).write_text(text.replace(now, then))
    with (old / "roles/images/files/maven/artifacts.sha256").open("a") as known:
        known.write(EARLIER_ARCHIVES.read_text())
    first = up(old, stack.variables)
    assert first.returncode == 0, first.stdout
    assert redis_version(stack).startswith("v=7.")
    report = tmp_path / "soak.json"
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    new = f"{program} {ROOT}/playbooks/site.yml -e '{json.dumps(stack.variables)}'"
    soak = subprocess.run(
        [sys.executable, str(ROOT / "bench/soak.py"), "--stack", stack.name, "--faults=", "--command", new,
         "--subscribers", str(SUBSCRIBERS), "--json", str(report)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    sys.stdout.write(soak.stdout + soak.stderr[-2000:])
    assert soak.returncode == 0, soak.stdout + soak.stderr
    one = json.loads(report.read_text())["faults"][-1]
    assert one["gaps"] == 0
    assert one["slowest_publish_seconds"] <= UNANSWERED_SECONDS
    assert redis_version(stack).startswith("v=8.")
    libraries = stack.container("kafka").exec_run(["ls", "/opt/kafka/libs"]).output.decode()
    assert f"-{OLD_KAFKA}.jar" not in libraries
    refused = stack.play("rollback")
    assert refused.code != 0, refused.output
    assert "writes its data as version 4.1 now and was version 4.0 then" in refused.output


@pytest.mark.parametrize("coordination", ["kraft", "zookeeper"])
def test_the_first_landed_version_is_taken_over_with_its_events(
    stack: Stack, tmp_path: Path, coordination: str
) -> None:
    """It asked nobody who he is, in Kafka or in Redis, and let every user of the host read its directories."""
    stack.variables["kafka_coordination"] = coordination
    if subprocess.run(["git", "cat-file", "-e", FIRST], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip(f"the history of git does not hold {FIRST}: this is no full clone")
    first = up(checkout(FIRST, tmp_path / "first"), stack.variables)
    assert first.returncode == 0, first.stdout
    answers = [stack.publish("kept", number) for number in range(EVENTS)]
    assert {one.status_code for one in answers} == {202}
    ids = [one.json()["ids"][0] for one in answers]
    assert not (stack.state / "secrets/kafka_app_password").exists()
    stack.up()
    assert (stack.state / "secrets/kafka_app_password").exists()
    assert stack.verify().code == 0
    assert (again := stack.up()).unchanged, again.output
    assert resumed(stack, ids[0], EVENTS - 1) == [str(number) for number in range(1, EVENTS)]
