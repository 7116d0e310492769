"""The lock of a stack: who holds it, how it ends with its run, and what a second run is told."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import lock_holder, run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.run_lock import LockedError

ROOT = Path(__file__).resolve().parents[3]
KEEP = """
import json, sys
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
print(run_lock.keep(sys.argv[1], json.loads(sys.argv[2])))
"""


def controller_process() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"])


def run_of(controller: subprocess.Popen[bytes], machine: str = "", **more: Any) -> dict[str, Any]:
    """What a run says of itself."""
    process = run_lock.process(controller.pid)
    told = {"asked": "up", "who": "ann", "where": "laptop", "when": "2026-11-28T09:47:46Z"}
    return {**told, "controller": machine or run_lock.this_machine(), "process": process, "alive": [process], **more}


def keep(directory: Path, run: dict[str, Any]) -> str:
    """Take the lock in a process that ends at once, as a module does."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".ansible" / "collections")}
    done = subprocess.run(
        [sys.executable, "-c", KEEP, str(directory), json.dumps(run)],
        env=environment, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def freed(directory: Path, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while run_lock.holder_of(str(directory)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def first():
    controller = controller_process()
    yield controller
    controller.kill()
    controller.wait()


@pytest.fixture
def second():
    controller = controller_process()
    yield controller
    controller.kill()
    controller.wait()


def test_the_lock_outlives_the_module_and_ends_with_the_process_of_its_controller(tmp_path: Path, first: Any) -> None:
    assert keep(tmp_path, run_of(first)) == "False"  # nothing has to give it back
    held = run_lock.holder_of(str(tmp_path))
    assert held
    assert held["who"] == "ann"
    first.kill()
    first.wait()
    assert freed(tmp_path)


def test_a_second_run_is_told_who_holds_it_since_when_and_how_to_wait(tmp_path: Path, first: Any, second: Any) -> None:
    keep(tmp_path, run_of(first))
    alive = [run_lock.process(one.pid) for one in (first, second)]
    with pytest.raises(LockedError) as refused, run_lock.locked(str(tmp_path), run_of(second, who="bob", alive=alive)):
        pass
    for part in ("./sse up of ann on laptop", "since 2026-11-28T09:47:46Z (", "ago)", "--wait 60"):
        assert part in str(refused.value)
    with pytest.raises(LockedError):
        run_lock.wait(str(tmp_path), run_of(second, alive=alive), 0)
    held = run_lock.holder_of(str(tmp_path))
    assert held
    assert held["who"] == "ann"


def test_the_modules_of_the_run_that_holds_it_pass(tmp_path: Path, first: Any) -> None:
    run = run_of(first)
    keep(tmp_path, run)
    run_lock.wait(str(tmp_path), run, 0)
    with run_lock.locked(str(tmp_path), run):
        assert run_lock.holder_of(str(tmp_path))
    assert run_lock.holder_of(str(tmp_path))  # the module did not give back what the run holds


def test_a_run_may_wait_and_gets_the_lock_when_the_other_one_ends(tmp_path: Path, first: Any, second: Any) -> None:
    alive = [run_lock.process(one.pid) for one in (first, second)]
    keep(tmp_path, run_of(first))
    with pytest.raises(LockedError, match="after 1 s"):
        run_lock.wait(str(tmp_path), run_of(second, alive=alive), 1)

    def let_go() -> None:
        first.kill()
        first.wait()

    threading.Timer(0.5, let_go).start()
    run_lock.wait(str(tmp_path), run_of(second, alive=alive), 20)
    with run_lock.locked(str(tmp_path), run_of(second, alive=alive), 20):
        held = run_lock.holder_of(str(tmp_path))
    assert held
    assert held["process"] == run_lock.process(second.pid)
    assert run_lock.holder_of(str(tmp_path)) is None


def test_a_run_that_waited_while_the_directory_was_removed_holds_a_lock_that_others_see(
    tmp_path: Path, first: Any, second: Any
) -> None:
    """`./sse destroy` deletes the directory with the lock that a waiting run has already opened."""
    state = tmp_path / "state"
    alive = [run_lock.process(one.pid) for one in (first, second)]
    removing = run_lock.take(str(state), run_of(first, alive=alive), 0)
    assert removing
    waiting = threading.Event()

    def remove() -> None:
        waiting.wait(60)
        shutil.rmtree(state)
        removing.close()

    helper = threading.Thread(target=remove)
    helper.start()
    threading.Timer(0.5, waiting.set).start()
    with run_lock.locked(str(state), run_of(second, alive=alive), 60):
        held = run_lock.holder_of(str(state))
    helper.join()
    assert held
    assert held["process"] == run_lock.process(second.pid)


def test_a_run_over_ssh_that_was_killed_does_not_stop_its_own_controller(
    tmp_path: Path, first: Any, second: Any
) -> None:
    """The host cannot see the process of a controller that is another machine, but that machine can."""
    assert keep(tmp_path, run_of(first, "vm-9")) == "True"
    first.kill()
    first.wait()
    assert not freed(tmp_path, 0.7)
    alive = [run_lock.process(second.pid)]
    elsewhere = run_of(second, "vm-10", alive=alive)
    with pytest.raises(LockedError), run_lock.locked(str(tmp_path), elsewhere):
        pass
    again = run_of(second, "vm-9", alive=alive)
    run_lock.wait(str(tmp_path), again, 0)
    assert keep(tmp_path, again) == "True"
    run_lock.give_back(str(tmp_path), elsewhere)  # it is not its own
    assert run_lock.holder_of(str(tmp_path))
    run_lock.give_back(str(tmp_path), again)
    assert freed(tmp_path)


def test_a_holder_of_a_far_run_ends_when_nothing_of_ansible_runs_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_holder, "LAPSE", 0.3)
    monkeypatch.setattr(lock_holder, "PAUSE", 0.01)
    monkeypatch.setattr(lock_holder, "SIGNS", (b"sign-of-this-test",))
    seen: list[float] = []
    begun = time.monotonic()
    since = int(lock_holder.started("self"))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1.5)", "sign-of-this-test"]):
        while not lock_holder.is_active(since):  # a new process shows its command line a moment later
            assert time.monotonic() - begun < 1.5
        assert not lock_holder.is_active(since + 10**9)  # what is older than the holder is of another run
        lock_holder.main("")
        seen.append(time.monotonic() - begun)
    assert 1.5 < seen[0] < 10


WAIT = """
import sys
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
held = getattr(run_lock, sys.argv[1])(sys.argv[2], {}, 60)
if held:
    held.__enter__()
"""


@pytest.mark.parametrize("way", ["wait", "locked", "undisturbed"])
def test_who_waits_for_the_lock_does_not_count_as_work_of_the_run_that_holds_it(
    tmp_path: Path, first: Any, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Over SSH it is a module below a shell and sudo, which wait with it."""
    monkeypatch.setattr(lock_holder, "SIGNS", (f"sign-of-{way}".encode(),))
    since = int(lock_holder.started("self"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".ansible" / "collections")}
    command = [sys.executable, "-c", WAIT, way, str(tmp_path)]
    held = run_lock.take(str(tmp_path), run_of(first, "vm-9"), 0)
    assert held
    deadline = time.monotonic() + 30
    waits = subprocess.Popen(["/bin/sh", "-c", f'"$@"; : sign-of-{way}', "sh", *command], env=environment)
    works = None
    try:
        while not lock_holder.is_active(since):  # a new process shows its command line a moment later
            assert time.monotonic() < deadline
        while lock_holder.is_active(since):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        works = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", f"sign-of-{way}"])
        while not lock_holder.is_active(since):
            assert time.monotonic() < deadline
    finally:
        held.close()
        if works:
            works.kill()
            works.wait()
        waits.wait(30)


def test_a_process_that_has_waited_has_its_own_name_again(tmp_path: Path) -> None:
    before = Path("/proc/self/comm").read_text()
    run_lock.wait(str(tmp_path), {}, 1)
    with run_lock.locked(str(tmp_path), {}):
        assert Path("/proc/self/comm").read_text() == before
    with run_lock.undisturbed(str(tmp_path), {}):
        assert Path("/proc/self/comm").read_text() == before


def test_what_an_earlier_version_wrote_is_understood(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w+") as stream:
        stream.write("1317")
        stream.flush()
        fcntl.flock(stream, fcntl.LOCK_EX)
        held = run_lock.holder_of(str(tmp_path))
        assert held
        assert held["holder"] == "1317"
        with pytest.raises(LockedError, match="process 1317"):
            run_lock.wait(str(tmp_path), {}, 0)


def test_where_nothing_is_locked_nothing_is_made(tmp_path: Path) -> None:
    directory = tmp_path / "none"
    run_lock.wait(str(directory), {}, 0)
    assert run_lock.holder_of(str(directory)) is None
    assert not directory.exists()


def seen_while(directory: Path, work: Any) -> str:
    """What is said of a look during which somebody did this, and in which something looked wrong."""
    try:
        with run_lock.undisturbed(str(directory), {}):
            work()
            raise KeyError("a fault of what is half written")
    except LockedError as error:
        return str(error)


def test_what_is_seen_while_another_run_works_counts_for_nothing(tmp_path: Path, first: Any) -> None:
    directory, run = str(tmp_path), run_of(first)
    with run_lock.undisturbed(directory, {}):  # nobody works
        pass
    with pytest.raises(KeyError), run_lock.undisturbed(directory, {}):
        raise KeyError("a fault of its own stays")
    assert "./sse up of ann on laptop, since 2026-11-28T09:47:46Z" in seen_while(tmp_path, lambda: keep(tmp_path, run))
    assert run_lock.lines(directory)[0].startswith("A RUN CHANGES THIS STACK NOW: ./sse up of ann on laptop, since ")
    told = seen_while(tmp_path, lambda: pytest.fail("it does not even look"))
    assert "was at work" in told
    assert "--wait waits" in told
    with run_lock.undisturbed(directory, run):  # the run itself
        pass
    first.kill()
    first.wait()
    assert freed(tmp_path)
    assert run_lock.lines(directory) == []

    def begin_and_end() -> None:
        held = run_lock.take(directory, run, 0)
        assert held
        held.close()

    assert "of ann on laptop" in seen_while(tmp_path, begin_and_end)


def test_the_work_of_a_run_that_was_killed_is_named_as_that(tmp_path: Path, first: Any) -> None:
    run = run_of(first)
    looks = {"controller": run["controller"], "process": "1:1", "alive": ["1:1"]}
    with run_lock.locked(str(tmp_path), run):  # a module goes on, whose controller is gone
        first.kill()
        first.wait()
        killed = pytest.raises(LockedError, match="It was killed, and what it began goes on")
        with killed, run_lock.undisturbed(str(tmp_path), looks):
            pass


def test_a_wait_ends_when_the_other_run_does(tmp_path: Path, first: Any) -> None:
    held = run_lock.take(str(tmp_path), run_of(first), 0)
    assert held
    threading.Timer(1, held.close).start()
    with run_lock.undisturbed(str(tmp_path), {}, 20):
        pass


@pytest.mark.parametrize("run", [{}, {"controller": "here", "process": "1:2"}])
def test_a_run_may_take_the_lock_again_while_it_holds_it(tmp_path: Path, run: dict[str, Any]) -> None:
    with run_lock.locked(str(tmp_path), run):
        with run_lock.locked(str(tmp_path), run):
            run_lock.say_over(str(tmp_path))
        held = run_lock.holder_of(str(tmp_path))
        assert held
        assert (held["holder"], held["over"]) == (run_lock.process(os.getpid()), "yes")
        with pytest.raises(LockedError), run_lock.locked(str(tmp_path), {"process": "3:4"}):
            pass
    assert run_lock.holder_of(str(tmp_path)) is None


def test_a_run_that_waits_ends_none_that_began_after_it(tmp_path: Path) -> None:
    here = {"controller": "here", "alive": ["1:2"]}
    waits = {**here, "process": "1:2", "when": "2026-11-28T09:47:46Z"}
    later = {**here, "process": "3:4", "when": "2026-11-28T09:47:47Z"}
    earlier = {**later, "when": "2026-11-28T09:47:45Z"}
    assert not run_lock.is_over(run_lock.claim_of(later), waits)
    assert run_lock.is_over(run_lock.claim_of(earlier), waits)
