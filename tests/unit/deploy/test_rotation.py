"""Which secrets can be rotated, in which steps, and what a failure leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import rollout, rotation, secret_store
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.model import secret

SECRETS = secret.declared(
    {
        "one": {
            "secrets": {
                "one_password": {"kind": "password"},
                "one_key": {"kind": "password", "overlap": True},
                "one_id": {"kind": "uuid-base64"},
                "one_token": {"kind": "given"},
                "one_seal": {"kind": "password", "kept": "what it sealed could not be read"},
            }
        }
    }
)
RELEASE: Any = {"stack": "s", "project": "s-platform", "containers": {}, "secrets": SECRETS}


def request(directory: Path, **given: str) -> rollout.Request:
    (directory / "secrets").mkdir()
    for name in SECRETS:
        (directory / "secrets" / name).write_text(f"old-{name}")
    return rollout.Request([RELEASE], str(directory), given, [], 4, {}, check=False)  # type: ignore[typeddict-item]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the file of the secret held at each run."""
    found: list[str] = []

    def run(asked: rollout.Request, _: rollout.Report) -> None:
        kept = [one for one in SECRETS if f"old-{one}" != (directory(asked) / one).read_text()]
        found.extend((directory(asked) / one).read_text() for one in kept)

    monkeypatch.setattr(rollout, "run", run)
    return found


def directory(asked: rollout.Request) -> Path:
    return Path(asked.state_directory) / "secrets"


def test_a_password_gets_a_new_value_in_one_step(tmp_path: Path, runs: list[str]) -> None:
    __, old = rotation.rotate(request(tmp_path), "one_password", keep_old=False)
    assert old == "old-one_password"
    assert runs == [(tmp_path / "secrets/one_password").read_text()]
    assert len(runs[0]) == 64


def test_a_key_that_signs_is_valid_beside_the_new_one_before_it_goes(tmp_path: Path, runs: list[str]) -> None:
    rotation.rotate(request(tmp_path), "one_key", keep_old=False)
    both, alone = runs
    assert both.split() == [alone, "old-one_key"]


def test_the_old_key_stays_until_the_next_rotation_where_that_is_asked(tmp_path: Path, runs: list[str]) -> None:
    asked = request(tmp_path)
    rotation.rotate(asked, "one_key", keep_old=True)
    rotation.rotate(asked, "one_key", keep_old=True)
    first, second = (one.split() for one in runs)
    assert first[1] == "old-one_key"
    assert second[1] == first[0]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("one_pasword", r"There is no secret 'one_pasword'. Did you mean 'one_password'\? .*: one_key, one_password\."),
        ("one_id", "one_id is an identity"),
        ("one_token", "one_token is given by you"),
        ("one_seal", "one_seal keeps its value for ever: what it sealed could not be read"),
    ],
)
def test_what_cannot_be_rotated_is_refused_with_the_list(tmp_path: Path, runs: list[str], name: str, told: str) -> None:
    with pytest.raises(ApplyError, match=told):
        rotation.rotate(request(tmp_path), name, keep_old=False)
    assert runs == []


def test_a_value_that_the_user_gives_is_not_replaced(tmp_path: Path, runs: list[str]) -> None:
    with pytest.raises(ApplyError, match="is given by you"):
        rotation.rotate(request(tmp_path, one_password="x"), "one_password", keep_old=False)
    assert runs == []


def test_after_a_failure_the_earlier_value_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object) -> None:
        raise ApplyError("kafka: user app does not get in by the new password")

    monkeypatch.setattr(rollout, "run", run)
    with pytest.raises(ApplyError, match="one_password has its earlier value again"):
        rotation.rotate(request(tmp_path), "one_password", keep_old=False)
    assert (tmp_path / "secrets/one_password").read_text() == "old-one_password"


def test_what_a_run_would_refuse_is_refused_before_it(tmp_path: Path, runs: list[str]) -> None:
    request(tmp_path)
    with pytest.raises(ApplyError, match="one_password: --keep-old is for secrets of which two"):
        rotation.asked([RELEASE], "one_password", {}, str(tmp_path), keep_old=True)
    assert rotation.asked([RELEASE], "one_key", {}, str(tmp_path), keep_old=True) == ["one_key"]
    (tmp_path / "secrets/one_key").unlink()
    with pytest.raises(ApplyError, match="one_key has no value yet"):
        rotation.asked([RELEASE], "one_key", {}, str(tmp_path))


