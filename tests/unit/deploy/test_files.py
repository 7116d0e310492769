"""A container's files on the host, and those that it reads anew while it runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout import pin, refreshed
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.model import secret, spec
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action

if TYPE_CHECKING:
    from pathlib import Path

ME = f"{os.getuid()}:{os.getgid()}"


def declared(**more: Any) -> Any:
    return {
        **spec.parse(
            {"image": "i", "entrypoint": ["e"], "user": ME, "healthcheck": {"command": ["true"]}, **more}, "test"
        ),
        "image_id": "i",
    }


SECRETS = secret.declared({"app": {"secrets": {"app_ticket_key": {"kind": "password"}}}})


def guarded(*names: str) -> Any:
    return declared(live_secrets={"/run/auth": {name: {"secret": name} for name in names}})


def files(state: Path, **given: str) -> Files:
    return Files(str(state), Store(str(state), given, SECRETS))


def test_a_new_secret_is_written_where_the_running_container_looks_and_recreates_nothing(tmp_path: Path) -> None:
    one = guarded("app_keys")
    mounted, read_only = files(tmp_path, app_keys="old").mounts("c", one)["/run/auth"]
    path = tmp_path / "files/c/live-0/app_keys"
    assert (str(path.parent), True) == (mounted, read_only)
    assert path.stat().st_mode & 0o777 == 0o400
    directory = path.parent.stat().st_ino
    later = files(tmp_path, app_keys="new")
    assert later.stale("c", one) == ["/run/auth/app_keys"]
    assert path.read_text() == "old"
    later.refresh("c", one)
    assert (path.read_text(), path.parent.stat().st_ino) == ("new", directory)
    assert later.stale("c", one) == []
    release: Any = {"containers": {"c": one}}
    pinned = [
        pin(release, None, files(tmp_path, app_keys=value).store, make=True)["containers"]["c"]
        for value in ("old", "new")
    ]
    assert spec.fingerprint(pinned[0]) == spec.fingerprint(pinned[1])


def test_a_file_that_is_declared_no_more_goes(tmp_path: Path) -> None:
    known = files(tmp_path, app_keys="k", app_jwks="j")
    known.mounts("c", guarded("app_keys", "app_jwks"))
    known.mounts("c", guarded("app_jwks"))
    assert [path.name for path in (tmp_path / "files/c/live-0").iterdir()] == ["app_jwks"]


def test_what_a_running_container_reads_is_not_pruned(tmp_path: Path) -> None:
    known, one = files(tmp_path, app_keys="k"), guarded("app_keys")
    known.mounts("c", one)
    known.prune({"c": one})
    assert (tmp_path / "files/c/live-0/app_keys").exists()
    known.prune({"c": declared()})
    assert not (tmp_path / "files/c/live-0").exists()


def test_only_containers_that_stay_are_refreshed_and_a_preview_makes_nothing(tmp_path: Path) -> None:
    release: Any = {"containers": {name: guarded("app_ticket_key") for name in ("kept", "replaced")}}
    actions = [Action("keep", "kept", []), Action("replace", "replaced", ["why"])]
    known = files(tmp_path)
    planned = refreshed(actions, known, release)
    assert [(one.kind, one.reasons) for one in planned] == [
        ("refresh", ["/run/auth/app_ticket_key: content"]),
        ("replace", ["why"]),
    ]
    assert list(tmp_path.iterdir()) == []
    known.refresh("kept", release["containers"]["kept"])
    assert refreshed(actions, known, release) == actions
