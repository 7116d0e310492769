"""Whoever makes a directory of a stack first, and with which permissions: after a run, only its own user enters it."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_job, permissions, run_lock, switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.host import live_files, state_modes
from ansible_collections.sse.platform.plugins.module_utils.model import secret, spec
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

APP, PROXY = (10001, 10001), (8080, 8080)
SECRETS = secret.declared({"app": {"secrets": {"key": {"kind": "password"}}}})
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")


def declared(user: tuple[int, int], **more: Any) -> Any:
    given = {"image": "i", "entrypoint": ["e"], "healthcheck": {"command": ["true"]}, **more}
    return {**spec.parse({**given, "user": f"{user[0]}:{user[1]}"}, "test"), "image_id": "i"}


def containers(state: Path) -> dict[str, Any]:
    """Return an application that keeps data, and a proxy that reaches its socket."""
    return {
        "sse-app": declared(
            APP,
            config={"/etc/app": {"below/f": "text"}},
            secrets={"/run/s": {"key": {"secret": "key"}}},
            live_secrets={"/run/l": {"key": {"secret": "key"}}},
            data={"/var/lib/app": "deep/data", "/run/link": "link"},
            shared={"/run/common": "common"},
            binds={"/run/switches": str(state / "switches")},
        ),
        "sse-proxy": declared(
            PROXY,
            binds={
                "/run/link/a": str(state / "data/sse-app/link"),
                "/run/link/b": str(state / "shared/common"),
                "/metrics": str(state / "matrix"),
                "/run/live": str(state / "live"),
                "/e": "/etc",
            },
        ),
    }


def backed_up(state: Path) -> None:
    job: Any = {"state_directory": str(state), "period": 1}
    backup_job.record(job, {"ok": 1})


def deploy(state: Path) -> None:
    """Make what a run makes, in its order."""
    found = containers(state)
    with run_lock.locked(str(state), {}):
        switches.ready(str(state))
        state_modes.make(state / "matrix")
        live_files.ready(state)
        release: Any = {"containers": found, "number": 1, "project": "p", "meta": {"outcome": "applied"}}
        state_modes.enforce(state, found)
        files = Files(str(state), Store(str(state), {}, SECRETS))
        files.containers = found
        for name, one in found.items():
            files.mounts(name, one)
        (state / "data/sse-app/deep/data/made-by-itself").mkdir(mode=0o755, exist_ok=True)
        os.chown(state / "data/sse-app/deep/data/made-by-itself", *APP)
        ReleaseStore(str(state), release["project"]).write(release)
        matrix.keep(state, [], [], enforced=False)
    switches.pause(str(state), "publishing", {})
    backed_up(state)


def modes(state: Path) -> dict[str, tuple[int, int]]:
    """Return mode and user of every directory, by path."""
    found = [state, *(path for path in state.rglob("*") if path.is_dir())]
    return {str(one.relative_to(state)): (stat.S_IMODE(one.stat().st_mode), one.stat().st_uid) for one in found}


def by_hand(state: Path, mode: int, below: int) -> None:
    """Make directories as somebody, or an earlier version, has made them."""
    for one in (
        "backup",
        "data/sse-app/link",
        "shared/common",
        "files/sse-app",
        "matrix",
        "releases",
        "secrets",
        "switches",
    ):
        (state / one).mkdir(parents=True, exist_ok=True)
    for path in state.rglob("*"):
        path.chmod(below)
    state.chmod(mode)


ORDERS = {
    "nobody": lambda state: None,
    "by hand, open": lambda state: by_hand(state, 0o755, 0o755),
    "by hand, closed": lambda state: by_hand(state, 0o700, 0o700),
    "by hand, for all": lambda state: by_hand(state, 0o777, 0o777),
    "a backup": backed_up,
    "a secret": lambda state: Store(str(state), {}, SECRETS).value("key"),
    "verify": lambda state: matrix.keep(state, [], [], enforced=False),
    "a pause": lambda state: switches.pause(str(state), "publishing", {}),
    "the lock": lambda state: run_lock.take(str(state), {}, 0).close(),  # type: ignore[union-attr]
    "a run before": deploy,
}


@needs_root
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o000])
@pytest.mark.parametrize("order", ORDERS)
def test_whoever_makes_a_directory_first_it_ends_with_the_same_permissions(
    tmp_path: Path, order: str, umask: int
) -> None:
    state, before = tmp_path / "state", os.umask(umask)
    try:
        ORDERS[order](state)
        deploy(state)
        deploy(state)
    finally:
        os.umask(before)
    assert list(state_modes.differences(state, containers(state))) == []
    found = modes(state)
    assert found.pop(".") == (0o711, 0)
    assert found.pop("matrix") == (0o755, 0)
    assert found.pop("data/sse-app/link") == (0o710, APP[0])
    assert found.pop("shared/common") == (0o710, APP[0])
    assert found.pop("switches") == (0o750, 0)
    assert (state / "switches").stat().st_gid == APP[1]
    assert found.pop("live") == (0o750, 0)
    assert (state / "live").stat().st_gid == PROXY[1]
    own = found.pop("data/sse-app/deep/data/made-by-itself")
    assert own == (0o755 & ~umask, APP[0])
    assert {mode for mode, __ in found.values()} == {0o700}
    assert {path for path, (__, user) in found.items() if user == APP[0]} == {
        *("data/sse-app", "data/sse-app/deep", "data/sse-app/deep/data", "files/sse-app"),
        *(path for path in found if path.startswith("files/sse-app/")),
    }
    others = [path for path in [*state.iterdir(), *(state / "secrets").iterdir()] if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in others} == {0o600}


@needs_root
def test_a_changed_permission_is_named_and_put_right(tmp_path: Path) -> None:
    state = tmp_path / "state"
    deploy(state)
    known = containers(state)
    (state / "secrets").chmod(0o755)
    (state / "secrets/key").chmod(0o644)
    os.chown(state / "switches", *APP)
    (state / "matrix").chmod(0o700)
    told = state_modes.enforce(state, known)
    assert sorted(told) == [
        f"{state}/matrix: mode 0700 -> 0755",
        f"{state}/secrets/key: mode 0644 -> 0600",
        f"{state}/secrets: mode 0755 -> 0700",
        f"{state}/switches: owner 10001:10001 -> 0:10001",
    ]
    assert state_modes.enforce(state, known) == []


@needs_root
def test_a_link_is_never_followed(tmp_path: Path) -> None:
    state, outside = tmp_path / "state", tmp_path / "outside"
    outside.mkdir(mode=0o755)
    deploy(state)
    (state / "linked").symlink_to(outside)
    (state / "files/sse-app/linked").symlink_to(outside)
    (state / "data/sse-app/deep/data/linked").symlink_to(outside)
    assert state_modes.enforce(state, containers(state)) == []
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755


def test_a_link_that_a_container_makes_meanwhile_is_not_followed(tmp_path: Path) -> None:
    """It was a directory when it was looked at."""
    outside, link = tmp_path / "outside", tmp_path / "link"
    outside.mkdir(mode=0o755)
    link.symlink_to(outside)
    with pytest.raises(OSError, match="link"):
        state_modes.give(link, 0o700, None)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755


@needs_root
def test_a_state_directory_that_is_a_link_to_another_disk_is_judged_as_the_directory_that_it_is(tmp_path: Path) -> None:
    state, disk = tmp_path / "state", tmp_path / "disk/state"
    deploy(state)
    disk.parent.mkdir()
    state.rename(disk)
    state.symlink_to(disk)
    known = containers(state)
    assert list(state_modes.differences(state, known)) == []
    disk.chmod(0o755)
    (disk / "switches").chmod(0o755)
    (disk / "secrets/key").chmod(0o644)
    (disk / "files/sse-app").chmod(0o755)
    assert sorted(state_modes.enforce(state, known)) == [
        f"{state}/files/sse-app: mode 0755 -> 0700",
        f"{state}/secrets/key: mode 0644 -> 0600",
        f"{state}/switches: mode 0755 -> 0750",
        f"{state}: mode 0755 -> 0711",
    ]
    assert stat.S_IMODE(disk.stat().st_mode) == 0o711
    deploy(state)
    assert list(state_modes.differences(state, known)) == []
    assert state.is_symlink()


def test_links_in_place_of_directories_for_data_are_found_and_a_containers_own_are_not(tmp_path: Path) -> None:
    for one in ("data/a/keep/own", "data/b/secrets/kind"):
        (tmp_path / one).mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    for one in ("data/a/keep/linked", "data/a/other", "data/c", "data/b/secrets/kind2", "shared"):
        (tmp_path / one).symlink_to(elsewhere)
    found = ["data/a/other", "data/b/secrets/kind2", "data/c"]
    assert state_modes.links(tmp_path) == {str(tmp_path / one): str(elsewhere) for one in found}
    assert state_modes.links(tmp_path / "none") == {}


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Return a directory that every user can enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs_root
def test_another_user_reads_no_secret_and_no_event_but_the_matrix(reachable: Path) -> None:
    state = reachable / "state"
    by_hand(state, 0o755, 0o755)
    deploy(state)
    (state / "data/sse-app/deep/data/made-by-itself/event").write_text("secret")
    for user in (65534, APP[0], PROXY[0]):  # a user of the host may have the number of a container's user
        child = os.fork()
        if not child:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            open_to = [path for path in [*known(state)] if os.access(path, os.R_OK)]
            read = {path.parent.name for path in open_to} <= {"matrix", "switches", "live"} and open_to
            read = read and (user == PROXY[0]) == os.access(state / "live/matrix.json", os.R_OK)
            os._exit(0 if read and not os.access(state / "switches", os.W_OK) else 1)  # nobody else pauses a stack
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, user


def known(state: Path) -> list[Path]:
    """Return files whose paths somebody may guess, since the state directory can't be listed."""
    found = [state / "matrix/reach.prom", state / "secrets/key", state / "switches/publishing", state / "lock"]
    found += [state / "data/sse-app/deep/data/made-by-itself/event", state / "files/sse-app/live-0/key"]
    return [*found, state / "releases/p/0001.json", state / "live/matrix.json"]


def test_many_differences_are_told_in_a_few_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(tmp_path / str(number), "mode 0755 -> 0700") for number in range(9)]
    monkeypatch.setattr(permissions, "differences", lambda *_: many)
    told = permissions.ensure(str(tmp_path), check=True)
    assert told[0] == f"permissions {tmp_path}/0: mode 0755 -> 0700"
    assert told[1:] == [*(f"permissions {path}: {how}" for path, how in many[1:3]), told[-1]]
    assert told[-1] == f"permissions: 6 more below {tmp_path}"
