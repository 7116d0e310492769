"""Which containers of a host the words of a command mean."""

from __future__ import annotations

import argparse
from pathlib import Path

import containers
import pytest

LISTED = "sse-nginx\tnginx\tnginx\nsse-app-2\tapp\tapp-2\nsse-app-1\tapp\tapp-1\n"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> containers.Host:
    """A host with the containers of LISTED."""
    monkeypatch.setattr(containers.Host, "output", lambda *_: LISTED)
    return containers.Host(ssh=(), sudo=(), stack="sse", name="box")


def test_a_container_is_meant_by_its_service_its_short_name_and_its_full_name(host: containers.Host) -> None:
    for words, found in (
        ([], ["app-1", "app-2", "nginx"]),
        (["app"], ["app-1", "app-2"]),
        (["app-2", "sse-nginx"], ["app-2", "nginx"]),
    ):
        assert [one.short for one in host.containers(words)] == found


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("ngnix", ": did you mean 'nginx'?"),
        ("ap", ": did you mean 'app'?"),
        ("app1", ": did you mean 'app-1'?"),
        ("sse-ngix", ": did you mean 'sse-nginx'?"),
        ("grafana", "."),
    ],
)
def test_a_misspelt_name_is_answered_with_the_one_that_was_meant(host: containers.Host, word: str, meant: str) -> None:
    with pytest.raises(SystemExit) as refused:
        host.containers(["app", word])
    said = f"There is no service or container '{word}'{meant} Expected one of app-1, app-2, nginx."
    assert str(refused.value) == said


def test_a_service_of_a_cluster_is_meant_by_the_same_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def answer(_: containers.Host, *words: str) -> str:
        asked.append(words)
        return "id1\nid2\nid3\n" if words[1] == "ls" else LISTED

    monkeypatch.setattr(containers.Host, "output", answer)
    manager = containers.Host(ssh=(), sudo=(), stack="sse", name="one")
    assert [one.short for one in manager.services(["app"])] == ["app-1", "app-2"]
    assert asked[0] == ("service", "ls", "-q", "--filter", "label=sse.platform.stack=sse")
    assert asked[1][-3:] == ("id1", "id2", "id3")
    label = '{{index .Spec.TaskTemplate.ContainerSpec.Labels "sse.platform.%s"}}'
    assert asked[1][3] == "\t".join(["{{.Spec.Name}}", label % "service", label % "container"])


def test_a_verb_about_one_host_is_refused_for_a_cluster_before_anybody_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hosts.ini").write_text("[managers]\na\n")
    monkeypatch.setattr(containers, "ansible", lambda *_: pytest.fail("a host was asked"))
    monkeypatch.setattr("sys.argv", ["/tools/alert_test.py"])
    asked = argparse.Namespace(inventory=[str(tmp_path)])
    for refuse in (containers.host, lambda options: containers.module(options, "status", {})):
        with pytest.raises(SystemExit, match=r"^sse: \./sse alert-test is not available with deployment: swarm yet: "):
            refuse(asked)


def test_a_cluster_without_the_stack_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers.Host, "output", lambda *_: "")
    with pytest.raises(SystemExit, match="The stack 'sse' has no service on one"):
        containers.Host(ssh=(), sudo=(), stack="sse", name="one").services([])
