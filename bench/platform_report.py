"""The report of platform.py: medians, ratios, tables, and what a machine carries. Pure: no I/O."""

from __future__ import annotations

import re
import statistics
import textwrap
from collections.abc import Callable, Sequence

from measurements import Deployment, PlatformResult, Rest, Sample
from report import Goal, grid, measured_on

PARTS = {"replicas": r"app-\d+", "NGINX": "nginx", "Kafka": "kafka", "Redis": "redis-master"}
KEPT_SHARE = 0.95  # of the rate that was asked for: below it, the platform did not keep up
FULL_SHARE = 0.7  # of the cores, for the containers: the rest is for bursts, the kernel and the engine
SIZES = (2, 4, 8)  # cores
SIZED = {
    "users-1000": "each event for one of 1,000 subscribers",
    "channels": "100 channels of 10 subscribers",
    "broadcast": "each event for 1,000 subscribers",
    "posts-64": "single POSTs, nobody listens",
    "batches": "batches of 100, nobody listens",
    "big-2k": "2 KB for 100 subscribers",
    "big-50k": "50 KB for 100 subscribers",
}
BUSY_CORES = 0.2  # used by strangers: a measurement with more of them is said to be disturbed
Us = Callable[[Sample], float]


def median(samples: Sequence[Sample], read: Us) -> float:
    """Return the median of all rounds."""
    return statistics.median(map(read, samples))


def each(sample: Sample) -> int:
    """Return what the cost of a shape is divided by: its events."""
    return max(1, sample["events"])


def parts(containers: dict[str, float]) -> dict[str, float]:
    """Add up the containers of each part; what belongs to no part is `others`."""
    found = dict.fromkeys([*PARTS, "others"], 0.0)
    for container, us in containers.items():
        found[next((part for part, name in PARTS.items() if re.fullmatch(name, container)), "others")] += us
    return found


def event_us(sample: Sample) -> float:
    """Return what one event costs in all containers together."""
    return sum(sample["used"]["containers"].values()) / each(sample)


def part_us(part: str) -> Us:
    """Return what reads the cost of one event in one part."""
    return lambda sample: parts(sample["used"]["containers"])[part] / each(sample)


def delivery_us(sample: Sample) -> float:
    """Return what one delivery costs in all containers together; 0 where nothing is delivered."""
    return sum(sample["used"]["containers"].values()) / sample["deliveries"] if sample["deliveries"] else 0.0


def bystander_us(sample: Sample) -> float:
    """Return what one event costs a replica that neither took it nor has anybody who wants it."""
    others = [us for name, us in sample["used"]["containers"].items() if re.fullmatch(r"app-(?!1$)\d+", name)]
    return statistics.mean(others) / each(sample)


def paired(samples: Sequence[Sample], others: Sequence[Sample], read: Us) -> float:
    """Return the median ratio of rounds that were measured one after the other; 0 where nothing was measured."""
    ratios = [read(one) / read(other) for one, other in zip(samples, others, strict=False) if read(other)]
    return statistics.median(ratios) if ratios else 0.0


def cells(samples: Sequence[Sample]) -> list[str]:
    """Write the medians of one shape in one deployment."""
    by_part = ", ".join(f"{part} {median(samples, part_us(part)):,.0f}" for part in parts({}))
    deliveries = median(samples, delivery_us)
    p50, p99 = median(samples, lambda one: one["p50_ms"]), median(samples, lambda one: one["p99_ms"])
    wrong = {what: max(one[what] for one in samples) for what in ("lost", "doubled", "refused", "cut")}
    return [
        f"{median(samples, lambda one: one['rate']):,.0f}",
        f"{median(samples, event_us):,.0f} ({by_part})",
        f"{deliveries:.1f}" if deliveries else "-",
        f"{p50:.1f} / {p99:.1f}" if p99 else "-",
        ", ".join(f"{count:,} {what}" for what, count in wrong.items() if count) or "0",
        f"{median(samples, lambda one: one['used']['engine'] / each(one)):,.0f}",
        f"{median(samples, lambda one: one['used']['client'] / each(one)):,.0f}",
    ]


def shapes_table(deployment: Deployment) -> str:
    """Write the table of every shape in one deployment."""
    head = ["load", "reached, /s", "CPU us of an event (by part)", "us of a delivery", "p50 / p99, ms", "wrong"]
    rows = [[name, *cells(samples)] for name, samples in deployment["samples"].items() if samples]
    return grid([*head, "engine, us", "client, us"], rows)


