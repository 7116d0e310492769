"""Deadlines of one length, with one timer for all of them: a timer for each took a tenth of the time of a publish."""

import asyncio
from types import TracebackType


class Deadlines:
    """Gives deadlines of `seconds`: each begins later than the one before it, so it also ends later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[Deadline, float] = {}  # in the order of their ends, each with its end
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> "Deadline":
        """A deadline for `with`, from now on."""
        return Deadline(self)

    def add(self, deadline: "Deadline", loop: asyncio.AbstractEventLoop) -> None:
        """Watch a deadline."""
        self._running[deadline] = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._look, loop)

    def remove(self, deadline: "Deadline") -> None:
        """Watch it no longer."""
        self._running.pop(deadline, None)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """End what is due, and come back when the next one is."""
        self._timer = None
        now = loop.time()
        for deadline, end in list(self._running.items()):
            if end > now:
                self._timer = loop.call_at(end, self._look, loop)
                return
            del self._running[deadline]
            deadline.end()


class Deadline:
    """As asyncio.timeout(): cancels what its task waits for, and makes a TimeoutError of that."""

    __slots__ = ("_all", "_cancelling", "_ended", "_task")

    def __init__(self, of: Deadlines) -> None:
        self._all = of
        self._ended = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a task")
        self._task, self._cancelling = task, task.cancelling()
        self._all.add(self, task.get_loop())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.remove(self)
        # Somebody else may have cancelled the task as well: that must reach them as it is.
        if self._ended and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def end(self) -> None:
        """Interrupt the task."""
        self._ended = True
        self._task.cancel()
