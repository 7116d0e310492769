"""The listening sockets of the process."""

import errno
import os
import socket
import stat
from collections.abc import Iterable
from pathlib import Path

from sse_app.base.settings import Settings

BACKLOG = 4096  # connections that wait while a sweep runs, or while the process is paused


def tcp_listener(settings: Settings) -> socket.socket:
    """The socket of SSE_HOST and SSE_PORT; connections inherit its buffer, which bounds what the kernel holds back."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
    made.bind((settings.host, settings.port))
    made.listen(BACKLOG)
    made.setblocking(False)
    return made


def unix_listener(path: str) -> socket.socket:
    """The socket in the file system, for its owner and group alone; it replaces one that a killed process left there.

    OSError where somebody listens there, or where the path is not a socket.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _clear(Path(path))
    made.bind(path)
    Path(path).chmod(0o660)  # nobody can have connected before, because the socket does not listen yet
    made.listen(BACKLOG)
    made.setblocking(False)
    return made


def _clear(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(errno.EEXIST, "the path exists and is not a socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        if client.connect_ex(str(path)) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))
    path.unlink()


def unlink(listeners: Iterable[socket.socket]) -> None:
    """Remove the sockets of these listeners from the file system."""
    for made in listeners:
        if made.family == socket.AF_UNIX:
            Path(made.getsockname()).unlink(missing_ok=True)
