"""The report of fanout.py: medians, tables, and each goal beside its figure. Pure: no I/O."""

from __future__ import annotations

import re
import statistics
import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from measurements import (
    FanOut,
    Flood,
    ForUsers,
    IdleStreams,
    Machine,
    Posts,
    Result,
    Round,
    ShapedRound,
    Shapes,
    ThroughKafka,
    Window,
)

R = TypeVar("R")
EMPTY: FanOut = {"rounds": {}, "holds": {}}  # where nothing was measured
LATE_SECONDS = 0.5  # from the last publish to the last delivery: more means a queue that grows
LATE_MS = 250  # p99: people notice no delay below this


class Goal(NamedTuple):
    """A figure that is to be reached (issue 4), and the measured one."""

    what: str
    measured: str
    met: bool


def keeps_up(window: Window) -> bool:
    """Tell whether a hub kept up with the rate: nothing was lost, refused or held back, and every event came soon."""
    return not (
        window["lost"]
        or window["publish_errors"]
        or window["streams_cut"]
        or window["held_back"] > window["published"]  # waits of 1 ms for a free connection of the publisher
        or window["late_seconds"] > LATE_SECONDS
        or window["p99_ms"] > LATE_MS
    )


def total(by_process: dict[str, float]) -> float:
    """Return the sum over all server processes."""
    return sum(by_process.values())


def paired(rounds: Sequence[R], others: Sequence[R], read: Callable[[R], float]) -> float:
    """Return the median ratio of rounds that were measured in turn: a machine that slows down, slows both down."""
    return statistics.median(read(one) / read(other) for one, other in zip(rounds, others, strict=False))


def low_us(found: Round | ShapedRound) -> float:
    """Return the CPU time for each delivery at the low rate, of all processes."""
    return total(found["low"]["cpu_us"])


def median(rounds: Sequence[Round], read: Callable[[Round], float]) -> float:
    """Return the median of all rounds."""
    return statistics.median(read(one) for one in rounds)


class Row(NamedTuple):
    """The medians of one hub."""

    kilobytes: float
    low_us: float
    low_p50: float
    low_p99: float
    high_us: float
    high_p50: float
    high_p99: float
    high_lost: int  # in the worst round
    high_kept: bool  # it kept up in every round
    low_shared: float  # events in each write
    high_shared: float


def row(rounds: Sequence[Round]) -> Row:
    """Return the medians of the rounds of a hub."""
    return Row(
        median(rounds, lambda one: one["subscribed"]["kb_per_connection"]),
        median(rounds, low_us),
        median(rounds, lambda one: one["low"]["p50_ms"]),
        median(rounds, lambda one: one["low"]["p99_ms"]),
        median(rounds, lambda one: total(one["high"]["cpu_us"])),
        median(rounds, lambda one: one["high"]["p50_ms"]),
        median(rounds, lambda one: one["high"]["p99_ms"]),
        max(one["high"]["lost"] for one in rounds),
        all(keeps_up(one["high"]) for one in rounds),
        median(rounds, lambda one: one["low"]["events_per_write"]),
        median(rounds, lambda one: one["high"]["events_per_write"]),
    )


def line(found: Round) -> str:
    """Write one round as a line that is shown during the run."""
    parts = [f"{found['subscribed']['kb_per_connection']:.1f} KB"]
    for one in (found["low"], found["high"]):
        parts.append(
            f"{one['rate']:g}/s {total(one['cpu_us']):.2f} us p50 {one['p50_ms']:.1f} p99 {one['p99_ms']:.1f} ms"
            f" lost {one['lost']} late {one['late_seconds']:.2f} s x{one['events_per_write']:.1f}"
            f" client {one['client_share']:.0%}"
        )
    return " | ".join(parts)