def ratio_table(result: PlatformResult) -> str:
    """Compare each deployment with the first one, shape by shape."""
    (first, base), *others = result["deployments"].items()
    rows = [
        [
            f"{name} to {first}",
            shape,
            f"{paired(samples, base['samples'][shape], event_us):.2f} x",
            f"{paired(samples, base['samples'][shape], part_us('NGINX')):.2f} x",
            f"{paired(samples, base['samples'][shape], lambda one: one['rate']):.2f} x",
        ]
        for name, deployment in others
        for shape, samples in deployment["samples"].items()
        if samples and base["samples"].get(shape)
    ]
    return grid(["deployments", "load", "CPU of an event", "of it NGINX", "rate reached"], rows) if rows else ""


def layer_table(result: PlatformResult) -> str:
    """Say what each thing that may be added to the platform costs, as ratios to the platform as it is."""
    (_, base), *others = result["deployments"].items()
    reads: list[Us] = [
        event_us,
        part_us("NGINX"),
        part_us("replicas"),
        lambda one: one["p50_ms"],
        lambda one: one["rate"],
    ]
    rows = [
        [
            name,
            shape,
            *(f"{ratio:.2f} x" if (ratio := paired(found, base["samples"][shape], read)) else "-" for read in reads),
        ]
        for name, deployment in others
        for shape, found in deployment["samples"].items()
        if found and base["samples"].get(shape)
    ]
    return grid(["added", "load", "CPU of an event", "of it NGINX", "of it replicas", "p50", "rate reached"], rows)


def process_table(deployment: Deployment) -> str:
    """Write what the processes of the busiest containers use, for the shapes that deliver."""
    rows: list[list[str]] = []
    for shape, samples in deployment["samples"].items():
        one = samples[-1]
        used = sorted(one["used"]["processes"].items(), key=lambda found: -found[1])[:8]
        rows.append([shape, ", ".join(f"{name} {us / each(one):,.0f}" for name, us in used)])
    return grid(["load", "CPU us of an event by process, in the last round"], rows)


def share(us: float, seconds: float) -> float:
    """Return microseconds of processor time as a share of one core."""
    return us / seconds / 1e6


def checks_share(rest: Rest) -> float:
    """Return the share of one core that health checks take."""
    return rest["checks_a_minute"] * rest["check_ms"] / 60_000


def rest_table(rest: Rest) -> str:
    """Write what a stack at rest uses."""
    used, seconds = rest["used"], rest["seconds"]
    by_container = sorted(used["containers"].items(), key=lambda found: -found[1])
    rows = [[name, f"{share(us, seconds):.2%}"] for name, us in by_container]
    rows += [
        ["the engine, with the runtime of health checks", f"{share(used['engine'], seconds):.2%}"],
        ["**whole machine**", f"**{share(used['machine'] - used['client'], seconds):.2%}**"],
        [
            f"of it health checks: {rest['checks_a_minute']:.0f} programs a minute, {rest['check_ms']:.0f} ms each",
            f"{checks_share(rest):.2%}",
        ],
    ]
    return grid([f"at rest, {seconds:.0f} s", "share of a core"], rows)


def carried(samples: Sequence[Sample], cores: int) -> float:
    """Return how many events a second these cores carry, when 70 % of them are for the containers."""
    return FULL_SHARE * cores * 1e6 / median(samples, event_us)


def sizing_table(deployment: Deployment) -> str:
    """Say what machines of some sizes carry, by what one event costs here."""
    rows: list[list[str]] = []
    for shape, what in SIZED.items():
        if samples := deployment["samples"].get(shape):
            rates = [f"{carried(samples, cores):,.0f}" for cores in SIZES]
            disk = median(samples, lambda one: one["disk_bytes"]) * 86400 / 2**30
            memory = median(samples, lambda one: one["stream_kb"])
            rows.append([what, *rates, f"{disk:.3f}", f"{memory:.0f} KB" if memory else "-"])
    head = ["load", *(f"events/s on {cores} cores" for cores in SIZES)]
    return grid([*head, "GiB a day for each event/s", "memory of a stream"], rows)


