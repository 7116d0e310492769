# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether every event of the log can be resumed by its id: what the log holds, against what streams deliver.

The list of the log comes from a program that a service declares under ``drill``; it prints ``<id> <channel>`` for each
event, and a third word where an event repeats an earlier one.
"""

from __future__ import annotations

import concurrent.futures
import time
from typing import TYPE_CHECKING, NamedTuple, TypedDict
from urllib.parse import urlencode

from ansible_collections.sse.platform.plugins.module_utils.host.http import HTTP_ERRORS, Answer, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.http_answer import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running

READY_SECONDS = 90.0  # that the proxy and what is behind it have after their start
LIST_SECONDS = 600.0  # for the list of the log
QUIET_SECONDS = 30.0  # without an event or a heartbeat, after which a stream counts as broken
ATTEMPTS = 5  # connections of one stream: each continues after the last id
STREAMS = 64  # channels share a stream where there are more of them than this
CHANNELS = 50  # of one stream at most
AT_ONCE = 4  # streams that are read at the same time


class Drill(TypedDict):
    """What a service declares, so that a drill can compare its log with its streams."""

    container: str  # where the list is made
    command: list[str]  # what prints it
    through: str  # the container whose published ports lead to the streams
    health: str
    subscribe: str


PARSE = spec.record(
    {
        "container": (spec.short_name, ...),
        "command": (spec.list_of(spec.text), ...),
        "through": (spec.short_name, ...),
        "health": (spec.absolute, ...),
        "subscribe": (spec.absolute, ...),
    }
)


class ResumeError(RuntimeError):
    """Events of the log cannot be resumed; the message says which."""


class Listed(NamedTuple):
    """The events of the log by channel, in their order, and those of them that repeat an earlier one."""

    by_channel: dict[str, list[str]]
    repeated: set[str]

    @property
    def events(self) -> int:
        """How many there are, without those that repeat an earlier one."""
        return sum(map(len, self.by_channel.values())) - len(self.repeated)


def verify(running: Running, drill: Drill, key: str) -> Listed:
    """Resume every channel from its first event, and compare all ids.

    :param key: an API key that may subscribe to everything; empty where none is needed
    :raises ResumeError: something is lost, doubled or out of order, or does not answer
    """
    proxy = ready(running, drill)._replace(key=key)
    containers = running.named([drill["container"]])
    if not containers:
        raise ResumeError(f"{drill['container']} does not run, so nobody can list the log")
    code, output = running.engine.execute(containers[0].name, drill["command"], LIST_SECONDS)
    if code:
        raise ResumeError(f"the log could not be listed: {output[-500:]}")
    listed = parse(output)

    def problem_of(channels: Sequence[str]) -> str:
        return compare(proxy, drill, listed, channels)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        problems = [one for one in pool.map(problem_of, groups(list(listed.by_channel))) if one]
    if problems:
        more = f" (and {len(problems) - 1} further streams)" if problems[1:] else ""
        raise ResumeError(f"not every event of the backup can be resumed: {problems[0]}{more}")
    return listed


def ready(running: Running, drill: Drill) -> Endpoint:
    """Return the published port that leads to the streams, as soon as it answers."""
    deadline = time.monotonic() + READY_SECONDS
    while (found := serving(running.published(drill["through"]), drill["health"])) is None:
        if time.monotonic() > deadline:
            raise ResumeError(f"no published port of {drill['through']} answered within {READY_SECONDS:g} s")
        time.sleep(0.5)
    return found


def parse(output: str) -> Listed:
    """Read the list of the log."""
    by_channel: dict[str, list[str]] = {}
    repeated: set[str] = set()
    for line in output.splitlines():
        words = line.split(" ")
        if len(words) not in {2, 3}:
            raise ResumeError(f"the list of the log holds {line[:200]!r}: expected an id and a channel")
        by_channel.setdefault(words[1], []).append(words[0])
        if len(words) == 3:
            repeated.add(words[0])
    return Listed(by_channel, repeated)


def groups(channels: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the channels of each stream: one, or several where there are many."""
    size = min(CHANNELS, -(-len(channels) // STREAMS))
    for start in range(0, len(channels), size or 1):
        yield channels[start : start + size]


def position(identity: str) -> int:
    """Return where an event stands in the log, by its id."""
    return int(identity.partition("-")[0])


def compare(proxy: Endpoint, drill: Drill, listed: Listed, channels: Sequence[str]) -> str:
    """Resume some channels after their first event; return what is wrong, or nothing."""
    expected = sorted((one for channel in channels for one in listed.by_channel[channel]), key=position)
    firm = [one for one in expected[1:] if one not in listed.repeated]
    names = channels[0] if len(channels) == 1 else f"{channels[0]} and {len(channels) - 1} further channels"
    if not firm:
        return ""
    path = f"{drill['subscribe']}?{urlencode([('channel', one) for one in channels])}"
    try:
        got = resumed(proxy, path, expected[0], firm[-1])
    except ResumeError as error:
        return f"the stream of {names} after id {expected[0]}: {error}"
    wanted, may = set(firm), set(expected)
    lost = [one for one in firm if one not in set(got)]
    strange = [one for one in got if one not in may]
    if lost:
        return f"{len(lost)} of {len(firm)} events of {names} were not delivered, such as {lost[0]}"
    if strange or len(set(got)) != len(got) or [one for one in got if one in wanted] != firm:
        return (
            f"the events of {names} came doubled, out of order, or with ids that the log does not hold: {strange[:3]}"
        )
    return ""


def resumed(proxy: Endpoint, path: str, first: str, last: str) -> list[str]:
    """Return the ids of the events after an id up to another one, as a client reads them that reconnects.

    :raises ResumeError: for a gap, a refusal, or a stream that ends before the last event again and again
    """
    got: list[str] = []
    why = ""
    for __ in range(ATTEMPTS):
        try:
            for identity in events(proxy, path, got[-1] if got else first):
                got.append(identity)
                if identity == last:
                    return got
            why = "it ended"
        except HTTP_ERRORS as error:
            why = f"{type(error).__name__}: {error}"
        time.sleep(1)
    raise ResumeError(f"{len(got)} events came, and not the last one ({last}): {why}")


def events(proxy: Endpoint, path: str, after: str) -> Iterator[str]:
    """Yield the id of each event of a stream (WHATWG HTML, 9.2.6), until the stream ends."""
    connection = proxy.connect(QUIET_SECONDS)
    try:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": after, **proxy.credential}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            raise ResumeError(f"it was answered {Answer(response.status, response.read(1000).decode('replace')).shown}")
        name, has_data, identity = "", False, ""
        while raw := response.readline(1 << 24):
            line = raw.decode(errors="replace").rstrip("\r\n")
            field, __, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "id":
                identity = value
            elif field == "data":
                has_data = True
            elif not line:
                if name == "gap":
                    raise ResumeError("events are lost: it says that there is a gap")
                if name == "bye":
                    return
                if has_data and name != "cursor":
                    yield identity
                name, has_data = "", False
    finally:
        connection.close()
