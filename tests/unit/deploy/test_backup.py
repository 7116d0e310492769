"""A backup comes back whole under any name, and nothing that does not fit is restored."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import tarfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.action.backup_file import ActionModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup, backup_package
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_contents import backup_data
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_share import Share, comes, joined
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.plugins.plugin_utils import backup_file

PASSPHRASE = "correct horse battery"
SECRETS = {"password": "canary-secret", "salt": "s"}


def container(short: str, **data: str) -> dict[str, Any]:
    user = f"{os.getuid()}:{os.getgid()}"
    return {
        "container": short,
        "service": short,
        "user": user,
        "data": {f"/{below}": below for below in data},
        "binds": {},
    }


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A stack with two services that keep data."""
    made = tmp_path / "state"
    for path, text in {
        "data/sse-log/log/big.log": "x" * 5000,
        "data/sse-log/log/checkpoint": "5",
        "data/sse-log/log/meta.properties": "# written\nversion=1\n",
        "data/own-name/keep/f": "mine",
        "data/sse-metrics/tsdb/block": "m",
        "data/sse-keeper/secrets/state/accounts/key": "canary-secret of an account",
        "history.jsonl": "{}\n",
        **{f"secrets/{name}": value for name, value in SECRETS.items()},
    }.items():
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(text)
    release = {
        "format": FORMAT,
        "number": 3,
        "stack": "sse",
        "project": "sse-platform",
        "meta": {"outcome": "applied"},
        "data": [{"container": "sse-log", "directory": "log", "fits": {}, "writes": "4.1"}],
        "containers": {
            "sse-log": container("log", log=""),
            "own-name": container("own", keep=""),
            "sse-metrics": container("metrics", tsdb=""),
            "sse-keeper": container("keeper", **{"secrets/state": ""}),
        },
    }
    (made / "releases/sse-platform").mkdir(parents=True)
    (made / "releases/sse-platform/0003.json").write_text(json.dumps(release))
    return made


def packed(state: Path, path: Path, *left_out: str) -> Path:
    """Write a backup of a state directory as the playbook does."""
    written = backup.write("sse", str(state), list(left_out), path.with_name("state.tar.gz"))
    archive = Path(written["archive"])
    backup_package.pack(path, written["manifest"], written["secrets"], archive, PASSPHRASE)
    archive.unlink()
    return path


def restore(path: Path, target: Path, stack: str, passphrase: str = PASSPHRASE) -> None:
    unpacked = path.with_name("unpacked")
    unpacked.mkdir(exist_ok=True)
    manifest, secrets = backup_file.unpack(path, passphrase, unpacked)
    backup.restore(unpacked / "state.tar.gz", manifest, secrets, stack, str(target))


def content(directory: Path) -> dict[str, str]:
    return {str(one.relative_to(directory)): one.read_text() for one in directory.rglob("*") if one.is_file()}


def test_a_backup_comes_back_as_it_was(state: Path, tmp_path: Path) -> None:
    os.chown(state / "data/sse-log/log/big.log", 9092, 9092)
    restore(packed(state, tmp_path / "b"), tmp_path / "new", "sse")
    assert content(tmp_path / "new") == content(state)
    assert (tmp_path / "new/data/sse-log/log/big.log").stat().st_uid == 9092
    assert (tmp_path / "new/secrets/password").stat().st_mode & 0o777 == 0o600


def test_another_stack_gets_the_data_and_secrets_and_none_of_the_releases(state: Path, tmp_path: Path) -> None:
    restore(packed(state, tmp_path / "b", "metrics"), tmp_path / "new", "demo")
    assert sorted(content(tmp_path / "new")) == [
        "data/demo-keeper/secrets/state/accounts/key",
        "data/demo-log/log/big.log",
        "data/demo-log/log/checkpoint",
        "data/demo-log/log/meta.properties",
        "data/own-name/keep/f",
        "secrets/password",
        "secrets/salt",
    ]


