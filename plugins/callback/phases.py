# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the platform's playbooks print: phases, what a run waits for, what changed, and what failed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: stdout
short_description: Show phases, what is waited for, what changed and what failed
version_added: 0.1.0
description:
  - A phase is a role that acts on the host. A task outside of such a role belongs to the phase of its play, or to the
    phase before it.
  - Shows nothing for a task that changes nothing. With C(-v) it names such tasks, and with C(-vv) it shows all results.
  - Shows a failure in full, with the lines of its C(msg) and of its C(advice).
  - Shows the list C(msg) of a task with the name C(Summary) as the last lines of the run.
  - Shows each entry of C(changes) in a result on a line of its own.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
author: sse.platform maintainers (@sse-platform)
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from ansible import constants, context
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback import CallbackBase
from ansible.utils.color import stringc
from ansible_collections.sse.platform.plugins.module_utils.views import status_table
from ansible_collections.sse.platform.plugins.plugin_utils import compiled_imports, progress, screen
from ansible_collections.sse.platform.plugins.plugin_utils.board import TURN_SECONDS, Board, duration
from ansible_collections.sse.platform.plugins.plugin_utils.outcome import Outcome, writing
from ansible_collections.sse.platform.plugins.plugin_utils.progress import Reader

if TYPE_CHECKING:
    from types import FrameType

    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.inventory.host import Host
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task
    from ansible.utils.display import Display
    from ansible.vars.manager import VariableManager
    from ansible_collections.sse.platform.plugins.module_utils.views.status_table import Status

# The roles that do something on the host. The others only declare, on the controller.
PHASES = ("docker", "network", "images", "stack", "verify", "doctor")
TICK = 10.0  # seconds between two lines about the same wait, where the output is not a terminal
REDRAW = 1.0  # seconds between two drawings of the waiting line on a terminal
LISTEN = 0.1  # seconds between two looks at what the hosts tell
# Ansible makes these from its configuration, so users' own colours hold here, too.
COLOR = SimpleNamespace(
    **{
        name: getattr(constants, f"COLOR_{name.upper()}")
        for name in ["changed", "debug", "error", "highlight", "ok", "skip", "warn"]
    }
)
LOOKS = {"comes": COLOR.debug, "works": "", "done": COLOR.ok, "failed": COLOR.error, "more": COLOR.debug}
COLLECT_EVERY = 50_000  # new objects; by Python's own 700, a run takes a tenth more CPU time
DOCUMENT = "SSE_DOCUMENT_DESCRIPTOR"  # the launcher names it where a program reads the answer
LOOKS_ONLY = "__looks"  # a variable of a play that changes nothing, and is not expected to
OWN_PHASE = "__phase"  # a variable of a play whose tasks outside of roles are a phase
OUTPUT_LINES = 25  # last lines of a failed command: enough for its error message, few enough for one screen


def phase_of(task: Task) -> str | None:
    """Returns the phase of a task, which is its outermost role; None for a task that stays in the current phase."""
    roles = [*(task.get_dep_chain() or []), task._role]  # noqa: SLF001 - as the callbacks of ansible-core do
    name = str(roles[0].get_name()).rsplit(".", 1)[-1] if roles[0] else None
    return name if name in PHASES else None


