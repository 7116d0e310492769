"""Whatever is changed on a running stack: no request is refused or fails, nothing is lost or doubled, there is no gap.

200 streams and two publishers go on through NGINX while one change follows the other (crowd.py). SSE_CHANGES=all makes
all changes and takes some minutes; without it, those come that touch what clients connect to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.sse.platform.tests import certificates
from ansible_collections.sse.platform.tests.integration.crowd import Crowd
from ansible_collections.sse.platform.tests.integration.stack import Stack

ALL = os.environ.get("SSE_CHANGES") == "all"
STREAMS = 200
Settings = dict[str, Any]
# Of all publishes: on a machine that is busy with other work, Kafka answers one of them late now and then (503).
MOST_UNSETTLED = 0.01


def certificate(directory: Path) -> Settings:
    chain, key = directory / "new.pem", directory / "new.key"
    certificates.make(chain, key, subject="rolled")
    return {"nginx_certificate": str(chain), "nginx_certificate_key": str(key)}


def always(settings: Settings) -> Callable[[Path], Settings]:
    return lambda _: settings


CHANGES: dict[str, Callable[[Path], Settings]] = {
    "a setting of NGINX": always({"nginx_config_extra": {"server_tokens": "on"}}),
    "a certificate": certificate,
    "an image and the environment": always({"app_environment_extra": {"SSE_MAX_BODY_BYTES": "200000"}}),
    "one more replica": always({"app_replicas": 4}),
    "a limit of the replicas": always({"app_memory": "300m"}),
    "a limit of NGINX": always({"nginx_memory": "600m"}),
    "a limit of Redis": always({"redis_memory": "200m"}),
    "one replica less": always({"app_replicas": 3}),
    "segments": always({"network_layout": "segmented"}),
    "everything back": always({}),
}
# Each change of the containers' networks makes Kafka start anew. Publishers are told to ask again meanwhile, and one
# that waits for Kafka while NGINX is replaced gets no answer. The same request with the same key settles both.
KAFKA_STARTS_ANEW = {"segments", "everything back"}
IN_CI = {"a certificate", "an image and the environment", "one more replica"}


@pytest.fixture
def another_image(stack: Stack) -> Iterator[Callable[[], None]]:
    """A function that puts another image under the name of the replicas' image; it goes back afterwards."""
    engine: Any = docker.from_env()
    config = stack.container("app-1").attrs["Config"]["Image"]
    image = engine.images.get(config)
    repository, _, tag = config.rpartition(":")

    def put() -> None:
        made = engine.containers.create(image.id, ["true"])
        made.commit(repository, tag, changes="LABEL rolled=yes")
        made.remove()

    yield put
    if engine.images.get(config).id != image.id:
        image.tag(repository, tag)


def test_no_client_is_refused_and_no_event_is_lost_or_doubled_whatever_changes(
    stack: Stack, another_image: Callable[[], None], tmp_path: Path
) -> None:
    settings: Settings = {}
    with Crowd(stack.http_port, STREAMS) as crowd:
        for change, more in CHANGES.items():
            if not ALL and change not in IN_CI:
                continue
            if "image" in change:
                another_image()
            settings = {**settings, **more(tmp_path)} if change != "everything back" else {}
            before, cut, unsettled = stack.ids(), crowd.cut, crowd.unsettled
            stack.up(**settings)
            assert not crowd.wrong, (change, crowd.wrong)
            assert stack.ids() != before or change in {"a setting of NGINX", "a certificate"}
            if change not in KAFKA_STARTS_ANEW:
                assert crowd.cut == cut, change
                assert crowd.unsettled - unsettled <= MOST_UNSETTLED * sum(crowd.accepted), change
    assert not crowd.wrong
    assert all(one == crowd.accepted for one in crowd.heard)
