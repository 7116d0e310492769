# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The lock of a stack: one run at a time changes it. It says who holds it, and it ends with the run that holds it."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy import lock_holder
from ansible_collections.sse.platform.plugins.module_utils.deploy.lock_holder import started
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read as read_text
from ansible_collections.sse.platform.plugins.module_utils.host.state_modes import STATE
from ansible_collections.sse.platform.plugins.module_utils.model import moment

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

FILE = "lock"
PAUSE = 0.2  # seconds between two tries
MOMENT = 0.5  # seconds in which a holder that was told to end, or somebody who only looks, lets go


class Claim(TypedDict):
    """Who holds the lock. The file holds this as JSON."""

    asked: str  # the verb
    who: str
    where: str  # the controller, by its name
    when: str
    controller: str  # the controller, by what no other machine has
    process: str  # the controller's process and its start, as in 123:456
    holder: str  # the process on this host that holds the lock, in the same form
    over: str  # "yes" once it has no step left at which it could wait or go back


class LockedError(RuntimeError):
    """Another run holds the lock. The message says who, since when, and how to wait."""


def this_machine() -> str:
    """Name this machine, and this namespace of process ids, so that no other has the same name."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - it is no path


def process(pid: int) -> str:
    """Name a process so that no later one has the same name."""
    return f"{pid}:{started(str(pid))}"


def claim_of(run: Mapping[str, Any]) -> Claim:
    """Return what a run says of itself; what it does not say is empty."""
    nobody = dict.fromkeys(Claim.__annotations__, "")
    return cast("Claim", {**nobody, **{key: str(run[key]) for key in nobody if key in run}})


def holder_of(state_directory: str) -> Claim | None:
    """Return who holds the lock; None where nobody does."""
    try:
        with (Path(state_directory) / FILE).open() as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return read(stream)
    except OSError:
        pass
    return None


def read(stream: IO[str]) -> Claim:
    """Read the claim of whoever holds the lock; an earlier version of this collection wrote only a process id."""
    stream.seek(0)
    text = stream.read()
    with contextlib.suppress(ValueError, TypeError):
        return claim_of(json.loads(text))
    return claim_of({"holder": text.strip()})


def is_over(claim: Claim, run: Mapping[str, Any]) -> bool:
    """Tell whether a claim is of a run that was killed: it is of the same controller, whose process is gone.

    A run that waits has the list of those alive from its own beginning, so it knows nothing of a run that began later.
    """
    if not claim["controller"] or claim["controller"] != run.get("controller"):
        return False
    if claim["when"] > str(run.get("when", "")) > "":
        return False
    return claim["process"] not in run.get("alive", [])


def is_own(claim: Claim, run: Mapping[str, Any]) -> bool:
    """Tell whether a run holds the lock itself."""
    return bool(claim["process"]) and all(claim[key] == run.get(key) for key in ("controller", "process"))


def end(holder: str) -> None:
    """End the process that holds the lock, unless another process has got its number."""
    pid, __, start = holder.partition(":")
    if start and started(pid) == start:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def wait(state_directory: str, run: Mapping[str, Any], seconds: float) -> None:
    """Wait until nobody else holds the lock.

    :raises LockedError: somebody still does
    """
    deadline = time.monotonic() + seconds
    with waiting():
        while (claim := holder_of(state_directory)) and not is_own(claim, run) and not is_over(claim, run):
            if time.monotonic() >= deadline:
                raise LockedError(refusal(claim, seconds))
            time.sleep(PAUSE)


@contextlib.contextmanager
def waiting() -> Generator[None]:
    """Call this process so while it waits that the holder of the lock does not take it for work of its own run."""
    name = Path("/proc/self/comm")  # proc_pid_comm(5)
    before = read_text(name)
    with contextlib.suppress(OSError):
        name.write_text(lock_holder.WAITS)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            name.write_text(before)


def refusal(claim: Claim, waited: float) -> str:
    """Say who holds the lock and since when, and how to wait."""
    after = f" after {waited:.0f} s" if waited else ""
    return (
        f"Another run still changes this stack{after}: {named(claim)} is not done. This run changes nothing more. "
        "--wait waits until it ends, and --wait 60 does so for at most 60 seconds."
    )


def named(claim: Claim) -> str:
    """Say which run holds the lock, whose it is, and since when."""
    verb = f"./sse {claim['asked']}" if claim["asked"] else "a run"
    who = f" of {claim['who']} on {claim['where']}" if claim["who"] else f" (process {claim['holder'] or 'unknown'})"
    since = f", since {claim['when']}{age(claim['when'])}," if claim["when"] else ""
    return f"{verb}{who}{since}"


def lines(state_directory: str) -> list[str]:
    """Return a line about the run that changes the stack now, for whoever only looks at it."""
    claim = holder_of(state_directory)
    return [f"A RUN CHANGES THIS STACK NOW: {named(claim)} is not done"] if claim else []


@contextlib.contextmanager
def undisturbed(state_directory: str, run: Mapping[str, Any], seconds: float = 0) -> Generator[None]:
    """Let nothing count that was seen while another run worked: it may be half written, and so may be its faults.

    Nothing is locked, so that whoever only looks holds up nobody. A run that was killed counts while its work goes on.

    :param seconds: how long to wait for another run at the beginning
    :raises LockedError: another run works at the beginning or at the end, or has worked meanwhile
    """
    deadline = time.monotonic() + max(seconds, MOMENT)
    with waiting():
        while (claim := holder_of(state_directory)) and not is_own(claim, run):
            if time.monotonic() >= deadline:
                raise LockedError(unseen(claim, run))
            time.sleep(PAUSE)
    before = taken(state_directory)
    failed: Exception | None = None
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it may come from what is half written, and is raised again otherwise
        failed = error
    claim = holder_of(state_directory)
    if (claim and not is_own(claim, run)) or (taken(state_directory) != before and not claim):
        raise LockedError(unseen(claim or last(state_directory), run)) from failed
    if failed:
        raise failed


def taken(state_directory: str) -> tuple[int, int]:
    """Return what differs once the lock was taken again: each run writes into its file who it is."""
    try:
        found = (Path(state_directory) / FILE).stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino


def last(state_directory: str) -> Claim:
    """Return who took the lock last."""
    try:
        with (Path(state_directory) / FILE).open() as stream:
            return read(stream)
    except OSError:
        return claim_of({})


def unseen(claim: Claim, run: Mapping[str, Any]) -> str:
    """Say why what was seen does not count."""
    killed = " It was killed, and what it began goes on; the next ./sse up ends that." if is_over(claim, run) else ""
    return (
        f"Another run changes this stack: {named(claim)} was at work while this one looked.{killed} What may be half "
        "written is not judged, and nothing was changed. Ask again when it is done: ./sse status says so, ./sse plan "
        "--wait waits for it, and ./sse abort has a rollout go back."
    )


def age(when: str) -> str:
    """Return how long ago a time was, as in " (3 min)"."""
    begun = moment.seconds(when)
    if begun is None:
        return ""
    seconds = max(0, round(time.time() - begun))
    return f" ({seconds} s ago)" if seconds < 120 else f" ({seconds // 60} min ago)"


def take(state_directory: str, run: Mapping[str, Any], seconds: float) -> IO[str] | None:
    """Take the lock, and return the open file that holds it; None where a process of this run holds it already.

    :param seconds: how long to wait for another run
    :raises LockedError: another run holds it
    """
    with waiting():
        return taken_within(state_directory, run, seconds)


def taken_within(state_directory: str, run: Mapping[str, Any], seconds: float) -> IO[str] | None:
    """Take the lock as `take` does."""
    deadline = time.monotonic() + max(seconds, MOMENT)
    stream = opened(Path(state_directory))
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim = read(stream)
            if is_own(claim, run) or claim == {**claim_of(run), "holder": process(os.getpid()), "over": claim["over"]}:
                stream.close()
                return None
            if is_over(claim, run):
                end(claim["holder"])
            if time.monotonic() >= deadline:
                stream.close()
                raise LockedError(refusal(claim, seconds)) from None
            time.sleep(PAUSE / 4)
        else:
            if is_in_place(stream, Path(state_directory)):
                sign(stream, run, process(os.getpid()))
                return stream
            stream.close()  # the run that held it removed the directory, and another one may have made it again
            stream = opened(Path(state_directory))


def opened(directory: Path) -> IO[str]:
    """Open the file of the lock; it is made where it is missing."""
    if not directory.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(STATE)
    descriptor = os.open(directory / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    return os.fdopen(descriptor, "a+")


def is_in_place(stream: IO[str], directory: Path) -> bool:
    """Tell whether an open file is still the one that others open by its name."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), (directory / FILE).lstat())
    except OSError:
        return False


