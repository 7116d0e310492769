# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""How far a module is, told while it works: one JSON document a line, in a file that the controller reads.

Ansible shows the result of a module only when it has ended. `plugin_utils/progress.py` makes the file and reads it.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from typing import Any

PAUSE_SECONDS = 0.2  # between two tries to open the file: over SSH, another connection makes it
PATIENCE_SECONDS = 20.0  # until a reader over SSH has made the file


class Progress:
    """Tells what happens. Nothing that goes wrong here is a reason for a run to fail."""

    def __init__(self, path: str = "") -> None:
        """Tell it to nobody where there is no path."""
        self.path = path
        self.kept: list[bytes] = []  # what waits until the file is there
        self.descriptor: int | None = None
        self.lock = threading.Lock()
        self.waits = False

    def tell(self, **event: Any) -> None:
        """Write one event."""
        if not self.path:
            return
        with self.lock:
            self.kept.append(json.dumps(event).encode() + b"\n")
            if not self._flush() and not self.waits:
                self.waits = True
                threading.Thread(target=self._wait, name="progress", daemon=True).start()

    def gone(self, waited: float) -> bool:
        """Tell whether nobody reads any more: the file was removed, or was not there after some seconds.

        :param waited: seconds since the first event
        """
        with self.lock:
            if self.descriptor is None:
                return waited > PATIENCE_SECONDS
            return os.fstat(self.descriptor).st_nlink == 0

    def _wait(self) -> None:
        pause = threading.Event()
        while self.waits:
            pause.wait(PAUSE_SECONDS)
            with self.lock:
                self.waits = not self._flush()

    def _flush(self) -> bool:
        """Write what is kept; tell whether that was possible."""
        try:
            if self.descriptor is None:
                # It belongs to whoever deploys, who need not be root: never make it, and follow no link.
                self.descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK)
                if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
                    self.path, self.kept = "", []
                    return True
            os.write(self.descriptor, b"".join(self.kept))
        except FileNotFoundError:
            return False
        except OSError:  # a full disk, for instance
            pass
        self.kept.clear()
        return True


SILENT = Progress()
