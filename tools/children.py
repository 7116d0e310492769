"""Run a program as a child that has the terminal and gets the signals, and learn from it how its work ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NamedTuple

INTERRUPTED = {128 + one for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}  # exit codes
CALLBACK = "sse.platform.outcome"  # it tells how the run ended, whatever screen shows it
UNWRITTEN = "unwritten: "  # the word begins so where what the run printed is lost
FINDINGS = 2  # the exit code where the work was done and found something wrong


class Ended(NamedTuple):
    """How a child ended."""

    code: int  # what ./sse ends with
    word: str  # of our callback: fine, findings, failed, "no host" or UNWRITTEN and why; empty where no play began


def run(command: Sequence[str], *, document: bool = False) -> Ended:
    """Run a command to its end.

    :param document: whether its standard output is for one JSON document alone, so that people read all else as errors
    """
    reader, writer = os.pipe()
    os.set_blocking(reader, False)  # a process that stays behind, such as that of SSH, may hold the other end
    caught: list[int] = []
    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        caught.append(number)
        # Ctrl-C in a terminal reaches the child by itself. A second one would interrupt its tidying up.
        if number != signal.SIGINT or not in_foreground():
            for child in started:
                child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, pass_on)
    enabled = [CALLBACK, *filter(None, [os.environ.get("ANSIBLE_CALLBACKS_ENABLED")])]
    told = {"SSE_OUTCOME_DESCRIPTOR": str(writer), "ANSIBLE_CALLBACKS_ENABLED": ",".join(enabled)}
    answer = os.dup(sys.stdout.fileno()) if document else None
    told |= {"SSE_DOCUMENT_DESCRIPTOR": str(answer)} if document else {}
    child = subprocess.Popen(
        list(command),
        pass_fds=tuple(one for one in (writer, answer) if one is not None),
        env={**os.environ, **told},
        stdout=sys.stderr if document else None,
    )
    if answer is not None:
        os.close(answer)
    started.append(child)
    for number in caught:  # it came before there was a child
        child.send_signal(number)
    os.close(writer)
    status = child.wait()
    try:
        word = os.read(reader, 100).decode()
    except BlockingIOError:
        word = ""
    os.close(reader)
    return Ended(code(status, word, caught), word)


def code(status: int, word: str, caught: list[int]) -> int:
    """Return the exit code of ./sse, from that of the child, the word of our callback and the signals that came."""
    if status and caught:
        return 128 + caught[0]
    if status < 0:
        return 128 - status
    if word == "no host" or word.startswith(UNWRITTEN):
        return 1
    if status and word == "findings":
        return FINDINGS
    return int(status != 0)


def in_foreground() -> bool:
    """Tell whether the keys of a terminal reach this process and its children."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
