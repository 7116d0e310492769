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


def test_nothing_that_differs_is_said_so() -> None:
    assert drift_report.report([]) == "No drift: what is there is what was applied."
