"""What Prometheus scrapes: every series from the start, few labels, and numbers that follow what happens."""

from __future__ import annotations

from typing import get_args

from prometheus_client.parser import text_string_to_metric_families
from sse_harness import APP, Replicas, Stream, eventually

from sse_app.base import outcomes
from sse_app.base.metrics import Metrics
from sse_app.base.settings import Settings
from sse_app.service import Service

DOCUMENT = APP.parent / "docs/observability.md"
LABELS = {"outcome", "source", "reason", "path", "le", "limit"}


def scraped(replica: Replicas) -> dict[tuple[str, ...], float]:
    """Every sample of ours by its name and label values."""
    text = replica.get("/metrics").body.decode()
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "le")): sample.value
        for family in text_string_to_metric_families(text)
        if family.name.startswith("sse_")
        for sample in family.samples
        if sample.labels.get("le", "+Inf") == "+Inf"
    }


def test_every_label_value_is_there_from_the_start_as_zero() -> None:
    found = {family.name: family for family in Metrics().collect()}
    for name, label, values in [
        ("sse_publishes", "outcome", outcomes.Outcome),
        ("sse_resumes", "source", outcomes.Source),
        ("sse_gaps", "reason", outcomes.GapReason),
        ("sse_streams_ended", "reason", outcomes.StreamEnd),
    ]:
        assert {sample.labels[label]: sample.value for sample in found[name].samples} == dict.fromkeys(
            get_args(values), 0
        )


def test_no_series_is_named_by_a_client_or_a_channel(replica: Replicas, channel: str) -> None:
    with replica.stream(channel) as stream:
        stream.block()
        replica.publish({"channel": channel, "data": 1})
        stream.events(1)
        families = list(text_string_to_metric_families(replica.get("/metrics").body.decode()))
    for family in families:
        assert family.documentation, family.name
        for sample in family.samples:
            if sample.name.startswith("sse_"):
                assert set(sample.labels) <= LABELS
            assert channel not in sample.labels.values()


def test_the_numbers_follow_what_happens(channel: str) -> None:
    with Replicas(write_buffer_bytes=8192, send_buffer_bytes=4096, slow_reader_seconds=1) as replica:
        before = scraped(replica)
        assert ("sse_redis_up",) not in before  # none is configured: it is neither up nor down
        ids = replica.publish({"channel": channel, "data": 1}, {"channel": channel, "data": 2})
        replica.post({"channel": channel, "data": 1}, idempotency_key="k")
        replica.post({"channel": channel, "data": 2}, idempotency_key="k")
        replica.post(b"{")
        replica.post({"channel": channel, "data": float("nan")})
        replica.post({"channel": channel, "data": "\ud800"})
        with replica.stream(channel, ids[0]) as resumed, replica.stream(channel, "nonsense") as gap:
            resumed.events(2)
            gap.events(1)
            eventually(lambda: len(replica.service.hub._groups) == 1)
            assert scraped(replica)["sse_subscribers",] == 2
            replica.publish({"channel": channel, "data": 3})
            resumed.events(1)
            gap.events(1)
        slow = Stream(replica.port, "slow", receive_buffer=4096)
        with slow:
            slow.block()
            for n in range(50):
                replica.publish({"channel": "slow", "data": f"{n} {'x' * 10_000}"})
            eventually(lambda: not replica.service.hub.streams)
        after = scraped(replica)
    grown = {key: after[key] - before[key] for key in after}
    for key, value in {
        ("sse_publishes_total", "accepted"): 53,
        ("sse_publishes_total", "conflict"): 1,
        ("sse_publishes_total", "invalid"): 3,
        ("sse_publish_duration_seconds_count",): 53,
        ("sse_events_total",): 54,
        ("sse_resumes_total", "ring"): 1,
        ("sse_resumes_total", "gap"): 1,
        ("sse_resumes_total", "new"): 1,
        ("sse_gaps_total", "malformed"): 1,
        ("sse_streams_total", "direct"): 3,
        ("sse_streams_ended_total", "client"): 2,
        ("sse_streams_ended_total", "slow"): 1,
        ("sse_subscribers",): 0,
        ("sse_ring_events",): 54,
    }.items():
        assert grown[key] == value, key
    assert grown["sse_delivery_latency_seconds_count",] >= 1
    assert 0 < after["sse_delivery_latency_seconds_sum",] < 60
    assert 0 < after["sse_ring_seconds",] < 60
    assert after["sse_ring_bytes",] > 500_000
    assert (after["sse_log_up",], after["sse_ready",], after["sse_log_lag_records",]) == (1, 1, 0)


def test_a_log_that_is_away_shows(channel: str) -> None:
    with Replicas(publish_deadline_seconds=1) as replica:
        replica.log.available = False
        replica.post({"channel": channel, "data": 1})
        eventually(lambda: scraped(replica)["sse_log_up",] == 0)
        found = scraped(replica)
        assert (found["sse_ready",], found["sse_publishes_total", "unknown"]) == (0, 1)
        assert found["sse_publish_duration_seconds_count",] == 1


def test_the_documentation_lists_every_metric_as_it_is() -> None:
    service = Service(Settings(redis_host="redis"))
    rows = ["| metric | kind | labels | what |", "|---|---|---|---|"]
    for family in service.metrics.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels: dict[str, list[str]] = {}
        for sample in family.samples:
            for label, value in sample.labels.items():
                if label != "le":
                    labels.setdefault(label, []).append(value)
        said = "; ".join(f"{label}: {', '.join(values)}" for label, values in labels.items())
        rows.append(f"| `{name}` | {family.type} | {said} | {family.documentation} |")
    table = DOCUMENT.read_text().partition("<!-- held against the service")[2].partition("\n\n")[0]
    written = [line for line in table.splitlines() if line.startswith("|")]
    assert written == rows, "docs/observability.md: expected\n" + "\n".join(rows)