def test_a_link_among_data_comes_back_as_a_link_and_what_it_leads_to_is_not_read(state: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "of-the-host"
    foreign.mkdir()
    (foreign / "shadow").write_text("canary-of-the-host")
    kept = state / "data/own-name/keep"
    (kept / "file").symlink_to(foreign / "shadow")
    (kept / "below").symlink_to(foreign)
    (kept / "dangling").symlink_to("nowhere")
    os.link(kept / "f", kept / "second name")
    written = backup.write("sse", str(state), [], tmp_path / "state.tar.gz")
    assert b"canary-of-the-host" not in gzip.decompress((tmp_path / "state.tar.gz").read_bytes())
    target = tmp_path / "target"
    backup.unpack(tmp_path / "state.tar.gz", written["manifest"]["files"], target)
    back = target / "data/own/keep"
    links = {one.name: str(one.readlink()) for one in back.iterdir() if one.is_symlink()}
    assert links == {"file": str(foreign / "shadow"), "below": str(foreign), "dangling": "nowhere"}
    assert (back / "f").read_text() == (back / "second name").read_text() == "mine"


@pytest.mark.parametrize("above", [False, True], ids=["in its place", "above it"])
def test_a_link_that_a_container_puts_in_the_way_meanwhile_is_not_followed(tmp_path: Path, above: bool) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/file").write_text("of the host")
    (tmp_path / "data").mkdir()
    wanted = tmp_path / "data/directory/file"
    if above:
        wanted.parent.symlink_to(tmp_path / "host")
    else:
        wanted.parent.mkdir()
        wanted.symlink_to(tmp_path / "host/file")
    with pytest.raises(FileNotFoundError), backup.opened(wanted):
        pass


def test_nothing_is_written_through_a_link_of_an_archive(tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    link, file = tarfile.TarInfo("data/own/keep"), tarfile.TarInfo("data/own/keep/file")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "host")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.addfile(link)
        archive.addfile(file)
    empty = hashlib.sha256().hexdigest()
    files = {"data/own/keep": backup.hash_of(link.linkname), "data/own/keep/file": empty}
    with pytest.raises(OSError, match="directory"):
        backup.unpack(tmp_path / "a.tar.gz", files, tmp_path / "target")
    assert list((tmp_path / "host").iterdir()) == []


def test_a_secret_among_data_comes_back_for_its_container_alone(state: Path, tmp_path: Path) -> None:
    file = packed(state, tmp_path / "b")
    restore(file, tmp_path / "new", "demo")
    key = tmp_path / "new/data/demo-keeper/secrets/state/accounts/key"
    assert (key.stat().st_uid, key.stat().st_mode & 0o777) == (os.getuid(), 0o600)


@pytest.mark.parametrize("place", ["data/keeper/secrets/../../../x", "data/log/log/x", "etc/keeper/secrets/x"])
def test_a_secret_at_another_place_is_refused(state: Path, tmp_path: Path, place: str) -> None:
    written = backup.write("sse", str(state), [], tmp_path / "state.tar.gz")
    with pytest.raises(BackupError, match="no backup of this collection"):
        backup.restore(Path(written["archive"]), written["manifest"], {place: "x"}, "demo", str(tmp_path / "new"))


def test_no_secret_is_readable_in_a_backup(state: Path, tmp_path: Path) -> None:
    body = packed(state, tmp_path / "b").read_bytes()
    assert b"canary-secret" not in body
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_a_backup_says_which_data_are_elsewhere_and_not_in_it(state: Path, tmp_path: Path) -> None:
    assert backup.write("sse", str(state), [], tmp_path / "a.tar.gz")["manifest"].get("elsewhere") == []
    path = state / "releases/sse-platform/0003.json"
    used = {"name": "Log", "servers": ["a.example:1"], "keeps": "all events"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "elsewhere": [used, {**used, "keeps": ""}]}))
    written = backup.write("sse", str(state), [], tmp_path / "b.tar.gz")
    assert written["manifest"].get("elsewhere") == ["all events (Log at a.example:1)"]


