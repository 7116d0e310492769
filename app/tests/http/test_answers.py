"""Large answers: bounded by bytes, few at once, and cut where nobody reads them."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sse_harness import Client, Replicas, eventually

from sse_app.http import answers
from sse_app.http.answers import PAGE_BYTES

EVENT = "x" * 60_000


@pytest.fixture(scope="module")
def full() -> Replicas:
    """A replica whose channel `big` holds 80 events of 60 KB."""
    with Replicas(slow_reader_seconds=1) as replicas:
        for n in range(80):
            replicas.publish({"channel": "big", "data": f"{n:02}{EVENT}"})
        yield replicas


def history(replicas: Replicas, query: str) -> list[str]:
    found = replicas.get(f"/api/v1/channels/big/history?{query}")
    assert found.status == 200, found
    return [event["data"][:2] for event in found.json["events"]]


def test_a_page_of_history_has_a_bound_in_bytes_and_leads_to_the_page_before(full: Replicas) -> None:
    found: list[str] = []
    query, pages = "limit=1000", 0
    while page := full.get(f"/api/v1/channels/big/history?{query}").json:
        if not page["events"]:
            break
        assert sum(len(event["data"]) for event in page["events"]) <= PAGE_BYTES
        found = [event["data"][:2] for event in page["events"]] + found
        query, pages = f"limit=1000&before={page['before']}", pages + 1
    assert found == [f"{n:02}" for n in range(80)]
    assert pages == 5


@pytest.mark.parametrize("character", ["\x01", '"', "\\", "\n", "a"])
def test_a_page_of_history_has_its_bound_as_it_is_sent(character: str) -> None:
    with Replicas(max_body_bytes=2**20) as replicas:
        for _ in range(150):
            replicas.publish({"channel": "odd", "data": character * 8000})
        answer = replicas.get("/api/v1/channels/odd/history?limit=1000")
        assert all(event["data"] == character * 8000 for event in answer.json["events"])
        assert answer.json["before"]
        assert len(answer.body) < PAGE_BYTES + 60_000


def test_a_page_before_an_id_that_memory_no_longer_holds_is_empty(full: Replicas) -> None:
    assert history(full, "before=0-00000000") == []


def test_a_client_that_leaves_before_its_answer_is_no_error(full: Replicas, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        with Client(full.port) as client:
            client.send("GET /api/v1/channels/big/history HTTP/1.1\nHost: x")
            client.socket.shutdown(socket.SHUT_WR)
            while client.receive():
                pass
    eventually(lambda: not full.service.answers.held)
    assert history(full, "limit=1") == ["79"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_an_id_that_is_none_is_refused_by_name(full: Replicas) -> None:
    answer = full.get("/api/v1/channels/big/history?before=yesterday")
    assert answer.status == 400
    assert answer.json["detail"].startswith("before: ")


@pytest.mark.parametrize("offset", [2**63, 10**19 - 1])
def test_a_page_after_an_offset_that_no_log_has_says_so(full: Replicas, offset: int) -> None:
    after = f"{offset}-0123abcd"
    found = full.get(f"/api/v1/channels/big/history?limit=1&after={after}").json
    assert found["gap"] == {"requested": after, "reason": "malformed"}
    assert [event["data"][:2] for event in found["events"]] == ["79"]
    assert "gap" not in full.get(f"/api/v1/channels/big/history?limit=1&before={after}").json


def test_channels_come_in_pages_in_the_order_of_their_names() -> None:
    with Replicas(max_batch_events=500) as replicas:
        for start in range(0, 2500, 500):
            replicas.publish(*({"channel": f"c{n:04}", "data": 1} for n in range(start, start + 500)))
        names: list[str] = []
        path = "/api/v1/channels"
        while path:
            page = replicas.get(path).json
            assert len(page["channels"]) <= 1000
            names += page["channels"]
            path = f"/api/v1/channels?after={page['next']}" if "next" in page else ""
        assert names == [f"c{n:04}" for n in range(2500)]


def test_answers_that_nobody_reads_are_few_and_are_cut_and_others_get_theirs_after(full: Replicas) -> None:
    """120 of these at once took three replicas of 384 MB down within two seconds."""
    with ExitStack() as stack:
        for _ in range(120):
            client = stack.enter_context(Client(full.port, receive_buffer=4096))
            client.send("GET /api/v1/channels/big/history?limit=1000 HTTP/1.1\nHost: x")
        held = full.service.answers.held
        eventually(lambda: held.total() > 0)
        assert held.total() <= answers.AT_ONCE
        assert max(held.values()) <= answers.PER_ADDRESS
        assert full.get("/health/ready").status == 200  # small answers never wait
        assert full.post({"channel": "small", "data": 1}).status == 202
        eventually(lambda: not held.total(), 30)
    assert history(full, "limit=1") == ["79"]


def ask(stack: ExitStack, replicas: Replicas, address: str, receive_buffer: int = 4096) -> Client:
    """A client that asks for a page of 1 MB and reads nothing of it."""
    client = stack.enter_context(Client(replicas.port, receive_buffer=receive_buffer))
    client.send(f"GET /api/v1/channels/big/history?limit=1000 HTTP/1.1\nHost: x\nX-Forwarded-For: {address}")
    return client


@pytest.fixture(scope="module")
def patient() -> Iterator[Replicas]:
    """A replica that allows slow readers a long time, as it does by default."""
    with Replicas(trusted_proxies="127.0.0.1") as replicas:
        for n in range(80):
            replicas.publish({"channel": "big", "data": f"{n:02}{EVENT}"})
        yield replicas


@pytest.mark.parametrize(
    ("attackers", "each"), [(["10.0.0.1"], 110), (["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4"], 60)]
)
def test_who_reads_nothing_keeps_the_places_from_nobody(patient: Replicas, attackers: list[str], each: int) -> None:
    """They held every place for 30 s, and then those took it who waited longest: their own next requests."""
    with ExitStack() as stack:
        for address in attackers * each:
            ask(stack, patient, address)
        held = patient.service.answers.held
        eventually(lambda: held.total() == answers.PER_ADDRESS * len(attackers))
        for _ in range(3):
            for address in ("10.0.0.1", "10.9.9.9"):  # of the same address, and of another
                with Client(patient.port) as client:
                    head = f"X-Forwarded-For: {address}\nConnection: close"
                    client.send(f"GET /api/v1/channels/big/history?limit=1000 HTTP/1.1\nHost: x\n{head}")
                    answer = client.answer()
                    if address not in attackers:
                        assert (answer.status, len(answer.json["events"])) == (200, 17)
    eventually(lambda: not held)


def test_readers_who_take_their_answers_slowly_keep_their_places_from_their_own_address(patient: Replicas) -> None:
    """With more users behind one address than it has places, the last is told to come back, and nobody is cut."""
    with ExitStack() as stack:
        clients = [ask(stack, patient, "10.0.2.1", 65_536) for _ in range(answers.PER_ADDRESS)]
        held = patient.service.answers.held
        eventually(lambda: held["10.0.2.1"] == answers.PER_ADDRESS)
        stop = threading.Event()

        def read(client: Client) -> None:
            while not stop.wait(0.1):
                client.raw += client.socket.recv(10_000)

        threads = [threading.Thread(target=read, args=(one,)) for one in clients]
        for thread in threads:
            thread.start()
        with Client(patient.port) as late:
            late.send("GET /api/v1/channels HTTP/1.1\nHost: x\nX-Forwarded-For: 10.0.2.1")
            assert late.answer().status == 503
        with Client(patient.port) as other:
            other.send("GET /api/v1/channels HTTP/1.1\nHost: x\nX-Forwarded-For: 10.0.2.2")
            assert other.answer().status == 200
        stop.set()
        for thread in threads:
            thread.join()
        assert [client.answer().status for client in clients] == [200] * len(clients)


def test_one_address_leaves_places_for_others_and_a_full_replica_says_when_to_try_again(full: Replicas) -> None:
    held = full.service.answers.held
    full.call(lambda: held.update({"10.0.0.1": answers.PER_ADDRESS}))
    assert history(full, "limit=1") == ["79"]
    full.call(lambda: held.update({"10.0.0.2": answers.AT_ONCE}))
    refused = full.get("/api/v1/channels")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    full.call(held.clear)
    assert full.get("/api/v1/channels").status == 200