def grid(head: list[str], rows: list[list[str]]) -> str:
    """Write a table in Markdown."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def fan_out_table(result: Result) -> str:
    """Write the table of all hubs."""
    found = result.get("fan_out", EMPTY)
    head = ["hub", "20 events/s: CPU per delivery, p50 / p99", "200 events/s: CPU per delivery, p50 / p99"]
    head += ["events a write at 20 / 200", "holds, events/s", "KB per idle connection"]
    rows: list[list[str]] = []
    for name, rounds in found["rounds"].items():
        one = row(rounds)
        high = f"{one.high_us:.1f} us, {one.high_p50:.0f} / {one.high_p99:.0f} ms"
        if not one.high_kept:
            high = f"falls behind: {high}, {one.high_lost} of {rounds[0]['high']['published'] * 1000} missing"
        version = result["versions"].get(name, "")
        rows.append(
            [
                f"{name} ({version})" if version else name,
                f"{one.low_us:.1f} us, {one.low_p50:.1f} / {one.low_p99:.1f} ms",
                high,
                f"{one.low_shared:.1f} / {one.high_shared:.1f}",
                str(found["holds"].get(name, "not searched")),
                f"{one.kilobytes:.1f}",
            ]
        )
    return grid(head, rows)


def short_table(result: Result) -> str:
    """Write the table of all hubs for the README."""
    found = result.get("fan_out", EMPTY)
    head = ["hub", "CPU per delivery at 20 events/s", "p99", "200 events/s", "holds", "KB per connection"]
    rows: list[list[str]] = []
    for name, rounds in found["rounds"].items():
        one = row(rounds)
        high = f"nothing lost, p99 {one.high_p99:.0f} ms" if one.high_kept else "falls behind"
        holds = found["holds"].get(name)
        rows.append(
            [
                "**sse.platform**" if name == "ours" else name,
                f"{one.low_us:.1f} us",
                f"{one.low_p99:.0f} ms",
                high,
                f"{holds} events/s" if holds else "-",
                f"{one.kilobytes:.1f}",
            ]
        )
    return grid(head, rows)


def user_line(windows: Sequence[Window]) -> str:
    """Write one round with a channel for each subscriber as a line that is shown during the run."""
    return " | ".join(
        f"{one['rate']:g}/s {total(one['cpu_us']):.0f} us p99 {one['p99_ms']:.1f} ms lost {one['lost']}"
        for one in windows
    )


def post_line(found: Flood) -> str:
    """Write one round of single events as a line that is shown during the run."""
    return (
        f"{found['events_per_second']:,.0f}/s {total(found['cpu_us_per_event']):.1f} us refused {found['refused']}"
        f" client {found['client_share']:.0%}"
    )


def user_us(windows: Sequence[Window], rate: float) -> float:
    """Return the CPU time for each event at a rate, of all processes."""
    return next(total(one["cpu_us"]) for one in windows if one["rate"] == rate)


def users_table(found: ForUsers) -> str:
    """Write the table of every hub with a channel for each subscriber."""
    rates = [one["rate"] for one in next(iter(found["rounds"].values()))[0]]
    rows: list[list[str]] = []
    for name, rounds in found["rounds"].items():
        cells = [name]
        for place, rate in enumerate(rates):
            used = statistics.median(user_us(one, rate) for one in rounds)
            late = statistics.median(one[place]["p99_ms"] for one in rounds)
            kept = all(keeps_up(one[place]) for one in rounds)
            cells.append(f"{'' if kept else 'falls behind: '}{used:.0f} us, {late:.0f} ms")
        rows.append(cells)
    return grid(["hub", *(f"{rate:g} events/s: CPU per event, p99" for rate in rates)], rows)


def posts_table(found: Posts) -> str:
    """Write the table of every hub that gets single events."""
    rows: list[list[str]] = []
    for name, rounds in found["rounds"].items():
        used = statistics.median(total(one["cpu_us_per_event"]) for one in rounds)
        reached = statistics.median(one["events_per_second"] for one in rounds)
        client = max(one["client_share"] for one in rounds)
        rows.append([name, f"{used:.1f} us", f"{reached:,.0f}/s", f"{client:.0%}"])
    return grid(["hub", "CPU per event", "events/s reached", "the client's share of its core"], rows)


def window_cell(found: Sequence[Window]) -> str:
    """Write the medians of a window: CPU time and latency."""
    used = statistics.median(total(one["cpu_us"]) for one in found)
    p50, p99 = (statistics.median(one[key] for one in found) for key in ("p50_ms", "p99_ms"))
    kept = all(map(keeps_up, found))
    return f"{'' if kept else 'falls behind: '}{used:.1f} us, {p50:.1f} / {p99:.1f} ms"


def storm_us(found: ShapedRound) -> float:
    """Return the CPU time for each stream that comes and goes."""
    return total(found["storm"]["cpu_us_per_stream"])


def storm_rate(found: ShapedRound) -> float:
    """Return how many streams a second came and went."""
    return found["storm"]["per_second"]


def shapes_line(found: ShapedRound) -> str:
    """Write one round of other loads as a line that is shown during the run."""
    windows = [window_cell([one]) for one in (found["low"], found["high"], found["big"]) if one]
    storm = f"{storm_us(found):.0f} us a stream, {storm_rate(found):,.0f}/s"
    return " | ".join([*windows, storm])


def shapes_table(found: Shapes) -> str:
    """Write the table of hubs under other loads."""
    rows: list[list[str]] = []
    for name, rounds in found["rounds"].items():
        big = [one["big"] for one in rounds if one["big"]]
        storm, rate = (statistics.median(map(read, rounds)) for read in (storm_us, storm_rate))
        rows.append(
            [
                name,
                window_cell([one["low"] for one in rounds]),
                window_cell([one["high"] for one in rounds]),
                window_cell(big) if big else "-",
                f"{storm:.0f} us, {rate:,.0f}/s",
            ]
        )
    head = ["hub", "20 events/s: CPU per delivery, p50 / p99", "200 events/s", "2 KB at 150 events/s"]
    return grid([*head, "a stream that comes and goes: CPU, reached"], rows)


def shape_goals(result: Result) -> list[Goal]:
    """Return each goal for other loads whose figures were measured."""
    made: list[Goal] = []
    at_most = bound(made)
    rounds = (result.get("shapes") or {"rounds": {}})["rounds"]
    ours, nchan = rounds.get("ours"), rounds.get("nchan")
    if not ours or not nchan:
        return made
    at_most("CPU per delivery at 20 events/s, client sleeps, of nchan's", 0.7, paired(ours, nchan, low_us), " x")
    late = paired(ours, nchan, lambda one: one["low"]["p99_ms"])
    at_most("p99 at 20 events/s, client sleeps, of nchan's", 0.9, late, " x")
    pairs = [(one["big"], other["big"]) for one, other in zip(ours, nchan, strict=False)]
    if big := [total(one["cpu_us"]) / total(other["cpu_us"]) for one, other in pairs if one and other]:
        at_most("2 KB at 150 events/s, CPU per delivery, of nchan's", 0.9, statistics.median(big), " x")
    at_most("a stream that comes and goes, CPU, of nchan's", 1, paired(ours, nchan, storm_us), " x")
    return made


def nginx_table(result: Result) -> str:
    """Write the table of our service behind NGINX."""
    head = ["link", "20 events/s: CPU per delivery (of which NGINX), p50 / p99", "200 events/s"]
    rows: list[list[str]] = []
    for link, rounds in (result.get("nginx") or EMPTY)["rounds"].items():
        one = row(rounds)
        low = median(rounds, lambda found: found["low"]["cpu_us"]["NGINX"])
        high = median(rounds, lambda found: found["high"]["cpu_us"]["NGINX"])
        rows.append(
            [
                link,
                f"{one.low_us:.1f} us ({low:.1f}), {one.low_p50:.1f} / {one.low_p99:.1f} ms",
                f"{one.high_us:.1f} us ({high:.1f}), {one.high_p50:.0f} / {one.high_p99:.0f} ms, {one.high_lost} lost",
            ]
        )
    return grid(head, rows)


def kafka_table(found: ThroughKafka) -> str:
    """Write the table of the whole way through Kafka."""
    low, single, batch, resume = found["low"], found["single"], found["batch"], found["resume"]
    events = low["deliveries"] / low["published"]
    used = {name: us * events / 1000 for name, us in low["cpu_us"].items()}
    latency = f"p50 {low['p50_ms']:.1f}, p99 {low['p99_ms']:.1f} ms"
    rows = [
        ["publish to receive at 20 events/s, 1,000 subscribers", latency],
        ["the same, CPU of the service", f"{used['ours']:.1f} ms an event, {low['cpu_us']['ours']:.1f} us a delivery"],
        ["the same, CPU of the broker", f"{used['broker']:.1f} ms an event"],
    ]
    for flood in (single, batch):
        kind = f"batches of {flood['batch']}" if flood["batch"] > 1 else "single events"
        cpu = ", ".join(f"{name} {us:.0f} us" for name, us in flood["cpu_us_per_event"].items())
        rows.append(
            [
                f"publishing {kind}, {flood['concurrency']} at once, acks=all and flushed",
                f"{flood['events_per_second']:,.0f} events/s; CPU an event: {cpu}",
            ]
        )
    counts = f"{resume['lost']} lost, {resume['doubled']} doubled"
    rows.append(
        [
            f"resume of {resume['subscribers']:,} subscribers by {resume['events_each']:,} events each",
            f"{resume['seconds']:.1f} s, {resume['cpu_us_per_event']:.2f} us of CPU an event, {counts}",
        ]
    )
    return grid(["end to end through Kafka", "measured"], rows)


def idle_table(found: IdleStreams) -> str:
    """Write the table of ten thousand subscribers at rest."""
    rows = [[f"{found['count']:,}", f"{found['share_of_core']:.1%}", f"{found['kb_per_connection']:.1f}"]]
    return grid(["idle subscribers, heartbeats on", "share of a core", "KB per connection"], rows)


def bound(made: list[Goal]) -> Callable[..., None]:
    """Return what adds a goal that is met where the figure is not above a limit."""

    def at_most(what: str, limit: float, measured: float, unit: str = "") -> None:
        digits = 2 if limit <= 1 else 1
        made.append(Goal(f"{what}: at most {limit:g}{unit}", f"{measured:.{digits}f}{unit}", measured <= limit))

    return at_most


def publish_goals(result: Result) -> list[Goal]:
    """Return each goal for publishes whose figures were measured."""
    made: list[Goal] = []
    at_most = bound(made)
    users = result.get("users")
    if users and "ours" in users["rounds"]:
        for peer, ratio in (("nchan", 2), ("Mercure", 1), ("sse-starlette", 1)):
            if peer in users["rounds"]:
                pairs = zip(users["rounds"]["ours"], users["rounds"][peer], strict=False)
                used = statistics.median(user_us(one, 1000) / user_us(other, 1000) for one, other in pairs)
                at_most(f"1,000 channels x 1 at 1,000/s, CPU per event, of {peer}'s", ratio, used, " x")
    if (posts := result.get("posts")) and posts["rounds"].get("ours"):
        single = posts["rounds"]["ours"]
        used = statistics.median(total(one["cpu_us_per_event"]) for one in single)
        at_most("single events from 16 publishers, CPU each", 45, used, " us")
        reached = statistics.median(one["events_per_second"] for one in single)
        goal = "single events from 16 publishers: at least 20,000/s"
        made.append(Goal(goal, f"{reached:,.0f}/s", reached >= 20_000))
    return made


def goals(result: Result) -> list[Goal]:
    """Return each goal for deliveries whose figures were measured."""
    made: list[Goal] = []
    at_most = bound(made)

    fan_out = result.get("fan_out", EMPTY)
    measured, holds = fan_out["rounds"], fan_out["holds"]
    rows = {name: row(rounds) for name, rounds in measured.items()}
    ours = rows.get("ours")
    if ours:
        for peer, ratio in (("nchan", 0.9), ("Mercure", 0.5), ("sse-starlette", 0.28)):
            if peer in rows:
                used = paired(measured["ours"], measured[peer], low_us)
                at_most(f"CPU per delivery at 20 events/s, of {peer}'s", ratio, used, " x")
        if "nchan" in rows:
            at_most("p99 at 20 events/s, of nchan's", 1, ours.low_p99 / rows["nchan"].low_p99, " x")
        at_most("lost at 200 events/s", 0, ours.high_lost)
        at_most("CPU per delivery at 200 events/s", 4.5, ours.high_us, " us")
        at_most("p99 at 200 events/s", 30, ours.high_p99, " ms")
        at_most("memory per idle connection", 10.5, ours.kilobytes, " KB")
        if holds.get("nchan"):
            ratio = holds.get("ours", 0) / holds["nchan"]
            made.append(Goal("event rate held, of nchan's: at least 4 x", f"{ratio:.1f} x", ratio >= 4))
    links = (result.get("nginx") or EMPTY)["rounds"]
    if links.get("socket"):
        ratio = paired(links["socket"], links["tcp"], low_us)
        at_most("behind NGINX by socket, CPU at 20 events/s, of TCP's", 0.75, ratio, " x")
        at_most("behind NGINX by socket, p99 at 200 events/s", 60, row(links["socket"]).high_p99, " ms")
    if idle := result.get("idle"):
        at_most(f"{idle['count']:,} idle subscribers, share of a core", 3, idle["share_of_core"] * 100, " %")
        at_most(f"{idle['count']:,} idle subscribers, memory each", 10.5, idle["kb_per_connection"], " KB")
    if kafka := result.get("kafka"):
        at_most("through Kafka at 20 events/s, p50", 8, kafka["low"]["p50_ms"], " ms")
        at_most("through Kafka at 20 events/s, p99", 20, kafka["low"]["p99_ms"], " ms")
    return made


def goal_table(found: list[Goal]) -> str:
    """Write the table of goals beside their figures."""
    rows = [[goal.what, goal.measured, "met" if goal.met else "**missed**"] for goal in found]
    return grid(["goal", "measured", ""], rows)


def measured_on(machine: Machine) -> str:
    """Say which commit was measured, and on what."""
    return (
        f"Commit {machine['commit']}. {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB,"
        f" Linux {machine['kernel']}"
    )


def machine_line(result: Result) -> str:
    """Say where and how it was measured."""
    kind = "one short round" if result["quick"] else f"medians of {result['rounds']} interleaved rounds"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result["versions"].items()))
    where = f"{measured_on(result['machine'])}, {result['machine']['system']}"
    text = f"{where}; {kind}, {result['minutes']:g} minutes in all. {versions}."
    return textwrap.fill(text, 120, break_on_hyphens=False)


def skipped_lines(result: Result) -> str:
    """List what could not be measured, with the reason."""
    return "\n".join(f"Skipped: {name}: {why}" for name, why in result["skipped"].items())


def sections(result: Result) -> dict[str, str]:
    """Write every part that was measured, by the name in its markers."""
    made: dict[str, str] = {}
    if result.get("fan_out"):
        made["machine"] = machine_line(result)
        made["fan_out"] = fan_out_table(result)
        made["short"] = short_table(result)
    if (users := result.get("users")) and users["rounds"]:
        made["users"] = users_table(users)
    if (posts := result.get("posts")) and posts["rounds"]:
        made["posts"] = posts_table(posts)
    if (shapes := result.get("shapes")) and shapes["rounds"]:
        made |= {"shapes_machine": machine_line(result), "shapes": shapes_table(shapes)}
        made["shapes_goals"] = goal_table(shape_goals(result))
    if found := publish_goals(result):
        made |= {"publish_machine": machine_line(result), "publish_goals": goal_table(found)}
    if result.get("nginx"):
        made["nginx"] = nginx_table(result)
    if idle := result.get("idle"):
        made["idle"] = idle_table(idle)
    if kafka := result.get("kafka"):
        made["kafka"] = kafka_table(kafka)
    if found := goals(result):
        made["goals"] = goal_table(found)
    return made | {"skipped": skipped_lines(result)}


def markdown(result: Result) -> str:
    """Write everything for the terminal."""
    return "\n\n".join(text for name, text in sections(result).items() if text and name != "short")


def filled(document: str, result: Result) -> str:
    """Put every part that was measured into a document."""
    return put("fanout", sections(result), document)


def put(bench: str, parts: dict[str, str], document: str) -> str:
    """Replace the parts of a document between `<!-- BENCH:NAME -->` and `<!-- /BENCH:NAME -->`."""
    for name, text in parts.items():
        begin, end = f"<!-- {bench}:{name} -->", f"<!-- /{bench}:{name} -->"
        block = "\n".join(part for part in (begin, text, end) if part)
        pattern = re.compile(rf"{begin}\n.*?{end}", re.DOTALL)
        document = pattern.sub(lambda _, block=block: block, document)
    return document
