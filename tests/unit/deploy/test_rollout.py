"""A run from releases to containers, with an engine that holds its containers in a dictionary."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import drift, errors, permissions, rollout
from ansible_collections.sse.platform.plugins.module_utils.deploy.made import MadeStore
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import GIVEN, SecretError
from ansible_collections.sse.platform.plugins.module_utils.deploy.trials import trial_name
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL, Observed
from ansible_collections.sse.platform.plugins.module_utils.model.release import build
from ansible_collections.sse.platform.plugins.module_utils.model.types import Network
from ansible_collections.sse.platform.plugins.module_utils.releases import keeping, superseded
from ansible_collections.sse.platform.plugins.module_utils.releases.history import attempts, run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore, newest_releases
from ansible_collections.sse.platform.tests import certificates

NETWORK: Network = {
    "segment": "network",
    "name": "n",
    "driver": "bridge",
    "subnet": "10.0.0.0/24",
    "gateway": "10.0.0.1",
    "ip_range": "10.0.0.128/25",
    "internal": False,
    "device": "br-n",
}
BROKEN = "broken"
UNSTARTABLE = "without-program"


class FakeEngine:
    """The engine of a host; a container with the image `broken` exits when it is started."""

    def __init__(self) -> None:
        self.all: dict[str, dict[str, Any]] = {}
        self.made = 0
        self.tags: dict[str, str] = {}
        self.started = "2026-01-01T00:00:00Z"
        self.health = "healthy"

    def containers(self) -> list[Observed]:
        return [
            Observed(one["name"], key, one["labels"], "running" if one["running"] else "exited", self.health)
            for key, one in self.all.items()
        ]

    def image_id(self, reference: str) -> str:
        return f"sha256:{reference}"

    def network_ids(self) -> dict[str, str]:
        return {"n": "id-n"}

    def image_tags(self) -> list[str]:
        return list(self.tags)

    def tag(self, image: str, tag: str) -> None:
        self.tags[tag] = image

    def untag(self, tag: str) -> None:
        del self.tags[tag]

    def has_network(self, _: str) -> bool:
        return True

    def create(self, name: str, spec: dict[str, Any], labels: dict[str, str], mounts: dict[str, Any]) -> str:
        self.made += 1
        made = f"id-{self.made}"
        named = {key if "." in key else LABEL + key: value for key, value in labels.items()}
        self.all[made] = {"name": name, "image": spec["image"], "labels": named, "running": False, "spec": spec}
        self.all[made]["mounts"] = [{"Destination": target, "Source": source} for target, (source, _) in mounts.items()]
        return made

    def start(self, key: str) -> None:
        if self.all[key]["image"].startswith(UNSTARTABLE):
            raise EngineError(f"start {key:0<64}: exec: {self.all[key]['image']}: executable file not found: unknown")
        self.all[key]["running"] = self.all[key]["image"] != BROKEN

    def stop(self, key: str, _: int) -> None:
        self.all[key]["running"] = False

    def rename(self, key: str, name: str) -> None:
        self.all[key]["name"] = name

    def remove(self, key: str) -> None:
        del self.all[key]

    def inspect(self, key: str) -> dict[str, Any]:
        one = self.all.get(key) or next(each for each in self.all.values() if each["name"] == key)
        state = {"Running": one["running"], "ExitCode": 1, "Pid": 0, "StartedAt": self.started}
        return {
            "Id": key,
            "Mounts": one["mounts"],
            "RestartCount": 0,
            "State": state,
            "HostConfig": {
                "PortBindings": None,
                "Memory": one["spec"]["memory"],
                "MemorySwap": one["spec"]["memory"],
                "PidsLimit": one["spec"]["pids"],
                "CpuShares": one["spec"].get("cpu_shares", 0),
                "RestartPolicy": {"Name": "unless-stopped"},
            },
            "NetworkSettings": {
                "Networks": {
                    name: {
                        "NetworkID": f"id-{name}",
                        "IPAMConfig": {"IPv4Address": address} if address else None,
                        "Aliases": [*one["spec"]["aliases"], key[:12]],
                    }
                    for name, address in one["spec"]["networks"].items()
                }
            },
        }

    def try_out(self, *_: object) -> tuple[int, str]:
        return 0, ""

    def signal(self, *_: object) -> None:
        pass

    def lines_since(self, *_: object) -> list[str]:
        return ["read"]

    def digests(self, _: str) -> list[str]:
        return []

    def execute(self, *_: object) -> tuple[int, str]:
        return 0, ""

    def last_lines(self, *_: object) -> list[str]:
        return ["no such option"]


class OpenFirewall:
    """A stack firewall that has everything in place."""

    def __init__(self, *_: object) -> None:
        pass

    def open_for(self, *_: object, check: bool) -> list[str]:
        return []

    def close_to(self, *_: object) -> list[str]:
        return []


class WholeHost:
    """The host's side of networks, of which something may be gone."""

    gone: tuple[str, ...] = ()
    kept = 0  # how often it was written down
    looked = 0

    def __init__(self, *_: object) -> None:
        WholeHost.looked += 1

    def mend(self, *, check: bool) -> list[str]:
        lines = list(WholeHost.gone)
        WholeHost.gone = WholeHost.gone if check else ()
        return lines

    def keep(self) -> None:
        WholeHost.kept += 1


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeEngine:
    made = FakeEngine()
    tmp_path.chmod(0o711)
    monkeypatch.setattr(rollout, "Engine", lambda: made)
    monkeypatch.setattr(keeping, "Engine", lambda: made)
    monkeypatch.setattr(rollout, "StackFirewall", OpenFirewall)
    monkeypatch.setattr(rollout, "HostSide", WholeHost)
    monkeypatch.setattr(WholeHost, "gone", ())
    return made


