"""One stream as the fan-out sees it, and the group of those that get the same bytes."""

import asyncio
from array import array

from sse_app.base.account import Account
from sse_app.base.channels import Filter
from sse_app.fanout.event_stream import Heartbeat
from sse_app.fanout.ring import Entry
from sse_app.fanout.socket_writer import CLOSED, SocketWriter


class Subscriber:
    """One stream: where to write, which events it wants, and how far it has come."""

    __slots__ = (
        "account", "cursor", "ending", "group", "heard", "heartbeat", "live", "lost", "paused", "place", "reason",
        "slot", "told", "waiter", "wanted", "writer",
    )  # fmt: skip

    def __init__(self, wanted: Filter, cursor: int, heartbeat: Heartbeat) -> None:
        self.wanted = wanted
        self.account: Account | None = None  # None: nobody counts what it takes
        self.cursor = cursor  # last offset considered; while live, ask Hub.considered()
        self.told = -1  # where the log was cut, if this stream was told of that before it has come to the marker
        self.heard = ""  # the newest id that it got by other ways than an event
        self.heartbeat: Heartbeat = heartbeat
        self.writer: SocketWriter | None = None  # None: the stream writes by send() and is never live
        self.group: Group | None = None
        self.place = -1  # in Group.order
        self.slot = 0
        self.live = False
        self.paused = False  # the transport holds more than it should
        self.lost = False  # the connection is gone
        self.ending = False
        self.reason = ""  # for the end, as `bye` tells it; empty: no bye
        self.waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Wake the task of the stream."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def notified(self) -> asyncio.Future[None]:
        """A future that the next notify() completes."""
        self.waiter = asyncio.get_running_loop().create_future()
        return self.waiter

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for notify(); False when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.notified()
        except TimeoutError:
            return False
        return True

    def end(self, reason: str = "") -> None:
        """Ask the stream to end itself; it says bye where a reason is given."""
        if not self.ending:  # the first reason stands: after a change of the log no bye may carry an id
            self.ending, self.reason = True, reason
        self.notify()

    def pause(self) -> None:
        """Take note that the buffer of the transport is over its limit."""
        self.paused = True

    def resume(self) -> None:
        """Take note that the buffer of the transport is nearly empty again."""
        self.paused = False
        self.notify()

    def lose(self) -> None:
        """Take note that the connection is gone."""
        self.lost = True
        if self.writer is not None:
            self.writer.close()
        if self.group is not None:
            self.group.note(self)
        self.notify()


class Group:
    """Live subscribers with equal filters."""

    __slots__ = ("descriptors", "done", "frames", "last", "members", "order", "sweeping", "wanted")

    def __init__(self, wanted: Filter) -> None:
        self.wanted = wanted
        self.members: dict[Subscriber, None] = {}
        self.order: list[Subscriber] | None = None  # of a sweep, each at its place; None: to be made anew
        self.descriptors = array("i")  # in that order: a sweep of these touches nothing else of a subscriber
        self.frames: list[bytes] = []
        self.last: Entry | None = None  # of the newest frame, so that two matching patterns give one copy
        self.sweeping: int | None = None  # the offset at which the running sweep began, if it touches this group
        self.done = 0  # places that the running sweep has passed

    def note(self, subscriber: Subscriber) -> None:
        """Take note whether a sweep may still write to the descriptor of a member."""
        if self.order is not None and subscriber.writer is not None:
            self.descriptors[subscriber.place] = subscriber.writer.direct

    def ordered(self) -> list[Subscriber]:
        """The members in the order of a sweep."""
        if self.order is None:
            self.order = list(self.members)
            self.descriptors = array("i", [CLOSED]) * len(self.order)
            for place, subscriber in enumerate(self.order):
                subscriber.place = place
                self.note(subscriber)
        return self.order
