"""The bill of materials names what is in the images, follows no link out of them, and goes with its release."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.releases import materials
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore

STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b7
Description: a shell
 Package: no-field-of-its-own

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root file system with a package of each kind, and links that lead out of it."""
    made, outside = tmp_path / "root", tmp_path / "outside"
    for path, content in {
        "usr/lib/os-release": 'ID=debian\nNAME="Debian"\n',
        "var/lib/dpkg/status": STATUS,
        "usr/local/lib/python3.13/site-packages/Foo_Bar-1.2.dist-info/METADATA": "Name: Foo.Bar\nVersion: 1.2\n\nText",
        "opt/kafka/libs/kafka-clients-4.1.2.jar": "jar",
        "opt/kafka/libs/plain.jar": "plain",
    }.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(content)
    outside.mkdir()
    (outside / "secret-1.0.jar").write_text("of the host")
    (made / "opt/out").symlink_to(outside)
    (made / "opt/kafka/libs/linked-1.0.jar").symlink_to(outside / "secret-1.0.jar")
    (made / "usr/share").mkdir()
    (made / "usr/share/java").symlink_to(outside)
    return made


def release(number: int = 1, identity: str = "sha256:" + "a" * 64) -> Any:
    containers = {name: {"image": "sse/app:1", "image_id": identity} for name in ("sse-app-1", "sse-app-2")}
    meta = {"outcome": "applied"}
    return {"stack": "sse", "project": "p", "number": number, "format": 3, "meta": meta, "containers": containers}


def kept(*given: Any) -> Any:
    return SimpleNamespace(**release(*given))


def test_packages_of_every_kind_are_named_and_no_link_is_followed(root: Path) -> None:
    found = {one["name"]: one for one in materials.inventory(root)}
    assert found.keys() == {"bash", "Foo.Bar", "kafka-clients", "plain"}
    assert found["bash"]["purl"] == "pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64"
    assert found["Foo.Bar"]["purl"] == "pkg:pypi/foo-bar@1.2"
    assert (found["kafka-clients"]["version"], found["plain"]["version"]) == ("4.1.2", "")
    assert found["plain"]["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"plain").hexdigest()}]


def test_a_bill_is_kept_with_its_release_and_an_image_is_read_once(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    ReleaseStore(str(state), "p").write(release())
    asked: list[str] = []

    def roots(name: str) -> Path:
        asked.append(name)
        return root

    path = materials.keep(str(state), release(), roots, lambda identity: [f"registry/app@{identity}"])
    again = materials.keep(str(state), release(2), roots)
    assert asked == ["sse-app-1"]
    bill = json.loads(path.read_text())
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["version"]) == (
        "CycloneDX",
        "1.5",
        "1",
    )  # fmt: skip
    [image] = bill["components"]
    assert len(image["components"]) == 4
    assert image["properties"] == [{"name": "digest", "value": f"registry/app@sha256:{'a' * 64}"}]
    assert bill["serialNumber"] != json.loads(again.read_text())["serialNumber"]
    assert path.stat().st_mode & 0o777 == 0o600
    store = ReleaseStore(str(state), "p")
    assert store.numbers() == [1]
    store.remove(1)
    assert not path.exists()
    assert again.exists()


def test_what_is_known_of_an_image_goes_with_the_last_release_that_has_it(root: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    ReleaseStore(str(state), "p").write(release())
    materials.keep(str(state), release(), lambda _: root)
    materials.forget(str(state), [kept()])
    assert len(list((state / "materials").glob("*.json"))) == 1
    materials.forget(str(state), [kept(2, "sha256:" + "b" * 64)])
    assert list((state / "materials").glob("*.json")) == []


def test_a_container_that_does_not_run_is_named_without_packages(tmp_path: Path) -> None:
    ReleaseStore(str(tmp_path / "state"), "p").write(release())
    bill = json.loads(materials.keep(str(tmp_path / "state"), release(), lambda _: None).read_text())
    assert [one["components"] for one in bill["components"]] == [[]]
