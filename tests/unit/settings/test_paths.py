"""Settings that name a file: where a relative path begins, and what is said where nothing can be read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.settings import options, paths
from ansible_collections.sse.platform.tests import certificates

ROOT = Path(__file__).parents[3]
OPTIONS = {name: one for role in options.load(ROOT / "roles", yaml.safe_load).values() for name, one in role.items()}
FILES = sorted(name for name, option in OPTIONS.items() if option.get("paths", {}).get("", "").startswith("file"))
PLAY = """
- hosts: all
  connection: local
  gather_facts: false
  tasks:
    - sse.platform.settings:
    - ansible.builtin.copy: {content: "{{ settings | to_json }}", dest: "{{ out }}", mode: "0600"}
"""


def tried(written: str, file: str = "") -> list[str]:
    return list(paths.resolve(written, paths.Place(file, "/call")).tried)


def test_a_file_that_only_a_build_reads_may_be_absent(tmp_path: Path) -> None:
    given = paths.resolve(str(tmp_path / "grafana.tar.gz"), paths.Place("", str(tmp_path)))
    assert paths.problem(given, paths.FILE_FOR_A_BUILD) == ""
    assert "no such file" in paths.problem(given)
    assert "it is a directory" in paths.problem(paths.resolve(str(tmp_path), given.place), paths.FILE_FOR_A_BUILD)


def test_a_relative_path_begins_where_it_was_written() -> None:
    assert tried("keys.json") == ["/call/keys.json"]
    assert tried("../keys.json", "/i/hosts.yml") == ["/i/../keys.json"]
    assert tried("a/b.pem", "/i/group_vars/all/x.yml") == ["/i/a/b.pem", "/i/group_vars/all/a/b.pem"]
    assert tried("b.pem", "/i/host_vars/vm.yml") == ["/i/b.pem", "/i/host_vars/b.pem"]
    assert tried("/k", "/i/hosts.yml") == ["/k"]


def test_a_tilde_is_the_home_directory_wherever_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert tried("~/x.tar.gz", "/i/hosts.yml") == ["/home/me/x.tar.gz"]
    assert tried("~nobody-has-this-name/x") == ["/call/~nobody-has-this-name/x"]


def test_the_path_beside_the_inventory_wins_where_both_exist(tmp_path: Path) -> None:
    place = paths.Place(str(tmp_path / "group_vars/all/x.yml"), "/")
    (tmp_path / "group_vars/all").mkdir(parents=True)
    (tmp_path / "group_vars/all/k").touch()
    assert paths.resolve("k", place).path == str(tmp_path / "group_vars/all/k")
    (tmp_path / "k").touch()
    assert paths.resolve("k", place).path == str(tmp_path / "k")


def test_what_cannot_be_read_is_said_with_the_paths_that_were_tried(tmp_path: Path) -> None:
    here = paths.Place("", str(tmp_path))
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nothing")
    assert paths.problem(paths.resolve("file", here)) == ""
    assert paths.problem(paths.resolve("there", here), "directory") == ""
    said = paths.problem(paths.resolve("absent", here))
    assert said == (f"no such file on the controller; tried {tmp_path}/absent, relative to the directory of the call")
    assert paths.problem(paths.resolve("/absent", here)) == "no such file on the controller"
    assert "it is a directory" in paths.problem(paths.resolve("there", here))
    assert "it is no directory" in paths.problem(paths.resolve("file", here), "directory")
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe, a socket or a device" in paths.problem(paths.resolve("pipe", here))
    assert "no such file" in paths.problem(paths.resolve("dangling", here))
    assert "can't be read (Not a directory)" in paths.problem(paths.resolve("file/x", here))
    said = paths.problem(paths.resolve("x", paths.Place("/i/group_vars/all.yml", "/")))
    assert said.endswith("tried /i/x and /i/group_vars/x, relative to /i/group_vars/all.yml, which sets it")


def test_every_setting_that_names_a_file_on_the_controller_declares_it() -> None:
    described = re.compile(r"on the\s+controller", re.IGNORECASE)
    told = [name for name, one in OPTIONS.items() if described.search(str(dict(one).get("description", "")))]
    assert sorted(told) == FILES
    of_type_path = {name for name, option in OPTIONS.items() if option.get("type") == "path"}
    assert of_type_path - set(FILES) == {"stack_state_directory"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An inventory with files beside it, and another directory to start from."""
    inventory = tmp_path / "inventory"
    for directory in (inventory / "group_vars/all", inventory / "certificates", tmp_path / "call", tmp_path / "vars"):
        directory.mkdir(parents=True)
    certificates.make(inventory / "certificates/fullchain.pem", inventory / "certificates/privkey.pem")
    (inventory / "keys.json").write_text((ROOT / "tests/unit/roles/keys.json").read_text())
    (inventory / "jwt.txt").write_text("a secret of at least 32 bytes, which is no host\n")
    (tmp_path / "call/images.tar").touch()
    shutil.copy(inventory / "certificates/fullchain.pem", tmp_path / "vars/authority.pem")
    return tmp_path


