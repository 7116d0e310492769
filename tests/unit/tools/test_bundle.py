"""A bundle is whole, says what it is for, and is refused where it is damaged, foreign or for another machine."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bundle as asking
import containers
import lint
import packing
import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.images import bundle

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = lint.ROOT
CHECKOUT = (
    "sse",
    "tools/bundled",
    "tools/surroundings.sh",
    "tools/install.py",
    "roles/docker/files/install-from-bundle",
    "requirements.txt",
)


def here() -> dict[str, Any]:
    machine = packing.machine()
    return {
        "format": bundle.FORMAT,
        "version": "0.1.0",
        "commit": "abc1234",
        "made": "2026-01-31T12:00:00Z",
        "architecture": machine.architecture,
        "distribution": machine.distribution,
        "python": machine.python,
        "platform": machine.platform,
        "packages": ["tini_1.deb"],
        "collections": {"community.docker": "4.8.5"},
        "images": {"sse-platform/app:1": "sha256:1"},
    }


def packed(target: Path, **changes: Any) -> Path:
    """Write a small bundle as tools/bundle.py does, and unpack it; return the checkout in it."""
    with target.open("wb") as file:
        packer = packing.Packer(file)
        for name in CHECKOUT:
            packer.add(f"top/{name}", ROOT / name)
        packer.add_bytes("top/bundle/checkout.sha256", packer.sums("top/", CHECKOUT))
        packer.add_bytes("top/bundle/wheels/one.whl", b"wheel")
        packer.add_bytes("top/bundle/packages.tar", b"packages")
        packer.add_stream("top/bundle/images.tar.gz", io.BytesIO(b"image" * 1000), "images")
        packer.add_bytes("top/bundle/manifest.json", (json.dumps({**here(), **changes}, indent=2) + "\n").encode())
        inside = [name.removeprefix("top/bundle/") for name in packer.digests if name.startswith("top/bundle/")]
        packer.add_bytes("top/bundle/SHA256SUMS", packer.sums("top/bundle/", inside))
        packer.close()
    subprocess.run(["tar", "xf", str(target)], cwd=target.parent, check=True)
    return target.parent / "top"


def bundled(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(checkout / "tools/bundled"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_was_packed_is_unpacked_with_its_checksums_and_modes(tmp_path: Path) -> None:
    checkout = packed(tmp_path / "b.tar")
    assert (checkout / "bundle/images.tar.gz").read_bytes() == b"image" * 1000
    assert (checkout / "sse").stat().st_mode & 0o777 == 0o755
    with tarfile.open(tmp_path / "b.tar") as archive:
        assert {(one.uid, one.gid) for one in archive} == {(0, 0)}
    lines = (checkout / "bundle/SHA256SUMS").read_text().splitlines()
    assert f"{hashlib.sha256(b'wheel').hexdigest()}  wheels/one.whl" in lines


def test_a_whole_bundle_is_taken_and_tells_its_python_and_commit(tmp_path: Path) -> None:
    checkout = packed(tmp_path / "b.tar")
    ended = bundled(checkout, "check")
    assert (ended.returncode, ended.stdout) == (0, "")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert bundled(checkout, "python").stdout.strip() == version
    assert bundled(checkout, "commit").stdout.strip() == "abc1234"


def damage(name: str) -> Callable[[Path], None]:
    def damaged(checkout: Path) -> None:
        content = bytearray((checkout / name).read_bytes())
        content[len(content) // 2] ^= 1
        (checkout / name).write_bytes(content)

    return damaged


def cut_sums(checkout: Path) -> None:
    sums = checkout / "bundle/SHA256SUMS"
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (damage("bundle/images.tar.gz"), "bundle/images.tar.gz is damaged or missing"),
        (damage("bundle/wheels/one.whl"), "bundle/wheels/one.whl is damaged or missing"),
        (damage("requirements.txt"), "/requirements.txt is damaged or missing"),
        (damage("bundle/SHA256SUMS"), "is damaged"),
        (lambda at: (at / "bundle/packages.tar").unlink(), "bundle/packages.tar is damaged or missing"),
        (lambda at: (at / "sse").unlink(), "/sse is damaged or missing"),
        (lambda at: (at / "bundle/wheels/evil.whl").write_text(""), "bundle/wheels/evil.whl does not belong"),
        (cut_sums, "does not belong to the bundle"),
        (lambda at: (at / "bundle/manifest.json").unlink(), "is no whole bundle"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused_by_its_name(
    harm: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    checkout = packed(tmp_path / "b.tar")
    harm(checkout)
    ended = bundled(checkout, "check")
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Nothing was changed." in ended.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 2}, "has the format '2', expected 1"),
        ({"architecture": "riscv64"}, "This bundle is for riscv64, and this machine is"),
    ],
)
def test_a_bundle_for_another_machine_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    ended = bundled(packed(tmp_path / "b.tar", **changes), "check")
    assert (ended.returncode, said in ended.stderr) == (1, True), ended.stderr


def test_packages_of_another_release_are_not_installed(tmp_path: Path) -> None:
    ended = bundled(packed(tmp_path / "b.tar", distribution="debian 99"), "install", "tini")
    assert ended.returncode == 1
    assert "The packages of the bundle are for debian 99, and this machine runs" in ended.stderr


def test_the_launcher_refuses_a_bundle_for_another_python_before_it_makes_an_environment(tmp_path: Path) -> None:
    checkout = packed(tmp_path / "b.tar", python="3.99", distribution="debian 99")
    (checkout / "tools/front.py").write_text("raise SystemExit(3)")
    ended = subprocess.run([str(checkout / "sse"), "up"], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "no Python 3.99 with venv" in ended.stderr
    assert "are for debian 99" in ended.stderr
    assert not (checkout / ".venv").exists()


def test_the_packages_are_those_that_the_role_installs() -> None:
    role = yaml.safe_load((ROOT / "roles/docker/vars/main.yml").read_text())
    installed = {*role["__docker_engine_packages"]["distribution"].split("'"), *role["__docker_packages"].split("'")}
    assert {*packing.PACKAGES, packing.CLIENT} - installed == {"python3", "python3-venv"}


def test_git_decides_what_of_the_checkout_is_packed_and_without_git_nothing_that_tools_make(tmp_path: Path) -> None:
    names = packing.checkout(ROOT)
    assert "sse" in names
    assert not [name for name in names if name.startswith((".venv/", ".ansible/", ".git/", "bundle/"))]
    for name in ("sse", "tools/front.py", ".venv/bin/python", "bundle/images.tar.gz", "tools/__pycache__/x.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert packing.checkout(tmp_path) == ["sse", "tools/front.py"]


def test_a_bundle_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "b.tar").touch()
    command = [sys.executable, str(ROOT / "tools/bundle.py"), str(tmp_path / "b.tar")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "overwrites nothing" in ended.stderr


def test_the_images_are_those_of_the_inventories_that_were_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **__: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        (tmp_path / "asked.json").write_text("{}")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr("sys.argv", ["bundle.py"])
    monkeypatch.setattr(asking.subprocess, "run", run)
    for given in ([], ["-i", "inventory/local"], ["-i", "inventory/local", "-i", "a,", "-l", "a"]):
        assert asking.ask_images(containers.parser().parse_args(given), tmp_path) == {}
        words = commands.pop()[2:]
        assert words[: words.index("-e")] == given


def test_for_a_cluster_this_machine_gets_the_images_with_the_settings_of_the_first_manager(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["bundle.py"])
    given = ["-i", "inventory/cluster-example", "-e", "x=1"]
    options = containers.parser().parse_args(given)
    asking.for_cluster(options)
    assert options.limit == "managers[0]"
    assert options.extra_vars == ["x=1", '{"ansible_connection": "local"}']
    with pytest.raises(SystemExit, match="leave out -l"):
        asking.for_cluster(containers.parser().parse_args([*given, "-l", "two"]))


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg-deb is not installed")
def test_the_index_of_the_packages_has_what_apt_compares(tmp_path: Path) -> None:
    control = "Package: tiny-one\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n"
    (tmp_path / "deb/DEBIAN").mkdir(parents=True)
    (tmp_path / "deb/DEBIAN/control").write_text(control)
    made = tmp_path / "tiny.deb"
    subprocess.run(["dpkg-deb", "-b", str(tmp_path / "deb"), str(made)], check=True, capture_output=True)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    expected = f"Filename: ./tiny.deb\nSize: {made.stat().st_size}\nSHA256: {digest}\n"
    assert packing.index_entry(made) == f"{control}{expected}"
