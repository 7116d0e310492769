"""What the role docker writes into the configuration file of an engine: of its own, and of one that was there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.tests.engine_file import ABSENT, written

CLOSED = {"icc": False, "no-new-privileges": True, "log-driver": "local"}
LOGS = {"max-size": "10m", "max-file": "3"}
ENGINE = {"managed": True, "swarm": "inactive", "stable_ip6tables": True, "traits": {"options": {}}}


def test_an_engine_that_it_installs_is_closed_for_containers_of_others_too() -> None:
    assert written(ABSENT) == {**CLOSED, "log-opts": LOGS, "userland-proxy": False, "live-restore": True}


@pytest.mark.parametrize("own", [{"icc": True}, {"no-new-privileges": False}, {"log-driver": "journald"}])
def test_what_the_file_said_before_counts(own: dict[str, Any]) -> None:
    found = written({**ABSENT, "daemon_json": own})
    assert {key: found[key] for key in own} == own
    assert ("log-opts" in found) == ("log-driver" not in own)


@pytest.mark.parametrize(
    "host",
    [
        {"engine": ENGINE, "dockerd": "/usr/bin/dockerd"},  # it runs, as one that an earlier version installed
        {"engine": None, "dockerd": "/usr/bin/dockerd"},  # somebody stopped it
    ],
)
def test_one_that_was_there_is_not_closed(host: dict[str, Any]) -> None:
    assert not {"icc", "no-new-privileges"} & written({**host, "daemon_json": {}}).keys()
    assert written({**host, "daemon_json": {}})["log-driver"] == "json-file"


def test_one_that_it_installed_stays_as_it_is() -> None:
    file = {**CLOSED, "log-opts": LOGS, "userland-proxy": False, "live-restore": True}
    running = {"engine": ENGINE, "dockerd": "/usr/bin/dockerd", "daemon_json": file}
    assert written(running) == file
    assert written(running, docker_log_max_files=5)["log-opts"] == {**LOGS, "max-file": "5"}
