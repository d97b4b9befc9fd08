"""Decides which requests are answered: a server can require a bearer token, or a Host header of localhost."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from featherweight.serving.refusals import Refusal

LEAST_TOKEN = 16
"""Characters of a token, at least: shorter ones can be guessed."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
OPEN = ("/healthz", "/readyz")
"""Paths that need no token: they say nothing about the model."""


@dataclass(frozen=True)
class Access:
    """Which requests a server accepts: it can require a bearer token, and a Host header that names localhost."""

    token: str | None = None
    """The bearer token; None if none is needed."""
    only_local_names: bool = False
    """Refuse requests whose Host is no name of this machine, so that no web page elsewhere can use the server."""

    def check(self, path: str, headers: Mapping[str, str], *, page: bool) -> None:
        """Raise Refusal if the request for ``path`` is not allowed: 401 for a wrong token, 403 for a wrong host.

        ``page`` is True for the files of the web page, which need no token.
        """
        if self.only_local_names and not _is_local(headers.get("host", "")):
            raise Refusal(
                403, "the server answers only requests to localhost; to allow others, start it with --token-file"
            )
        if self.token is None or page or path in OPEN:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not _equal(given.strip(), self.token):
            raise Refusal(401, "a valid token is needed: send the header Authorization: Bearer TOKEN")


def _equal(given: str, expected: str) -> bool:
    # Digests have one length, so that the time of the comparison says nothing about the length of the token either.
    one, other = (hashlib.sha256(token.encode()).digest() for token in (given, expected))
    return hmac.compare_digest(one, other)


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name in LOOPBACK or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
