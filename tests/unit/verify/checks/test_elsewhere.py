"""Each container that uses something elsewhere is asked from within; nobody else is."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model import elsewhere as model
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import elsewhere

USED: Any = {
    "service": "cache",
    "name": "Cache",
    "servers": ["cache.example.org:6380"],
    "containers": ["web-1", "web-2"],
    "why": "remember",
    "program": "print()",
    "asks": {"user": "me"},
    "secrets": {"password": "cache_remote_password"},
}


def subject(short: str) -> Any:
    mounted = {"/run/secrets": {"pw": {"secret": "cache_remote_password", "format": "{}"}}}
    spec = {"container": short, "secrets": {}, "live_secrets": mounted}
    return SimpleNamespace(name=f"sse-{short}", spec=spec, inspected={"Id": short})


class Stack:
    """Containers of which each gives its own answer."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, list[str]]] = []
        self.engine = self
        self.releases = [{"elsewhere": [USED]}, {}]

    def named(self, shorts: list[str]) -> list[Any]:
        return [subject(one) for one in shorts]

    def execute(self, container: str, command: list[str], _: float) -> tuple[int, str]:
        self.asked.append((container, command))
        answer = self.answers[container.replace("-", "_")]
        if isinstance(answer, Exception):
            raise answer
        return 0, json.dumps(answer)


def found(stack: Stack) -> list[Any]:
    asked: Any = stack
    return [job() for job in elsewhere.KIND.jobs(asked, [], None)]


def test_each_user_is_asked_with_the_secrets_that_it_has() -> None:
    stack = Stack(web_1={"problems": [], "notes": ["it is slow"]}, web_2={"problems": [], "notes": ["it is slow"]})
    first, second = found(stack)
    assert (list(first.findings), first.verified, list(second.findings)) == ([], 1, [])
    assert first.notes == ["Cache at cache.example.org:6380: it is slow."]
    assert list(second.notes) == []
    assert [container for container, __ in stack.asked] == ["web-1", "web-2"]
    question = json.loads(stack.asked[0][1][-1])
    assert question == {"user": "me", "servers": USED["servers"], "files": {"password": "/run/secrets/pw"}}


def test_what_one_of_them_cannot_do_is_a_finding_of_its_own() -> None:
    stack = Stack(web_1={"problems": [], "notes": []}, web_2={"problems": ["no way", "no user"], "notes": []})
    __, second = found(stack)
    assert second.verified == 0
    assert [one.wrong for one in second.findings] == [
        f"Cache at cache.example.org:6380: {problem}" for problem in ("no way", "no user")
    ]
    [away] = found(Stack(web_1=EngineError("gone"), web_2={"problems": [], "notes": []}))[0].findings
    assert away.wrong.endswith(": gone")


class Host:
    """One host of a cluster, with its tasks by the service that each is of."""

    def __init__(self, *tasks: tuple[str, str, str, str], problem: str = "") -> None:
        self.tasks = tasks
        self.problem = problem
        self.asked: list[str] = []
        self.questions = self

    def ask(self, question: Any) -> Any:
        return question()

    def containers(self) -> list[Any]:
        return [
            {
                "Id": identity,
                "State": state,
                "Labels": {"sse.platform.swarm-stack": stack, "com.docker.swarm.service.name": service},
            }
            for identity, stack, service, state in self.tasks
        ]

    def execute(self, container: str, _: list[str], __: float) -> tuple[int, str]:
        self.asked.append(container)
        return 0, json.dumps({"problems": [self.problem] if container == "t2" else [], "notes": []})


def test_on_several_hosts_each_asks_from_within_the_tasks_that_it_runs() -> None:
    containers = {f"sse-{short}": subject(short).spec for short in ("web-1", "web-2", "log")}
    releases: Any = [{"stack": "sse", "containers": containers, "elsewhere": [USED]}, {"stack": "sse"}]
    host: Any = Host(
        ("t1", "sse", "sse-web-1", "running"),
        ("t2", "sse", "sse-web-2", "running"),
        ("t3", "sse", "sse-web-2", "exited"),
        ("t4", "sse", "sse-log", "running"),
        ("t5", "two", "sse-web-1", "running"),
        problem="no way",
    )
    found = elsewhere.in_tasks(host, releases, "b")
    assert (sorted(host.asked), found.verified) == (["t1", "t2"], 1)
    [finding] = found.findings
    assert (finding.subject, finding.wrong, finding.evidence) == (
        *("sse-web-2", "Cache at cache.example.org:6380: no way", "asked from within it on b"),
    )
    nothing: Any = Host()
    assert elsewhere.in_tasks(nothing, releases, "c") == elsewhere.Checked([], 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"containers": ["nobody"]},
            "cache.elsewhere[0].containers: 'nobody' is not accepted; expected a container: w",
        ),
        ({"servers": ["cache"]}, "cache.elsewhere[0].servers[0]: 'cache' is not accepted; expected host:port"),
        ({"servers": ["cache:0"]}, "expected host:port"),
        ({"srevers": []}, "cache.elsewhere[0].srevers: unknown key"),
    ],
)
def test_a_wrong_declaration_is_refused_by_its_place(change: dict[str, Any], said: str) -> None:
    declared = {key: value for key, value in USED.items() if key != "service"} | change
    services = {"cache": {"elsewhere": [declared]}, "web": {"containers": {"web-1": {}, "web-2": {}}}}
    with pytest.raises(SpecError) as refused:
        model.declared(services)
    assert said in str(refused.value)
    declared = {key: value for key, value in USED.items() if key != "service"}
    [one] = model.declared({**services, "cache": {"elsewhere": [declared]}})
    assert (one["service"], one["keeps"], model.place(one)) == ("cache", "", "Cache at cache.example.org:6380")
    assert model.place({**one, "part": "table x"}) == "table x of Cache at cache.example.org:6380"
