"""What `swarm_tasks` tells of services, and for what it waits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import ObservedService
from ansible_collections.sse.platform.plugins.modules import swarm_tasks


def service(labels: Any = None, **changes: Any) -> ObservedService:
    request = {"TaskTemplate": {"ContainerSpec": {"Labels": labels}}}
    return ObservedService("sse-k", "1", {}, request, 1, {}, [], "", "")._replace(**changes)


def test_a_service_is_of_the_stack_and_the_role_that_its_containers_are_labelled_with() -> None:
    labels = {"sse.platform.swarm-stack": "sse", "sse.platform.service": "kafka"}
    assert swarm_tasks.whose(service(labels)) == ("sse", "kafka")
    assert swarm_tasks.whose(service()) == ("", "")


def test_a_service_stands_still_when_its_last_task_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [service(running={"n": 1}), service(ending=1), service()]
    monkeypatch.setattr(swarm_tasks.time, "sleep", lambda _: None)
    api: Any = SimpleNamespace(services=lambda: [shown.pop(0)])
    swarm_tasks.wait(api, "sse-k", 0)
    assert not shown


def test_what_stands_still_with_everything_is_labelled_so_until_it_is_started() -> None:
    label = "sse.platform.complete"
    stopped = swarm_tasks.with_tasks(service()._replace(labels={"a": "b"}), 0, complete=True)
    assert (stopped["Labels"], stopped["Mode"]) == ({"a": "b", label: "true"}, {"Replicated": {"Replicas": 0}})
    still = service()._replace(labels={"a": "b", label: "true"}, wanted=0)
    assert still.stands_complete
    assert not still._replace(wanted=1).stands_complete
    assert not service()._replace(wanted=0).stands_complete
    assert swarm_tasks.with_tasks(still, 1)["Labels"] == {"a": "b"}


@pytest.mark.parametrize("error", [OSError("no engine"), RefusedError("/services", 503, b"no swarm manager")])
def test_a_preview_may_come_before_there_is_a_swarm(error: Exception) -> None:
    def nobody() -> Any:
        raise error

    api: Any = SimpleNamespace(services=nobody)
    assert swarm_tasks.services(api, may_lack=True) == []
    with pytest.raises(type(error)):
        swarm_tasks.services(api, may_lack=False)
