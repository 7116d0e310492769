"""The process: configuration, listeners, uvicorn, and a drain that comes before uvicorn waits for its connections."""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import socket
import stat
import sys
from pathlib import Path
from types import FrameType

import uvicorn

from sse_app.base import log_lines
from sse_app.base.settings import ConfigurationError, Settings, load
from sse_app.http.uvicorn_protocol import StreamProtocol
from sse_app.service import Service

_BACKLOG = 4096  # connections that wait while a sweep runs, or while the process is paused
_LAST_SECONDS = 3  # for what is left after a drain
logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn's, with SIGTERM handled for streams that never end by themselves."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        super().__init__(
            uvicorn.Config(
                service.application,  # type: ignore[arg-type]
                http=StreamProtocol,
                loop="uvloop",
                ws="none",
                lifespan="on",
                backlog=_BACKLOG,
                proxy_headers=False,  # NGINX is not at a fixed address; and it is one coroutine less in every stream
                access_log=False,
                log_config=None,
                server_header=False,
                headers=[("X-Replica", settings.replica)],
                timeout_keep_alive=75,  # longer than NGINX keeps an idle upstream connection
                timeout_graceful_shutdown=_LAST_SECONDS,
            )
        )
        self._service = service
        self.failed = False
        service.on_failure = self._fail

    def _fail(self) -> None:
        self.failed = self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listeners first, so that nobody comes back to this replica; then end the streams; then the rest."""
        _unlink(sockets or [])
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await self._service.drain()
        await super().shutdown(sockets)


def listener(settings: Settings) -> socket.socket:
    """The listening socket; its buffer size passes on to every connection, and bounds what the kernel hides."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
    made.bind((settings.host, settings.port))
    made.listen(_BACKLOG)
    made.setblocking(False)
    return made


def unix_listener(path: str) -> socket.socket:
    """The listening socket in the file system, for its owner and group alone; what a killed process left there goes.

    OSError where somebody listens there, or where the path is something else than a socket.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    _clear(Path(path))
    made.bind(path)
    Path(path).chmod(0o660)  # nobody can have connected: it does not listen yet
    made.listen(_BACKLOG)
    made.setblocking(False)
    return made


def _clear(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(errno.EEXIST, "exists, and is not a socket", str(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(path))
    path.unlink()


def _unlink(listeners: list[socket.socket]) -> None:
    for made in listeners:
        if made.family == socket.AF_UNIX:
            Path(made.getsockname()).unlink(missing_ok=True)


def main() -> int:
    """Run until told to stop; 2 for a configuration that makes no sense, 1 for a failure."""
    signal.signal(signal.SIGTERM, _stop)  # before uvicorn's own handler is there, and after it is gone
    try:
        settings = load(os.environ)
    except ConfigurationError as error:
        print(f"sse_app: {error}", file=sys.stderr)
        return 2
    where = "SSE_HOST, SSE_PORT"
    try:
        listeners = [listener(settings)]
        if settings.socket_path:
            where = "SSE_SOCKET_PATH"
            listeners.append(unix_listener(settings.socket_path))
    except OSError as error:
        print(f"sse_app: cannot listen on {where}: {error}", file=sys.stderr)
        return 2
    log_lines.configure(settings)
    for made in listeners:
        logger.info("%s listens on %s", settings.replica, made.getsockname())
    if not settings.kafka_brokers:
        logger.warning("KAFKA_BROKERS is not set: events live in this process alone and end with it")
    try:
        service = Service(settings)
    except ConfigurationError as error:
        print(f"sse_app: {error}", file=sys.stderr)
        return 2
    server = Server(service)
    gc.freeze()  # modules and application live to the end: walking them took 13 ms of each full collection
    server.run(sockets=listeners)
    return 1 if server.failed or not server.started else 0


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
