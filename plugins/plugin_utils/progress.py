# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The controller's end of `module_utils/host/progress.py`: actions make the file, and the callback `phases` reads it.

On this machine the module writes into the very file that the callback reads. Over SSH it writes into a file there, and
one more channel of the connection that Ansible has open brings each line here.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

DIRECTORY = "SSE_PROGRESS_DIRECTORY"  # the callback names it in the environment; without it nobody reads
SUFFIX = ".progress"
# A run that changes nothing is over by then, and needs no channel.
CHANNEL_AFTER_SECONDS = 0.8
# It ends with the connection, and leaves nothing: `cat` reads to the end of the input, which is that of the connection.
FOLLOW = (
    "umask 077; set -C; : >{file} || exit; tail -n +1 -f {file} & followed=$!; cat >/dev/null; "
    "rm -f {file}; kill $followed"
)


@contextlib.contextmanager
def told(connection: Any, host: str) -> Generator[str]:
    """Give the path of the file on the host that a module may write to; empty where nobody reads."""
    directory = os.environ.get(DIRECTORY, "")
    if not directory or connection.transport not in {"local", "ssh"}:
        yield ""
        return
    descriptor, here = tempfile.mkstemp(dir=directory, suffix=SUFFIX)
    os.write(descriptor, json.dumps({"host": host}).encode() + b"\n")
    try:
        if connection.transport == "local":
            yield here
        else:
            there = f"/tmp/sse-{secrets.token_hex(16)}{SUFFIX}"  # noqa: S108 - nobody can guess it  # nosec B108
            with Channel(connection, there, descriptor):
                yield there
    finally:
        os.close(descriptor)


class Channel:
    """Brings the lines of a file on a host here, by the connection that Ansible has open."""

    def __init__(self, connection: Any, there: str, descriptor: int) -> None:
        """Begin a moment later."""
        self.connection = connection
        self.there = there
        self.descriptor = descriptor
        self.process: subprocess.Popen[bytes] | None = None
        self.lock = threading.Lock()
        self.timer = threading.Timer(CHANNEL_AFTER_SECONDS, self.open)
        self.timer.daemon = True

    def __enter__(self) -> None:
        """Begin to count."""
        self.timer.start()

    def __exit__(self, *__: object) -> None:
        """End, and let what came last come through."""
        self.timer.cancel()
        with self.lock:
            self.timer.finished.set()
            if self.process and self.process.stdin:
                with contextlib.suppress(OSError):
                    self.process.stdin.close()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(2)
                self.process.kill()

    def open(self) -> None:
        """Follow the file. Where that is impossible, nobody sees how far the module is, and that is all."""
        with self.lock, contextlib.suppress(OSError):
            command = [*ssh(self.connection), "-o", "BatchMode=yes", "-T", self.connection.host]
            command.append(f"sh -c {shlex.quote(FOLLOW.format(file=self.there))}")
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=self.descriptor, stderr=subprocess.DEVNULL
            )


def ssh(connection: Any) -> list[str]:
    """Return the command with which Ansible's own connection calls ssh, without the host."""
    program = connection.get_option("ssh_executable")
    command = [part.decode() for part in connection._build_command(program, "ssh")]  # noqa: SLF001 - the only way
    # A password of SSH is not handed on: the connection that Ansible opened stays, and is shared (ControlPath).
    for end in getattr(connection, "sshpass_pipe", None) or ():
        with contextlib.suppress(OSError, TypeError):
            os.close(end)
    return command[command.index(program) :]


class Reader:
    """Reads the events of all hosts as they come."""

    def __init__(self, directory: str) -> None:
        """Read every file of a directory."""
        self.directory = Path(directory)
        self.offsets: dict[Path, int] = {}
        self.hosts: dict[Path, str] = {}

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Return what came since the last time, each with its host."""
        for path in sorted(self.directory.glob(f"*{SUFFIX}")):
            with contextlib.suppress(OSError):
                if path.stat().st_size == self.offsets.get(path, 0):
                    continue
                with path.open("rb") as file:
                    file.seek(self.offsets.get(path, 0))
                    whole = file.read().rpartition(b"\n")[0]
                if not whole:
                    continue
                self.offsets[path] = self.offsets.get(path, 0) + len(whole) + 1
                for line in whole.split(b"\n"):
                    try:
                        event = json.loads(line)
                    except ValueError:
                        continue
                    if not isinstance(event, dict):  # a greeting of the shell over there
                        continue
                    if "host" in event:
                        self.hosts[path] = event["host"]
                    else:
                        yield self.hosts.get(path, ""), event
