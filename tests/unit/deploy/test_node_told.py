"""Containers of a Swarm read the files that changed on their host, with an engine that a stand-in plays."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import node_files, node_told
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_told import Moment, Node, what_to_do
from ansible_collections.sse.platform.plugins.module_utils.model import spec

ME = f"{os.geteuid()}:{os.getegid()}"
SIGNALLED: Any = {"check": ["check", "it"], "says": "done"}
PROGRAMMED: Any = {"program": "p", "takes": ["/etc/x"]}
QUIET: Any = {**PROGRAMMED, "at_start": False}
NOW = Moment("c1", 100.0, "f1", 50.0)


@pytest.mark.parametrize(
    ("told", "changes", "reload", "what"),
    [
        ({"id": "c1", "files": "f1"}, {}, SIGNALLED, "nothing"),
        ({"id": "c1", "files": "f0"}, {}, SIGNALLED, "tell"),
        ({"id": "c1", "files": "f0"}, {}, PROGRAMMED, "tell"),
        ({"id": "c0", "files": "f0"}, {}, SIGNALLED, "remember"),  # another task, which began with these files
        ({"id": "c0", "files": "f0"}, {}, PROGRAMMED, "start"),
        ({"id": "c0", "files": "f1"}, {}, QUIET, "remember"),
        (None, {}, PROGRAMMED, "start"),
        (None, {}, SIGNALLED, "remember"),
        (None, {"changed": 101.0}, SIGNALLED, "tell"),  # it began with others
        ({"id": "c0", "files": "f0"}, {"changed": 101.0}, QUIET, "tell"),
    ],
)
def test_a_container_is_told_what_it_has_not_read(told: Any, changes: Any, reload: Any, what: str) -> None:
    assert what_to_do(told, NOW._replace(**changes), reload) == what


def container(name: str, **changes: Any) -> Any:
    declared = {"image": "i", "entrypoint": ["run"], "user": ME, "healthcheck": {"command": ["true"]}, **changes}
    return {
        **spec.parse(declared, "x"),
        "container": name,
        "service": "s",
        "aliases": [name],
        "networks": {},
        "hosts": {},
    }


class Engine:
    """An engine with containers of tasks."""

    def __init__(self) -> None:
        self.listed: list[Any] = []
        self.inspected: dict[str, Any] = {}
        self.questions: Any = self
        self.trials: list[tuple[Any, Any, dict[str, str]]] = []
        self.code = 0

    def run(self, identity: str, service: str, started: str, mounts: dict[str, Path], **labels: str) -> None:
        own = {"sse.platform.swarm-stack": "sse", "com.docker.swarm.service.name": service, **labels}
        self.listed.append({"Id": identity, "Labels": own, "State": "running"})
        self.inspected[identity] = {
            "Id": identity,
            "State": {"StartedAt": started, "Pid": 7},
            "Mounts": [{"Destination": to, "Source": str(path)} for to, path in mounts.items()],
        }

    def ask(self, question: Any) -> Any:
        return question()

    def containers(self) -> list[Any]:
        return self.listed

    def inspect(self, identity: str) -> Any:
        return self.inspected[identity]

    def try_out(self, name: str, trial: Any, __: Any, mounts: Any, ___: float) -> tuple[int, str]:
        texts = {
            f"{target}/{path.name}": path.read_text()
            for target, (place, __) in mounts.items()
            for path in Path(place).iterdir()
        }
        self.trials.append((name, trial["entrypoint"], texts))
        return self.code, "nginx: it is wrong"


LATER = f"{dt.datetime.now(dt.UTC).year + 1}-01-01T00:00:00.5Z"
EARLIER = "2020-01-01T00:00:00Z"


class Stand:
    """One host with a service that reads a file anew."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch, **declared: Any) -> None:
        self.state, self.engine = state, Engine()
        self.told: list[tuple[Any, ...]] = []
        self.place = state / "files/sse-a/now/config-0"
        specs = {"sse-a": container("a", **declared), "sse-b": container("b")}
        self.node = Node(self.engine, str(state), "sse", specs)  # type: ignore[arg-type]
        monkeypatch.setattr(node_told, "signalled", lambda *given: self.told.append(("signal", given[1])))
        monkeypatch.setattr(node_told.program, "run", self.run_program)

    def run_program(self, name: str, pid: int, __: str, now: Any, before: Any, config: Any, *, seconds: float) -> str:
        assert seconds > node_told.program.SECONDS  # it may wait for other hosts
        self.told.append((name, pid, now, before, config))
        return "verified"

    def files(self, text: str) -> list[Any]:
        return [
            {
                "kind": "config",
                "path": str(self.place),
                "user": ME,
                "files": {"a": text},
                "service": "sse-a",
                "target": "/etc/x",
            }
        ]

    def write(self, text: str) -> None:
        node_files.ensure(str(self.state), self.files(text))


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    return Stand(tmp_path / "state", monkeypatch, reload=SIGNALLED)


