"""The parser against the algorithm of WHATWG HTML, section 9.2.6, written down word by word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_client import Cursor, Message, Reader, TooLongError

GOLDENS = json.loads((Path(__file__).resolve().parents[3] / "app/tests/goldens.json").read_text())
Read = list[tuple[str, str, str]]


def naive(stream: bytes) -> tuple[Read, str, int | None]:
    """The events, the last event id and the reconnection time, by the letter of the standard."""
    text = stream.decode("utf-8", "replace")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    found, last, buffer, retry = Read(), "", "", None
    data, kind = "", ""
    for line in text.split("\n")[:-1]:  # what follows the last line end is no line
        if not line:
            last = buffer
            if data:
                found.append((kind or "message", data.removesuffix("\n"), last))
            data, kind = "", ""
            continue
        if line.startswith(":"):
            continue
        name, colon, value = line.partition(":")
        if colon and value.startswith(" "):
            value = value[1:]
        if name == "event":
            kind = value
        elif name == "data":
            data += value + "\n"
        elif name == "id" and "\0" not in value:
            buffer = value
        elif name == "retry" and value and all(one in "0123456789" for one in value):
            retry = min(int(value), 10**10)
    return found, last, retry


def read(*parts: bytes) -> tuple[Read, str, int | None]:
    reader = Reader()
    events = [one for part in parts for one in reader.feed(part)]
    messages = [(one.event, one.data, one.id) for one in events if isinstance(one, Message)]
    return messages, reader.last_event_id, reader.retry


TOKENS = [
    *(
        "data",
        "event",
        "id",
        "retry",
        ":",
        ": ",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\r",
        "x",
        "1",
        "007",
        "\0",
        "\ufeff",
    ),
    *("data: a\n", "id: 5\n", "event: e\n", "retry: 9\n", "é", "\u2028", "\U0001f600", "9" * 12),
]


@given(st.lists(st.sampled_from(TOKENS) | st.text(max_size=3), max_size=40), st.data())
def test_it_reads_what_the_standard_says_wherever_the_bytes_are_cut(tokens: list[str], data: st.DataObject) -> None:
    stream = "".join(tokens).encode("utf-8", "replace")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*parts) == read(stream) == naive(stream)


@given(st.binary(max_size=60))
def test_whatever_the_bytes_are_it_agrees_with_itself_and_with_the_standard(stream: bytes) -> None:
    assert read(*(stream[n : n + 1] for n in range(len(stream)))) == naive(stream)


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden["name"])
def test_the_oracle_agrees_with_the_goldens_of_the_platform(golden: dict[str, Any]) -> None:
    assert naive(golden["stream"].encode())[0] == [tuple(one) for one in golden["events"]]


def test_a_block_with_an_id_alone_is_a_cursor() -> None:
    assert list(Reader().feed(b"retry: 1\nid: 1-a\n\n: beat\n\nid\n\n")) == [Cursor("1-a"), Cursor("")]


@pytest.mark.parametrize("cut", [1, 7, 1000])
@pytest.mark.parametrize(
    "endless",
    [b"data: " + b"x" * 95, b"x" * 101, b"data: x\n" * 20, b": " + b"x" * 99],
    ids=["data", "no field", "lines", "comment"],
)
def test_a_line_or_an_event_over_the_limit_is_a_named_error_and_one_at_the_limit_is_none(
    endless: bytes, cut: int
) -> None:
    reader = Reader(longest=100)
    parts = [endless[n : n + cut] for n in range(0, len(endless), cut)]
    with pytest.raises(TooLongError, match="more than 100 characters"):
        _ = [one for part in parts for one in reader.feed(part)]
    assert list(Reader(longest=100).feed(b"data: " + b"x" * 94 + b"\n\n")) == [Message("message", "x" * 94, "")]


def test_many_events_in_one_part_are_not_one_long_event() -> None:
    assert len(list(Reader(longest=100).feed(b"data: x\n\n" * 1000))) == 1000
