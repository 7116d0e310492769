"""A Redis to be stopped, frozen and emptied: of the image that REDIS_IMAGE names, or of this host."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisError
from sse_harness import eventually

PASSWORD = "canary-4711"
IMAGE = os.environ.get("REDIS_IMAGE", "")
needed = pytest.mark.skipif(
    not IMAGE and shutil.which("redis-server") is None,
    reason="redis-server is not installed, REDIS_IMAGE names no image",
)


class RedisServer:
    def __init__(self, directory: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.directory = directory / "data"
        self.directory.mkdir()
        self.directory.chmod(0o777)
        self.password_file = directory / "password"
        self.password_file.write_text(f"{PASSWORD}\n")
        self._name = f"redis-{uuid.uuid4()}"
        self.start()

    @property
    def settings(self) -> dict[str, Any]:
        return {"redis_host": "127.0.0.1", "redis_port": self.port, "redis_password_file": str(self.password_file)}

    @property
    def client(self) -> Any:
        return Redis(port=self.port, password=PASSWORD, socket_timeout=5)

    def start(self) -> None:
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "requirepass": PASSWORD,
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "dir": "/data" if IMAGE else str(self.directory),
        }
        command = ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", value))]
        if IMAGE:
            run = ["docker", "run", "--rm", "--init", "--name", self._name, "--network", "host"]
            command = [*run, "-v", f"{self.directory}:/data", "--entrypoint", command[0], IMAGE, *command[1:]]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        eventually(self._answers, 30)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def stop(self) -> None:
        """As kill -9 does."""
        self._signal(signal.SIGKILL, "kill")
        self._process.wait(30)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Connections are accepted, and nothing is answered."""
        self._signal(signal.SIGSTOP, "pause")
        try:
            yield
        finally:
            self._signal(signal.SIGCONT, "unpause")

    def _signal(self, number: int, verb: str) -> None:
        if IMAGE:
            subprocess.run(["docker", verb, self._name], check=False, capture_output=True)
        else:
            self._process.send_signal(number)
