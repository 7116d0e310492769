"""What the lab can measure without an engine, and what it tells of a lesson that a host cannot show."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.lab import kit, lessons

LAB = cast("kit.Lab", None)  # these lessons use none


def complete(_: kit.Lab) -> Iterator[tuple[str, str]]:
    yield "a asks", "connected"


def interrupted(_: kit.Lab) -> Iterator[tuple[str, str]]:
    yield "b asks first", "no such name"
    raise kit.SkippedError("no second question here")


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> list[lessons.Taught]:
    two = (lessons.Lesson("one", complete, "It works."), lessons.Lesson("two", interrupted, "It ends."))
    monkeypatch.setattr(lessons, "LESSONS", two)
    return list(lessons.teach(LAB))


def test_a_lesson_keeps_what_was_measured_before_it_was_skipped(taught: list[lessons.Taught]) -> None:
    assert [(one.lesson.title, [seen.answer for seen in one.seen], one.skipped) for one in taught] == [
        ("one", ["connected"], ""),
        ("two", ["no such name"], "no second question here"),
    ]


def test_the_report_has_every_question_in_one_column_and_the_reason_of_a_skip(taught: list[lessons.Taught]) -> None:
    assert lessons.report(taught, [lessons.Seen("none", "interfaces", "lo 127.0.0.1")])[:6] == [
        "",
        "one: It works.",
        "  a asks        connected",
        "",
        "two: It ends.",
        "  b asks first  no such name",
    ]
    assert "  SKIPPED: no second question here" in lessons.report(taught, [])


def test_a_connection_is_told_in_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert kit.connect("127.0.0.1", port) == "connected"
    assert kit.connect("127.0.0.1", port) == "refused: nobody listens there"


def test_interfaces_are_few_and_have_addresses_without_prefix() -> None:
    shown = kit.interfaces()
    assert shown.startswith("lo 127.0.0.1")
    assert "/" not in shown
    assert len(shown.split(", ")) <= kit.SHOWN_INTERFACES + 1


def test_without_any_image_the_lab_says_what_to_do() -> None:
    engine: Any = type("NoImages", (), {"image_id": lambda _, __: None})()
    with pytest.raises(EngineError, match=r"\./sse up brings images"):
        kit.default_image(engine, [])
