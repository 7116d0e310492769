"""Counters of one replica: plain numbers in the hot path, Prometheus families when scraped.

Names and units follow https://prometheus.io/docs/practices/naming/. Labels have few, known values, each exposed from
the start as 0, because rate() misses the first step of a series that is born with it; never a client or a channel.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_type_hints

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sse_app.base.event import Reason

Outcome = Literal[
    "accepted",
    "invalid",
    "unauthorized",
    "forbidden",
    "limited",
    "conflict",
    "too_large",
    "overload",
    "draining",
    "unknown",
]
Source = Literal["new", "ring", "redis", "log", "gap"]
Skipped = Literal["duplicate", "no_event"]
Path = Literal["direct", "send"]
Refusal = Literal[
    "missing", "malformed", "unknown_key", "signature", "expired", "immature", "claims", "revoked", "stale"
]
Lapse = Literal["expired", "revoked"]
Limit = Literal["publish", "streams"]
End = Literal["client", "bye", "slow", "behind", "log", "error"]

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # a publish takes some 5 ms, a fan-out 10


class Histogram:
    """Seconds by bucket: one search in a short tuple each, no lock."""

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
    label: str = ""
    values: Any = None  # a Literal: everything that the label may be


@dataclass
class Metrics:
    """What is counted, each with the family that it becomes; gauges are asked for at the scrape."""

    publishes: Annotated[Counter[Outcome], _Family("sse_publishes", "Publish requests", "outcome", Outcome)] = field(
        default_factory=Counter[Outcome]
    )
    publish_seconds: Annotated[
        Histogram, _Family("sse_publish_duration_seconds", "From a valid publish to its outcome")
    ] = field(default_factory=Histogram)
    events: Annotated[int, _Family("sse_events", "Events read from the log, duplicates not counted")] = 0
    skipped: Annotated[
        Counter[Skipped],
        _Family("sse_records_skipped", "Records of the log that no subscriber gets", "reason", Skipped),
    ] = field(default_factory=Counter[Skipped])
    deliveries: Annotated[int, _Family("sse_deliveries", "Events written to subscribers while live")] = 0
    writes: Annotated[int, _Family("sse_writes", "Writes that carried those events")] = 0
    latency: Annotated[
        Histogram,
        _Family("sse_delivery_latency_seconds", "From the log's timestamp of an event to its last live write"),
    ] = field(default_factory=Histogram)
    streams: Annotated[
        Counter[Path], _Family("sse_streams", "Streams begun, by how their bytes are written", "path", Path)
    ] = field(default_factory=Counter[Path])
    resumes: Annotated[
        Counter[Source], _Family("sse_resumes", "Streams begun, by where their backlog came from", "source", Source)
    ] = field(default_factory=Counter[Source])
    gaps: Annotated[Counter[Reason], _Family("sse_gaps", "Gap events sent", "reason", Reason)] = field(
        default_factory=Counter[Reason]
    )
    ends: Annotated[Counter[End], _Family("sse_streams_ended", "Streams ended, by why", "reason", End)] = field(
        default_factory=Counter[End]
    )

    unauthorized: Annotated[
        Counter[Refusal], _Family("sse_unauthorized", "Requests answered by 401, by why", "reason", Refusal)
    ] = field(default_factory=Counter[Refusal])
    lapses: Annotated[
        Counter[Lapse], _Family("sse_streams_lapsed", "Streams ended because their credential was", "reason", Lapse)
    ] = field(default_factory=Counter[Lapse])
    limited: Annotated[Counter[Limit], _Family("sse_limited", "Requests over a limit", "limit", Limit)] = field(
        default_factory=Counter[Limit]
    )
    unshared: Annotated[
        Counter[Limit],
        _Family("sse_limits_unshared", "Requests judged by this replica alone: Redis did not answer", "limit", Limit),
    ] = field(default_factory=Counter[Limit])

    def __post_init__(self) -> None:
        self._gauges: dict[str, tuple[str, Callable[[], float | None]]] = {}
        self.registry = CollectorRegistry()
        self.registry.register(_Families(self))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def gauge(self, name: str, help_: str, read: Callable[[], float | None]) -> None:
        """Have a number asked for at every scrape; None leaves it out."""
        self._gauges[name] = (help_, read)

    def families(self) -> Iterator[Metric]:
        """Everything as it stands now."""
        for name, (help_, read) in self._gauges.items():
            value = read()
            if value is not None:
                yield GaugeMetricFamily(name, help_, value=value)
        for attribute, (family,) in _FAMILIES.items():
            value: Any = getattr(self, attribute)
            if isinstance(value, Histogram):
                bounds = [*(str(float(bound)) for bound in _SECONDS), "+Inf"]
                buckets = list(zip(bounds, accumulate(value.counts), strict=True))
                yield HistogramMetricFamily(family.name, family.help, buckets=buckets, sum_value=value.sum)
            elif family.label:
                labelled = CounterMetricFamily(family.name, family.help, labels=[family.label])
                for key in get_args(family.values):
                    labelled.add_metric([key], value[key])
                yield labelled
            else:
                yield CounterMetricFamily(family.name, family.help, value=value)


_FAMILIES: dict[str, tuple[_Family]] = {
    attribute: hint.__metadata__ for attribute, hint in get_type_hints(Metrics, include_extras=True).items()
}


class _Families(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families()
