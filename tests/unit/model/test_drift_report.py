"""What `./sse drift` says."""

from __future__ import annotations

from ansible_collections.sse.platform.plugins.module_utils.model import drift_report


def test_each_key_of_the_engine_that_differs_is_a_finding() -> None:
    found = drift_report.of_engine({"live-restore": True, "log-driver": "json-file"}, {"log-driver": "json-file"})
    assert [one.wrong for one in found] == ["live-restore is not True"]
    assert drift_report.of_engine({}, {"debug": True}) == []


def test_a_configuration_that_nobody_can_read_is_a_finding() -> None:
    [found] = drift_report.of_engine({}, None)
    assert (found.subject, found.wrong) == (drift_report.DAEMON, "it is not valid JSON")


def test_what_differs_on_a_host_of_a_cluster_is_told_with_the_host() -> None:
    found = [
        *drift_report.of_silent(["c"]),
        *drift_report.of_files("b", ["~ /state/files/sse-n/now/config-0: n.conf: content, permissions 777 -> 700"]),
        *drift_report.of_engine({"live-restore": False}, {"live-restore": True}, "b"),
    ]
    assert drift_report.report(found).splitlines() == [
        "Drift: 3 things differ from what was applied. ./sse up mends what has no advice below it.",
        "~ host c: it does not answer, so nobody can say what differs there",
        "    # Start it, or let SSH through.",
        "~ files /state/files/sse-n/now/config-0 of b: n.conf: content, permissions 777 -> 700",
        "~ engine /etc/docker/daemon.json of b: live-restore is not False",
    ]


def test_nothing_that_differs_is_said_so() -> None:
    assert drift_report.report([]) == "No drift: what is there is what was applied."
