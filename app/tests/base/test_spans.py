"""Spans reach a collector as OTLP; without one there are none, and one that is gone costs nothing but a counter."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Read
from prometheus_client.parser import text_string_to_metric_families
from sse_harness import Client, Replicas, eventually

from sse_app.base import otlp, spans
from sse_app.base.otlp import Span
from sse_app.base.settings import ConfigurationError, Settings, load

TRACE_ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE_ID}-{PARENT}-01", f"00-{TRACE_ID}-{PARENT}-00"


class Collector(NamedTuple):
    """A real receiver of OTLP over HTTP: it reads requests with the code that is made of OpenTelemetry's own files."""

    url: str
    requests: list[ExportTraceServiceRequest]
    answers: list[int]  # statuses to answer with before 200

    def spans(self) -> list[Read]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def named(self, name: str) -> list[Read]:
        return [span for span in self.spans() if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    requests: list[ExportTraceServiceRequest] = []
    answers: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
            status = answers.pop() if answers else 200
            if status == 200:
                requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
            """Write nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Collector(f"http://127.0.0.1:{server.server_address[1]}", requests, answers)
        server.shutdown()


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_EVERY_SECONDS", 0.05)


def attributes(span: Read) -> dict[str, object]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def counted(replica: Client) -> dict[str, float]:
    families = text_string_to_metric_families(replica.get("/metrics").body.decode())
    return {
        sample.labels["outcome"]: sample.value
        for family in families
        if family.name == "sse_otlp_spans"
        for sample in family.samples
    }


def test_what_is_written_is_read_back_by_the_code_of_opentelemetry() -> None:
    long = "ü" * 300  # a length of two bytes
    written = Span(TRACE_ID, PARENT, "", "publish", otlp.SERVER, 2**62, 2**62 + 5, {"a": long, "n": 2**40}, "broken")
    inner = Span(TRACE_ID, "a" * 16, PARENT, "append", otlp.INTERNAL, 1, 2, {"zero": 0, "less": -1})
    read = ExportTraceServiceRequest.FromString(otlp.request({"service.name": "sse"}, "sse_app", [written, inner]))
    [resource] = read.resource_spans
    assert [(one.key, one.value.string_value) for one in resource.resource.attributes] == [("service.name", "sse")]
    [scope] = resource.scope_spans
    assert scope.scope.name == "sse_app"
    first, second = scope.spans
    assert (first.trace_id.hex(), first.span_id.hex(), first.parent_span_id) == (TRACE_ID, PARENT, b"")
    assert (first.start_time_unix_nano, first.end_time_unix_nano) == (2**62, 2**62 + 5)
    assert (first.kind, first.status.code, first.status.message) == (Read.SPAN_KIND_SERVER, 2, "broken")
    assert {one.key: one.value.WhichOneof("value") for one in first.attributes} == {
        "a": "string_value",
        "n": "int_value",
    }
    assert attributes(first) == {"a": long, "n": 2**40}
    assert (second.parent_span_id.hex(), second.status.code) == (PARENT, 0)
    assert [one.value.int_value for one in second.attributes] == [0, -1]


def test_a_traced_publish_has_spans_of_its_own_of_its_append_and_of_its_delivery(
    collector: Collector, channel: str
) -> None:
    with Replicas(otlp_endpoint=collector.url, replica="r1") as replica, replica.stream(channel) as stream:
        stream.block()
        replica.post([{"channel": channel, "data": n} for n in range(3)], traceparent=SAMPLED)
        stream.events(3)
        eventually(lambda: {span.name for span in collector.spans()} == {"publish", "append", "deliver"})
    assert {span.trace_id.hex() for span in collector.spans()} == {TRACE_ID}
    [publish], [append] = collector.named("publish"), collector.named("append")
    assert publish.parent_span_id.hex() == PARENT
    assert append.parent_span_id == publish.span_id
    assert {span.parent_span_id.hex() for span in collector.named("deliver")} == {PARENT}
    assert sum(int(str(attributes(span)["sse.events"])) for span in collector.named("deliver")) == 3
    assert attributes(publish) == {"http.request.method": "POST", "http.response.status_code": 202, "sse.events": 3}
    assert publish.start_time_unix_nano <= append.start_time_unix_nano <= append.end_time_unix_nano
    resources = {one.key: one.value.string_value for one in collector.requests[0].resource_spans[0].resource.attributes}
    assert resources == {"service.name": "sse", "service.instance.id": "r1"}


def test_an_answer_of_5xx_is_an_error_of_its_span_and_one_of_4xx_is_not(collector: Collector, channel: str) -> None:
    with Replicas(otlp_endpoint=collector.url, publish_deadline_seconds=1) as replica:
        replica.post(b"{", traceparent=SAMPLED)
        replica.log.available = False
        replica.post({"channel": channel, "data": 1}, traceparent=SAMPLED)
        eventually(lambda: len(collector.named("publish")) == 2)
    found = {attributes(span)["http.response.status_code"]: span.status for span in collector.named("publish")}
    assert {status: one.code for status, one in found.items()} == {400: 0, 503: 2}
    [append] = collector.named("append")
    assert append.status.code == 2


def test_a_trace_that_is_not_sampled_has_no_spans(collector: Collector, channel: str) -> None:
    with Replicas(otlp_endpoint=collector.url) as replica, replica.stream(channel) as stream:
        stream.block()
        replica.post({"channel": channel, "data": 1}, traceparent=UNSAMPLED)
        replica.post({"channel": channel, "data": 2}, traceparent=SAMPLED)
        stream.events(2)
        eventually(lambda: bool(collector.named("deliver")))
    assert len(collector.named("publish")) == 1


@pytest.mark.parametrize(("sample", "wanted"), [(3, 2), (1, 6), (0, 0)])
def test_one_of_so_many_publishes_without_a_trace_begins_one_and_its_events_carry_it(
    collector: Collector, channel: str, sample: int, wanted: int
) -> None:
    with (
        Replicas(otlp_endpoint=collector.url, otlp_sample=sample) as replica,
        replica.stream(channel, trace="1") as stream,
    ):
        stream.block()
        for n in range(6):
            replica.publish({"channel": channel, "data": n})
        blocks = stream.events(6 + wanted)
        eventually(lambda: len(collector.named("publish")) == wanted)
        eventually(lambda: len(collector.named("deliver")) == wanted)
    told = [block.data or "" for block in blocks if block.event == "traceparent"]
    assert {text.split("-")[1] for text in told} == {span.trace_id.hex() for span in collector.named("publish")}
    assert {text.split("-")[2] for text in told} == {span.span_id.hex() for span in collector.named("publish")}
    assert all(not span.parent_span_id for span in collector.named("publish"))


def test_without_an_endpoint_there_is_nothing_of_it(channel: str) -> None:
    with Replicas() as replica:
        replica.post({"channel": channel, "data": 1}, traceparent=SAMPLED)
        assert replica.service.spans is replica.service.publisher.spans is replica.service.hub.spans is None
        assert counted(replica) == {"sent": 0, "dropped": 0, "failed": 0}


def test_a_collector_that_is_gone_costs_its_spans_and_is_told_once(
    collector: Collector, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answers.extend([503] * 100)  # the spans of one publish may come in more than one request
    with caplog.at_level("INFO", "sse_app.base.spans"), Replicas(otlp_endpoint=collector.url) as replica:
        for n in range(2):
            assert replica.post({"channel": channel, "data": n}, traceparent=SAMPLED).status == 202
            eventually(lambda n=n: counted(replica)["failed"] >= 2 * (n + 1))
        collector.answers.clear()
        replica.post({"channel": channel, "data": 2}, traceparent=SAMPLED)
        eventually(lambda: counted(replica)["sent"] >= 2)
    said = [record.getMessage() for record in caplog.records if record.name == "sse_app.base.spans"]
    assert [" ".join(line.split()[3:]) for line in said] == [
        "takes no spans, and they are lost: it answered 503",
        "takes spans again",
    ]


def silent(connection: socket.socket) -> None:
    """Answer nothing, and read nothing."""


def dripping(connection: socket.socket) -> None:
    """Answer a byte now and then, so that no single read takes long."""
    for byte in itertools.chain(b"HTTP/1.1 200 OK", itertools.repeat(32)):
        connection.send(bytes([byte]))
        time.sleep(0.05)


def endless(connection: socket.socket) -> None:
    """Answer with a line that does not end."""
    while True:
        connection.send(b"HTTP/1.1 200 " + b"x" * 65_536)


@pytest.mark.parametrize("answer", [silent, dripping, endless])
def test_nothing_waits_for_a_collector_that_does_not_answer_and_the_queue_has_a_bound(
    channel: str, monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None]
) -> None:
    monkeypatch.setattr(spans, "_WAITING", 2)
    monkeypatch.setattr(spans, "_SECONDS", 2.0)

    def serve() -> None:
        with contextlib.ExitStack() as kept, contextlib.suppress(OSError):
            while True:
                connection = kept.enter_context(deaf.accept()[0])
                with contextlib.suppress(OSError):
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with Replicas(otlp_endpoint=url, otlp_sample=1) as replica:
            replica.publish({"channel": channel, "data": 0})
            eventually(lambda: not replica.service.spans._waiting)  # they are on their way, and get no answer
            for n in range(20):
                assert len(replica.publish({"channel": channel, "data": n})) == 1
            eventually(lambda: counted(replica)["failed"] >= 2)
            assert counted(replica)["dropped"] >= 1
            assert counted(replica)["sent"] == 0


@pytest.mark.parametrize(
    "given",
    [
        *(
            "collector:4318",
            "ftp://collector",
            "http://",
            "http://u:p@collector:4318",
            "http://c:4318?x=1",
            "http://a b",
        ),
        *(
            "http://:4318",
            "http://c:",
            "http://c:0",
            "http://c:65536",
            "http://c:otlp",
            "http://[::1",
            "http://::1:4318",
        ),
    ],
)
def test_an_endpoint_that_is_no_address_is_refused_with_its_name(given: str) -> None:
    with pytest.raises(ConfigurationError, match="SSE_OTLP_ENDPOINT="):
        load({"SSE_OTLP_ENDPOINT": given})


@pytest.mark.parametrize("given", ["http://[fd00::5]:4318", "http://10.0.0.5:65535", "http://my-collector_1", ""])
def test_an_endpoint_is_a_name_or_an_address_of_either_family(given: str) -> None:
    assert load({"SSE_OTLP_ENDPOINT": given}).otlp_endpoint == given


def test_the_endpoint_may_have_a_path_and_tls() -> None:
    assert load({"SSE_OTLP_ENDPOINT": "https://collector.example.org/otlp"}) == Settings(
        otlp_endpoint="https://collector.example.org/otlp"
    )
    assert json.loads(Settings(otlp_endpoint="").model_dump_json())["otlp_endpoint"] == ""
