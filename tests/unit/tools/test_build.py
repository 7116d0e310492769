"""The archive of the collection: it holds nothing of a user, and works where it is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from lint import ROOT, sources

# Only people who change the collection need these.
NOT_PACKED = (
    *(".ci/", ".config/", ".github/", "bench/", "galaxy.yml", "inventory/", "molecule/"),
    *("tests/clients/", "tests/engine.yml", "tests/integration/", "tests/unit/"),
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
# What a host must be for a release. The rest is this machine as host_info observes it from the installed collection.
BARE: dict[str, Any] = {
    "memory_bytes": 2**34,
    "is_root": True,
    "overcommit_memory": 1,
    "engine": None,
    "dockerd": "",
    "dockerd_pid": None,
    "surroundings": None,
    "networks": [],
    "interfaces": [],
    "routes": [],
    "listeners": [],
    "containers": [],
    "images": {},
    "kafka_data": None,
}
PLAY: list[dict[str, Any]] = [
    {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"images_source": "packages"},
        "tasks": [
            {"sse.platform.settings": {}},
            {"sse.platform.host_info": {}, "register": "observed"},
            {"ansible.builtin.set_fact": {"host": "{{ observed | combine(bare) }}"}},
            {"sse.platform.images": {}},
            {"ansible.builtin.import_role": {"name": "sse.platform.services"}},
            {"sse.platform.release": {"projects": {"sse-platform": []}}},
            {"sse.platform.image_contexts": {"contexts": ["app", "dashboard", "roles/images/files/redis"]}},
            {"sse.platform.settings": {}},  # again, as where one playbook goes on with another
            {"ansible.builtin.copy": {"content": "{{ releases[0] | to_json }}", "dest": "{{ out }}", "mode": "0600"}},
        ],
    }
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as `ansible-galaxy` builds it from a checkout that also holds files of a user."""
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
    return next(target.iterdir())


@pytest.fixture(scope="module")
def packed(archive: Path) -> set[str]:
    """The names of all files in the archive."""
    with tarfile.open(archive) as opened:
        return {member.name for member in opened if not member.isdir()}


def test_the_archive_holds_the_collection_and_nothing_of_the_user(packed: set[str]) -> None:
    expected = {name for name in sources() if not name.startswith(NOT_PACKED)}
    assert sorted(packed - {"MANIFEST.json", "FILES.json"}) == sorted(expected)


def test_the_archive_holds_what_a_deployment_needs(packed: set[str]) -> None:
    contexts = {"app/Dockerfile", "dashboard/Dockerfile", "dashboard/.npmrc", "roles/images/files/redis/Dockerfile"}
    assert {*contexts, "LICENSE", "playbooks/site.yml", "plugins/modules/stack.py", "roles/app/vars/main.yml"} <= packed


@dataclass
class Elsewhere:
    """An empty directory. Programs that run in it know the installed collection, and no checkout."""

    directory: Path

    def run(self, *command: str | Path) -> str:
        """Run a program, and return what it printed."""
        configuration = self.directory / "ansible.cfg"
        configuration.write_text("[defaults]\n")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment |= {"ANSIBLE_CONFIG": str(configuration), "ANSIBLE_COLLECTIONS_PATH": str(self.collections)}
        how: dict[str, Any] = {"cwd": self.directory, "env": environment, "capture_output": True, "text": True}
        run = subprocess.run(command, check=False, **how)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    @property
    def collections(self) -> Path:
        """Where the collection is installed."""
        return self.directory / "collections"


@pytest.fixture(scope="module")
def elsewhere(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """A directory with the collection. Its one dependency, community.docker, comes with the package `ansible`."""
    place = Elsewhere(tmp_path_factory.mktemp("elsewhere"))
    place.run(*("ansible-galaxy", "collection", "install", "--offline", "--no-deps"), "-p", place.collections, archive)
    return place


def test_every_playbook_is_found_where_the_collection_is_installed(elsewhere: Elsewhere) -> None:
    playbooks = [f"sse.platform.{path.stem}" for path in (ROOT / "playbooks").glob("*.yml")]
    listed = elsewhere.run("ansible-playbook", "-i", "localhost,", "--list-tasks", *playbooks)
    found = listed.split("\nplaybook: ")[1:]
    assert len(found) == len(playbooks)
    # The actions of these tasks check the settings.
    begins = ("Check the settings", "Observe", "Compare")
    assert all(any(one in tasks for one in begins) for tasks in found)


def test_a_release_is_built_where_the_collection_is_installed(elsewhere: Elsewhere) -> None:
    play, out = elsewhere.directory / "play.yml", elsewhere.directory / "release.json"
    play.write_text(yaml.safe_dump(PLAY))
    variables = {"out": str(out), "bare": BARE, "ansible_python_interpreter": sys.executable}
    elsewhere.run("ansible-playbook", "-i", "localhost,", "-c", "local", "-e", json.dumps(variables), play)
    assert {"sse-nginx", "sse-app-1", "sse-kafka", "sse-redis-master"} <= set(json.loads(out.read_text())["containers"])