def settings(project: Path, *arguments: str, **written: Any) -> subprocess.CompletedProcess[str]:
    """Run the action in a directory that is neither the checkout nor the inventory; it writes settings.json there."""
    (project / "inventory/hosts.yml").write_text("all: {hosts: {localhost: {app_jwt_secret_file: jwt.txt}}}\n")
    (project / "inventory/group_vars/all/files.yml").write_text(yaml.safe_dump(written))
    (project / "play.yml").write_text(PLAY)
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "../inventory", "../play.yml"]
    given = ("-e", f"out={project}/settings.json", "-e", f"ansible_python_interpreter={sys.executable}")
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"}
    return subprocess.run(
        [*command, *given, *arguments],
        cwd=project / "call",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_ansible_tells_where_each_value_was_written_and_only_absolute_paths_flow(project: Path) -> None:
    (project / "vars/more.yml").write_text("images_registry_ca: authority.pem\n")
    run = settings(
        project,
        *("-e", "images_archive=images.tar", "-e", "@../vars/more.yml"),
        app_auth=True,
        app_keys_file="{{ 'keys' }}.json",
        nginx_certificate="certificates/fullchain.pem",
        nginx_certificate_key="certificates/privkey.pem",
        services_extra={"own": {"secret_files": {"a": "keys.json", "b": "{{ 'jwt' }}.txt"}}},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    # None of the files beside the inventory was read as one.
    assert "inventory source" not in run.stderr + run.stdout
    assert re.findall(r"^(\S+) +: ok=", run.stdout, re.MULTILINE) == ["localhost"]
    found = json.loads((project / "settings.json").read_text())
    inventory = project / "inventory"
    assert {name: found[name] for name in FILES if found[name]} == {
        "app_jwt_secret_file": f"{inventory}/jwt.txt",
        "app_keys_file": f"{inventory}/keys.json",
        "images_archive": f"{project}/call/images.tar",
        "images_registry_ca": f"{project}/vars/authority.pem",
        "nginx_certificate": f"{inventory}/certificates/fullchain.pem",
        "nginx_certificate_key": f"{inventory}/certificates/privkey.pem",
    }
    assert found["services_extra"]["own"]["secret_files"] == {
        "a": f"{inventory}/keys.json",
        "b": f"{inventory}/jwt.txt",
    }


def test_a_secret_that_everybody_can_read_is_accepted_and_told(project: Path) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own directories are closed
        home, secret, link = Path(place), Path(place) / "jwt.txt", project / "link.txt"
        link.symlink_to(secret)
        home.chmod(0o755)
        secret.write_text("a secret of at least 32 bytes, which is no host\n")
        secret.chmod(0o644)
        assert paths.others_read(str(link))
        run = settings(project, "-e", f"app_jwt_secret_file={secret}", app_auth=True)
        assert run.returncode == 0
        told = " ".join((run.stderr + run.stdout).split())
        assert f"app_jwt_secret_file: every user of this controller can read {secret}" in told
        for mode, content in ((0o600, "secret"), (0o640, "secret"), (0o644, "$ANSIBLE_VAULT;1.1;AES256\n")):
            secret.write_text(content)
            secret.chmod(mode)
            assert not paths.others_read(str(link))
        secret.write_text("secret")
        home.chmod(0o700)
        assert not paths.others_read(str(secret))


def test_authorities_that_are_none_are_told_at_once(project: Path) -> None:
    names = [name for name, option in OPTIONS.items() if option.get("authorities")]
    assert names == ["acme_authorities_file", "alerts_authorities_file", "images_registry_ca"]
    run = settings(project, **dict.fromkeys(names, "jwt.txt"))
    assert run.returncode != 0
    text = " ".join(run.stdout.split())
    for name in names:
        assert f"{name} is '{project}/inventory/jwt.txt': it holds no certificate in PEM" in text


def test_every_absent_file_is_told_at_once(project: Path) -> None:
    own = json.dumps({"services_extra": {"own": {"secret_files": {"a": "none/a"}}}})
    run = settings(project, "-e", own, *(part for name in FILES for part in ("-e", f"{name}=none/{name}")))
    assert run.returncode != 0
    text = " ".join(run.stdout.split())
    # A file for a build is looked for only where there is something to build.
    for name in (one for one in FILES if OPTIONS[one].get("paths") == {"": "file"}):
        said = f"{name} is 'none/{name}': no such file on the controller; tried {project}/call/none/{name}, relative"
        assert said in text
    assert "services_extra.own.secret_files.a is 'none/a': no such file on the controller" in text


def test_what_the_service_would_not_take_is_refused_before_anything_changes_and_not_shown(project: Path) -> None:
    """Without that, a replica kept the last good file, `up` ended well, and the replica started never again."""
    (project / "inventory/jwt.txt").write_text("canary\n")
    (project / "inventory/jwks.json").write_text('{"keys": [{"kty": "oct", "k": "Y2FuYXJ5"}]}')
    (project / "inventory/keys.json").write_text('{"keys": [], "keys": []}')
    run = settings(project, app_auth=True, app_jwks_file="jwks.json", app_keys_file="keys.json")
    said = " ".join((run.stdout + run.stderr).split())
    assert run.returncode != 0
    assert "3 settings are not accepted, and nothing was changed" in said
    assert "expected secrets of at least 32 bytes, one a line" in said
    assert "keys[0]: expected a secret of at least 32 bytes" in said
    assert "a name occurs twice in an object" in said
    assert "canary" not in said
    assert "Y2FuYXJ5" not in said
