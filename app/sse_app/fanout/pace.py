"""How soon the log is read again: a reading costs a round trip, whatever it brings.

Where nobody waits for a record, readings are a tenth of a second apart. Where a stream is open or a publish is on its
way, the next reading follows at once, as long as records come one by one. When they come faster than that pays for, a
few milliseconds are left between two readings, so that one brings several records.
"""

import asyncio
from collections.abc import Callable

_IDLE_SECONDS = 0.1  # between readings whose records nobody waits for
_BUSY_SECONDS = 0.005  # between readings that come fast
_PRESSED_SECONDS = 0.002  # the same where every publish on its way has got its place in the log, and waits for it
_FAST_SECONDS = 0.01  # readings that are closer than this on average come fast
_HELD_SECONDS = 1.0  # after somebody has asked for the newest records: who asks often begins a stream
_WEIGHT = 0.1  # of the newest interval in the average


class Pace:
    """Of one feed."""

    def __init__(self, waited: Callable[[], bool], pressed: Callable[[], bool]) -> None:
        """`waited` tells whether anybody waits for records, `pressed` whether nothing more will come before them."""
        self._waited = waited
        self._pressed = pressed
        self._interval = _HELD_SECONDS  # average seconds between two readings
        self._read = 0.0  # when the last one ended, by the clock of the loop
        self._held = 0.0  # until then there is no long rest
        self._timer: asyncio.TimerHandle | None = None
        self._rested: asyncio.Future[None] | None = None
        self.idle = False  # whether it rests because nobody waits

    async def rest(self) -> None:
        """Wait until the log is to be read again."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        self._interval += (min(now - self._read, _HELD_SECONDS) - self._interval) * _WEIGHT
        self._read = now
        self.idle = not self._waited() and now >= self._held
        if not self.idle and self._interval > _FAST_SECONDS:
            return
        self._rested = loop.create_future()
        self._end_in(_IDLE_SECONDS if self.idle else _PRESSED_SECONDS if self._pressed() else _BUSY_SECONDS)
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
            self._end_in(max(0.0, self._read + _PRESSED_SECONDS - asyncio.get_running_loop().time()))

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
