"""Counters of one replica: plain numbers in the hot path, which become Prometheus families at each scrape.

Names and units follow https://prometheus.io/docs/practices/naming/. A label has few values, all known, and each is
exposed as 0 from the start, because rate() misses the first step of a series that begins later. No label names a client
or a channel.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sse_app.base.outcomes import (
    AccessEnd,
    Decision,
    Exported,
    GapReason,
    Limit,
    Outcome,
    Refusal,
    SharedLimit,
    Skipped,
    Source,
    StreamEnd,
    WritePath,
)

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # a publish takes about 5 ms, a fan-out 10


class Histogram:
    """Seconds by bucket; to observe one costs a search in a short tuple, and no lock."""

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(_SECONDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(_SECONDS, seconds)] += 1
        self.sum += seconds


class _Family(NamedTuple):
    name: str
    help: str
    label: str = ""  # of a Counter, whose type lists the values of the label


class Metrics(Collector):
    """What is counted, each with its family; each attribute starts as an empty value of its type."""

    publishes: Annotated[Counter[Outcome], _Family("sse_publishes", "Publish requests", "outcome")]
    publish_seconds: Annotated[
        Histogram, _Family("sse_publish_duration_seconds", "From a valid publish to its outcome")
    ]
    events: Annotated[int, _Family("sse_events", "Events read from the log, duplicates not counted")]
    skipped: Annotated[
        Counter[Skipped], _Family("sse_records_skipped", "Records of the log that no subscriber gets", "reason")
    ]
    deliveries: Annotated[int, _Family("sse_deliveries", "Events written to subscribers while live")]
    writes: Annotated[int, _Family("sse_writes", "Writes that carried those events")]
    latency: Annotated[
        Histogram,
        _Family("sse_delivery_latency_seconds", "From the log's timestamp of an event to its last live write"),
    ]
    streams: Annotated[
        Counter[WritePath], _Family("sse_streams", "Streams begun, by how their bytes are written", "path")
    ]
    resumes: Annotated[
        Counter[Source], _Family("sse_resumes", "Streams begun, by where their backlog came from", "source")
    ]
    gaps: Annotated[Counter[GapReason], _Family("sse_gaps", "Gap events sent", "reason")]
    stream_ends: Annotated[Counter[StreamEnd], _Family("sse_streams_ended", "Streams ended, by why", "reason")]

    unauthorized: Annotated[Counter[Refusal], _Family("sse_unauthorized", "Requests answered by 401, by why", "reason")]
    decisions: Annotated[Counter[Decision], _Family("sse_decisions", "Decisions about a right", "outcome")]
    audit_dropped: Annotated[int, _Family("sse_audit_dropped", "Refusals without a line in the log: too many at once")]
    issuer_failures: Annotated[int, _Family("sse_issuer_failures", "Fetches of the keys of an issuer that failed")]
    access_ends: Annotated[
        Counter[AccessEnd], _Family("sse_streams_lapsed", "Streams ended because their credential was", "reason")
    ]
    limited: Annotated[Counter[Limit], _Family("sse_limited", "Requests over a limit", "limit")]
    paced: Annotated[
        int, _Family("sse_paced", "Requests that waited because their address had taken its share of the time")
    ]
    unshared: Annotated[
        Counter[SharedLimit],
        _Family("sse_limits_unshared", "Requests judged by this replica alone: Redis did not answer", "limit"),
    ]
    spans: Annotated[
        Counter[Exported],
        _Family("sse_otlp_spans", "Spans that the collector took, and those that were lost", "outcome"),
    ]

    def __init__(self) -> None:
        for attribute, (kind, _) in _DECLARED.items():
            setattr(self, attribute, kind())
        self._gauges: dict[str, tuple[str, Callable[[], float | None]]] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def gauge(self, name: str, help_: str, read: Callable[[], float | None]) -> None:
        """Add a number that each scrape reads anew; None leaves it out of the scrape."""
        self._gauges[name] = (help_, read)

    def collect(self) -> Iterator[Metric]:
        """Every family with its present values."""
        for name, (help_, read) in self._gauges.items():
            value = read()
            if value is not None:
                yield GaugeMetricFamily(name, help_, value=value)
        for attribute, (kind, family) in _DECLARED.items():
            value: Any = getattr(self, attribute)
            if isinstance(value, Histogram):
                bounds = [*(str(float(bound)) for bound in _SECONDS), "+Inf"]
                buckets = list(zip(bounds, accumulate(value.counts), strict=True))
                yield HistogramMetricFamily(family.name, family.help, buckets=buckets, sum_value=value.sum)
            elif family.label:
                labelled = CounterMetricFamily(family.name, family.help, labels=[family.label])
                [values] = get_args(kind)
                for key in get_args(values):
                    labelled.add_metric([key], value[key])
                yield labelled
            else:
                yield CounterMetricFamily(family.name, family.help, value=value)


_DECLARED: dict[str, tuple[Callable[[], object], _Family]] = {
    attribute: (hint.__origin__, *hint.__metadata__)
    for attribute, hint in get_type_hints(Metrics, include_extras=True).items()
}