def test_a_running_container_is_told_once_and_one_that_is_new_has_read_them(stand: Stand) -> None:
    stand.write("1")
    stand.engine.run("c1", "sse-a", EARLIER, {"/etc/x": stand.place})
    assert stand.node.tell() == ["~ sse-a: reads its files anew"]
    assert stand.node.tell() == []
    stand.write("2")
    assert stand.node.tell() == ["~ sse-a: reads its files anew"]
    stand.engine.listed.clear()
    stand.engine.run("c2", "sse-a", LATER, {"/etc/x": stand.place})
    assert stand.node.tell() == []
    assert stand.told == [("signal", "c1"), ("signal", "c1")]


def test_files_that_it_does_not_read_anew_tell_it_nothing(stand: Stand) -> None:
    stand.write("1")
    other = stand.state / "files/sse-a/live-0"
    other.mkdir()
    (other / "tls").write_text("1")
    stand.engine.run("c1", "sse-a", EARLIER, {"/etc/x": stand.place, "/run/tls": other})
    stand.node.tell()
    (other / "tls").write_text("2")
    assert stand.node.tell() == []


@pytest.mark.parametrize("changes", [{"sse.platform.swarm-stack": "other"}, {"com.docker.swarm.service.name": "sse-b"}])
def test_containers_of_others_are_left_alone(stand: Stand, changes: dict[str, str]) -> None:
    stand.write("1")
    stand.engine.run("c1", "sse-a", EARLIER, {"/etc/x": stand.place}, **changes)
    assert stand.node.tell() == []


def test_while_two_tasks_overlap_the_newer_one_counts(stand: Stand) -> None:
    stand.write("1")
    stand.engine.run("c2", "sse-a", LATER, {"/etc/x": stand.place})
    stand.engine.run("c1", "sse-a", EARLIER, {"/etc/x": stand.place})
    stand.node.tell()
    assert stand.told == []


def test_a_program_runs_for_each_new_container_and_for_changed_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = Stand(tmp_path / "state", monkeypatch, reload=PROGRAMMED, config={"/etc/y": {"b": "fixed"}})
    stand.write("1")
    stand.engine.run("c1", "sse-a", LATER, {"/etc/x": stand.place})
    assert stand.node.tell() == ["~ sse-a: verified"]
    stand.write("2")
    assert stand.node.tell() == ["~ sse-a: verified"]
    assert stand.node.tell() == []
    first, second = (one[2:] for one in stand.told)
    assert first == ({"/etc/x/a": "1"}, {}, {"/etc/y/b": "fixed"})
    assert second == ({"/etc/x/a": "2"}, {"/etc/x/a": "1"}, {"/etc/y/b": "fixed"})


def test_a_program_gets_what_counts_still_after_a_run_that_was_killed_and_after_one_that_wrote_down_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = Stand(tmp_path / "state", monkeypatch, reload=PROGRAMMED)
    stand.write("1")
    stand.engine.run("c1", "sse-a", LATER, {"/etc/x": stand.place})
    stand.node.tell()
    record = stand.node.record("sse-a")
    known = json.loads(record.read_text())
    record.write_text(json.dumps({key: known[key] for key in ("id", "files")}))
    assert stand.node.tell() == []  # an earlier version knew no more
    stand.write("2")  # and then the run is killed
    stand.write("3")
    stand.node.tell()
    assert stand.told[-1][2:4] == ({"/etc/x/a": "3"}, {"/etc/x/a": "1"})
    assert record.stat().st_mode & 0o777 == 0o600


def test_one_that_fails_is_told_again_by_the_next_run(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*__: Any) -> None:
        raise ApplyError("no")

    stand.write("1")
    stand.engine.run("c1", "sse-a", EARLIER, {"/etc/x": stand.place})
    with monkeypatch.context() as patched:
        patched.setattr(node_told, "signalled", refuse)
        with pytest.raises(ApplyError, match="no"):
            stand.node.tell()
    assert stand.node.tell() == ["~ sse-a: reads its files anew"]