def container(**changes: Any) -> dict[str, Any]:
    user = f"{os.getuid()}:{os.getgid()}"
    check = {"command": ["true"], "start": 1}
    return {"image": "good", "entrypoint": ["e"], "user": user, "healthcheck": check, **changes}


def run(state: Path, *projects: dict[str, Any], check: bool = False, **options: Any) -> rollout.Report:
    """Roll out the containers of project p and, where there are two, of project q."""
    secrets, given = options.pop("secrets", {}), options.pop("given", {})
    releases = [
        build(
            {"s": {"containers": containers, "secrets": secrets}},
            stack="s",
            project=project,
            networks={"network": NETWORK},
            references={image: image for image in ("good", "other", BROKEN, UNSTARTABLE, f"{UNSTARTABLE}-2")},
            unavailable={},
        )
        for project, containers in zip("pq", projects, strict=False)
    ]
    meta = run_meta({"who": "me", "when": "now"})
    request = rollout.Request(releases, str(state), given, [], 2, meta, check, **options)
    report = rollout.Report()
    try:
        rollout.run(request, report)
    except rollout.ApplyError as error:
        report.record(str(error))
        raise rollout.ApplyError(report.failure(error)) from error
    report.record()
    return report


def test_a_first_run_creates_and_a_second_one_changes_nothing(engine: FakeEngine, tmp_path: Path) -> None:
    containers = {"a": container(), "b": container(after=["a"])}
    assert run(tmp_path, containers).changes == ["+ s-a (new)", "+ s-b (new)"]
    assert run(tmp_path, containers).changes == []
    assert [one["name"] for one in engine.all.values()] == ["s-a", "s-b"]


def test_what_a_killed_preview_left_goes_with_the_next_run_though_nothing_changes(
    engine: FakeEngine, tmp_path: Path
) -> None:
    run(tmp_path, {"a": container()})
    (tmp_path / "trial/s-a-1-1/secrets-0").mkdir(parents=True)
    (tmp_path / "trial").chmod(0o700)
    assert run(tmp_path, {"a": container()}, check=True).changes == []
    assert (tmp_path / "trial").exists()
    assert run(tmp_path, {"a": container()}).changes == []
    assert not (tmp_path / "trial").exists()