class Waiting:
    """What the run waits for: a line, and below it the containers that change. A thread of its own redraws it."""

    def __init__(self, display: Display, reader: Reader | None = None) -> None:
        """Prints nothing until `on` begins a wait."""
        self.display = display
        self.reader = reader
        self.board = Board()
        self.watched: dict[str, Status] = {}  # what was seen last of each host that is watched
        self.several_hosts = False
        self.terminal = screen.can_draw()
        self.what = ""
        self.since = 0.0
        self.drawn = False
        self.changed = threading.Condition()
        self.ended = False
        self.thread: threading.Thread | None = None

    def on(self, what: str) -> None:
        """Begins a wait, which replaces the one before; an empty text ends that one."""
        with self.changed:
            self.what, self.since = what, time.monotonic()
            if self.thread is None and not self.ended:
                self.thread = threading.Thread(target=self._tick, name="phases", daemon=True)
                self.thread.start()
                atexit.register(self.end)
            self.changed.notify()

    def end(self) -> None:
        """Stops the thread and clears the line; safe to call twice."""
        with self.changed:
            self.ended = True
            self.changed.notify()
        if self.thread is not None and self.thread is not threading.current_thread():
            self.thread.join()
            self.thread = None
        self.keep()

    def clear(self) -> None:
        """Removes what is drawn before something else is printed."""
        if self.drawn:
            self.display.display("\033[J", newline=False, screen_only=True)
            self.drawn = False

    def keep(self, host: str | None = None) -> None:
        """Prints for good what became of the containers of a host, or of all."""
        self.clear()
        with self.changed:
            self._read()
            for look, line in self.board.ended(host, hosts=self.several_hosts):
                self.display.display(line, color=LOOKS[look])
            if host is not None:
                self.board.forget(host)
            for line in self._seen(screen.size()[0] - 1) if self.terminal else ():
                self.display.display(line)
            self.watched.clear()

    def _read(self) -> bool:
        """Takes what the hosts have told; tells whether there was anything."""
        events = list(self.reader.events()) if self.reader else []
        for host, event in events:
            if "status" in event:
                self.watched[host] = event["status"]
            self.board.take(host, event)
        return bool(events)

    def _seen(self, width: int = 0) -> list[str]:
        """Lays out what is watched."""
        found: list[str] = []
        for host, seen in sorted(self.watched.items()):
            named = f"{host}, " if self.several_hosts else ""
            found += [f"{named}{seen['time']}", *status_table.lines(seen, width, screen.paint)]
        return found

    def _tick(self) -> None:
        with self.changed:
            since, next_at = 0.0, 0.0
            while not self.ended:
                if since != self.since:
                    since = self.since
                    next_at = since + (REDRAW if self.terminal else TICK)
                if not self.what:
                    self.clear()
                    self.changed.wait()
                    continue
                now = time.monotonic()
                if self._read():
                    if not self.terminal:
                        ended = [line for __, line in self.board.ended(hosts=self.several_hosts)]
                        for line in [*ended, *self._seen()]:
                            self.display.display(line)
                        self.watched.clear()
                    elif self.board.rows or self.watched:
                        next_at = now
                if now < next_at:
                    self.changed.wait(min(next_at - now, LISTEN))
                    continue
                self._draw(now - since)
                quick = TURN_SECONDS if self.board.rows else REDRAW
                next_at = now + (quick if self.terminal else TICK)

    def _draw(self, seconds: float) -> None:
        how_far = f" ({self.board.summary})" if self.board.summary else ""
        line = f"  ... {self.what}: {duration(round(seconds) if seconds >= 1 else seconds)}{how_far}"
        if not self.terminal:
            works = self.board.works
            self.display.display(line + (f": {works}" if works else ""), screen_only=True)
            return
        # All is drawn below the cursor, and the cursor goes back: what others print gets a clean line, and whatever
        # interrupts the run, or changes the width of the window, leaves the terminal as it was.
        columns, height = screen.size()
        if self.watched:
            drawn = self._seen(columns - 1)[: height - 2]
            self._show(drawn)
            return
        rows = self.board.lines(columns - 1, height - 3, hosts=self.several_hosts)
        drawn = [*(stringc(text, LOOKS[look]) if LOOKS[look] else text for look, text in rows)]
        drawn.append(self.board.cut(line, columns - 1))
        self._show(drawn)

    def _show(self, drawn: list[str]) -> None:
        picture = "".join(f"\n\r{one}" for one in drawn)
        self.display.display(f"\033[J{picture}\r\033[{len(drawn)}A", newline=False, screen_only=True)
        self.drawn = True


