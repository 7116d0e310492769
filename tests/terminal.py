"""A terminal for tests: a program runs in it, and what would be seen can be read, also what has scrolled away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SEQUENCE = re.compile(r"\x1b\[(?P<numbers>[0-9;]*)(?P<what>[A-Za-z])")
PATIENCE = 300.0  # seconds until a program must have done what is waited for
# What a program changes here, it has to change back.
ENVIRONMENT = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
UNSET = ("CI", "NO_COLOR", "ANSIBLE_NOCOLOR", "SSE_LETTERS", "COLUMNS", "LINES")


class Screen:
    """Understands what the platform writes to a terminal, and nothing else: any other sequence is an error."""

    def __init__(self, columns: int, lines: int) -> None:
        """Begin empty."""
        self.columns, self.height = columns, lines
        self.rows = [""]  # with everything that has scrolled away
        self.row = self.column = 0
        self.coloured = False

    @property
    def text(self) -> str:
        """Everything that is to be seen, or was."""
        return "\n".join(self.rows)

    def feed(self, data: str) -> None:
        """Take what a program wrote."""
        at = 0
        while at < len(data):
            if match := SEQUENCE.match(data, at):
                self.sequence(match["what"], match["numbers"])
                at = match.end()
                continue
            self.put(data[at])
            at += 1

    def sequence(self, what: str, numbers: str) -> None:
        """Do what a sequence asks for."""
        if what == "m":
            self.coloured = numbers not in {"", "0"}
        elif what == "J" and numbers in {"", "0"}:
            self.rows[self.row] = self.rows[self.row][: self.column]
            del self.rows[self.row + 1 :]
        elif what == "A":
            self.row = max(len(self.rows) - self.height, self.row - int(numbers or 1), 0)
        else:
            raise AssertionError(f"the program asks the terminal for {numbers}{what}")

    def put(self, one: str) -> None:
        """Write one character where the cursor is."""
        if one == "\r":
            self.column = 0
        elif one == "\n":
            self.row += 1
            if self.row == len(self.rows):
                self.rows.append("")
        elif one != "\x1b":
            if self.column == self.columns:
                self.put("\r")
                self.put("\n")
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + one + line[self.column + 1 :]
            self.column += 1


class Terminal:
    """Runs a program in a terminal of its own."""

    def __init__(
        self, command: Sequence[str], columns: int = 80, lines: int = 40, more: Mapping[str, str] | None = None
    ) -> None:
        """Start the program."""
        self.screen = Screen(columns, lines)
        self.written = ""
        self.rest = b""
        self.here, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in UNSET}
        self.process = subprocess.Popen(
            command,
            stdin=there,
            stdout=there,
            stderr=there,
            env={**environment, **ENVIRONMENT, **(more or {})},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - it has one thread then
            start_new_session=True,
        )
        os.close(there)

    def until(self, wanted: Callable[[Screen], bool]) -> bool:
        """Read until something is to be seen; tell whether it was before the program ended."""
        deadline = time.monotonic() + PATIENCE
        while not wanted(self.screen):
            assert time.monotonic() < deadline, self.screen.text
            if not self.read():
                return wanted(self.screen)
        return True

    def read(self) -> bool:
        """Read what comes next; tell whether more can come."""
        if not select.select([self.here], [], [], 1)[0]:
            return True
        try:
            data = self.rest + os.read(self.here, 65536)
        except OSError:  # the program has ended
            data = b""
        if not data:
            return False
        text = data.decode(errors="ignore")
        # A sequence or a character may be cut in the middle.
        cut = re.search(r"\x1b(\[[0-9;]*)?$", text)
        kept = text[: cut.start()] if cut else text
        self.rest = data[len(kept.encode()) :] if len(data) > len(kept.encode()) else b""
        self.written += kept
        self.screen.feed(kept)
        return True

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self.here, key.encode())

    def end(self) -> int:
        """Read to the end; return the exit code."""
        self.until(lambda _: False)
        with contextlib.suppress(OSError):
            os.close(self.here)
        return self.process.wait(PATIENCE)
