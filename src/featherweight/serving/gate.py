"""Checks access, and size and type of the body, of every request, and adds security headers to every response.

HEAD is answered like GET, without a body: load balancers and monitors ask this way.
"""

from __future__ import annotations

import logging

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featherweight.serving.auth import Access
from featherweight.serving.limits import Limits
from featherweight.serving.metrics import Metrics
from featherweight.serving.page import FILES as PAGE
from featherweight.serving.refusals import Refusal, as_response

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Headers of every response, unless a route sets its own.

The page loads nothing from elsewhere, runs no inline script, and is in no frame."""
_REASONS = {
    401: "token", 403: "host", 408: "slow", 413: "body", 415: "type", 422: "invalid", 429: "queue", 500: "failure",
    503: "unavailable",
}  # fmt: skip

log = logging.getLogger("featherweight.serving")


class Gate:
    """ASGI middleware that checks each request, counts each response, and adds the security headers."""

    def __init__(self, app: ASGIApp, *, access: Access, limits: Limits, metrics: Metrics, routes: frozenset[str]):
        self._app, self._access, self._limits, self._metrics = app, access, limits, metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with its refusal; any other exception is logged and answered with 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun: list[int] = []
        send = self._watched(scope, send, begun)
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        try:
            receive = self._checked(scope, receive)
            await self._app(scope, receive, send)
        except Refusal as refusal:
            await as_response(refusal)(scope, receive, send)
        except Exception:
            if begun:  # half an answer is out: the server closes the connection
                raise
            log.exception("a request to %s failed", self._route(scope))
            failed = Refusal(500, "the server failed on this request; its log says why")
            await as_response(failed)(scope, receive, send)

    def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """A wrapper of ``receive`` that raises Refusal as soon as more bytes than allowed have arrived.

        Raises Refusal at once if path, token, host, type or length in the head of the request are not allowed.
        """
        headers, most = Headers(scope=scope), self._limits.body_bytes
        self._access.check(scope["path"], headers, page=scope["path"] in PAGE)
        too_large = Refusal(413, f"the body is larger than {most:,} bytes; send fewer texts at once")
        if int(headers.get("content-length") or 0) > most:
            raise too_large
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] == "POST" and kind != "application/json":
            raise Refusal(415, "send JSON, with the header Content-Type: application/json")
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise too_large
            return message

        return limited

    def _route(self, scope: Scope) -> str:
        """The path of the request, for measurements and log; ``"other"`` if no route has this path.

        A client can send any text as a path, so an unknown path is not written to the log.
        """
        return scope["path"] if scope["path"] in self._routes else "other"

    def _watched(self, scope: Scope, send: Send, begun: list[int]) -> Send:
        """A wrapper of ``send`` that adds the security headers and counts the response.

        The answer to HEAD keeps its headers and loses its body. When the response begins, its status is appended to
        ``begun``: the caller can then send no other response.
        """
        route, only_head = self._route(scope), scope["method"] == "HEAD"

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                begun.append(status)
                self._metrics.responses.labels(route, status).inc()
                if status >= 400:
                    self._metrics.refusals.labels(_REASONS.get(status, str(status))).inc()
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            elif only_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        return watched
