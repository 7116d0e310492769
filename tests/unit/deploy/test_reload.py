"""A configuration is checked before it counts, and a container that does not take it keeps its earlier one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import files as files_module
from ansible_collections.sse.platform.plugins.module_utils.deploy import reload
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import Applier, ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.host.processes import Process
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action

ME = f"{os.getuid()}:{os.getgid()}"
MEGABYTE = 2**20


class Host:
    """An engine with one container that mounts a directory, and the program that reads it."""

    def __init__(self, places: dict[str, Path], *, code: int = 0, output: str = "", says: str = "loaded") -> None:
        self.places = places
        self.trial = (code, output)
        self.says = says
        self.hosts = ""
        self.read: list[str] = []  # what the program read, each time
        self.tried: list[Any] = []  # the specs of trials, and what each mounts

    def inspect(self, _: str) -> dict[str, Any]:
        mounts = [{"Destination": target, "Source": str(path)} for target, path in self.places.items()]
        state = {"Pid": os.getpid(), "Running": True, "Paused": False}
        return {"Mounts": mounts, "State": state, "HostsPath": self.hosts}

    def try_out(self, _: str, spec: Any, __: object, mounts: Any, ___: float) -> tuple[int, str]:
        assert spec["entrypoint"] == ["check"]
        assert all(read_only for _, read_only in mounts.values())
        self.tried.append((spec, mounts))
        return self.trial

    def signal(self, _: str, name: str) -> int:
        assert name == "SIGHUP"
        assert not self.hosts or "10.0.0.9\tpeer\n" in Path(self.hosts).read_text()
        self.read.append((self.places["/etc/c"] / "a").read_text())
        return os.getpid()

    def lines_since(self, _: str, __: float) -> list[str]:
        return [f"now {self.says}"] if self.read else []


def declared(text: str) -> Any:
    parsed = spec.parse(
        {
            "image": "i",
            "entrypoint": ["e"],
            "user": ME,
            "healthcheck": {"command": ["true"]},
            "config": {"/etc/c": {"a": text}},
            "reload": {"check": ["check"], "says": "loaded"},
        },
        "test",
    )
    return {**parsed, "image_id": "i", "hosts": {"peer": "10.0.0.9"}}


def running(state: Path, **answers: Any) -> tuple[Host, Files]:
    files = Files(str(state), Store(str(state), {}, {}))
    files.mounts("c", declared("old\n"))
    places = {target: one.path for target, one in files.directories("c", declared("old\n")).items()}
    return Host(places, **answers), files


def reloader(host: Host, files: Files) -> reload.Reloader:
    return reload.Reloader(cast("Any", host), files, {"c": declared("one\nnew\n")}, {})


def test_a_configuration_that_is_not_valid_is_refused_with_its_line_and_nothing_is_touched(tmp_path: Path) -> None:
    host, files = running(tmp_path, code=1, output="[error] no such word in /etc/c/a:2\nsorry")
    before = sorted(tmp_path.rglob("*"))
    actions = [Action("keep", "k", []), Action("reload", "c", ["config"], "id")]
    applier = Applier(cast("Any", host), files, {"c": declared("one\nnew\n")})
    with pytest.raises(ApplyError) as refused:
        applier.refuse_invalid(actions)
    said = str(refused.value)
    assert "c: its new configuration is not valid, so nothing was touched: [error] no such word in /etc/c/a:2" in said
    assert "Line 2 of /etc/c/a is: new\n" in said
    assert "sorry" not in said
    assert sorted(tmp_path.rglob("*")) == before
    assert host.read == []


def test_a_program_that_is_tried_has_an_empty_directory_in_place_of_what_it_shares_with_others(tmp_path: Path) -> None:
    """NGINX opens its logs when it only checks its configuration, and must not open those that it serves with."""
    host, files = running(tmp_path)
    host.places["/run/shared"] = tmp_path
    one = {**declared("old\n"), "shared": {"/run/shared": "requests"}, "tmpfs": {"/tmp": 5}}
    tried = reload.Reloader(cast("Any", host), files, cast("Any", {"c": one}), {})
    tried.check("c")
    tried.again("c", "id")
    assert [spec["tmpfs"] for spec, _ in host.tried] == [{"/tmp": 5, "/run/shared": MEGABYTE}] * 2
    assert all("/run/shared" not in mounts for _, mounts in host.tried)


def test_what_a_program_asks_for_when_it_reads_is_in_the_names_that_it_has_pinned(tmp_path: Path) -> None:
    host, files = running(tmp_path)
    host.hosts = str(tmp_path / "hosts")
    Path(host.hosts).write_text("127.0.0.1 localhost\n")  # as Docker leaves it when the container left a network
    reloader(host, files).again("c", "id")
    assert host.read


@pytest.mark.parametrize("lacks", [{}, {"image_id": None}, {"fingerprints": {"key": "0"}}])
def test_a_preview_checks_as_the_run_does_what_it_can(tmp_path: Path, lacks: dict[str, Any]) -> None:
    host, files = running(tmp_path, code=1, output="[error] no")
    applier = Applier(cast("Any", host), files, cast("Any", {"c": {**declared("new"), **lacks}}))
    files.store.foreseen = dict.fromkeys(lacks.get("fingerprints") or (), "only a run makes it")
    actions = [Action("replace", "c", ["config"], "id")]
    if lacks:
        applier.refuse_invalid(actions, check=True)
    else:
        with pytest.raises(ApplyError, match=r"\[error\] no"):
            applier.refuse_invalid(actions, check=True)


@pytest.mark.parametrize("kind", ["keep", "start"])
def test_only_what_gets_new_files_is_checked(tmp_path: Path, kind: Any) -> None:
    host, files = running(tmp_path, code=1)
    Applier(cast("Any", host), files, {"c": declared("new")}).refuse_invalid([Action(kind, "c", [])])


def test_a_new_container_is_checked_before_anything_is_there_but_not_where_it_needs_that(tmp_path: Path) -> None:
    host, files = running(tmp_path, code=1, output="[error] no")
    create = [Action("create", "c", [])]
    with pytest.raises(ApplyError, match=r"\[error\] no"):
        Applier(cast("Any", host), files, {"c": declared("new")}).refuse_invalid(create)
    made_by_others: Any = {**declared("new"), "binds": {"/run/link": "/state/shared/app"}}
    Applier(cast("Any", host), files, {"c": made_by_others}).refuse_invalid(create)


def test_a_reload_is_recorded_for_the_container_and_the_directory_that_it_mounts(tmp_path: Path) -> None:
    host, files = running(tmp_path)
    reloader(host, files).reload(Action("reload", "c", [], "id"))
    assert host.read == ["one\nnew\n"]
    loaded = files.loaded.read("c")
    assert loaded
    assert (loaded["id"], loaded["ended"], loaded["spec"]) == ("id", True, declared("one\nnew\n"))
    assert loaded["version"] == host.places["/etc/c"].parent.name


@pytest.mark.parametrize("way_back", [True, False])
def test_a_reload_whose_file_the_kernel_refuses_has_the_earlier_files_or_has_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way_back: bool
) -> None:
    host, files = running(tmp_path)

    def refuse(_: Path, texts: dict[str, str], **__: object) -> None:
        if texts or not way_back:
            raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(files_module, "write_directory", refuse)
    with pytest.raises(ApplyError, match="No space left on device") as failed:
        reloader(host, files).reload(Action("reload", "c", [], "id"))
    loaded = files.loaded.read("c")
    if way_back:
        assert "c runs on with its earlier files." in str(failed.value)
        assert loaded is None
    else:
        assert "c runs on. Its earlier files can't be put back" in str(failed.value)
        assert loaded is not None
        assert not loaded["ended"]
    assert (host.places["/etc/c"] / "a").read_text() == "old\n"


def test_a_secret_that_is_read_without_a_reload_is_written_in_the_same_run(tmp_path: Path) -> None:
    live = {"live_secrets": {"/run/live": {"key": {"secret": "key", "format": "{}"}}}}
    files = Files(str(tmp_path), Store(str(tmp_path), {"key": "old"}, {}))
    before: Any = {**declared("old\n"), **live}
    files.mounts("c", before)
    places = {target: one.path for target, one in files.directories("c", before).items()}
    files.store.given["key"] = "new"
    wanted = {"c": {**declared("new\n"), **live}}
    reload.Reloader(cast("Any", Host(places)), files, cast("Any", wanted), {}).reload(Action("reload", "c", [], "id"))
    assert (places["/run/live"] / "key").read_text() == "new"
    assert list(files.differences("c", cast("Any", wanted["c"]), 0.0)) == []


def test_a_run_that_is_killed_before_the_end_leaves_a_reload_that_is_done_again(tmp_path: Path) -> None:
    host, files = running(tmp_path)

    class PowerCutError(BaseException):
        """The end of the process."""

    def cut(*_: object) -> int:
        raise PowerCutError

    host.signal = cut  # type: ignore[method-assign]
    with pytest.raises(PowerCutError):
        reloader(host, files).reload(Action("reload", "c", [], "id"))
    loaded = files.loaded.read("c")
    assert loaded
    assert loaded["ended"] is False


def test_a_program_is_due_until_it_has_run_though_the_run_is_killed_before(tmp_path: Path) -> None:
    host, files = running(tmp_path)
    one = reloader(host, files)
    containers: Any = one.containers
    containers["c"]["reload"]["program"] = "pass"
    with pytest.raises(KeyboardInterrupt), one.program_due("id", "c"):
        raise KeyboardInterrupt
    loaded = files.loaded.read("c")
    assert loaded
    assert (loaded["id"], loaded["ended"]) == ("id", False)
    with one.program_due("id", "c"):
        pass
    loaded = files.loaded.read("c")
    assert loaded
    assert loaded["ended"]
    with one.program_due("another", "c"):
        pass
    assert files.loaded.read("c") is None


def test_a_container_that_does_not_take_its_files_gets_the_earlier_ones_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reload, "RELOAD_SECONDS", 0.1)
    host, files = running(tmp_path, says="[emerg] no")
    with pytest.raises(ApplyError, match=r"\[emerg\] no\nc runs on with its earlier files"):
        reloader(host, files).reload(Action("reload", "c", [], "id"))
    assert host.read == ["one\nnew\n", "old\n"]  # told again, in case it took them late
    assert files.loaded.read("c") is None


def worker(pid: int, started: int, title: str = "worker is shutting down", memory: int = 10 * MEGABYTE) -> Process:
    return Process(pid, started, title, memory)


OLD: Any = {"title": "is shutting down", "generations": 3}


@pytest.mark.parametrize(
    ("processes", "memory", "ended"),
    [
        ([worker(1, 100), worker(2, 110), worker(3, 900), worker(9, 2000, "worker")], 500, []),
        ([worker(1, 100), worker(2, 110), worker(3, 900), worker(4, 1500), worker(9, 2000, "worker")], 500, [1, 2]),
        ([worker(1, 100), worker(3, 900), worker(9, 2000, "worker")], 50, [1]),
        ([worker(9, 2000, "worker")], 10, []),
    ],
    ids=["few", "too many reloads", "too little memory", "never the newest"],
)
def test_the_oldest_reloads_end_where_there_are_too_many(
    processes: list[Process], memory: int, ended: list[int]
) -> None:
    assert reload.too_many(processes, OLD, memory * MEGABYTE) == ended


def test_a_container_reads_its_files_again_as_they_are_after_a_check(tmp_path: Path) -> None:
    host, files = running(tmp_path)
    reloader(host, files).again("c", "id")
    assert host.read == ["old\n"]
    refusing, files = running(tmp_path, code=1, output="[error] no")
    with pytest.raises(ApplyError, match=r"c: its files are not valid, .*: \[error\] no"):
        reloader(refusing, files).again("c", "id")
    assert refusing.read == []


RELEASE: Any = {
    "containers": {
        "s-web": {"service": "web", "container": "web", "reload": {"check": ["c"]}},
        "s-app-1": {"service": "app", "container": "app-1"},
    }
}


@pytest.mark.parametrize("word", ["web", "s-web"])
def test_a_service_that_can_reload_is_found_by_each_of_its_names(word: str) -> None:
    assert reload.chosen([RELEASE], [word, "web"]) == [(RELEASE, "s-web")]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("wed", "no service or container 'wed'. Did you mean 'web'\\? Not every service can reload. These can: web"),
        ("app", "s-app-1 can't read its files anew while it runs: .* These can: web. `./sse restart app` restarts it"),
    ],
)
def test_what_is_unknown_or_cannot_reload_is_refused_with_those_that_can(word: str, said: str) -> None:
    with pytest.raises(ApplyError, match=said):
        reload.chosen([RELEASE], ["web", word])
