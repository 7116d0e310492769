#!/usr/bin/env python3
"""Print events as they come: CHANNEL ... [--last N | --since TIME | --from earliest] [--count N]; Ctrl-C ends it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

import api_client
from sse_client import Again, Bye, Client, Cursor, Gap, Message, SseError, Stream, StreamEvent, UnreachableError

OPEN_SECONDS = 10.0  # until the first stream is open
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = re.compile(r"(\d{1,9})([smhd])")


@dataclass
class Heard:
    """What was heard so far."""

    begun: float = field(default_factory=time.monotonic)
    opened: bool = False
    events: int = 0
    gaps: int = 0
    last_event_id: str = ""

    def take(self, event: StreamEvent, stream: Stream, options: argparse.Namespace) -> bool:
        """Count an event and print it; tell whether it counts for --count."""
        self.last_event_id = stream.last_event_id
        if not self.opened:
            self.opened = True
            sys.stderr.write(f"sse: listening to {', '.join(options.channels)}; Ctrl-C ends it\n")
        if isinstance(event, Cursor) or (
            isinstance(event, Message) and options.event and event.event not in options.event
        ):
            return False
        self.events += isinstance(event, Message)
        self.gaps += isinstance(event, Gap)
        api_client.write(line(event, as_json=options.json))
        return isinstance(event, Message)

    def summary(self) -> str:
        """Return one line about all of it."""
        text = f"sse: {self.events} event{'' if self.events == 1 else 's'} in {time.monotonic() - self.begun:.0f} s"
        text += f", {self.gaps} gap{'' if self.gaps == 1 else 's'}" if self.gaps else ""
        return text + (f"; --last-event-id {self.last_event_id} goes on from here" if self.last_event_id else "")


def main() -> int:
    """Listen until enough events came, the time is up, or somebody presses Ctrl-C."""
    parser = api_client.parser()
    parser.add_argument("channels", nargs="+", metavar="CHANNEL", help="such as news, orders.* or *")
    parser.add_argument("--event", action="append", default=[], metavar="NAME", help="show only events of this name")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--last", type=api_client.whole, metavar="N", help="begin with the newest N events")
    start.add_argument(
        "--since", type=moment, metavar="TIME", help="begin at a time, such as 10m (ago) or 2026-01-31T12:00:00Z"
    )
    start.add_argument("--from", choices=["earliest"], dest="begin", help="begin with the oldest event that is kept")
    start.add_argument("--last-event-id", default="", metavar="ID", help="begin after this event")
    parser.add_argument("--count", type=api_client.count, metavar="N", help="end after N events")
    parser.add_argument("--timeout", type=api_client.seconds, metavar="SECONDS", help="end after so many seconds")
    options = parser.parse_args()
    api_client.require_channels(options.channels, patterns=True)
    heard = Heard()
    ended = 0
    try:
        with api_client.client(options) as client:
            heard.begun = time.monotonic()
            ended = listen(options, client, heard)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # whoever reads the lines has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SseError as error:
        sys.stderr.write(f"{api_client.said(error)}\n")
        ended = 1
    except ValueError as error:
        raise SystemExit(f"sse: {error}. Nothing was done.") from None
    if heard.opened or not ended:
        sys.stderr.write(f"{heard.summary()}\n")
    return ended or (2 if heard.gaps else 0)


def listen(options: argparse.Namespace, client: Client, heard: Heard) -> int:
    """Print what comes until the end; return 1 where the time was too short for all of it."""

    def waiting(step: Again) -> None:
        if not heard.opened and time.monotonic() - heard.begun > OPEN_SECONDS:
            raise UnreachableError(f"no stream came about in {OPEN_SECONDS:.0f} s: {step.why}")
        if step.seconds >= 1:
            sys.stderr.write(f"sse: {api_client.on_one_line(step.why)}; trying again in {step.seconds:.0f} s\n")

    with client.stream(
        *options.channels,
        last_event_id=options.last_event_id,
        from_earliest=options.begin is not None,
        last=options.last,
        since=options.since,
        cursors=True,
        meta=len(options.channels) > 1 or "*" in options.channels[0],
        on_wait=waiting,
    ) as stream:
        timer = threading.Timer(options.timeout or 0, stream.close)
        timer.daemon = True
        if options.timeout:
            timer.start()
        try:
            for event in stream:
                if heard.take(event, stream, options) and heard.events == options.count:
                    return 0
        finally:
            timer.cancel()
    if options.count:
        sys.stderr.write(f"sse: only {heard.events} of {options.count} events came in time\n")
        return 1
    if not heard.opened:
        raise UnreachableError(f"no stream came about in {options.timeout:g} s")
    return 0


def line(event: Message | Gap | Bye, *, as_json: bool) -> str:
    """Return an event as one line; it names the channel where it could be one of several."""
    if as_json:
        fields = dataclasses.asdict(event)
        fields |= fields.pop("more", {})
        fields = {name: value for name, value in fields.items() if value or name not in ("channel", "time")}
        return api_client.as_json({"event": type(event).__name__.lower(), **fields})
    if isinstance(event, Message):
        channel = f"{event.channel}  " if event.channel else ""
        return api_client.on_one_line(f"{event.id}  {channel}{event.event}  {event.data}")
    if isinstance(event, Gap):
        lost = (
            f"gap: the events after {event.requested} are lost ({event.reason}); it goes on after {event.resumed_from}"
        )
        return api_client.on_one_line(lost)
    return api_client.on_one_line(f"bye: the service ends this stream ({event.reason}), and it begins again by itself")


def moment(text: str) -> float | str:
    """Read a time: a duration before now, seconds since 1970, or a date and time with its zone."""
    if found := DURATION.fullmatch(text):
        return max(0.0, time.time() - int(found[1]) * UNITS[found[2]])  # nothing is older than 1970
    if re.fullmatch(r"\d{1,11}(\.\d{1,9})?", text):
        return text
    try:
        found_time = datetime.fromisoformat(text)
    except ValueError:
        found_time = None
    if found_time is None or found_time.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"found '{text}'; expected how long ago (90s, 10m, 2h, 1d), a time with its zone "
            "(2026-01-31T12:00:00Z), or seconds since 1970"
        )
    return found_time.isoformat()


if __name__ == "__main__":
    sys.exit(main())
