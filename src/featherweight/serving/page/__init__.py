"""The page at ``/``: HTML, CSS and JavaScript, served from memory; it loads nothing from other servers."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_NAMES = ("style.css", "app.js", "api.js", "card.js", "csv.js", "file.js", "words.js", "icon.svg")
FILES = {"/": "index.html"} | {f"/{name}": name for name in _NAMES}
"""The file of each path."""


def page_routes() -> list[Route]:
    """A route for each file in ``FILES``; the files are read by this call and then served from memory."""
    return [_route(path, Path(__file__).parent / name) for path, name in FILES.items()]


def _route(path: str, file: Path) -> Route:
    content, media_type = file.read_bytes(), _TYPES[file.suffix]
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return Route(path, answer, include_in_schema=False)