def test_small_files_come_before_the_large_ones_that_they_speak_of(state: Path, tmp_path: Path) -> None:
    backup.write("sse", str(state), [], tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        names = [one.name for one in archive if one.isfile()]
    assert names.index("data/log/log/checkpoint") < names.index("data/log/log/big.log")


def test_a_file_that_grows_while_it_is_read_is_kept_at_one_length(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = state / "data/sse-log/log/big.log"
    real = tarfile.TarFile.addfile

    def addfile(archive: tarfile.TarFile, entry: tarfile.TarInfo, stream: Any = None) -> None:
        with growing.open("a") as more:
            more.write("tail")
        real(archive, entry, stream)

    monkeypatch.setattr(tarfile.TarFile, "addfile", addfile)
    path = packed(state, tmp_path / "b")
    monkeypatch.undo()
    restore(path, tmp_path / "new", "sse")
    kept = (tmp_path / "new/data/sse-log/log/big.log").read_text()
    assert growing.read_text().startswith(kept)


def test_a_file_that_goes_while_it_is_read_is_not_in_the_backup(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = backup.add_file

    def add_file(archive: tarfile.TarFile, name: str, path: Path) -> str:
        found = real(archive, name, path)
        (state / "data/sse-log/log/checkpoint").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(backup, "add_file", add_file)
    path = packed(state, tmp_path / "b")
    restore(path, tmp_path / "new", "sse")
    assert sorted(content(tmp_path / "new/data/sse-log")) == ["log/big.log", "log/meta.properties"]


def test_a_stack_that_is_here_is_never_overwritten(state: Path, tmp_path: Path) -> None:
    before = content(state)
    path = packed(state, tmp_path / "b")
    with pytest.raises(BackupError, match=r"stack 'sse' is here already .*destroy -e stack_delete_data=true"):
        restore(path, state, "sse")
    assert content(state) == before


def test_what_a_killed_restore_left_is_no_stack_and_goes_when_it_is_restored_again(state: Path, tmp_path: Path) -> None:
    path, new = packed(state, tmp_path / "b"), tmp_path / "new"
    (new / "restoring/data").mkdir(parents=True)
    restore(path, new, "sse")  # it had not placed anything
    assert not (new / "restoring").exists()
    assert backup.half_restored(str(new)) == ""
    (new / "restoring").mkdir()
    with pytest.raises(BackupError, match=r"ended before everything was in place.*and restore the backup again"):
        restore(path, new, "sse")


def test_a_restore_that_fails_after_it_placed_something_counts_as_half_restored(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, new = packed(state, tmp_path / "b"), tmp_path / "new"

    def full(*__: object, **___: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backup, "write_file", full)
    with pytest.raises(OSError, match="No space"):
        restore(path, new, "sse")
    assert list((new / "data").iterdir())  # `./sse up` would begin with these, and with new secrets
    assert "and restore the backup again" in backup.half_restored(str(new))


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(state, tmp_path / "b")
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(BackupError, match="1 MiB free, and 64 MiB are needed"):
        restore(path, tmp_path / "new", "sse")
    assert not (tmp_path / "new").exists()


def test_the_archive_counts_too_where_it_comes_to_the_same_disk(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = backup.write("sse", str(state), [], tmp_path / "a.tar.gz")
    free = written["manifest"]["bytes"] + backup.SPARE
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    backup.refuse_misfit(written["manifest"], "sse", str(tmp_path / "new"))
    with pytest.raises(BackupError, match=r"are needed: free some space"):
        backup.refuse_misfit(written["manifest"], "sse", str(tmp_path / "new"), 1 << 30)


def test_the_archive_of_a_killed_restore_is_where_the_playbook_brings_it(state: Path) -> None:
    (state / backup.INCOMING).mkdir()
    (state / backup.INCOMING / "state.tar.gz").write_text("half")
    backup.forget_archive(str(state))
    backup.forget_archive(str(state))
    assert not (state / "incoming").exists()
    place = Path(__file__).resolve().parents[3] / "playbooks/tasks/place_backup.yml"
    assert f"{{{{ settings.stack_state_directory }}}}/{backup.INCOMING}" in place.read_text()


def test_data_that_are_gone_are_named(state: Path, tmp_path: Path) -> None:
    (state / "data/own-name/keep").rename(tmp_path / "away")
    with pytest.raises(BackupError, match=r"own-name/keep is gone, .* `./sse up` make it again, empty. No backup was"):
        backup.write("sse", str(state), [], tmp_path / "a.tar.gz")
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_controller_without_room_for_the_archive_is_told(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(state, tmp_path / "b")
    (tmp_path / "unpacked").mkdir()
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    with pytest.raises(BackupError, match="unpacked has 1 MiB free"):
        backup_file.unpack(path, PASSPHRASE, tmp_path / "unpacked")


def test_a_disk_that_fills_while_the_file_is_written_is_told_and_nothing_is_left(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(backup_package.os, "fsync", full)
    (tmp_path / "kept").mkdir()
    with pytest.raises(BackupError, match="b can't be written \\(No space left on device\\)"):
        packed(state, tmp_path / "kept/b")
    assert [one.name for one in (tmp_path / "kept").iterdir()] == ["state.tar.gz"]


def test_what_a_backup_says_of_its_data_is_known_before_they_are_placed(state: Path, tmp_path: Path) -> None:
    written = backup.write("sse", str(state), [], tmp_path / "a.tar.gz")
    assert backup_data(tmp_path / "a.tar.gz", written["manifest"]) == {
        "markers": {"log/log": {"version": "1"}},
        "kept": [{"container": "log", "directory": "log", "fits": {}, "writes": "4.1"}],
    }


def test_releases_of_a_later_version_are_refused(state: Path, tmp_path: Path) -> None:
    path = state / "releases/sse-platform/0003.json"
    written = backup.write("sse", str(state), [], tmp_path / "a.tar.gz")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": FORMAT + 1}))
    with tarfile.open(tmp_path / "later.tar.gz", "w:gz") as archive:
        archive.add(state / "data/sse-log/log/meta.properties", "data/log/log/meta.properties")
        archive.add(path, "releases/sse-platform/0003.json")
    with pytest.raises(BackupError, match=rf"has format {FORMAT + 1}, and this version reads formats up to {FORMAT}"):
        backup_data(tmp_path / "later.tar.gz", written["manifest"])


def flipped(path: Path, name: str, place: int, bit: int = 1) -> Path:
    """Return a copy of a backup in which one bit of a member is another one."""
    with tarfile.open(path) as packed:
        start = packed.getmember(name).offset_data
    content = bytearray(path.read_bytes())
    content[start + place] ^= bit
    made = path.with_name("flipped")
    made.write_bytes(content)
    return made


def test_no_bit_of_what_is_kept_may_be_another_one(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(state, tmp_path / "b")
    monkeypatch.setattr(backup_file, "decrypted", lambda *_: {})  # which takes long, and comes after the checksum
    for name in backup_package.MEMBERS:
        with tarfile.open(path) as archive:
            size = archive.getmember(name).size
        for place in range(0, size, 1 if name == "manifest.json" else 97):
            with pytest.raises(BackupError, match="is damaged: its checksum is wrong"):
                backup_file.unpack(flipped(path, name, place, 1 << place % 8), PASSPHRASE, tmp_path)
            with pytest.raises(BackupError, match="is damaged"):
                backup_package.refuse_damage(tmp_path / "flipped")


def test_a_backup_from_before_there_was_a_checksum_is_read(state: Path, tmp_path: Path) -> None:
    written = backup.write("sse", str(state), [], tmp_path / "a.tar.gz")
    manifest = {**written["manifest"], "state": "0"}
    assert backup_package.manifest_of(json.dumps(manifest).encode(), tmp_path) == manifest
    del manifest["owners"]
    assert backup_package.manifest_of(json.dumps(manifest).encode(), tmp_path) == manifest
    del manifest["state"]
    with pytest.raises(BackupError, match="is damaged"):
        backup_package.manifest_of(json.dumps(manifest).encode(), tmp_path)


def test_a_wrong_passphrase_is_told_and_not_shown(state: Path, tmp_path: Path) -> None:
    path = packed(state, tmp_path / "b")
    with pytest.raises(BackupError, match="the passphrase does not open the secrets") as told:
        restore(path, tmp_path / "new", "sse", "wrong horse battery")
    assert "wrong horse" not in str(told.value)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("short", ["", "secret"])
def test_a_short_passphrase_is_refused_and_not_shown(short: str) -> None:
    with pytest.raises(BackupError, match="expected at least 12") as told:
        backup_package.checked(short)
    assert not short or short not in str(told.value)


def test_one_wrong_byte_is_found_before_anything_is_restored(state: Path, tmp_path: Path) -> None:
    path = packed(state, tmp_path / "b")
    body = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        place = archive.getmember("state.tar.gz").offset_data + 40
    body[place] ^= 1
    path.write_bytes(body)
    with pytest.raises(BackupError, match="is damaged"):
        restore(path, tmp_path / "new", "sse")
    path.write_bytes(body[: place + 10])
    with pytest.raises(BackupError, match=r"is damaged|no backup|can.t be read"):
        restore(path, tmp_path / "new", "sse")
    assert not (tmp_path / "new").exists()


def test_another_format_and_another_file_are_refused(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "FORMAT", 2)
    path = packed(state, tmp_path / "b")
    with pytest.raises(BackupError, match="has format 2, and this version reads 1"):
        restore(path, tmp_path / "new", "sse")
    (tmp_path / "c").write_text("hello")
    with pytest.raises(BackupError, match="can't be read as a backup"):
        restore(tmp_path / "c", tmp_path / "new", "sse")


def test_an_archive_that_leaves_its_directory_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(__file__, "../outside")
    with pytest.raises(BackupError, match=r"'\.\./outside'"):
        backup.unpack(tmp_path / "a.tar.gz", {}, tmp_path / "in")


@pytest.mark.parametrize("place", ["data", "data/sse-log", "data/sse-log/log", "data/sse-keeper/secrets/state"])
def test_a_link_in_place_of_data_is_refused_before_anything_is_written(state: Path, tmp_path: Path, place: str) -> None:
    (state / place).rename(tmp_path / "elsewhere")
    (state / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BackupError, match=rf"{place} is a link to .*/elsewhere.*mount --bind.*Nothing was written\."):
        packed(state, tmp_path / "backup.tar")
    assert not (tmp_path / "state.tar.gz").exists()


def test_a_state_directory_that_is_a_link_is_backed_up(state: Path, tmp_path: Path) -> None:
    state.rename(tmp_path / "disk")
    state.symlink_to(tmp_path / "disk")
    restore(packed(state, tmp_path / "backup.tar"), tmp_path / "restored", "sse")
    assert content(tmp_path / "restored") == content(tmp_path / "disk")


@pytest.mark.parametrize(("content", "said"), [(b"", "is empty"), (b"\xff", "holds no text")])
def test_a_secret_that_somebody_emptied_or_overwrote_is_no_backup(
    state: Path, tmp_path: Path, content: bytes, said: str
) -> None:
    (state / "secrets/password").write_bytes(content)
    with pytest.raises(BackupError, match=rf"secrets/password {said}.*No backup was made"):
        backup.write("sse", str(state), [], tmp_path / "archive.tar.gz")
    assert not (tmp_path / "archive.tar.gz").exists()


def test_a_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="nothing was deployed here"):
        backup.write("sse", str(tmp_path), [], tmp_path / "a.tar.gz")


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    with pytest.raises(BackupError, match="overwrites nothing"):
        backup_file.refuse_target(tmp_path / "there")
    with pytest.raises(BackupError, match="no directory where you may write"):
        backup_file.refuse_target(tmp_path / "nowhere/b")


def test_what_is_fetched_comes_to_a_directory_that_nobody_else_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    action: Any = object.__new__(ActionModule)
    monkeypatch.setattr(ActionModule, "variable", lambda *_: {"stack_name": "sse"}, raising=False)
    monkeypatch.setenv(backup_package.VARIABLE, PASSPHRASE)
    ready = action._ready({"path": str(tmp_path / "b"), "together": True, "temporary": False, "passphrase_file": ""})
    archive, given = Path(ready["archive"]), {**ready, "archive_bytes": 1}
    assert not archive.parent.exists()  # a run that only checks makes nothing
    for _ in range(2):  # what a killed run left goes
        action._fitting(given)
        assert (list(archive.parent.iterdir()), archive.parent.stat().st_mode & 0o777) == ([], 0o700)
        archive.with_name(f"{archive.name}.one").touch()
    action._closed(given)
    assert not list(tmp_path.iterdir())
    archive.parent.touch()
    with pytest.raises(BackupError, match=r"can't be made .*: remove what is there"):
        action._fitting(given)


def test_a_backup_below_a_closed_directory_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", closed)  # root may enter every directory
    with pytest.raises(BackupError, match="is no directory where you may write"):
        backup_file.refuse_target(tmp_path / "closed/x.backup")


HELD = {"sse-log": "b", "sse-keeper": "b", "sse-metrics": "c"}


def share(host: str, held: dict[str, str] = HELD) -> Share:
    return Share(held, host, "a")


@pytest.fixture
def apart(state: Path, tmp_path: Path) -> dict[str, Path]:
    """The same stack on three hosts: `a` keeps secrets and releases, the others have the data that they hold."""
    states = {host: tmp_path / host for host in "abc"}
    states["a"].mkdir()
    for name in ("releases", "secrets", "history.jsonl"):
        (state / name).rename(states["a"] / name)
    for directory in sorted((state / "data").iterdir()):
        host = HELD.get(directory.name, "a")
        (states[host] / "data").mkdir(parents=True, exist_ok=True)
        directory.rename(states[host] / "data" / directory.name)
    return states


def of_several(states: dict[str, Path], path: Path, *left_out: str) -> Path:
    """Write a backup of several hosts as the playbook does."""
    runs = [json.loads((states["a"] / "releases/sse-platform/0003.json").read_text())]
    known: list[Any] = [{key: value for key, value in one.items() if key not in {"number", "meta"}} for one in runs]
    parts = {
        str(archive): backup.write("sse", str(directory), list(left_out), archive, share(host), known)
        for host, directory in states.items()
        for archive in [path.with_name(f"part.{host}")]
    }
    written = joined(parts, path.with_name("state.tar.gz"))
    assert not list(path.parent.glob("part.*"))
    backup_package.pack(path, written["manifest"], written["secrets"], Path(written["archive"]), PASSPHRASE)
    return path


def opened(path: Path) -> tuple[Path, Any, dict[str, str]]:
    unpacked = path.with_name("unpacked")
    unpacked.mkdir(exist_ok=True)
    return (unpacked / "state.tar.gz", *backup_file.unpack(path, PASSPHRASE, unpacked))


def test_what_several_hosts_have_is_one_backup_which_one_host_restores(apart: dict[str, Path], tmp_path: Path) -> None:
    before = {name: text for directory in apart.values() for name, text in content(directory).items()}
    path = of_several(apart, tmp_path / "packed")
    archive, manifest, __ = opened(path)
    assert backup_data(archive, manifest)["markers"] == {"log/log": {"version": "1"}}
    assert manifest["sizes"]["log"] > 5000
    restore(path, tmp_path / "new", "sse")
    assert content(tmp_path / "new") == before


def test_a_backup_of_one_host_comes_to_several_each_with_what_it_is_to_run(state: Path, tmp_path: Path) -> None:
    before = content(state)
    archive, manifest, secrets = opened(packed(state, tmp_path / "packed"))
    held = {"demo-log": "b", "demo-keeper": "c", "demo-metrics": "b"}
    for host in "abcd":
        of_it = share(host, held)
        assert comes(manifest, "demo", of_it) is (host != "d")
        backup.refuse_misfit(manifest, "demo", str(tmp_path / host), 1, of_it)
        backup.restore(archive, manifest, secrets, "demo", str(tmp_path / host), of_it)
        # Until all hosts have what comes to them, none counts as restored.
        assert "run ./sse restore again" in backup.half_restored(str(tmp_path / host), several=True)
        # A run that was killed here is repeated: what it brought goes first.
        (tmp_path / host / "data/demo-log/log").mkdir(parents=True, exist_ok=True)
        (tmp_path / host / "data/demo-log/log/of-before").touch()
        backup.refuse_misfit(manifest, "demo", str(tmp_path / host), 1, of_it)
        backup.restore(archive, manifest, secrets, "demo", str(tmp_path / host), of_it)
        assert not (tmp_path / host / "data/demo-log/log/of-before").exists()
        backup.placed_here(str(tmp_path / host))
        assert backup.half_restored(str(tmp_path / host), several=True) == ""
        # Another host may not have said that when the run was killed: then all of it is repeated.
        backup.refuse_misfit(manifest, "demo", str(tmp_path / host), 1, of_it)
        backup.restore(archive, manifest, secrets, "demo", str(tmp_path / host), of_it)
        assert "run ./sse restore again" in backup.half_restored(str(tmp_path / host), several=True)
        backup.placed_here(str(tmp_path / host))
        backup.forget_archive(str(tmp_path / host))
        with pytest.raises(BackupError, match="is here already") if comes(manifest, "demo", of_it) else nullcontext():
            backup.refuse_misfit(manifest, "demo", str(tmp_path / host), 1, of_it)
        assert not (tmp_path / host / "restoring").exists()
        backup.placed_everywhere(str(tmp_path / host))
        assert backup.half_restored(str(tmp_path / host)) == ""
    found = {host: sorted(content(tmp_path / host)) for host in "abcd"}
    assert found["a"] == ["data/own-name/keep/f", "secrets/password", "secrets/salt"]
    assert found["c"] == ["data/demo-keeper/secrets/state/accounts/key"]
    assert {name.split("/")[1] for name in found["b"]} == {"demo-log", "demo-metrics"}
    assert found["d"] == []
    assert content(tmp_path / "b")["data/demo-log/log/big.log"] == before["data/sse-log/log/big.log"]


def test_each_host_needs_room_for_what_comes_to_it_alone(
    apart: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    __, manifest, __ = opened(of_several(apart, tmp_path / "packed"))
    manifest["sizes"]["log"] += 1 << 30
    manifest["bytes"] += 1 << 30
    monkeypatch.setattr(backup.shutil, "disk_usage", lambda _: SimpleNamespace(free=backup.SPARE + (1 << 20)))
    for host in "acd":
        backup.refuse_misfit(manifest, "sse", str(tmp_path / "new"), 0, share(host))
    with pytest.raises(BackupError, match="are needed"):
        backup.refuse_misfit(manifest, "sse", str(tmp_path / "new"), 0, share("b"))


def test_a_host_that_has_something_of_the_stack_gets_nothing(state: Path, tmp_path: Path) -> None:
    archive, manifest, secrets = opened(packed(state, tmp_path / "packed"))
    (tmp_path / "c/data/sse-metrics").mkdir(parents=True)
    with pytest.raises(BackupError, match=r"is here already .*destroy -e stack_delete_data=true and"):
        backup.restore(archive, manifest, secrets, "sse", str(tmp_path / "c"), share("c"))
    assert content(tmp_path / "c") == {}
