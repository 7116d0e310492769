"""Reading what a network namespace shows."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import namespace


def answer(*records: tuple[int, bytes], code: int = 0, number: int = 7) -> bytes:
    """Build an answer to a question for ``kafka``, its records' names as pointers to the question."""
    body = b"".join(b"\xc0\x0c" + struct.pack(">2HIH", kind, 1, 600, len(data)) + data for kind, data in records)
    return struct.pack(">6H", number, 0x8180 | code, 1, len(records), 0, 0) + b"\5kafka\0\0\1\0\1" + body


def test_a_question_is_asked_in_the_form_of_rfc_1035() -> None:
    assert namespace.dns_query("kafka", 7) == b"\0\7\1\0\0\1\0\0\0\0\0\0\5kafka\0\0\1\0\1"


def test_addresses_are_read_past_records_of_other_kinds() -> None:
    message = answer((5, b"\1a\0"), (1, bytes([10, 88, 0, 12])), (1, bytes([10, 88, 0, 13])))
    assert namespace.dns_answer(message, 7) == ["10.88.0.12", "10.88.0.13"]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (answer(code=3), "no such name"),
        (answer(code=2), "server failure"),
        (answer(), "no address"),
        (answer((1, bytes(4)), number=8), "not to the question"),
        (answer((1, bytes(4)))[:-3], "cut short"),
        (b"", "cut short"),
    ],
)
def test_an_answer_without_an_address_says_why(message: bytes, said: str) -> None:
    with pytest.raises(OSError, match=said):
        namespace.dns_answer(message, 7)


def test_a_name_that_the_container_pins_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "127.0.0.1 localhost\n10.88.0.21\tapp-1 # pinned\n"
    monkeypatch.setattr(namespace.Path, "read_text", lambda _: text)
    assert namespace.hosts_file(1, "app-1") == "10.88.0.21"
    assert namespace.hosts_file(1, "pinned") == ""
    assert namespace.hosts_file(1, "app") == ""
