"""What `ansible-galaxy collection build` packs: the collection, and nothing that belongs to a user."""

from __future__ import annotations

import shutil
import subprocess
import tarfile

import pytest
from lint import ROOT, sources

# Only people who change the collection need these.
NOT_PACKED = (
    *(".ci/", ".config/", ".github/", "bench/", "galaxy.yml", "inventory/", "molecule/"),
    *("tests/engine.yml", "tests/integration/", "tests/unit/"),
)
OF_A_USER = [
    ".ansible/collections/stale.py",
    ".coverage",
    ".env",
    ".venv/bin/python",
    "app/.env",
    "app/build.tar.gz",
    "app/__pycache__/service.pyc",
    "app/server.key",
    "bundle.tar.gz",
    "bundle.tgz",
    "capture.pcap",
    "cert.pem",
    "dashboard/node_modules/vite/index.js",
    "fullchain.pem",
    "grafana.deb",
    "group_vars/all/vault.yml",
    "host_vars/vm.yml",
    "hosts.yml",
    "id_ed25519",
    "images.tar",
    "inventory/local/group_vars/all/mine.yml",
    "inventory/mine/group_vars/all/secret.yml",
    "inventory/mine/hosts.yml",
    "jwks.json",
    "keys.json",
    "private.p12",
    "redis_password.txt",
    "roles/app/files/keys.json",
    "roles/nginx/files/server.key",
    "roles/nginx/files/tls.crt",
    "secrets.yml",
    "sse-platform-0.0.9.tar.gz",
    "tests/output/junit.xml",
]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The files of a collection that was built from a checkout with things of a user in it."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    copy, target = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("built")
    for name in [*sources(), *OF_A_USER]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if name in OF_A_USER:
            (copy / name).write_text("a secret")
        else:
            shutil.copy(ROOT / name, copy / name)
    subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
    command = ["ansible-galaxy", "collection", "build", "--output-path", str(target)]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)
    with tarfile.open(next(target.iterdir())) as archive:
        return {member.name for member in archive if not member.isdir()}


def test_the_archive_holds_the_collection_and_nothing_of_the_user(packed: set[str]) -> None:
    expected = {name for name in sources() if not name.startswith(NOT_PACKED)}
    assert sorted(packed - {"MANIFEST.json", "FILES.json"}) == sorted(expected)


def test_the_archive_holds_what_a_deployment_needs(packed: set[str]) -> None:
    contexts = {"app/Dockerfile", "dashboard/Dockerfile", "dashboard/.npmrc", "roles/images/files/redis/Dockerfile"}
    assert {*contexts, "LICENSE", "playbooks/site.yml", "plugins/modules/stack.py", "roles/app/vars/main.yml"} <= packed
