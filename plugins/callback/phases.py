# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the platform's playbooks print: phases, what a run waits for, what changed, and what failed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: stdout
short_description: Show phases, what is waited for, what changed and what failed
version_added: 0.1.0
description:
  - A phase is a role that acts on the host. A task outside of such a role belongs to the phase before it.
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
import gc
import os
import shutil
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from ansible import constants, context
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback import CallbackBase
from ansible_collections.sse.platform.plugins.plugin_utils.outcome import Outcome

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult
    from ansible.inventory.host import Host
    from ansible.playbook.play import Play
    from ansible.playbook.task import Task
    from ansible.utils.display import Display

# The roles that do something on the host. The others only declare, on the controller.
PHASES = ("docker", "network", "images", "stack", "verify", "doctor")
TICK = 10.0  # seconds between two lines about the same wait, where the output is not a terminal
REDRAW = 1.0  # seconds between two drawings of the waiting line on a terminal
# Ansible makes these from its configuration, so users' own colours hold here, too.
COLOR = SimpleNamespace(
    **{
        name: getattr(constants, f"COLOR_{name.upper()}")
        for name in ["changed", "debug", "error", "highlight", "ok", "skip", "warn"]
    }
)
COLLECT_EVERY = 50_000  # new objects; by Python's own 700, a run takes a tenth more CPU time
OUTPUT_LINES = 25  # last lines of a failed command: enough for its error message, few enough for one screen


