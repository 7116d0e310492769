"""The process: configuration, listener, uvicorn, and a drain that comes before uvicorn waits for its connections."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from types import FrameType

import uvicorn

from sse_app import logline
from sse_app.protocol import StreamProtocol
from sse_app.service import Service
from sse_app.settings import ConfigurationError, Settings, load

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


def main() -> int:
    """Run until told to stop; 2 for a configuration that makes no sense, 1 for a failure."""
    signal.signal(signal.SIGTERM, _stop)  # before uvicorn's own handler is there, and after it is gone
    try:
        settings = load(os.environ)
        made = listener(settings)
    except ConfigurationError as error:
        print(f"sse_app: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"sse_app: cannot listen on SSE_HOST, SSE_PORT: {error}", file=sys.stderr)
        return 2
    logline.configure(settings)
    logger.info("%s listens on %s:%d", settings.replica, *made.getsockname()[:2])
    if not settings.kafka_brokers:
        logger.warning("KAFKA_BROKERS is not set: events live in this process alone and end with it")
    try:
        service = Service(settings)
    except ConfigurationError as error:
        print(f"sse_app: {error}", file=sys.stderr)
        return 2
    server = Server(service)
    server.run(sockets=[made])
    return 1 if server.failed or not server.started else 0


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
