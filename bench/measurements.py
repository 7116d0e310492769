"""The data of fanout.py and platform.py: what a client is asked to do, and what it measures, as it is in JSON."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

# --- what load.py is asked to do: steps, each with a name that its result has, too. Times are in seconds.


class SubscribeStep(TypedDict):
    """Open streams, and wait until the memory of the hub is steady."""

    kind: Literal["subscribe"]
    name: str
    count: int
    settle: float
    set: NotRequired[str]  # the name of these subscribers
    request: NotRequired[str]  # in place of the request in the job
    users: NotRequired[int]  # channels: the subscribers take one each, in turn


class WindowStep(TypedDict):
    """Publish at a fixed rate, and wait for events that are late."""

    kind: Literal["window"]
    name: str
    rate: float  # events per second
    seconds: float
    grace: float  # after the last publish
    set: NotRequired[str]  # of subscribers
    tail: NotRequired[str]  # in place of the body in the job
    users: NotRequired[int]  # channels: the events take one each, in turn
    bytes: NotRequired[int]  # of the data of an event, in place of PAYLOAD_BYTES


class IdleStep(TypedDict):
    """Publish nothing."""

    kind: Literal["idle"]
    name: str
    seconds: float


class ResumeStep(TypedDict):
    """Open streams that each replay events."""

    kind: Literal["resume"]
    name: str
    count: int  # streams
    events: int  # for each stream
    base: int  # the number of the first event
    grace: float
    request: str


class FloodStep(TypedDict):
    """Publish as fast as answers come."""

    kind: Literal["flood"]
    name: str
    concurrency: int  # publishes at once
    batch: int  # events in each publish
    seconds: float


class StormStep(TypedDict):
    """Open streams and leave them, a hundred at a time."""

    kind: Literal["storm"]
    name: str
    seconds: float


Step = SubscribeStep | WindowStep | IdleStep | ResumeStep | FloodStep | StormStep


class Job(TypedDict):
    """A hub, and the steps to do there."""

    port: int
    subscribe: str  # the request of a subscriber
    publish_head: str
    publish_tail: str
    escape: bool
    processes: dict[str, list[int]]
    reader: str  # path of the compiled reader.c
    spin: bool
    steps: list[Step]


# --- what load.py measures


class Subscribed(TypedDict):
    """Streams were opened."""

    count: int
    kb_per_connection: float


class Window(TypedDict):
    """Events were published at a fixed rate. CPU is given by the name of the process."""

    rate: float  # that was asked for
    reached: float  # from the first publish to the last
    published: int
    publish_errors: int
    held_back: int
    deliveries: int
    lost: int
    doubled: int
    streams_cut: int
    p50_ms: float
    p99_ms: float
    late_seconds: float
    cpu_us: dict[str, float]  # for each delivery
    cpu_share: dict[str, float]
    client_share: float
    events_per_write: float


class Idle(TypedDict):
    """Streams were left alone."""

    share_of_core: float
    streams_cut: int


class Resume(TypedDict):
    """Streams resumed at once."""

    subscribers: int
    events_each: int
    seconds: float
    lost: int
    doubled: int
    cpu_us_per_event: float
    client_share: float


class Flood(TypedDict):
    """Events were published as fast as answers came."""

    concurrency: int
    batch: int
    events: int  # that were accepted
    events_per_second: float
    refused: int
    cpu_us_per_event: dict[str, float]
    client_share: float  # of its core: near 1 the client is what limits the rate


class Storm(TypedDict):
    """Streams came and went."""

    streams: int
    per_second: float
    cpu_us_per_stream: dict[str, float]


Measured = Subscribed | Window | Idle | Resume | Flood | Storm


# --- what fanout.py makes of it


class Round(TypedDict):
    """One hub in one round."""

    subscribed: Subscribed
    low: Window
    high: Window


class FanOut(TypedDict):
    """Every hub with its log in memory: its rounds, and the highest rate that it keeps up with."""

    rounds: dict[str, list[Round]]
    holds: dict[str, int]


class ForUsers(TypedDict):
    """Every hub with its log in memory: rounds of the same windows, each at another rate, with a channel for each."""

    channels: int
    rounds: dict[str, list[list[Window]]]


class Posts(TypedDict):
    """Every hub with its log in memory, and with no subscriber: single events, published as fast as answers come."""

    rounds: dict[str, list[Flood]]


class ShapedRound(TypedDict):
    """One hub in one round, with a client that sleeps until something is ready."""

    low: Window
    high: Window
    big: Window | None  # larger events; None for a hub that fell behind at the high rate
    storm: Storm


class Shapes(TypedDict):
    """Hubs with their log in memory, under other loads."""

    rounds: dict[str, list[ShapedRound]]


class Links(TypedDict):
    """Our service behind NGINX, by the link between them."""

    rounds: dict[str, list[Round]]


class IdleStreams(Subscribed, Idle):
    """Many streams at rest."""


class ThroughKafka(TypedDict):
    """From the publisher through Kafka to the subscribers."""

    low: Window
    single: Flood
    batch: Flood
    resume: Resume


class Machine(TypedDict):
    """What was measured on."""

    cpu: str
    cores: int | None
    memory_gb: int
    commit: str  # what was measured
    kernel: str
    system: str


class _Result(TypedDict):
    machine: Machine
    versions: dict[str, str]
    skipped: dict[str, str]
    rounds: int
    quick: bool
    minutes: float


class Result(_Result, total=False):
    """One run of fanout.py; a row that was not asked for or could not be measured is absent or None."""

    fan_out: FanOut
    users: ForUsers
    posts: Posts
    shapes: Shapes
    nginx: Links | None
    idle: IdleStreams | None
    kafka: ThroughKafka | None


# --- platform.py: a deployed stack


class Usage(TypedDict):
    """Microseconds of processor time: counters, or what lies between two readings of them."""

    containers: dict[str, float]
    processes: dict[str, float]  # by container and name
    engine: float  # dockerd, containerd, and its shims with what they started
    machine: float  # all that did not idle
    client: float  # the process that makes the load


class Shape(TypedDict):
    """A kind of load, as users make it. Rates are events per second in all channels together."""

    name: str
    kind: Literal["window", "flood", "storm", "churn", "bystander"]
    channels: int
    each: int  # subscribers of each channel
    rate: float
    bytes: int  # of the data of an event
    concurrency: int  # publishes at once, of a flood; new streams a second, of churn
    batch: int
    seconds: float


class ShapeJob(TypedDict):
    """What platform_load.py reads: one shape, for one stack."""

    host: str
    port: int
    reader: str  # path of the compiled reader.c
    containers: dict[str, int]  # the first process of each
    headers: str  # of each request, beside those that every client sends
    shape: Shape


class Sample(TypedDict):
    """One shape, measured once. Figures that a shape does not have are 0."""

    shape: str
    seconds: float
    events: int  # accepted publishes, or streams that came and went
    deliveries: int
    rate: float  # events per second that were reached
    p50_ms: float
    p99_ms: float
    lost: int
    doubled: int
    refused: int
    cut: int  # streams
    stream_kb: float  # memory of one stream, in NGINX and its replica
    disk_bytes: float  # that one event takes in Kafka's log
    used: Usage


class Rest(TypedDict):
    """A stack at rest: nobody publishes, nobody listens."""

    seconds: float
    used: Usage
    checks_a_minute: float
    check_ms: float  # of processor time, of one health check that runs a program: its container's and the engine's


class Deployment(TypedDict):
    """One way to deploy the platform, and what was measured there."""

    replicas: int
    link: str
    samples: dict[str, list[Sample]]  # by shape, one for each round
    rest: Rest | None
    up_seconds: list[float]


class PlatformResult(TypedDict):
    """One run of platform.py."""

    machine: Machine
    rounds: int
    minutes: float
    layers: bool  # whether the deployments differ in what may be added to the platform
    deployments: dict[str, Deployment]
