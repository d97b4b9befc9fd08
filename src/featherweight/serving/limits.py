"""The limits of the server: sizes, numbers and waiting times. No request can exceed them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one request, of all waiting requests together, and of the time for each stage."""

    body_bytes: int = 1_048_576
    """Largest body of a request."""
    texts: int = 256
    """Texts of one request."""
    characters: int = 20_000
    """Characters of one text."""
    queue: int = 1024
    """Texts that are accepted and not yet answered, over all requests."""
    queue_tokens: int = 131_072
    """The tokens of these texts, with padding: long texts take more time than ``queue`` short ones."""
    batch_tokens: int = 2048
    """Tokens that are computed at once, including padding."""
    explained_words: int = 400
    """Words of a text that is explained."""
    explained_parts: int = 48
    """Parts of such a text that are left out, one after the other; words of longer texts are grouped."""
    explanations: int = 4
    """Explanations that may be computed or wait at the same time."""
    connections: int = 256
    """Open connections."""
    header_bytes: int = 16_384
    """Size of a request's head."""
    receive_seconds: float = 10.0
    """Time from the first byte of a request to its last."""
    send_seconds: float = 10.0
    """Time in which a client must take what is sent to it."""
    idle_seconds: float = 15.0
    """Time between two requests on a connection."""
    answer_seconds: float = 60.0
    """Time from a complete request to its answer."""
    stop_seconds: float = 30.0
    """Time that accepted requests have for their answers when the server stops."""
