"""A host with no network at all is deployed from a bundle, from nothing: no engine, no Python with venv, no index.

This takes some minutes, so it is not part of ./sse test: pytest tests/integration/offline.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible_collections.sse.platform.tests.integration.stack import ROOT

NAME = "offline-host"
MINUTES = 15
OPTIONS = (
    *("--network=none", "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined"),
    *("--security-opt=apparmor=unconfined", "--security-opt=systempaths=unconfined", "--device-cgroup-rule=a *:* rwm"),
    *("--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--volume=/var/lib/docker", "--env=container=docker"),
    *("--volume=/var/lib/containerd", "--stop-signal=SIGRTMIN+3"),
)
BOOT = "for m in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,rw,bind $m; done; exec /sbin/init"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60 * MINUTES)


def inside(script: str) -> subprocess.CompletedProcess[str]:
    return run("docker", "exec", NAME, "sh", "-c", f"exec 2>&1; cd /srv && {script}")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Debian like this machine, with systemd and without Docker, and with a bundle in /srv."""
    target = tmp_path_factory.mktemp("bundle") / "sse-bundle.tar"
    made = run(sys.executable, "tools/bundle.py", str(target))
    assert made.returncode == 0, made.stdout + made.stderr
    codename = [line for line in Path("/etc/os-release").read_text().splitlines() if "VERSION_CODENAME" in line]
    hosts = yaml.safe_load((ROOT / "molecule/shared/vars/hosts.yml").read_text())
    built = run(sys.executable, "molecule/shared/host_image.py", codename[0].partition("=")[2], "debian",
                *hosts["test_packages"])  # fmt: skip
    image = json.loads(built.stdout)["image"]
    run("docker", "rm", "-fv", NAME)
    try:
        started = run("docker", "run", "-d", f"--name={NAME}", f"--hostname={NAME}", *OPTIONS, image, "sh", "-c", BOOT)
        assert started.returncode == 0, started.stderr
        assert run("docker", "cp", str(target), f"{NAME}:/srv/").returncode == 0
        target.unlink()
        yield
    finally:
        run("docker", "rm", "-fv", NAME)


@pytest.mark.usefixtures("host")
def test_a_host_with_no_network_is_deployed_from_a_bundle() -> None:
    assert inside("ip -o link | wc -l; ip route; command -v dockerd").stdout.split() == ["1"]
    unpacked = inside("tar xf sse-bundle.tar && rm sse-bundle.tar")
    assert unpacked.returncode == 0, unpacked.stdout
    images = inside("cd sse-bundle/bundle && cp images.tar.gz /srv/kept && truncate -s -1 images.tar.gz")
    assert images.returncode == 0, images.stdout
    refused = inside("sse-bundle/sse up")
    assert refused.returncode == 1
    assert "bundle/images.tar.gz is damaged" in refused.stdout
    assert inside("command -v dockerd || ls sse-bundle/.venv").returncode != 0, "something changed"
    assert inside("mv kept sse-bundle/bundle/images.tar.gz").returncode == 0
    up = inside("sse-bundle/sse up -e app_replicas=1")
    assert up.returncode == 0, up.stdout
    assert "verified: " in up.stdout
    assert "Images: bundle" in up.stdout
    again = inside("sse-bundle/sse up -e app_replicas=1")
    assert "nothing changed" in again.stdout, again.stdout
    verified = inside("sse-bundle/sse verify")
    assert verified.returncode == 0, verified.stdout