class CallbackModule(CallbackBase):
    """Prints phases instead of tasks."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "sse.platform.phases"

    def __init__(self) -> None:
        """Starts outside of any phase."""
        # This is loaded before anything runs, and a run is short. What is there now stays, so forks share its memory.
        gc.set_threshold(COLLECT_EVERY)
        gc.freeze()
        compiled_imports.install()
        super().__init__()
        directory = os.environ[progress.DIRECTORY] = getattr(constants, "DEFAULT_LOCAL_TMP")  # noqa: B009 - made as Ansible starts
        self._waiting = Waiting(self._display, Reader(directory))
        os.environ[screen.COLUMNS] = str(self._width() or "")
        self._documents: dict[str, dict[str, object]] = {}  # what a run answers, by host, for a program that asked
        self._whys: dict[str, str] = {}  # why a host failed
        self._started = time.monotonic()
        self._play = self._play_phase = ""
        self._looks = False  # a run that only looks says nothing about changes
        self._found: list[str] = []  # the first lines of findings
        self._several_hosts = False
        self._each_alone = False  # several hosts that know nothing of each other: a cluster's play is for groups
        self._phase = ""
        self._phase_since = self._started
        self._times: dict[str, float] = {}
        self._changes: dict[str, int] = {}
        self._hosts: list[str] = []
        self._outcome = Outcome()

    # -- where we are

    def v2_playbook_on_play_start(self, play: Play) -> None:
        self._play = str(play.get_name()).strip()
        if manager := play.get_variable_manager():
            self._watches(manager)
        self._looks = bool(play.get_vars().get(LOOKS_ONLY))
        self._play_phase = str(play.get_vars().get(OWN_PHASE, ""))
        manager = play.get_variable_manager()
        inventory = manager._inventory if manager else None  # noqa: SLF001 - the only way to the inventory
        hosts = inventory.get_hosts(play.hosts) if inventory else []
        self._several_hosts = self._waiting.several_hosts = len(hosts) > 1
        self._each_alone = self._several_hosts and play.hosts in ("all", ["all"])
        names = sorted(str(host) for host in hosts)
        if names and names != self._hosts:
            self._hosts = names
            self._say_where(hosts)

    def _watches(self, manager: VariableManager) -> None:
        """Lets Ctrl-C end a run that watches as if it had come to its end."""
        if not manager.extra_vars.get("asked_watch"):
            return
        passes_on = signal.getsignal(signal.SIGINT)

        def stop(number: int, frame: FrameType | None) -> None:
            self._waiting.end()
            if callable(passes_on):
                with contextlib.suppress(KeyboardInterrupt):
                    passes_on(number, frame)
            raise SystemExit(0)

        signal.signal(signal.SIGINT, stop)

    def _say_where(self, hosts: list[Host]) -> None:
        """Says which hosts the run acts on before it acts, where an inventory may mean others than one thinks."""
        addresses = [str(host.vars.get("ansible_host") or "") for host in hosts]
        named = [f"{host} ({at})" if at else str(host) for host, at in zip(hosts, addresses, strict=True)]
        more = f" and {len(named) - 10} more" if len(named) > 10 else ""
        exported = os.environ.get("ANSIBLE_INVENTORY", "")
        given = [str(one) for one in context.CLIARGS.get("inventory") or []]
        where = ", ".join(os.path.relpath(one) if one.startswith("/") else one for one in given)
        where += " (ANSIBLE_INVENTORY)" if exported and where.endswith(exported.split(",")[-1]) else ""
        said = f"sse: on {', '.join(named[:10])}{more}, by {where}"
        for line in status_table.wrapped([said], self._width()):
            self._display.display(line, stderr=True)

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        self._enter(task)

    def v2_playbook_on_handler_task_start(self, task: Task) -> None:
        self._enter(task)

    def v2_playbook_on_cleanup_task_start(self, task: Task) -> None:
        self._enter(task)

    def _enter(self, task: Task) -> None:
        phase = phase_of(task) or self._play_phase or self._phase or "prepare"
        if phase != self._phase:
            self._leave()
            self._phase = phase
            self._print(phase if phase in PHASES else self._play, COLOR.highlight)
        # A question is no wait: nothing may be drawn over it and its answer.
        self._waiting.on("" if task.action == "sse.platform.confirm" else task.name or task.action)

    def _leave(self) -> None:
        now = time.monotonic()
        if self._phase:
            self._times[self._phase] = self._times.get(self._phase, 0.0) + now - self._phase_since
        self._phase_since = now

    def _print(self, text: str, color: str | None = None) -> None:
        with self._waiting.changed:  # nothing is drawn in between
            self._waiting.clear()
            with writing():
                self._display.display(text, color=color)

    def _print_lines(self, value: object, indent: str, color: str | None = None) -> bool:
        """Prints each line of a text or of a list of texts; tells whether there was one."""
        lines = _lines(value)
        for line in lines:
            self._print(indent + line, color)
        return bool(lines)

    @staticmethod
    def _width() -> int:
        """Returns how wide a line may be; 0 where there is no terminal, and no line is wrapped."""
        return screen.size()[0] - 1 if screen.is_terminal() else 0

    def _line(self, word: str, result: CallbackTaskResult, color: str, label: str = "") -> None:
        where = f" [{self.host_label(result)}]" if self._several_hosts else ""
        name = result.task.name or result.task.action
        self._print(f"  {word}{where}: {name}" + (f": {label}" if label else ""), color)

    # -- what happened

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        data = result.result
        self._waiting.keep(result.host.get_name())
        if "document" in data:
            self._documents[result.host.get_name()] = data["document"]
        self._handle_warnings_and_exception(result)
        if isinstance(result.task, TaskInclude):
            return
        looped = result.task.loop and "results" in data
        if data.get("changed") and not looped:
            self._show_change(result)
        elif data.get("_ansible_verbose_always") and not looped:
            self._show_message(result)
        elif self._display.verbosity and not looped:
            self._line("ok", result, COLOR.ok)
        if self._display.verbosity > 1:
            self._print(self._dump_results(data))

    def v2_runner_item_on_ok(self, result: CallbackTaskResult) -> None:
        self._handle_warnings_and_exception(result)
        if result.result.get("changed"):
            self._show_change(result, self._label(result))
        elif result.result.get("_ansible_verbose_always"):
            self._show_message(result)

    def _label(self, result: CallbackTaskResult) -> str:
        label = self._get_item_label(result.result)
        return str(label if not isinstance(label, dict) else label.get("name", next(iter(label.values()), "")))

    def _show_change(self, result: CallbackTaskResult, label: str = "") -> None:
        self._changes[result.host.get_name()] = self._changes.get(result.host.get_name(), 0) + 1
        word = "would change" if context.CLIARGS.get("check") else "changed"
        self._line(word, result, COLOR.changed, label)
        self._print_lines(result.result.get("changes"), "    ", COLOR.changed)

    def _show_message(self, result: CallbackTaskResult) -> None:
        if DOCUMENT in os.environ:  # a program reads the answer, not these lines
            return
        data = dict(result.result)
        self._clean_results(data, result.task.action)
        if "msg" not in data:
            self._print(self._dump_results(data))
            return
        closing = result.task.name == "Summary"
        lines = _lines(data["msg"])
        indent = "" if closing else "  "
        if closing:
            self._print("")
            # What a look prints is laid out already, and its commands are copied.
            lines = lines if self._looks else status_table.wrapped(lines, self._width())
        if lines and self._each_alone and not result.task.run_once:
            self._print(f"{indent}{self.host_label(result)}:", COLOR.highlight)
        self._print_lines(lines, indent)

    def v2_on_file_diff(self, result: CallbackTaskResult) -> None:
        results = result.result["results"] if result.task.loop and "results" in result.result else [result.result]
        for one in results:
            if one.get("diff") and one.get("changed") and (text := self._get_diff(one["diff"])):
                self._line("diff", result, COLOR.changed)
                self._print(text.rstrip("\n"))

    def v2_runner_on_skipped(self, result: CallbackTaskResult) -> None:
        self._handle_warnings_and_exception(result)
        if self._display.verbosity:
            self._line("skipped", result, COLOR.skip)

    def v2_runner_item_on_skipped(self, result: CallbackTaskResult) -> None:
        self._handle_warnings_and_exception(result)

    def v2_runner_retry(self, result: CallbackTaskResult) -> None:
        data = result.result
        name = result.task.name or result.task.action
        since = self._waiting.since
        self._waiting.on(f"{name} (attempt {data['attempts'] + 1} of {data['retries'] + 1})")
        self._waiting.since = since

    # -- what failed

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        self._waiting.keep(result.host.get_name())
        if ignore_errors:
            self._handle_warnings(result.result)
            self._line("failed, ignored", result, COLOR.warn, next(iter(_lines(result.result.get("msg"))), ""))
            return
        findings = self._outcome.has_findings(result)
        if result.task.loop and "results" in result.result:
            self._handle_warnings_and_exception(result)
            return
        if findings:
            self._show_findings(result)
        else:
            self._show_failure("FAILED", result)

    def v2_runner_item_on_failed(self, result: CallbackTaskResult) -> None:
        self._show_failure("FAILED", result, self._label(result))

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self._show_failure("UNREACHABLE", result)

    def _show_findings(self, result: CallbackTaskResult) -> None:
        """Shows what a task was asked to find: it did its work, so nothing failed."""
        data = result.result
        self._handle_warnings(data)
        first, *rest = _lines(data.get("msg")) or [""]
        self._print("")
        self._print(f"{self.host_label(result)}: {first}" if self._several_hosts else first, COLOR.warn)
        self._print_lines(data.get("changes"), "    ", COLOR.changed)
        self._print_lines(rest, "")
        self._found.append(str(data.get("found") or first.rstrip(":")))
        if self._display.verbosity > 1:
            self._print(self._dump_results(data))

    def _show_failure(self, word: str, result: CallbackTaskResult, label: str = "") -> None:
        data = result.result
        told = data.get("msg") or _kept_message(result)
        self._whys[result.host.get_name()] = "\n".join(_lines(told))
        self._handle_warnings(data)
        self._print("")
        name = result.task.name or result.task.action
        what = f"{word} in {self._phase} on {self.host_label(result)}: {name}" + (f": {label}" if label else "")
        self._print(what, COLOR.error)
        self._print_lines(data.get("changes"), "    ", COLOR.changed)
        shown = self._print_lines(told, "  ", COLOR.error)
        for stream in ("stdout", "stderr", "module_stdout", "module_stderr"):
            if output := str(data.get(stream) or "").strip():
                self._print(f"  its {stream.removeprefix('module_')}:", COLOR.error)
                shown |= self._print_lines(output.splitlines()[-OUTPUT_LINES:], "    ")
        self._print_lines(data.get("advice"), "  -> ", COLOR.highlight)
        if self._display.verbosity or not shown:
            self._handle_exception(data)
            self._print(self._dump_results(data))
        if path := result.task.get_path():
            self._print(f"  ({path})", COLOR.debug)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        given = ", ".join(str(one) for one in context.CLIARGS.get("inventory") or [])
        self._outcome.no_host = True
        self._print(f"The inventory {given} has no host, so nothing was done.", COLOR.error)
        self._print("inventory/vm-example/hosts.yml shows how to write one.", COLOR.highlight)

    # -- the end

    def _write_document(self) -> None:
        """Writes what a program has asked for: one JSON document with an entry for each host."""
        descriptor = os.environ.get(DOCUMENT)
        if not descriptor:
            return
        hosts = [
            {"host": host, "error": "", **self._documents[host]}
            if host in self._documents
            else {"host": host, "error": self._whys.get(host, "it did not answer")}
            for host in self._hosts
        ]
        text = json.dumps({"format": 1, "hosts": hosts}, indent=2)
        with writing(), os.fdopen(os.dup(int(descriptor)), "w") as file:
            file.write(f"{text}\n")

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        self._leave()
        self._waiting.end()
        failed = sorted({*stats.failures, *stats.dark})
        self._write_document()
        if self._outcome.no_host:
            return
        total = duration(time.monotonic() - self._started)
        self._print("")
        if len(self._times) > 1:
            self._print("time: " + ", ".join(f"{phase} {duration(seconds)}" for phase, seconds in self._times.items()))
        word = self._outcome.word(stats)
        if failed:
            hosts = f" on {', '.join(failed)}" if self._several_hosts else ""
            found = "; ".join(dict.fromkeys(self._found))
            if word == "findings":
                self._print(f"{found}{hosts} (in {total})", COLOR.warn)
            else:
                self._print(f"{word} in {self._phase}{hosts} after {total}", COLOR.error)
            return
        changes = sum(self._changes.values())
        verb = "would change" if context.CLIARGS.get("check") else "changed"
        if self._looks and not changes:
            self._print(f"(in {total})", COLOR.debug)
            return
        text = f"{verb}: {changes}" if changes else f"nothing {verb}"
        self._print(f"{text} (in {total})", COLOR.changed if changes else COLOR.ok)


def _kept_message(result: CallbackTaskResult) -> str:
    """Return why a task with `no_log` failed: of its result, Ansible keeps only the chain of its errors."""
    event = getattr(result.exception, "event", None)
    while chain := getattr(event, "chain", None):
        event = chain.event
    return str(getattr(event, "msg", "")).removeprefix("Module failed: ")


def _lines(value: object) -> list[str]:
    if value is None or value == "":
        return []
    texts = cast("list[object]", value) if isinstance(value, list) else [value]
    return [line for text in texts for line in str(text).splitlines() or [""]]
