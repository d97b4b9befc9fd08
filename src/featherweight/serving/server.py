"""Runs the application with uvicorn on one socket until SIGTERM or Ctrl-C; accepted requests are still answered."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from featherweight.errors import UserError
from featherweight.serving.limits import Limits
from featherweight.serving.metrics import Metrics
from featherweight.serving.receiving import protocol_class

_BACKLOG = 512
"""Connections that the system holds until they are accepted."""


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that is bound to ``host`` and ``port`` but does not listen yet. Raises UserError if this fails."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"--host {host} --port {port}: cannot listen there: {reason}; try another --port") from None
    return opened


def configure(app: Any, limits: Limits, metrics: Metrics) -> uvicorn.Config:
    """The settings of uvicorn for ``app``, from ``limits``."""
    return uvicorn.Config(
        app,
        http=protocol_class(limits, metrics),
        ws="none",
        lifespan="on",
        loop="asyncio",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=int(limits.idle_seconds),
        timeout_graceful_shutdown=int(limits.stop_seconds),
        h11_max_incomplete_event_size=limits.header_bytes,
    )


class Server(uvicorn.Server):
    """uvicorn's server, which calls ``started`` when it is ready for requests."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections, then call ``started``."""
        await super().startup(sockets)
        if self.started:
            self._when_started()


def run(server: uvicorn.Server, opened: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C; returns when all accepted requests are answered."""

    def stop(*_: Any) -> None:
        server.should_exit = True

    # uvicorn handles signals only from its start on, and raises them again when it has stopped, for an exit code.
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[opened])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