def duration(seconds: float) -> str:
    """Returns a time as a person reads it: 0.4 s, 12 s, 3 min 05 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def phase_of(task: Task) -> str | None:
    """Returns the phase of a task, which is its outermost role; None for a task that stays in the current phase."""
    roles = [*(task.get_dep_chain() or []), task._role]  # noqa: SLF001 - as the callbacks of ansible-core do
    name = str(roles[0].get_name()).rsplit(".", 1)[-1] if roles[0] else None
    return name if name in PHASES else None


class Waiting:
    """The line that says what the run waits for. A thread of its own redraws it."""

    def __init__(self, display: Display) -> None:
        """Prints nothing until `on` begins a wait."""
        self.display = display
        self.terminal = sys.stdout.isatty()
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
        self.clear()

    def clear(self) -> None:
        """Removes the line before something else is printed."""
        if self.drawn:
            self.display.display("\033[J", newline=False, screen_only=True)
            self.drawn = False

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
                if now < next_at:
                    self.changed.wait(next_at - now)
                    continue
                self._draw(now - since)
                next_at = now + (REDRAW if self.terminal else TICK)

    def _draw(self, seconds: float) -> None:
        line = f"  ... {self.what}: {duration(round(seconds) if seconds >= 1 else seconds)}"
        if self.terminal:
            # The line is drawn below the cursor, and the cursor goes back: what others print gets a clean line.
            width = shutil.get_terminal_size().columns - 1
            self.display.display(f"\033[J\n{line[:width]}\r\033[A", newline=False, screen_only=True)
            self.drawn = True
        else:
            self.display.display(line, screen_only=True)


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
        super().__init__()
        self._waiting = Waiting(self._display)
        self._started = time.monotonic()
        self._play = ""
        self._several_hosts = False
        self._phase = ""
        self._phase_since = self._started
        self._times: dict[str, float] = {}
        self._changes: dict[str, int] = {}
        self._hosts: list[str] = []
        self._outcome = Outcome()

    # -- where we are

    def v2_playbook_on_play_start(self, play: Play) -> None:
        self._play = str(play.get_name()).strip()
        manager = play.get_variable_manager()
        inventory = manager._inventory if manager else None  # noqa: SLF001 - the only way to the inventory
        hosts = inventory.get_hosts(play.hosts) if inventory else []
        self._several_hosts = len(hosts) > 1
        names = sorted(str(host) for host in hosts)
        if names and names != self._hosts:
            self._hosts = names
            self._say_where(hosts)

    def _say_where(self, hosts: list[Host]) -> None:
        """Says which hosts the run acts on before it acts, where an inventory may mean others than one thinks."""
        addresses = [str(host.vars.get("ansible_host") or "") for host in hosts]
        named = [f"{host} ({at})" if at else str(host) for host, at in zip(hosts, addresses, strict=True)]
        more = f" and {len(named) - 10} more" if len(named) > 10 else ""
        exported = os.environ.get("ANSIBLE_INVENTORY", "")
        given = [str(one) for one in context.CLIARGS.get("inventory") or []]
        where = ", ".join(os.path.relpath(one) if one.startswith("/") else one for one in given)
        where += " (ANSIBLE_INVENTORY)" if exported and where.endswith(exported.split(",")[-1]) else ""
        self._display.display(f"sse: on {', '.join(named[:10])}{more}, by {where}", stderr=True)

    def v2_playbook_on_task_start(self, task: Task, is_conditional: bool) -> None:
        self._enter(task)

    def v2_playbook_on_handler_task_start(self, task: Task) -> None:
        self._enter(task)

    def v2_playbook_on_cleanup_task_start(self, task: Task) -> None:
        self._enter(task)

    def _enter(self, task: Task) -> None:
        phase = phase_of(task) or self._phase or "prepare"
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
        self._waiting.clear()
        self._display.display(text, color=color)

    def _print_lines(self, value: object, indent: str, color: str | None = None) -> bool:
        """Prints each line of a text or of a list of texts; tells whether there was one."""
        lines = _lines(value)
        for line in lines:
            self._print(indent + line, color)
        return bool(lines)

    def _line(self, word: str, result: CallbackTaskResult, color: str, label: str = "") -> None:
        where = f" [{self.host_label(result)}]" if self._several_hosts else ""
        name = result.task.name or result.task.action
        self._print(f"  {word}{where}: {name}" + (f": {label}" if label else ""), color)

    # -- what happened

    def v2_runner_on_ok(self, result: CallbackTaskResult) -> None:
        data = result.result
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
        data = dict(result.result)
        self._clean_results(data, result.task.action)
        if "msg" not in data:
            self._print(self._dump_results(data))
            return
        closing = result.task.name == "Summary"
        if closing:
            self._print("")
        self._print_lines(data["msg"], "" if closing else "  ")

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
        if ignore_errors:
            self._handle_warnings(result.result)
            self._line("failed, ignored", result, COLOR.warn, next(iter(_lines(result.result.get("msg"))), ""))
            return
        findings = self._outcome.has_findings(result)
        if result.task.loop and "results" in result.result:
            self._handle_warnings_and_exception(result)
            return
        self._show_failure("FINDINGS" if findings else "FAILED", result)

    def v2_runner_item_on_failed(self, result: CallbackTaskResult) -> None:
        self._show_failure("FAILED", result, self._label(result))

    def v2_runner_on_unreachable(self, result: CallbackTaskResult) -> None:
        self._show_failure("UNREACHABLE", result)

    def _show_failure(self, word: str, result: CallbackTaskResult, label: str = "") -> None:
        data = result.result
        self._handle_warnings(data)
        self._print("")
        name = result.task.name or result.task.action
        what = f"{word} in {self._phase} on {self.host_label(result)}: {name}" + (f": {label}" if label else "")
        self._print(what, COLOR.error)
        self._print_lines(data.get("changes"), "    ", COLOR.changed)
        shown = self._print_lines(data.get("msg"), "  ", COLOR.error)
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

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        self._leave()
        self._waiting.end()
        failed = sorted({*stats.failures, *stats.dark})
        if self._outcome.no_host:
            return
        total = duration(time.monotonic() - self._started)
        self._print("")
        if len(self._times) > 1:
            self._print("time: " + ", ".join(f"{phase} {duration(seconds)}" for phase, seconds in self._times.items()))
        if failed:
            hosts = f" on {', '.join(failed)}" if self._several_hosts else ""
            self._print(f"{self._outcome.word(stats)} in {self._phase}{hosts} after {total}", COLOR.error)
            return
        changes = sum(self._changes.values())
        verb = "would change" if context.CLIARGS.get("check") else "changed"
        text = f"{verb}: {changes}" if changes else f"nothing {verb}"
        self._print(f"{text} (in {total})", COLOR.changed if changes else COLOR.ok)


def _lines(value: object) -> list[str]:
    if value is None or value == "":
        return []
    texts = cast("list[object]", value) if isinstance(value, list) else [value]
    return [line for text in texts for line in str(text).splitlines() or [""]]