def sign(stream: IO[str], run: Mapping[str, Any], holder: str) -> None:
    """Write into the file who holds it now."""
    stream.seek(0)
    stream.truncate(0)
    stream.write(json.dumps({**claim_of(run), "holder": holder}))
    stream.flush()


def say_over(state_directory: str) -> None:
    """Write into the file that the run which holds the lock has no step left at which it could wait or go back."""
    with contextlib.suppress(OSError), (Path(state_directory) / FILE).open("r+") as stream:
        claim = read(stream)
        sign(stream, {**claim, "over": "yes"}, claim["holder"])


@contextlib.contextmanager
def locked(state_directory: str, run: Mapping[str, Any], seconds: float = 0) -> Generator[None]:
    """Hold the lock while this process works, unless the run holds it already; raises LockedError."""
    stream = take(state_directory, run, seconds)
    try:
        yield
    finally:
        if stream:
            stream.close()


def keep(state_directory: str, run: Mapping[str, Any], seconds: float = 0) -> bool:
    """Take the lock for the rest of the run, with a process that holds it; raises LockedError.

    Return whether the run has to give it back, because its holder cannot see the controller's process end.
    """
    far = run.get("controller") != this_machine()
    stream = take(state_directory, run, seconds)
    if stream:
        specification = importlib.util.find_spec(lock_holder.__name__)
        loader: Any = specification and specification.loader
        source = loader.get_source(lock_holder.__name__)
        watched = "" if far else str(run["process"])
        held = subprocess.Popen(
            [sys.executable, "-c", source, watched],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            pass_fds=[stream.fileno()],
        )
        sign(stream, run, process(held.pid))
        stream.close()
    return far


def give_back(state_directory: str, run: Mapping[str, Any]) -> None:
    """End the process that holds the lock for this run."""
    claim = holder_of(state_directory)
    if claim and is_own(claim, run):
        end(claim["holder"])
