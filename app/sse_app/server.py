"""The process: its configuration, its listeners, uvicorn, and a drain that comes before uvicorn's own shutdown."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from typing import Any

import uvicorn

from sse_app.base import log_lines
from sse_app.base.settings import ConfigurationError, Settings, load
from sse_app.http.listeners import BACKLOG, tcp_listener, unix_listener, unlink
from sse_app.http.uvicorn_protocol import StreamProtocol
from sse_app.service import Service

_LAST_SECONDS = 3  # for what is left after a drain
logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server, with a SIGTERM that also ends streams, which never end by themselves."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        application: Any = service.application  # uvicorn types ASGI with its own aliases
        super().__init__(
            uvicorn.Config(
                application,
                http=StreamProtocol,
                loop="uvloop",
                interface="asgi3",  # it would look for a coroutine function, and http/stream.py is none
                ws="none",
                lifespan="on",
                backlog=BACKLOG,
                proxy_headers=False,  # NGINX has no fixed address; and each stream saves a coroutine
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

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve; from then on SIGUSR1 sends all streams off, and the replica goes on."""
        await super().startup(sockets)
        with contextlib.suppress(RuntimeError, ValueError):  # a test serves in a thread, which gets no signals
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._service.send_off)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listeners first, so that nobody comes back to this replica; then end the streams; then the rest."""
        unlink(sockets or [])
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await self._service.drain()
        await super().shutdown(sockets)


def main() -> int:
    """Run until told to stop; return 2 for an invalid configuration, 1 for a failure."""
    signal.signal(signal.SIGTERM, _stop)  # until uvicorn sets its own handler, and after it has removed it
    try:
        settings = load(os.environ)
        listeners = _listen(settings)
        log_lines.configure(settings)
        for made in listeners:
            logger.info("%s listens on %s", settings.replica, made.getsockname())
        if not settings.kafka_brokers:
            logger.warning("KAFKA_BROKERS is not set: events are kept in this process alone and end with it")
        server = Server(Service(settings))
    except ConfigurationError as error:
        print(f"sse_app: {error}", file=sys.stderr)
        return 2
    gc.freeze()  # modules and application live to the end: to walk them took 13 ms of each full collection
    server.run(sockets=listeners)
    return 1 if server.failed or not server.started else 0


def _listen(settings: Settings) -> list[socket.socket]:
    where = "SSE_HOST, SSE_PORT"
    try:
        listeners = [tcp_listener(settings)]
        if settings.socket_path:
            where = "SSE_SOCKET_PATH"
            listeners.append(unix_listener(settings.socket_path))
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {where}: {error}") from None
    return listeners


def _stop(*_: object) -> None:
    sys.exit(0)
