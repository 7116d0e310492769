"""A container's files on the host, and those that it reads anew while it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import files as files_module
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout import pin
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.model import secret, spec
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL, Observed
from ansible_collections.sse.platform.plugins.module_utils.model.repair import Repair

NOW = 4e9  # later than any change here
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


def test_containers_of_one_user_write_in_one_shared_directory(tmp_path: Path) -> None:
    one = declared(shared={"/run/sse": "app"})
    found = [files(tmp_path).mounts(name, one)["/run/sse"] for name in ("sse-app-1", "sse-app-2")]
    assert found == [(str(tmp_path / "shared/app"), False)] * 2
    assert (tmp_path / "shared/app").stat().st_mode & 0o777 == 0o700


def test_a_new_secret_is_written_where_the_running_container_looks_and_recreates_nothing(tmp_path: Path) -> None:
    one = guarded("app_keys")
    mounted, read_only = files(tmp_path, app_keys="old").mounts("c", one)["/run/auth"]
    path = tmp_path / "files/c/live-0/app_keys"
    assert (str(path.parent), True) == (mounted, read_only)
    assert path.stat().st_mode & 0o777 == 0o400
    directory = path.parent.stat().st_ino
    later = files(tmp_path, app_keys="new")
    found = list(later.differences("c", one, NOW))
    assert found == [Repair("write", "/run/auth/app_keys", "/run/auth/app_keys: content", restart=False)]
    assert path.read_text() == "old"
    later.mounts("c", one)
    assert (path.read_text(), path.parent.stat().st_ino) == ("new", directory)
    assert list(later.differences("c", one, NOW)) == []
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


def test_every_change_of_a_mounted_file_is_found_and_undone(tmp_path: Path) -> None:
    known = files(tmp_path, app_keys="k")
    one = declared(config={"/etc/a": {"f": "one", "g/h": "two"}}, secrets={"/run/s": {"k": {"secret": "app_keys"}}})
    mounts = known.mounts("c", one)
    config, secrets = (Path(mounts[target][0]) for target in ("/etc/a", "/run/s"))
    assert list(known.differences("c", one, NOW)) == []

    write(config / "f", "other")
    (config / "g/h").unlink()
    (config / "new").write_text("x")
    write(secrets / "k", "stolen")
    assert {each.reason for each in known.differences("c", one, NOW)} == {
        "/etc/a/f: was changed on the host",
        "/etc/a/g/h: is missing",
        "/etc/a/new: is not declared, and is removed",
        "/run/s/k: was changed on the host",
    }
    known.mounts("c", one)
    assert list(known.differences("c", one, NOW)) == []

    (config / "f").chmod(0o600)
    [wrong] = known.differences("c", one, NOW)
    assert wrong.reason == "/etc/a/f: permissions 600 -> 444"


def replaced(path: Path, *, directory: bool = False) -> None:
    """Put something else in place of a file or a directory: a directory with a file in it, or a file."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    if directory:
        path.mkdir()
        (path / "own").write_text("x")
    else:
        path.write_text("somebody's")