def test_the_hosts_side_is_looked_at_again_only_where_a_run_has_changed_something(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for looks in (2, 1):
        monkeypatch.setattr(WholeHost, "looked", 0)
        monkeypatch.setattr(WholeHost, "kept", 0)
        run(tmp_path, {"a": container()})
        assert (WholeHost.looked, WholeHost.kept) == (looks, 1)


def told(state: Path) -> dict[str, str]:
    """The names that exporters know, by id."""
    known = json.loads((state / "matrix/containers.json").read_text())["containers"]
    return {id_: one["name"] for id_, one in known.items()}


def test_what_the_engine_kept_on_the_host_is_put_back_first_and_written_down_at_the_end(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, {"a": container()})
    gone = "network n: its bridge br-n is down"
    monkeypatch.setattr(WholeHost, "gone", (gone,))
    monkeypatch.setattr(WholeHost, "kept", 0)
    assert run(tmp_path, {"a": container()}, check=True).changes == [f"~ {gone}"]
    assert WholeHost.kept == 0
    assert run(tmp_path, {"a": container()}).changes == [f"~ {gone}"]
    assert WholeHost.kept == 1
    assert attempts(str(tmp_path))[-1]["others"] == [gone]
    assert run(tmp_path, {"a": container()}).changes == []


def test_containers_that_the_host_did_not_reach_are_given_time_to_answer_and_not_restarted(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, {"a": container()})
    engine.health, answers = "unhealthy", [False, False, True]
    monkeypatch.setattr(rollout, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(rollout, "check_health", lambda *_: (answers.pop(0), ""))
    monkeypatch.setattr(WholeHost, "gone", ("network n: its bridge br-n is down",))
    lost = ["~ network n: its bridge br-n is down"]
    assert run(tmp_path, {"a": container()}, check=True).changes == lost
    assert run(tmp_path, {"a": container()}).changes == lost
    assert answers == []


def test_prometheus_is_told_the_names_and_the_release_after_each_run_also_a_failed_one(
    engine: FakeEngine, tmp_path: Path
) -> None:
    run(tmp_path, {"a": container()})
    names, releases = told(tmp_path), (tmp_path / "matrix/release.prom").read_text()
    assert names == dict.fromkeys(engine.all, "s-a")
    assert 'sse_release_info{project="p",number="1",commit=""} 1' in releases
    with pytest.raises(rollout.ApplyError):
        run(tmp_path, {"a": container(image=BROKEN), "b": container()})
    names, releases = told(tmp_path), (tmp_path / "matrix/release.prom").read_text()
    assert names == {key: one["name"] for key, one in engine.all.items()}
    assert "s-a" in names.values()
    assert 'number="2"' not in releases


def test_the_name_of_a_container_is_known_while_it_starts(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, str]] = []

    def healthy(*_: object) -> tuple[bool, str]:
        seen.append({name: id_ for id_, name in told(tmp_path).items()})
        return True, ""

    monkeypatch.setattr("ansible_collections.sse.platform.plugins.module_utils.deploy.apply.check_health", healthy)
    run(tmp_path, {"a": container()})
    run(tmp_path, {"a": container(environment={"X": 1})})
    assert [set(one) for one in seen] == [{"s-a"}, {"s-a"}]
    assert seen[0] != seen[1]  # the new one already, and not the one that it takes the place of


def test_a_preview_tells_prometheus_nothing(tmp_path: Path, engine: FakeEngine) -> None:
    run(tmp_path, {"a": container()}, check=True)
    assert not (tmp_path / "matrix").exists()


@pytest.mark.parametrize("check", [True, False])
def test_nothing_runs_on_data_that_a_killed_restore_left(tmp_path: Path, check: bool) -> None:
    (tmp_path / "restoring").mkdir()
    with pytest.raises(rollout.ApplyError, match=r"ended before everything was in place.*Nothing was changed\."):
        run(tmp_path, {"a": container()}, check=check)
    assert not (tmp_path / "releases").exists()


def test_a_preview_tells_what_the_run_then_does_and_touches_nothing(engine: FakeEngine, tmp_path: Path) -> None:
    run(tmp_path, {"b": container(), "c": container()})
    before = {key: dict(one) for key, one in engine.all.items()}
    changed = {"a": container(), "b": container(environment={"X": 1})}
    preview = run(tmp_path, changed, check=True)
    assert engine.all == before
    assert preview.changes == ["- s-c: no longer declared", "+ s-a (new)", "~ s-b: environment.X: absent -> 1"]
    assert run(tmp_path, changed).changes == preview.changes


def test_a_preview_takes_a_container_that_comes_back_under_its_name_for_what_it_is(
    engine: FakeEngine, tmp_path: Path
) -> None:
    run(tmp_path, {"a": container()})
    engine.all["id-1"]["name"] = "s-a-previous"  # as a killed run leaves it
    preview = run(tmp_path, {"a": container()}, check=True)
    assert preview.changes == ["> restore s-a: an interrupted run left it aside"]
    assert run(tmp_path, {"a": container()}).changes == preview.changes


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("goes_on", [True, False])
def test_the_trial_of_a_plan_is_left_alone_while_that_goes_on(
    engine: FakeEngine, tmp_path: Path, check: bool, goes_on: bool
) -> None:
    run(tmp_path, {"a": container()})
    name = f"{trial_name('s-a') if goes_on else 's-a-1-0'}-trial"
    engine.create(name, container(), engine.all["id-1"]["labels"], {})
    report = run(tmp_path, {"a": container()}, check=check)
    assert report.changes == ([] if goes_on else [f"- {name}: left by an interrupted run"])
    assert ("id-2" in engine.all) == (goes_on or check)


@pytest.mark.parametrize("name", ["foo", "s-a-next", "s-b-previous"])
def test_a_container_that_somebody_renamed_is_named_and_renamed_back_in_place(
    engine: FakeEngine, tmp_path: Path, name: str
) -> None:
    containers = {"a": container(), "b": container(after=["a"])}
    run(tmp_path, containers)
    engine.all["id-1"]["name"] = name
    preview = run(tmp_path, containers, check=True)
    assert preview.changes[0].endswith(f" s-a: is called {name}")
    assert len(preview.changes) == 1
    assert run(tmp_path, containers).changes == preview.changes
    assert {key: one["name"] for key, one in engine.all.items()} == {"id-1": "s-a", "id-2": "s-b"}


SECRETS: dict[str, Any] = {
    "password": {"kind": "password"},
    "live": {"kind": "password"},
    "unread": {"kind": "password"},
    "id": {"kind": "uuid-base64", "kept": "it would be lost"},
    "certificate": {"kind": "certificate", "key": "key"},
}
READERS = {
    "a": container(secrets={"/run/a": {"password": {"secret": "password"}, "id": {"secret": "id"}}}),
    "b": container(
        after=["a"],
        live_secrets={
            "/run/b": {
                "live": {"secret": "live", "format": "is {}"},
                "hash": {"secret": "live", "format": "{sha256}"},
                "tls": {"secret": "key", "format": "{}{pair}"},
            }
        },
    ),
}


def away(name: str) -> Any:
    return lambda secrets: (secrets / name).unlink()


def text(name: str, value: str) -> Any:
    return lambda secrets: (secrets / name).write_text(value)


def another_key(secrets: Path) -> None:
    certificates.make(secrets.parent / "other", secrets / "key")


@pytest.mark.parametrize(
    ("does", "named", "touched"),
    [
        (away("password"), ["password: its file is missing, so"], {"s-a"}),
        (text("password", "of somebody"), ["password: its file was changed"], {"s-a"}),
        (away("live"), ["live: its file is missing, so"], {"s-b"}),
        (text("live", "of somebody"), ["live: its file was changed"], {"s-b"}),
        (away("id"), ["id: its file is missing, and is written again"], set[str]()),
        (away("key"), ["certificate: the file of key is missing", "key: the file of key is"], {"s-b"}),
        (away("certificate"), ["certificate: the file of certificate is missing", "key: the file of c"], {"s-b"}),
        (another_key, ["certificate: the key key does not belong", "key: the key key does not"], {"s-b"}),
        (away("salt"), ["salt: its file is missing"], {"s-a"}),
        (lambda secrets: (secrets / "live").chmod(0o644), ["secrets/live: mode 0644"], set[str]()),
    ],
)
def test_whatever_is_done_to_a_secret_drift_and_a_preview_tell_what_the_run_then_does(
    engine: FakeEngine, tmp_path: Path, does: Any, named: list[str], touched: set[str]
) -> None:
    run(tmp_path, READERS, secrets=SECRETS)
    does(tmp_path / "secrets")
    before = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    release = newest_releases(str(tmp_path))[0]
    found = [
        *(
            f"~ {one.rule} {one.subject}: {one.wrong}"
            for one in drift.of_project(cast("Any", engine), release, str(tmp_path))
        ),
        *(f"{path}: {how}" for path, how in permissions.differences(str(tmp_path))),
    ]
    preview = run(tmp_path, READERS, check=True, secrets=SECRETS).changes
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == before
    done = run(tmp_path, READERS, secrets=SECRETS).changes
    assert preview == done
    for each in named:
        assert any(each in line for line in found), found
    assert {name for name in ("s-a", "s-b") if any(f" {name}: " in line for line in done)} == touched
    assert [line for line in done if not line.startswith(("~ secret", "~ permissions"))] == [
        line.partition(": ")[2] for line in found if line.startswith("~ container")
    ]
    assert run(tmp_path, READERS, check=True, secrets=SECRETS).changes == []
    assert list(drift.of_project(cast("Any", engine), newest_releases(str(tmp_path))[0], str(tmp_path))) == []


def test_a_secret_that_the_last_run_was_given_has_no_file_on_the_host_that_drift_misses(
    engine: FakeEngine, tmp_path: Path
) -> None:
    def drifted() -> list[str]:
        release = newest_releases(str(tmp_path))[-1]
        return [one.wrong for one in drift.of_project(cast("Any", engine), release, str(tmp_path))]

    given = {"password": "one of the controller", "live": "another"}
    run(tmp_path, READERS, secrets=SECRETS, given={"password": given["password"]})
    assert drifted() == []
    run(tmp_path, READERS, secrets=SECRETS, given=given)  # the host has made one before
    assert drifted() == []
    assert "controller" not in (tmp_path / GIVEN).read_text()
    (tmp_path / GIVEN).unlink()  # an earlier version wrote none
    assert not any("is missing" in wrong for wrong in drifted())


@pytest.mark.parametrize("name", ["password", "live", "key", "salt"])
@pytest.mark.parametrize("value", ["", "\n"])
def test_an_emptied_secret_is_named_by_drift_and_refused_by_preview_and_run_alike(
    engine: FakeEngine, tmp_path: Path, name: str, value: str
) -> None:
    run(tmp_path, READERS, secrets=SECRETS)
    text(name, value)(tmp_path / "secrets")
    release = newest_releases(str(tmp_path))[0]
    found = list(drift.of_project(cast("Any", engine), release, str(tmp_path)))
    assert any(one.rule == "secret" and f"{name} is empty" in one.wrong for one in found)
    assert all("from a backup; or remove the file" in one.mend[0] for one in found if one.rule == "secret")
    for check in (True, False):
        with pytest.raises(SecretError, match=f"secrets/{name} is empty"):
            run(tmp_path, READERS, check=check, secrets=SECRETS)


def test_a_secret_that_a_new_setting_brings_is_no_loss(engine: FakeEngine, tmp_path: Path) -> None:
    run(tmp_path, {"a": container()}, secrets={"other": {"kind": "password"}})
    assert all(one.startswith("~ s-") or "(new)" in one for one in run(tmp_path, READERS, secrets=SECRETS).changes)


@pytest.mark.parametrize("left", ["", "{}", '{"id": "id-1"}'])
def test_where_the_record_of_a_reload_is_gone_that_is_told_and_no_change_of_a_secret(
    engine: FakeEngine, tmp_path: Path, left: str
) -> None:
    def reloading(text: str) -> dict[str, Any]:
        files = {"config": {"/etc/a": {"f": text}}, "secrets": {"/run/a": {"p": {"secret": "password"}}}}
        return {"a": container(**files, reload={"check": ["check"], "says": "read"})}

    def drifted() -> list[str]:
        release = newest_releases(str(tmp_path))[-1]
        return [one.wrong for one in drift.of_project(cast("Any", engine), release, str(tmp_path))]

    secrets = {"password": {"kind": "password"}}
    run(tmp_path, reloading("old\n"), secrets=secrets)
    text("password", "of somebody")(tmp_path / "secrets")
    run(tmp_path, reloading("old\n"), secrets=secrets)
    (tmp_path / "loaded/s-a.json").write_text(left)
    gone = "> reload s-a: the record of its last reload is gone, so it reads its files again"
    assert drifted() == [gone]
    changed = run(tmp_path, reloading("new\n"), check=True, secrets=secrets).changes
    assert changed == ["> reload s-a: config./etc/a.f: content"]
    assert run(tmp_path, reloading("old\n"), check=True, secrets=secrets).changes == [gone]
    assert run(tmp_path, reloading("old\n"), secrets=secrets).changes == [gone]
    assert drifted() == run(tmp_path, reloading("old\n"), secrets=secrets).changes == []
    assert list(engine.all) == ["id-1"]


def test_what_a_failed_release_has_left_is_named_as_that_and_not_as_work_of_somebody(
    engine: FakeEngine, tmp_path: Path
) -> None:
    def drifted() -> list[str]:
        release = newest_releases(str(tmp_path))[-1]
        return [one.wrong for one in drift.of_project(cast("Any", engine), release, str(tmp_path))]

    run(tmp_path, {"a": container(), "c": container()})
    wanted = {"a": container(environment={"X": 1}), "b": container(), "c": container(after=["a", "b"], image=BROKEN)}
    with pytest.raises(rollout.ApplyError):
        run(tmp_path, wanted)
    failed = "is of release 2, which was not applied as a whole: a run makes it as the settings say"
    assert drifted() == [f"~ s-b: {failed}", f"~ s-a: {failed}"]
    assert run(tmp_path, {**wanted, "c": container(after=["a", "b"])}).changes == []
    assert drifted() == []
    engine.stop(next(key for key, one in engine.all.items() if one["name"] == "s-a"), 0)
    assert drifted() == ["> start s-a: is exited"]


def record(state: Path) -> dict[str, str]:
    """What is written down of the containers that runs made under the name s-a."""
    return json.loads((state / "made/s-a.json").read_text())


def test_a_container_that_somebody_made_by_hand_with_our_labels_is_named_and_replaced(
    engine: FakeEngine, tmp_path: Path
) -> None:
    containers = {"a": container(), "b": container(after=["a"])}
    run(tmp_path, containers)
    engine.all["by-hand"] = {**engine.all.pop("id-1"), "image": "other"}
    preview = run(tmp_path, containers, check=True)
    assert preview.changes == ["~ s-a: was made by hand, with the labels of the one that a run made"]
    assert run(tmp_path, containers).changes == preview.changes
    assert {key: one["image"] for key, one in engine.all.items()} == {"id-2": "good", "id-3": "good"}
    assert list(record(tmp_path).values()) == ["id-3"]
    assert not run(tmp_path, containers).changes


def unmarked(state: Path, engine: FakeEngine) -> None:
    """An earlier version, to which somebody went back, has made it since."""
    engine.all["of-an-earlier-version"] = engine.all.pop("id-1")
    del engine.all["of-an-earlier-version"]["labels"][f"{LABEL}made"]


def older(state: Path, engine: FakeEngine) -> None:
    """The state directory was put back to a time when another container had the name."""
    (state / "made/s-a.json").write_text('{"0123": "id-0"}')


@pytest.mark.parametrize(
    "happens",
    [
        unmarked,
        older,
        lambda state, _: (state / "made/s-a.json").unlink(),
        lambda state, _: (state / "made/s-a.json").write_text(""),
        lambda state, _: (state / "made/s-a.json").write_text("[]"),
    ],
)
def test_a_container_of_which_nothing_is_written_down_is_left_alone(
    engine: FakeEngine, tmp_path: Path, happens: Any
) -> None:
    run(tmp_path, {"a": container()})
    happens(tmp_path, engine)
    before = set(engine.all)
    assert not run(tmp_path, {"a": container()}).changes
    assert set(engine.all) == before


@pytest.mark.parametrize("method", ["begin", "end", "only"])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_run_that_was_killed_while_it_wrote_down_what_it_made_has_nothing_replaced(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, is_there: bool
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    if is_there:
        run(tmp_path, {"a": container()})
    with monkeypatch.context() as patch:
        patch.setattr(MadeStore, method, killed)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path, {"a": container(environment={"X": 1})})
    there = {key for key, one in engine.all.items() if one["name"] == "s-a"}
    wanted = container() if is_there and method != "only" else container(environment={"X": 1})
    changes = run(tmp_path, {"a": wanted}).changes
    assert [one for one in changes if "left by" not in one] == (
        [] if is_there else ["+ s-a (new)"] if method == "begin" else ["> start s-a: is exited"]
    )
    assert there <= set(engine.all)


def test_the_container_that_came_back_is_still_ours_after_a_failed_replacement(
    engine: FakeEngine, tmp_path: Path
) -> None:
    run(tmp_path, {"a": container()})
    for _ in range(3):
        with pytest.raises(rollout.ApplyError):
            run(tmp_path, {"a": container(image=BROKEN)})
    assert not run(tmp_path, {"a": container()}).changes
    assert list(record(tmp_path).values()) == list(engine.all) == ["id-1"]


def test_a_container_that_the_engine_cannot_start_is_named_also_where_the_earlier_one_cannot_start_either(
    engine: FakeEngine, tmp_path: Path
) -> None:
    with pytest.raises(rollout.ApplyError, match=f"^s-a can't start: exec: {UNSTARTABLE}: executable file not found\n"):
        run(tmp_path, {"a": container(image=UNSTARTABLE)})
    with pytest.raises(rollout.ApplyError) as failed:
        run(tmp_path, {"a": container(image=f"{UNSTARTABLE}-2")})
    first, *__, last = str(failed.value).splitlines()
    assert first == f"s-a can't start: exec: {UNSTARTABLE}-2: executable file not found"
    assert f"The earlier s-a is back and can't start either: exec: {UNSTARTABLE}: executable" in last
    assert [one["name"] for one in engine.all.values()] == ["s-a"]
    assert run(tmp_path, {"a": container()}).changes


def test_an_earlier_container_that_comes_back_and_ends_is_not_said_to_run(engine: FakeEngine, tmp_path: Path) -> None:
    """A file that both read was no good any more: it was said to run while it ended again and again."""
    run(tmp_path, {"a": container()})
    (old,) = engine.all
    engine.all[old]["image"] = BROKEN
    with pytest.raises(rollout.ApplyError) as failed:
        run(tmp_path, {"a": container(image=BROKEN)})
    assert "The earlier s-a is back and does not run either: `docker logs s-a` says why." in str(failed.value)


def test_a_failed_run_names_what_it_did_before_and_which_container_came_back(
    engine: FakeEngine, tmp_path: Path
) -> None:
    run(tmp_path, {"b": container()})
    (old,) = engine.all
    with pytest.raises(rollout.ApplyError) as failed:
        run(tmp_path, {"a": container(), "b": container(image=BROKEN, after=["a"])})
    said = str(failed.value)
    assert "s-b: stopped while starting (exit code 1): no such option" in said
    assert "no such option" in said
    assert "The earlier s-b is back and runs." in said
    assert said.endswith("\n\nDone before that, and kept: + s-a (new).")
    assert {one["name"]: (key == old, one["running"]) for key, one in engine.all.items()} == {
        "s-b": (True, True),
        "s-a": (False, True),
    }
    kept = ReleaseStore(str(tmp_path), "p").latest()
    assert kept is not None
    assert (kept["number"], kept.get("meta")) == (2, {"who": "me", "when": "now", "commit": "", "outcome": "failed"})


def numbers(state: Path) -> dict[str, list[int]]:
    return {project: ReleaseStore(str(state), project).numbers() for project in "pq"}


def test_a_run_gives_all_projects_that_change_the_same_next_number(engine: FakeEngine, tmp_path: Path) -> None:
    changed = container(environment={"X": 1})
    run(tmp_path, {"a": container()}, {"b": container()})
    run(tmp_path, {"a": changed}, {"b": container()})
    run(tmp_path, {"a": changed}, {"b": changed})
    assert numbers(tmp_path) == {"p": [1, 2], "q": [1, 3]}


def test_a_failed_repair_leaves_the_outcome_of_the_release(engine: FakeEngine, tmp_path: Path) -> None:
    run(tmp_path, {"a": container()})
    (key,) = engine.all
    engine.all[key].update(running=False, image=BROKEN)
    with pytest.raises(rollout.ApplyError):
        run(tmp_path, {"a": container()})
    assert ReleaseStore(str(tmp_path), "p").has_applied(1)


def test_a_lost_release_is_said_once_and_what_runs_stays_under_a_new_number(engine: FakeEngine, tmp_path: Path) -> None:
    run(tmp_path, {"a": container()})
    changed = {"a": container(environment={"X": 1})}
    run(tmp_path, changed)
    before = set(engine.all)
    (ReleaseStore(str(tmp_path), "p").directory / "0002.json").unlink()
    release = newest_releases(str(tmp_path))[0]
    assert [one.wrong for one in drift.of_project(cast("Any", engine), release, str(tmp_path))] == [
        "release 2, of which containers are, is gone: somebody removed its file",
        "~ s-a: is of release 2, which is gone: a run makes it as the settings say",
    ]
    (said,) = run(tmp_path, changed).changes
    assert said.startswith("! release 2 of p is not in the release store")
    assert set(engine.all) == before
    assert numbers(tmp_path)["p"] == [1, 3]
    assert run(tmp_path, changed).changes == []
    assert run(tmp_path, {"a": container()}).changes == ["~ s-a: environment.X: 1 -> absent"]


def test_where_every_release_is_gone_and_containers_are_there_that_is_drift(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "Engine", lambda: engine)
    with pytest.raises(EngineError, match="nothing was deployed here"):
        drift.find("s", str(tmp_path))
    run(tmp_path, {"a": container()})
    shutil.rmtree(tmp_path / "releases")
    [found] = drift.find("s", str(tmp_path))
    assert found.wrong == "all are gone, and containers of the stack are there (s-a): somebody removed the files"
    assert found.mend == ("./sse up",)
    before = set(engine.all)
    assert run(tmp_path, {"a": container()}).changes[0].startswith("! release 1 of p is not in the release store")
    assert set(engine.all) == before


def test_the_history_tells_what_each_run_did_and_how_it_ended(engine: FakeEngine, tmp_path: Path) -> None:
    run(tmp_path, {"a": container()})
    run(tmp_path, {"a": container(environment={"X": 1})}, check=True)
    run(tmp_path, {"a": container(environment={"X": 1})})
    with pytest.raises(rollout.ApplyError):
        run(tmp_path, {"a": container(image=BROKEN)})
    first, second, third = attempts(str(tmp_path))
    assert [(one["before"], one["after"], one["outcome"]) for one in (first, second, third)] == [
        (0, 1, "applied"),
        (1, 2, "applied"),
        (2, 2, "failed"),
    ]
    assert [(one["container"], one["kind"], one["reasons"]) for one in second["changes"]] == [
        ("s-a", "replace", ["environment.X: absent -> 1"])
    ]
    assert third["error"] == "s-a: stopped while starting (exit code 1): no such option"


def refusing(monkeypatch: pytest.MonkeyPatch, place: str, number: int) -> None:
    """Have the kernel refuse to make files whose path contains a text."""
    real = os.open

    def opened(path: Any, flags: int, mode: int = 0o777) -> int:
        if place in str(path) and flags & os.O_CREAT:
            raise OSError(number, os.strerror(number), str(path))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", opened)


@pytest.mark.parametrize(
    ("number", "way"),
    [
        (errno.ENOSPC, "No space left on device. Make room (df -h; df -i), and run `./sse up` again."),
        (errno.EPERM, "Operation not permitted. It or its directory may be immutable: lsattr -d shows an i then"),
        (errno.EROFS, "Read-only file system. Its file system is read-only: dmesg says why."),
        (errno.EACCES, "Permission denied. Mend that, and run `./sse up` again."),
    ],
)
@pytest.mark.parametrize("kind", ["create", "replace", "mend", "restart"])
def test_a_file_that_the_kernel_refuses_is_named_with_a_way_on_and_the_run_has_failed(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, way: str, kind: str
) -> None:
    def one(text: str) -> dict[str, Any]:
        return {"a": container(config={"/etc/a": {"f": text}})}

    if kind != "create":
        run(tmp_path, one("old"))
        engine.started = "2036-01-01T00:00:00Z" if kind == "restart" else engine.started
    if kind in {"mend", "restart"}:
        (path,) = tmp_path.glob("files/s-a/*/config-0/f")
        path.write_text("changed")
    before, wanted = {**engine.all}, one("old" if kind in {"mend", "restart"} else "new")
    with monkeypatch.context() as patched:
        refusing(patched, "/files/s-a/", number)
        with pytest.raises(rollout.ApplyError) as failed:
            run(tmp_path, wanted)
    assert str(failed.value).startswith(f"{tmp_path}/files/s-a/")
    assert f"/config-0/f can't be read or written: {way}" in str(failed.value)
    assert (engine.all, [one["running"] for one in engine.all.values()]) == (before, [True] * len(before))
    last, stored = attempts(str(tmp_path))[-1], ReleaseStore(str(tmp_path), "p").latest()
    assert (last["outcome"], last["error"]) == ("failed", str(failed.value).splitlines()[0])
    assert stored
    assert stored["meta"].get("outcome") == ("applied" if kind in {"mend", "restart"} else "failed")
    assert not list(tmp_path.glob("files/s-a/*/config-0/.*"))
    assert " s-a" in run(tmp_path, wanted).changes[-1]
    assert run(tmp_path, wanted).changes == []


def test_a_name_that_is_not_found_is_told_in_words_and_not_as_an_unknown_error() -> None:
    said = errors.file_refused(socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
    assert said.startswith("The kernel refuses what this run needs: Name or service not known. ")


@pytest.mark.parametrize("place", ["/releases/", "/history.jsonl"])
def test_a_disk_that_takes_no_record_is_told_instead_of_a_trace(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    run(tmp_path, {"a": container()})
    refusing(monkeypatch, place, errno.ENOSPC)
    with pytest.raises(rollout.ApplyError, match=rf"{place}.*No space left on device. Make room"):
        run(tmp_path, {"a": container(environment={"X": 1})})
    assert [one["name"] for one in engine.all.values()] == ["s-a"]


def test_older_releases_go_and_those_that_stay_keep_their_images(engine: FakeEngine, tmp_path: Path) -> None:
    run(tmp_path, {"a": container(image="other")}, {"b": container()})
    for number in range(4):
        run(tmp_path, {"a": container(environment={"X": number})}, {"b": container()}, keep=3)
        if number == 1:
            assert list(engine.tags.values()) == ["sha256:other"]
            assert all(tag.startswith("sse-kept/s:") for tag in engine.tags)
    assert numbers(tmp_path) == {"p": [3, 4, 5], "q": [1]}
    assert engine.tags == {}


def test_a_run_says_which_images_it_removed_and_keeps_those_of_every_kept_release(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[str], list[str]]] = []

    def prune(_: object, directory: str, needed: list[str], kept: list[str]) -> superseded.Pruned:
        asked.append((needed, kept))
        return superseded.Pruned(["old"], 2)

    monkeypatch.setattr(superseded, "prune", prune)
    run(tmp_path, {"a": container(image="other")})
    assert asked == []
    said = run(tmp_path, {"a": container()}, images=["good"]).changes
    assert said[1:] == ["- images: old (no stack needs it any more), 2 stages of failed builds"]
    assert asked == [(["good"], ["good", "other"])]
