"""Adds to uvicorn's HTTP protocol: deadlines for receiving and sending, and a maximum number of connections.

uvicorn waits without end for a request that has begun and for a client that does not read its answer. Here each of them
has a deadline (slow senders get 408), connections above the limit get 503 at once, and errors of the protocol are JSON.
At shutdown, a request that is still arriving is answered before its connection is closed.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.flow_control import CLOSE_HEADER
from uvicorn.protocols.http.h11_impl import H11Protocol

from featherweight.serving.gate import HEADERS
from featherweight.serving.limits import Limits
from featherweight.serving.metrics import Metrics
from featherweight.serving.refusals import Refusal, raw_answer

_LAST_REQUESTS = 0.05
"""Seconds for which idle connections stay open at shutdown: what clients have sent already is read and answered."""


def protocol_class(limits: Limits, metrics: Metrics) -> type[asyncio.Protocol]:
    """A protocol class for uvicorn with these limits; it counts refusals and open connections in ``metrics``."""
    return type("Receiving", (_Receiving,), {"limits": limits, "metrics": metrics})


class _Receiving(H11Protocol):
    limits: Limits
    metrics: Metrics

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None
        self._begun = False  # whether a byte of the current request has come
        self._stopping = False

    # Connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self.metrics.connections.set(len(self.connections))
        if len(self.connections) > self.limits.connections:
            self._refuse(Refusal(503, "too many connections; try again later", retry_after=1), "connections")
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_deadline()
        if self._send_deadline:
            self._send_deadline.cancel()
        super().connection_lost(exc)
        self.metrics.connections.set(len(self.connections))

    # Receiving

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._begun = True
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        self._begun = bool(self.conn.trailing_data[0])
        super().on_response_complete()
        if self.transport.is_closing():
            self._close_soon()  # uvicorn has closed it, and waits without end for a client that does not read
        self._watch()

    def _watch(self) -> None:
        """Start the deadline if the connection waits for a request or its rest; otherwise cancel the deadline.

        It is called whenever bytes have arrived, and when a response is complete.
        """
        if self.transport.is_closing() or not self._is_receiving:
            self._cancel_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.limits.receive_seconds, self._too_slow)

    @property
    def _is_receiving(self) -> bool:
        """Whether the connection still waits for the rest of a request; also true before the first byte."""
        if self.conn.their_state is h11.IDLE:
            return self._begun or self.cycle is None
        return self.conn.their_state is h11.SEND_BODY

    def _cancel_deadline(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self._begun:
            self.transport.close()
            return
        seconds = self.limits.receive_seconds
        self._refuse(Refusal(408, f"the request was not complete after {seconds:g} seconds"), "slow")

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no valid HTTP request with status 400."""
        self._refuse(Refusal(400, "this is no valid HTTP/1.1 request, or its head is too large"), "protocol")

    def _refuse(self, refusal: Refusal, reason: str) -> None:
        """Send ``refusal`` and close the connection; if the application has begun to answer, only close it."""
        self.metrics.refusals.labels(reason).inc()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(raw_answer(refusal, HEADERS))
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # the application's answer would come after this one
            self.cycle.message_event.set()
        self._close_soon()

    # Sending

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_deadline = self.loop.call_later(self.limits.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        if self._send_deadline:
            self._send_deadline.cancel()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        if not self.transport.is_closing():
            self._close_soon()

    def _close_soon(self) -> None:
        """Close the connection as soon as all written bytes are sent, at the latest after ``send_seconds``."""
        self.transport.close()
        self.loop.call_later(self.limits.send_seconds, self.transport.abort)

    # Shutdown

    def handle_events(self) -> None:
        super().handle_events()
        if self._stopping:
            self._close_after_answer()

    def shutdown(self) -> None:
        """Close the connection after the current request is answered, even if it has only begun to arrive."""
        self._stopping = True
        self._close_after_answer()
        self.loop.call_later(_LAST_REQUESTS, self._close_if_idle)

    def _close_after_answer(self) -> None:
        if self.cycle is not None and CLOSE_HEADER not in self.cycle.default_headers:
            self.cycle.default_headers = [*self.cycle.default_headers, CLOSE_HEADER]

    def _close_if_idle(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self._begun and not self.transport.is_closing():
            self.transport.close()