def linked(path: Path, elsewhere: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(elsewhere)


CONFIG, DATA = "files/c/{version}/config-0", "data/c/d"
GONE = {"/etc/a/f: is missing", "/etc/a/g/h: is missing"}
# What somebody does to a place below the state directory, and what is said of it.
ACTS: list[tuple[str, Callable[[Path], object], set[str]]] = [
    (
        f"{CONFIG}/f",
        lambda path: replaced(path, directory=True),
        {"/etc/a/f: was changed on the host", "/etc/a/f/own: is not declared, and is removed"},
    ),
    (f"{CONFIG}/f", lambda path: linked(path, Path("/etc/passwd")), {"/etc/a/f: was changed on the host"}),
    (f"{CONFIG}/f", lambda path: path.write_bytes(b"\xff"), {"/etc/a/f: was changed on the host"}),
    (f"{CONFIG}/g", replaced, {"/etc/a/g/h: is missing", "/etc/a/g: is not declared, and is removed"}),
    (CONFIG, replaced, GONE),
    (CONFIG, lambda path: linked(path, path.parent), GONE),
    (f"{CONFIG}/..", replaced, GONE),
    ("files/c", replaced, GONE),
    ("files", lambda path: (path / "c/somebody's").write_text("x"), set()),
    (DATA, replaced, {"/data: {state}/data/c/d is no directory; it is kept as {state}/data/c/d.aside-1, and ..."}),
    ("data/c", replaced, {"/data: {state}/data/c is no directory; it is kept as {state}/data/c.aside-1, and ..."}),
    (
        DATA,
        lambda path: linked(path, Path("/nowhere")),
        {"/data: {state}/data/c/d is no directory; it is kept as {state}/data/c/d.aside-1, and ..."},
    ),
]


@pytest.mark.parametrize(("place", "does", "said"), ACTS)
def test_whatever_is_in_place_of_a_file_or_a_directory_is_named_and_mended(
    tmp_path: Path, place: str, does: Callable[[Path], object], said: set[str]
) -> None:
    known = files(tmp_path)
    one = declared(config={"/etc/a": {"f": "one", "g/h": "two"}}, data={"/data": "d"})
    known.mounts("c", one)
    does((tmp_path / place.format(version=known.version("c", one).name)).resolve())
    found = {each.reason.replace(f"{tmp_path / DATA} is empty", "...") for each in known.differences("c", one, NOW)}
    assert found == {text.format(state=tmp_path) for text in said}
    known.kept(known.directories("c", one).values())  # as before each reload
    known.mounts("c", one)
    known.prune({"c": one})
    assert list(known.differences("c", one, NOW)) == []
    assert all(path.is_dir() for path in (tmp_path / "files/c").iterdir())


def test_what_is_in_place_of_a_data_directory_is_kept_whole_each_time(tmp_path: Path) -> None:
    known, one = files(tmp_path), declared(data={"/data": "d"})
    for text in ("first", "second"):
        known.mounts("c", one)
        replaced(tmp_path / DATA)
        (tmp_path / DATA).write_text(text)
    known.mounts("c", one)
    kept = {path.name: path.read_text() for path in (tmp_path / "data/c").iterdir() if path.is_file()}
    assert kept == {"d.aside-1": "first", "d.aside-2": "second"}


def test_a_file_that_is_as_it_should_be_is_not_written_again(tmp_path: Path) -> None:
    known = files(tmp_path)
    before = declared(live_secrets={"/run/l": {"a": {"secret": "a"}, "b": {"secret": "b"}}})
    known.store.given.update(a="1", b="1")
    known.mounts("c", before)
    kept = {path.name: path.stat().st_ino for path in (tmp_path / "files/c/live-0").iterdir()}
    known.store.given.update(b="2")
    known.mounts("c", before)
    now = {path.name: path.stat().st_ino for path in (tmp_path / "files/c/live-0").iterdir()}
    assert (now["a"] == kept["a"], now["b"] == kept["b"]) == (True, False)


def test_a_process_that_started_before_a_file_was_changed_has_not_read_the_change(tmp_path: Path) -> None:
    known, one = files(tmp_path), declared(config={"/etc/a": {"f": "one"}})
    path = Path(known.mounts("c", one)["/etc/a"][0]) / "f"
    write(path, "other")
    then = path.stat().st_ctime
    assert [each.restart for each in known.differences("c", one, then - 1)] == [False]
    assert [each.restart for each in known.differences("c", one, then + 1)] == [True]
    assert [each.restart for each in known.differences("c", one, 0)] == [False]


@pytest.mark.parametrize("kind", ["data", "shared"])
def test_a_directory_for_data_that_is_gone_is_made_again_with_its_owner(tmp_path: Path, kind: str) -> None:
    known, one = files(tmp_path), declared(**{kind: {"/data": "d"}})
    directory = Path(known.mounts("c", one)["/data"][0])
    assert list(known.differences("c", one, NOW)) == []
    directory.rmdir()
    [gone] = known.differences("c", one, NOW)
    assert gone.restart
    assert gone.reason == f"/data: the directory {directory} is gone; it is made again and is empty"
    known.mounts("c", one)
    assert list(known.differences("c", one, NOW)) == []


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to other users")
USER = (4242, 4242)


def owners(directory: Path) -> dict[str, int]:
    return {str(path.relative_to(directory)): path.lstat().st_uid for path in directory.rglob("*")}


@needs_root
@pytest.mark.parametrize("place", ["a/log", "a", "f", "a/linked", "."])
def test_data_that_somebody_gave_to_another_user_are_named_and_given_back(tmp_path: Path, place: str) -> None:
    known, one = files(tmp_path), declared(data={"/data": "d"}) | {"user": "4242:4242"}
    data, outside = Path(known.mounts("c", one)["/data"][0]), tmp_path / "outside"
    outside.mkdir()
    (data / "a").mkdir()
    for file in (data / "a/log", data / "f"):
        file.write_text("x")
    (data / "a/linked").symlink_to(outside)
    (data / "lost+found").mkdir()
    for path in data.rglob("*"):
        if path.name != "lost+found":
            os.chown(path, *USER, follow_symlinks=False)
    assert list(known.differences("c", one, NOW)) == []
    os.chown(data / place, 0, 0, follow_symlinks=False)
    [found] = known.differences("c", one, NOW)
    assert found == Repair("write", "/data", f"/data: {data / place} belongs to 0:0 -> 4242:4242")
    known.mounts("c", one)
    assert owners(data) == {"a": 4242, "a/log": 4242, "a/linked": 4242, "f": 4242, "lost+found": 0}
    assert outside.stat().st_uid == 0
    assert list(known.differences("c", one, NOW)) == []


@needs_root
def test_everything_comes_back_at_once_also_where_it_is_more_than_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, one = files(tmp_path), declared(data={"/data": "d"}) | {"user": "4242:4242"}
    data = Path(known.mounts("c", one)["/data"][0])
    for number in range(30):
        (data / f"{number}/below").mkdir(parents=True)
    monkeypatch.setattr(files_module.state_modes, "LOOKED_AT", 5)
    os.chown(data, 0, 0)
    assert len(list(known.differences("c", one, NOW))) == 1
    known.mounts("c", one)
    assert set(owners(data).values()) == {4242}
    os.chown(data / "7/below", 0, 0)
    assert list(known.differences("c", one, NOW)) == []  # it costs too much to look at everything in each plan


@needs_root
def test_what_a_container_of_root_gave_away_stays_so(tmp_path: Path) -> None:
    known, one = files(tmp_path), declared(data={"/data": "d"}) | {"user": "0:0"}
    data = Path(known.mounts("c", one)["/data"][0])
    (data / "f").write_text("x")
    os.chown(data / "f", *USER)
    known.mounts("c", one)
    assert list(known.differences("c", one, NOW)) == []
    assert owners(data) == {"f": 4242}


def test_the_content_of_a_secret_that_is_not_given_now_is_not_compared(tmp_path: Path) -> None:
    one = declared(secrets={"/run/s": {"k": {"secret": "app_ticket_key"}}})
    own = files(tmp_path)
    own.store.value("app_ticket_key")  # the host made its own, and then one was given
    given = files(tmp_path, app_ticket_key="given")
    pinned = pin({"containers": {"c": one}}, None, given.store, make=True)["containers"]["c"]  # type: ignore[typeddict-item]
    path = Path(given.mounts("c", pinned)["/run/s"][0]) / "k"
    assert path.read_text() == "given"
    assert list(own.differences("c", pinned, NOW)) == []
    write(path, "stolen")
    assert [each.subject for each in given.differences("c", pinned, NOW)] == ["/run/s/k"]


def test_a_look_finds_a_changed_file_of_a_secret_that_only_the_controller_has(tmp_path: Path) -> None:
    one = declared(
        secrets={"/run/s": {"k": {"secret": "app_ticket_key"}}},
        live_secrets={"/run/auth": {"t": {"secret": "app_ticket_key", "format": "is {}"}}},
    )
    given = files(tmp_path, app_ticket_key="given-by-a-person")
    pinned = pin({"containers": {"c": one}}, None, given.store, make=True)["containers"]["c"]  # type: ignore[typeddict-item]
    mounts = given.mounts("c", pinned)
    looks, mends = files(tmp_path), files(tmp_path)
    looks.only_looks = True
    assert list(looks.differences("c", pinned, NOW)) == []
    for target, file in (("/run/s", "k"), ("/run/auth", "t")):
        path = Path(mounts[target][0]) / file
        right = path.read_text()
        write_alike(path, "stolen")
        [found] = looks.differences("c", pinned, NOW)
        assert found.reason == f"{target}/{file}: was changed on the host"
        assert list(mends.differences("c", pinned, NOW)) == []  # it could only write the host's own secret there
        write_alike(path, right)
    given.mounts("c", {**pinned, "live_secrets": {}})
    given.prune({"c": pinned})
    assert list(looks.differences("c", pinned, NOW)) == []
    kept = tmp_path / "written" / "c.json"
    assert "given" not in kept.read_text()
    given.forget("c")
    assert not kept.exists()


def test_a_preview_of_files_makes_nothing(tmp_path: Path) -> None:
    assert [each.kind for each in files(tmp_path).differences("c", guarded("app_ticket_key"), NOW)] == ["write"]
    assert list(tmp_path.iterdir()) == []


def write(path: Path, text: str) -> None:
    """Write a file as somebody with root's rights does."""
    path.chmod(0o600)
    path.write_text(text)


def write_alike(path: Path, text: str) -> None:
    """Write a file, and give it the permissions that it had."""
    write(path, text)
    path.chmod(0o400)


def configured(**config: str) -> Any:
    return declared(config={"/etc/c": config}, secrets={"/run/c": {"key": {"secret": "app_ticket_key"}}})


def test_a_reload_writes_where_the_container_looks_and_removes_what_is_not_declared(tmp_path: Path) -> None:
    known, old, new = files(tmp_path), configured(a="1", b="1"), configured(a="2")
    version = known.version("c", old)
    mounts = known.mounts("c", old, version)
    directory, secrets = (Path(mounts[target][0]) for target in ("/etc/c", "/run/c"))
    before, inode = (directory / "a").stat().st_ino, directory.stat().st_ino
    put_back = known.kept(known.directories("c", old).values())
    for one in known.directories("c", new, version).values():
        known.write(one)
    assert {path.name: path.read_text() for path in directory.iterdir()} == {"a": "2"}
    assert (directory / "a").stat().st_ino != before  # a new file: no reader sees half of it
    assert directory.stat().st_ino == inode  # in the directory that is mounted
    put_back()
    assert {path.name: path.read_text() for path in directory.iterdir()} == {"a": "1", "b": "1"}
    assert (secrets / "key").stat().st_mode & 0o777 == 0o400


def test_a_trial_has_the_new_files_and_leaves_nothing(tmp_path: Path) -> None:
    known, old, new = files(tmp_path), configured(a="1"), configured(a="2")
    known.mounts("c", old)
    with known.trial("c", new) as mounts:
        assert (tmp_path / mounts["/etc/c"][0] / "a").read_text() == "2"
        assert all(read_only for _, read_only in mounts.values())
    assert [path.name for path in (tmp_path / "files/c").iterdir()] == [known.version("c", old).name]
    assert not (tmp_path / "trial").exists()


def test_a_trial_of_another_user_s_files_hands_nothing_over_that_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preview tries the files too, and it may change nothing."""
    handed: list[Path] = []
    monkeypatch.setattr(files_module.state_modes, "hand_over", lambda path, *_: handed.append(path))
    known, new = files(tmp_path), configured(a="2")
    with known.trial("c", new):
        assert handed
    assert not [path for path in handed if path.is_relative_to(tmp_path / "files")]


def test_a_trial_before_there_is_a_stack_leaves_no_directory(tmp_path: Path) -> None:
    with files(tmp_path / "state").trial("c", declared(config={"/etc/c": {"a": "1"}})) as mounts:
        assert (Path(mounts["/etc/c"][0]) / "a").read_text() == "1"
    assert not (tmp_path / "state").exists()


def test_a_trial_keeps_its_files_while_another_run_removes_what_is_left_of_old_ones(tmp_path: Path) -> None:
    new = declared(config={"/etc/c": {"a": "1"}})
    (tmp_path / "trial" / "c-1").mkdir(parents=True)
    with files(tmp_path).trial("c", new) as mounts:
        files(tmp_path).prune({"c": new})
        assert (Path(mounts["/etc/c"][0]) / "a").read_text() == "1"
        assert not (tmp_path / "trial" / "c-1").exists()
    assert not (tmp_path / "trial").exists()


def test_what_a_killed_trial_left_goes_with_the_next_run(tmp_path: Path) -> None:
    known = files(tmp_path)
    (tmp_path / "trial/c-1/secrets-0").mkdir(parents=True)
    known.prune({})
    assert not (tmp_path / "trial").exists()


def test_the_directory_that_a_reloaded_container_mounts_is_not_pruned(tmp_path: Path) -> None:
    known, old, new = files(tmp_path), configured(a="1"), configured(a="2")
    known.mounts("c", old)
    version = known.version("c", old)
    known.loaded.write("c", {"id": "1", "version": version.name, "spec": new, "release": "", "ended": True})
    assert known.mounted("c", new) == version
    assert known.mounted("c", old) == version
    known.prune({"c": new})
    assert version.is_dir()
    known.loaded.forget("c")
    known.prune({"c": new})
    assert not version.exists()


def test_what_a_reload_told_counts_for_that_container_alone(tmp_path: Path) -> None:
    known, old, new = files(tmp_path), configured(a="1"), configured(a="2")
    runs = Observed("c", "1", {f"{LABEL}spec": spec.fingerprint(old)}, "running", "healthy")
    for ended, told in ((True, spec.fingerprint(new)), (False, "interrupted")):
        known.loaded.write("c", {"id": "1", "version": "v", "spec": new, "release": "", "ended": ended})
        [seen, other] = known.loaded.seen([runs, runs._replace(id="2")])
        assert (seen.label("spec"), other.label("spec")) == (told, spec.fingerprint(old))


def test_a_certificate_of_the_users_is_not_compared_with_the_one_that_the_host_made(tmp_path: Path) -> None:
    own: Any = {"kind": "certificate", "service": "s", "readers": [], "bytes": 0, "pair": "key"}
    for given, different in ((True, False), (False, True)):
        store: Any = Store(str(tmp_path), {"certificate": "mine"}, {})
        spec: Any = declared(live_secrets={"/run/tls": {"tls.pem": {"secret": "certificate", "format": "{}"}}})
        Files(str(tmp_path), store).mounts("c", spec)
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets/certificate").write_text("of the host")
        now: Any = {"certificate": {**own, "given": given}}
        later = Store(str(tmp_path), {}, now)
        assert bool(list(Files(str(tmp_path), later).differences("c", spec, 0.0))) == different