def test_files_are_checked_before_they_are_written_and_only_where_they_differ(stand: Stand) -> None:
    stand.node.check(stand.files("1"))
    [(name, command, texts)] = stand.engine.trials
    assert (command, texts) == (["check", "it"], {"/etc/x/a": "1"})
    assert name.endswith("-trial")
    assert not stand.state.exists()  # nothing is left of it
    stand.write("1")
    stand.node.check(stand.files("1"))
    assert len(stand.engine.trials) == 1
    stand.engine.code = 1
    with pytest.raises(ApplyError, match=r"sse-a: its new configuration is not valid, so nothing was touched: .*wrong"):
        stand.node.check(stand.files("2"))
    assert (stand.place / "a").read_text() == "1"
    assert not list((stand.state / "trial").iterdir())


def test_the_containers_of_a_host_are_named_by_their_ids(stand: Stand) -> None:
    stand.engine.run("c1", "sse-a", EARLIER, {}, **{"sse.platform.container": "a"})
    stand.engine.run("c2", "sse-x", EARLIER, {}, **{"sse.platform.swarm-stack": "other"})
    stand.node.tell_names()
    told = json.loads((stand.state / "matrix/containers.json").read_text())
    assert told["containers"] == {"c1": {"name": "sse-a", "container": "a", "release": ""}}


def test_those_that_keep_copies_say_what_they_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand(tmp_path / "state", monkeypatch, reload=PROGRAMMED, rolling=True, data={"/d": "d"})
    stand.node.specs["sse-c"] = {**stand.node.specs["sse-a"], "rolling": False}
    stand.write("1")
    for name in ("sse-a", "sse-c"):
        stand.engine.run(f"of {name}", name, EARLIER, {"/etc/x": stand.place})
    asked: list[Any] = []

    def behind(name: str, pid: int, program: str, now: Any) -> str:
        asked.append((name, pid, program, now))
        if len(asked) > 1:
            raise ApplyError(f"{name}: its network namespace can't be entered")
        return "partition 0 is late"

    monkeypatch.setattr(node_told.program, "behind", behind)
    assert stand.node.behind() == {"sse-a": "partition 0 is late"}
    assert stand.node.behind() == {"sse-a": "its network namespace can't be entered"}
    assert asked[0] == ("sse-a", 7, "p", {"/etc/x/a": "1"})
    assert not stand.told


def test_the_others_do_not_go_where_the_one_that_is_to_have_everything_does_not_run(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.write("1")
    asked: list[str] = []
    monkeypatch.setattr(node_told.program, "gather", lambda name, *_: asked.append(name))
    with pytest.raises(ApplyError, match="sse-a: it does not run here"):
        stand.node.gather(["sse-a"])
    stand.engine.run("c1", "sse-a", EARLIER, {"/etc/x": stand.place})
    stand.node.gather(["sse-a"])
    assert asked == ["sse-a"]


def test_containers_read_their_files_again_as_they_are_after_a_check(stand: Stand) -> None:
    stand.write("1")
    stand.engine.run("c1", "sse-a", LATER, {"/etc/x": stand.place})
    stand.engine.inspected["c1"]["Mounts"].append({"Destination": "/tmp", "Source": ""})  # in memory
    assert stand.node.again() == ["sse-a"]
    [(__, command, texts)] = stand.engine.trials
    assert (command, texts) == (["check", "it"], {"/etc/x/a": "1"})
    assert stand.told == [("signal", "c1")]
    stand.engine.code = 1
    with pytest.raises(ApplyError, match="sse-a: its files are not valid, so it did not get the signal"):
        stand.node.again()
    assert stand.told == [("signal", "c1")]


def test_a_program_runs_again_where_a_service_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand(tmp_path / "state", monkeypatch, reload=PROGRAMMED)
    stand.write("1")
    stand.engine.run("c1", "sse-a", LATER, {"/etc/x": stand.place})
    monkeypatch.setattr(node_told.program, "run", lambda name, pid, *given: stand.told.append((name, pid, *given[1:3])))
    assert stand.node.again() == ["sse-a"]
    assert stand.told == [("sse-a", 7, {"/etc/x/a": "1"}, {})]
