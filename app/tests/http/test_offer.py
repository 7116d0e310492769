from __future__ import annotations

import http.client

import pytest
from sse_harness import Replicas

from sse_app.http.offer import better


@pytest.mark.parametrize(
    ("streams", "rival", "chosen"),
    [
        (3, "it-app-1 2", "it-app-1 2"),
        (3, "it-app-1 3", "own 3"),  # in turn: the later of two equal ones
        (3, "it-app-1 12", "own 3"),
        (13, "it-app-1 9", "it-app-1 9"),  # numbers, not text
        (3, "", "own 3"),
        (3, "it-app-1", "own 3"),
        (3, "it-app-1 -1", "own 3"),
        (3, "it-app-1 ²", "own 3"),
        (3, "it-app-1 " + 5000 * "0", "own 3"),  # Python reads no number of so many digits
    ],
)
def test_the_better_offer_has_fewer_streams(streams: int, rival: str, chosen: str) -> None:
    assert better("own", streams, rival) == chosen


def ask(replicas: Replicas, rival: str | None = None) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", replicas.ports[0], timeout=10)
    connection.request("GET", "/health/stream", headers={} if rival is None else {"SSE-Offer": rival})
    answer = connection.getresponse()
    found = answer.status, answer.headers["SSE-Offer"]
    assert answer.read() == b""
    connection.request("GET", "/health/live")  # the connection is as good as before
    assert connection.getresponse().status == 200
    return found


def test_a_replica_offers_what_it_has_and_none_once_it_drains(replica: Replicas, channel: str) -> None:
    assert ask(replica) == (300, "replica-1 0")
    with replica.stream(channel) as stream:
        stream.block()
        assert ask(replica) == (300, "replica-1 1")
        assert ask(replica, "it-app-2 0") == (204, "it-app-2 0")
        assert ask(replica, "it-app-2 7") == (204, "replica-1 1")
        replica.call(lambda: setattr(replica.service.hub, "draining", True))
        try:
            assert ask(replica) == (503, None)
        finally:
            replica.call(lambda: setattr(replica.service.hub, "draining", False))


def test_no_offer_comes_from_a_replica_that_is_full(channel: str) -> None:
    with Replicas(max_streams=1) as replica, replica.stream(channel) as stream:
        stream.block()
        assert ask(replica) == (503, None)
