"""Counters of one replica: plain numbers in the hot path, Prometheus families when scraped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)  # seconds


@dataclass
class Metrics:
    """What is counted; gauges are asked for at the scrape."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    gauges: dict[str, tuple[str, Callable[[], float]]] = field(
        default_factory=dict[str, tuple[str, Callable[[], float]]]
    )
    publishes: Counter[str] = field(default_factory=Counter[str])  # by outcome
    resumes: Counter[str] = field(default_factory=Counter[str])  # by source
    gaps: Counter[str] = field(default_factory=Counter[str])  # by reason
    skipped: Counter[str] = field(default_factory=Counter[str])  # records by reason
    streams: Counter[str] = field(default_factory=Counter[str])  # by how their bytes are written
    events: int = 0
    deliveries: int = 0
    writes: int = 0
    slow_readers: int = 0

    def __post_init__(self) -> None:
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.latency = Histogram(
            "sse_delivery_latency_seconds",
            "From the log's timestamp of an event to its last write",
            buckets=_LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_Families(self))

    def gauge(self, name: str, help_: str, read: Callable[[], float]) -> None:
        """Have a number asked for at every scrape."""
        self.gauges[name] = (help_, read)


class _Families(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        for name, (help_, read) in metrics.gauges.items():
            yield GaugeMetricFamily(name, help_, value=read())
        for name, help_, value in (
            ("sse_events", "Events read from the log, duplicates not counted", metrics.events),
            ("sse_deliveries", "Events written to subscribers while live", metrics.deliveries),
            ("sse_writes", "Writes that carried those events", metrics.writes),
            ("sse_slow_readers_dropped", "Streams cut because their reader did not keep up", metrics.slow_readers),
        ):
            yield CounterMetricFamily(name, help_, value=value)
        for name, help_, label, counts in (
            ("sse_publishes", "Publish requests", "outcome", metrics.publishes),
            ("sse_resumes", "Streams begun, by where their backlog came from", "source", metrics.resumes),
            ("sse_gaps", "Gap events sent", "reason", metrics.gaps),
            ("sse_records_skipped", "Records of the log that no subscriber gets", "reason", metrics.skipped),
            ("sse_streams", "Streams begun, by how their bytes are written", "path", metrics.streams),
        ):
            family = CounterMetricFamily(name, help_, labels=[label])
            for key, count in counts.items():
                family.add_metric([key], count)
            yield family