def goals(result: PlatformResult) -> list[Goal]:
    """Return each goal of issue 13 for the platform whose figures were measured."""
    made: list[Goal] = []
    (_, base), *others = result["deployments"].items()

    def at_most(what: str, limit: float, found: float, unit: str) -> None:
        made.append(Goal(f"{what}: at most {limit:g}{unit}", f"{found:,.1f}{unit}", found <= limit))

    def at_least(what: str, limit: float, found: float, unit: str) -> None:
        made.append(Goal(f"{what}: at least {limit:g}{unit}", f"{found:,.1f}{unit}", found >= limit))

    if users := base["samples"].get("users-1000"):
        at_least(
            "1,000 channels x 1 at 1,000/s: reached", KEPT_SHARE * 1000, median(users, lambda one: one["rate"]), "/s"
        )
        at_most("the same, p99", 40, median(users, lambda one: one["p99_ms"]), " ms")
        at_most("the same, CPU of an event", 700, median(users, event_us), " us")
    for shape, limit in (("posts-16", 3000), ("posts-64", 5000)):
        if posts := base["samples"].get(shape):
            number = shape.rpartition("-")[2]
            at_least(f"single POSTs from {number} publishers", limit, median(posts, lambda one: one["rate"]), "/s")
    if broadcast := base["samples"].get("broadcast"):
        at_most("1,000 subscribers at 20/s, CPU of a delivery", 25, median(broadcast, delivery_us), " us")
        at_most("the same, p99", 30, median(broadcast, lambda one: one["p99_ms"]), " ms")
    if bystander := base["samples"].get("bystander"):
        at_most("a replica with nobody on it, 200/s, CPU of an event", 80, median(bystander, bystander_us), " us")
    for name, other in others:
        posts, more = base["samples"].get("posts-16"), other["samples"].get("posts-16")
        if posts and more and other["replicas"] > base["replicas"]:
            at_least(
                f"single POSTs, {name}, of the rate of the first",
                0.9,
                paired(more, posts, lambda one: one["rate"]),
                " x",
            )
    if rest := base["rest"]:
        used = share(rest["used"]["machine"] - rest["used"]["client"], rest["seconds"])
        at_most("at rest, whole machine, share of a core", 5, used * 100, " %")
    return made


def goal_table(result: PlatformResult) -> str:
    """Write the table of goals beside their figures."""
    rows = [[goal.what, goal.measured, "met" if goal.met else "**missed**"] for goal in goals(result)]
    return grid(["goal", "measured", ""], rows)


def strangers_share(result: PlatformResult) -> float:
    """Return how many cores were used by what belongs neither to the stack, its engine nor the client."""
    shares = [
        share(
            one["used"]["machine"]
            - one["used"]["engine"]
            - one["used"]["client"]
            - sum(one["used"]["containers"].values()),
            one["seconds"],
        )
        for deployment in result["deployments"].values()
        for samples in deployment["samples"].values()
        for one in samples
    ]
    return max(0.0, statistics.median(shares)) if shares else 0.0


def machine_line(result: PlatformResult) -> str:
    """Say where and how it was measured."""
    strangers = strangers_share(result)
    busy = f" Others used {strangers:.1f} of the cores meanwhile: rates and times say little, and costs are too high."
    text = (
        f"{measured_on(result['machine'])}; medians of"
        f" {result['rounds']} rounds, {result['minutes']:g} minutes in all. The client runs on the same cores."
    )
    return textwrap.fill(text + (busy if strangers > BUSY_CORES else ""), 120)


def sections(result: PlatformResult) -> dict[str, str]:
    """Write every part that was measured, by the name in its markers. The first deployment has tables of its own."""
    if result["layers"]:
        return {"layers_machine": machine_line(result), "layers": layer_table(result)}
    base = next(iter(result["deployments"].values()))
    made = {"machine": machine_line(result)}
    if any(base["samples"].values()):
        made |= {"shapes": shapes_table(base), "processes": process_table(base)}
    if base["rest"]:
        made["rest"] = rest_table(base["rest"])
    if ratios := ratio_table(result):
        made["ratios"] = ratios
    if any(base["samples"].values()):
        made["sizing"] = sizing_table(base)
    return made | {"goals": goal_table(result)}


def markdown(result: PlatformResult) -> str:
    """Write everything for the terminal."""
    (_, *others) = result["deployments"].items()
    tables = [f"{name}:\n{shapes_table(one)}" for name, one in others if any(one["samples"].values())]
    return "\n\n".join([*sections(result).values(), *tables])
