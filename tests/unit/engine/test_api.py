"""Questions to an engine behind a socket."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api, RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError

Stand = tuple[str, dict[str, Any]]


def piece(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


@pytest.mark.parametrize(
    "body", [piece(1, b"one\n") + piece(2, b"two\n"), b"one\r\ntwo\r\n"], ids=["in pieces", "of a terminal"]
)
def test_a_log_is_read_by_its_lines(engine_socket: Stand, body: bytes) -> None:
    path, answers = engine_socket
    answers["/containers/a/logs?stdout=1&stderr=1&tail=5&since=1.500000000"] = body
    assert Api(path).log("a", 5, 1.5) == ["one", "two"]


def test_a_refusal_carries_its_status(engine_socket: Stand) -> None:
    with pytest.raises(RefusedError, match="answers /info with 500") as caught:
        Api(engine_socket[0]).info()
    assert caught.value.status == 500


def test_what_is_absent_is_told_from_an_engine_that_fails(engine_socket: Stand) -> None:
    path, answers = engine_socket
    answers["/version"] = {}
    engine = Engine(path)
    assert engine.image_id("none") is None
    assert not engine.has_network("none")
    with pytest.raises(EngineError, match=r"container none is not there: it was removed, and `\./sse up` makes it"):
        engine.inspect("none")
    with pytest.raises(EngineError, match="with 500"):
        engine.inspect("other")


def test_a_network_found_by_the_beginning_of_its_id_is_not_it(engine_socket: Stand) -> None:
    path, answers = engine_socket
    answers |= {"/version": {}, "/networks/ab": {"Name": "other"}, "/networks/cd": {"Name": "cd"}}
    assert [Engine(path).has_network(name) for name in ("ab", "cd")] == [False, True]


def test_the_networks_of_a_stack_are_listed_with_all_their_containers(engine_socket: Stand) -> None:
    path, answers = engine_socket
    answers |= {
        "/version": {},
        "/networks?filters=%7B%22label%22%3A%20%5B%22sse.platform.stack%3Dsse%22%5D%7D": [{"Name": "n"}, {"Name": "m"}],
        "/containers/json?all=1": [
            {"Names": ["/a"], "NetworkSettings": {"Networks": {"n": {}, "bridge": {}}}},
            {"Names": ["/b"], "NetworkSettings": {"Networks": None}},
        ],
    }
    assert Engine(path).networks("sse") == {"n": ["a"], "m": []}


def test_without_an_engine_its_socket_is_named(tmp_path: Any) -> None:
    with pytest.raises(EngineError, match=f"no Docker Engine answers at {tmp_path}/none.sock: .* `./sse up` starts it"):
        Engine(f"{tmp_path}/none.sock")
