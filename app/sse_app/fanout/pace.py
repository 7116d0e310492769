"""How soon the log is read again: a reading costs a round trip, whatever it brings.

Where nobody waits for a record, readings are a tenth of a second apart, or a twentieth where the platform's own
checks hold a stream, as they do on every replica. Where somebody else's stream is open or a publish is on its way, the
next reading follows at once, as long as records come one by one. When they come faster than that pays for, a few
milliseconds are left between two readings, so that one brings several: the more, the smaller the share of records is
that this replica has published. So many replicas do not read more often than a few of them do together.
"""

import asyncio
from collections.abc import Callable

_IDLE_SECONDS = 0.1  # between readings whose records nobody waits for
_WATCHED_SECONDS = 0.05  # the same where nobody but the platform's own checks waits
_BUSY_SECONDS = 0.008  # between readings that come fast
_PRESSED_SECONDS = 0.0007  # the same where every publish on its way waits for its record, and all records are its own
_FAST_SECONDS = 0.015  # readings that are closer than this on average come fast
_HELD_SECONDS = 1.0  # after somebody has asked for the newest records: who asks often begins a stream
_WEIGHT = 0.1  # of the newest interval in the average


class Pace:
    """Of one feed."""

    def __init__(self, waited: Callable[[], bool], watched: Callable[[], bool], pressed: Callable[[], bool]) -> None:
        """What the feed knows of those who wait.

        :param waited: whether anybody waits for records
        :param watched: whether the platform's own checks do
        :param pressed: whether nothing more will come before those that are waited for
        """
        self._waited = waited
        self._watched = watched
        self._pressed = pressed
        self._interval = _HELD_SECONDS  # average seconds between two readings
        self._read = 0.0  # when the last one ended, by the clock of the loop
        self._found = self._own = 1.0  # average records of a reading, and those that were published here
        self._held = 0.0  # until then there is no long rest
        self._timer: asyncio.TimerHandle | None = None
        self._rested: asyncio.Future[None] | None = None
        self.idle = False  # whether it rests because nobody waits

    @property
    def _pressed_seconds(self) -> float:
        return min(_PRESSED_SECONDS * self._found / max(self._own, 0.001), _BUSY_SECONDS)

    async def rest(self, found: int, own: int) -> None:
        """Wait until the log is to be read again, after a reading of so many records, some of them published here."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._interval += (min(now - self._read, _HELD_SECONDS) - self._interval) * _WEIGHT
        self._read = now
        self._found += (found - self._found) * _WEIGHT
        self._own += (own - self._own) * _WEIGHT
        self.idle = not self._waited() and now >= self._held
        if not self.idle and self._interval > _FAST_SECONDS:
            return
        self._rested = loop.create_future()
        if self.idle:
            self._end_in(_WATCHED_SECONDS if self._watched() else _IDLE_SECONDS)
        else:
            self._end_in(self._pressed_seconds if self._pressed() else _BUSY_SECONDS)
        try:
            await self._rested
        finally:
            self._end_in(None)
            self._rested, self.idle = None, False

    def hurry(self) -> None:
        """Somebody waits from now on: end a long rest."""
        if self.idle:
            self._end_in(0)

    def press(self) -> None:
        """Somebody waits for a record that is there: shorten a rest in which nothing more will come."""
        if self.idle:
            self._end_in(0)
        elif self._rested is not None and self._pressed():
            self._end_in(max(0.0, self._read + self._pressed_seconds - asyncio.get_running_loop().time()))

    def hold(self) -> None:
        """Somebody asks for the newest records, and may go on to wait for more."""
        self._held = asyncio.get_running_loop().time() + _HELD_SECONDS
        self.hurry()

    def _end_in(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._end)

    def _end(self) -> None:
        if self._rested is not None and not self._rested.done():
            self._rested.set_result(None)
