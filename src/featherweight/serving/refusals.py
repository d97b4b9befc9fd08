"""Answers for requests that are refused: one JSON form for all of them, without paths and tracebacks."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    411: "length_required",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    431: "head_too_large",
    500: "internal_error",
    503: "unavailable",
}
"""A name for each status, for programs."""


class Refusal(HTTPException):
    """The exception for a request that the server refuses: an HTTP status, and one sentence for the client."""

    def __init__(self, status: int, message: str, *, retry_after: int | None = None) -> None:
        headers = {"Retry-After": str(max(1, retry_after))} if retry_after is not None else {}
        super().__init__(status, message, headers | ({"WWW-Authenticate": "Bearer"} if status == 401 else {}))


def error_content(status: int, message: str) -> dict[str, Any]:
    """The content of every refusal: status, code, and message."""
    return {"error": {"status": status, "code": CODES.get(status, "error"), "message": message}}


def as_response(refusal: HTTPException) -> JSONResponse:
    """The refusal as a response of the application, for a request that is valid HTTP."""
    content = error_content(refusal.status_code, str(refusal.detail))
    return JSONResponse(content, refusal.status_code, dict(refusal.headers or {}))


def raw_answer(refusal: Refusal, headers: Mapping[str, str]) -> bytes:
    """The refusal as the bytes of an HTTP/1.1 response with ``headers``, which also closes the connection.

    It is for a client whose request did not reach the application, such as an invalid or incomplete one.
    """
    response = as_response(refusal)
    lines = [f"HTTP/1.1 {refusal.status_code} {HTTPStatus(refusal.status_code).phrase}"]
    lines += [f"{name}: {value}" for name, value in {**response.headers, **headers}.items()]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1") + bytes(response.body)