def test_all_stands_for_what_can_be_rotated_and_has_a_value(tmp_path: Path, runs: list[str]) -> None:
    asked = request(tmp_path)
    names = rotation.asked([RELEASE], "all", {}, str(tmp_path))
    assert names == ["one_key", "one_password"]
    done = {name: (old, told) for name, old, told in rotation.rotate_each(asked, names, keep_old=False)}
    assert {name: old for name, (old, _) in done.items()} == {name: f"old-{name}" for name in names}
    assert all(f"{name} has a new value" in told for name, (_, told) in done.items())
    assert len(runs) == 2 + 2  # two steps of the key, and in that of the password the key has changed, too
    assert (tmp_path / "secrets/one_id").read_text() == "old-one_id"
    (tmp_path / "secrets/one_password").unlink()
    assert rotation.asked([RELEASE], "all", {}, str(tmp_path)) == ["one_key"]
    assert rotation.asked([RELEASE], "all", {"one_key": "given"}, str(tmp_path)) == []


def test_where_one_of_all_fails_those_before_it_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(asked: rollout.Request, _: rollout.Report) -> None:
        if (directory(asked) / "one_password").read_text() != "old-one_password":
            raise ApplyError("it does not get in")

    monkeypatch.setattr(rollout, "run", run)
    asked = request(tmp_path)
    told = r"(?s)one_password has its earlier value again.*These have new values, which work: one_key\."
    with pytest.raises(ApplyError, match=told):
        list(rotation.rotate_each(asked, ["one_key", "one_password"], keep_old=False))
    assert (tmp_path / "secrets/one_password").read_text() == "old-one_password"


def test_of_all_only_those_that_can_overlap_keep_the_old_value(tmp_path: Path, runs: list[str]) -> None:
    asked = request(tmp_path)
    found = list(rotation.rotate_each(asked, ["one_key", "one_password"], keep_old=True))
    assert [(name, old) for name, old, _ in found] == [("one_key", ""), ("one_password", "old-one_password")]
    assert "old-one_key" in runs[0]
    assert "old-one_key" in (tmp_path / "secrets/one_key").read_text()


def test_new_values_for_several_hosts_are_written_in_steps(tmp_path: Path) -> None:
    request(tmp_path)
    store = secret_store.Store(str(tmp_path), {}, SECRETS)
    names = ["one_key", "one_password"]
    before = rotation.kept(store, names)
    assert before == {"one_key": "old-one_key", "one_password": "old-one_password"}
    assert rotation.begin(store, names, keep_old=False) == ["one_key"]
    new, old = (tmp_path / "secrets/one_key").read_text().split()
    assert old == "old-one_key"
    assert len((tmp_path / "secrets/one_password").read_text().split()) == 1
    rotation.narrow(store, ["one_key"])
    assert (tmp_path / "secrets/one_key").read_text() == new
    rotation.put_back(store, before)
    assert rotation.kept(store, names) == before


def test_two_values_may_go_on_counting_on_several_hosts(tmp_path: Path) -> None:
    request(tmp_path)
    store = secret_store.Store(str(tmp_path), {}, SECRETS)
    assert rotation.begin(store, ["one_key"], keep_old=True) == []
    assert (tmp_path / "secrets/one_key").read_text().split()[1] == "old-one_key"


def test_what_a_program_tells_of_a_secret_has_to_run_when_that_gets_a_new_value() -> None:
    def container(program: str, secret: str, target: str = "/run/users") -> Any:
        reload = {"program": program, "takes": ["/run/users"]}
        return {"reload": reload, "secrets": {target: {"file": {"secret": secret, "format": "{}"}}}}

    containers = {
        "s-server": container("p", "one_password"),
        "s-other": container("p", "one_key"),
        "s-begins-anew": container("", "one_password"),
        "s-elsewhere": container("p", "one_password", "/run/secrets"),
        "s-plain": {"secrets": {}},
    }
    releases: Any = [{**RELEASE, "containers": containers}]
    assert rotation.takers(releases, ["one_password"]) == ["s-server"]
    assert rotation.takers(releases, ["one_key", "one_password"]) == ["s-server", "s-other"]
