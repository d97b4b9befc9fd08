"""Hostile requests: of many kinds, many at once; none may get a 5xx, end the server, or make its memory grow."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.http_load import Server, post, read_answer, served

TOKEN = "hostile-0123456789abcdef"  # noqa: S105  # of a server that lives for a benchmark
AT_ONCE = 48
_HEAD = f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
_JSON = _HEAD + b"Content-Type: application/json\r\n"
_SECONDS = "2"
WAYS = LEFT, HALF_CLOSED, SLOW = "left", "half-closed", "slow sender"
"""Closed without waiting for the answer; closed for sending alone; a byte every tenth of a second."""


def _whole(body: bytes) -> bytes:
    return _JSON + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _sent(dice: random.Random) -> dict[str, Callable[[], bytes]]:
    """Requests that are sent at once, by their kind."""

    def noise(size: int) -> bytes:
        return bytes(dice.randrange(256) for _ in range(size))

    text = "".join(chr(dice.choice([*range(32, 127), 0, 7, 0x202E, 0xFFFD, 0x1F600, 0x0301])) for _ in range(40))
    return {
        "good": lambda: post("/v1/classify", {"texts": [text]}, TOKEN),
        "oversized": lambda: _JSON + b"Content-Length: 2000000\r\n\r\n" + b"[" * 200_000,
        "endless chunks": lambda: _JSON + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" * 3,
        "bad chunks": lambda: _JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "bad UTF-8": lambda: _whole(b'{"texts": ["' + noise(30) + b'"]}'),
        "deep JSON": lambda: _whole(b'{"texts": ' + b"[" * 50_000),
        "half characters": lambda: _whole(b'{"texts": ["\\ud83d"]}'),
        "huge numbers": lambda: _whole(b'{"texts": [' + b"9" * 5000 + b"]}"),
        "other types": lambda: _whole(json.dumps({"texts": dice.choice([None, {}, [[]], [None], 7, "x"])}).encode()),
        "too many": lambda: post("/v1/classify", {"texts": ["a"] * 300}, TOKEN),
        "too long": lambda: post("/v1/classify", {"texts": ["a" * 30_000]}, TOKEN),
        "wrong token": lambda: post("/v1/classify", {"texts": ["a"]}, f"wrong-{dice.random()}"),
        "explained": lambda: post(
            "/v1/explain", {"text": "a b " * dice.randrange(1, 150), "label": dice.choice([None, "\x00"])}, TOKEN
        ),
        "no HTTP": lambda: noise(200),
        "large head": lambda: _HEAD + b"X-A: " + b"a" * 400_000 + b"\r\n\r\n",
        "two lengths": lambda: _JSON + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n[1,2]",
        "odd paths": lambda: f"GET /{'../' * 9}%00%ff%2e/etc/passwd?{'a=' * 50} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        "other methods": lambda: f"{dice.choice(['PUT', 'TRACE', 'X' * 50])} / HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        "upgrade": lambda: b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    }


async def _send(port: int, request: bytes, way: str = "") -> str:
    """Status of the answer, or how the connection ended; ``way`` is one of WAYS, or empty for a whole request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = asyncio.create_task(read_answer(reader))
    try:
        for part in [request] if way != SLOW else [request[place : place + 1] for place in range(300)]:
            writer.write(part)
            if way == SLOW:
                await asyncio.wait([answer], timeout=0.1)
            if answer.done():
                break
        if way == LEFT:
            return LEFT
        if way == HALF_CLOSED:
            writer.write_eof()
        return str((await asyncio.wait_for(answer, 30))[0])
    except (OSError, asyncio.IncompleteReadError):
        return "closed"
    finally:
        answer.cancel()
        writer.close()


def hostile_requests(run: Path, folder: Path, count: int) -> dict[str, Any]:
    """Send ``count`` requests of all kinds in a fixed random order, and what schemathesis makes of the OpenAPI."""
    (folder / "token").write_text(TOKEN)
    options = ("--token-file", str(folder / "token"), "--receive-seconds", _SECONDS)
    with served(run, folder, *options) as server:
        asyncio.run(_all(server.port, 300, 1))
        before = server.memory_bytes
        by_kind = asyncio.run(_all(server.port, count, 0))
        fuzzed = _schemathesis(server)
        after = server.memory_bytes
        alive = asyncio.run(_send(server.port, post("/v1/classify", {"texts": ["a"]}, TOKEN)))
        log = server.log.read_text()
    return {
        "requests": count,
        "by_kind": {kind: dict(statuses) for kind, statuses in sorted(by_kind.items())},
        "server_errors": sum(n for statuses in by_kind.values() for s, n in statuses.items() if s.startswith("5")),
        "tracebacks_in_the_log": log.count("Traceback"),
        "schemathesis": fuzzed,
        "answers_afterwards": alive == "200",
        "memory_bytes": [before, after],
    }


async def _all(port: int, count: int, seed: int) -> dict[str, Counter[str]]:
    dice, found, room = random.Random(seed), {}, asyncio.Semaphore(AT_ONCE)
    good = post("/v1/classify", {"texts": ["a b c"]}, TOKEN)
    makers = _sent(dice) | {way: lambda: good for way in WAYS}

    async def one(kind: str) -> None:
        async with room:
            status = await _send(port, makers[kind](), kind if kind in WAYS else "")
        found.setdefault(kind, Counter())[status] += 1

    slow = count // 50
    order = dice.choices([kind for kind in makers if kind != SLOW], k=count - slow) + [SLOW] * slow
    dice.shuffle(order)
    await asyncio.gather(*(one(kind) for kind in order))
    return found


def _schemathesis(server: Server) -> dict[str, Any]:
    """The requests that schemathesis sent, the 5xx among them; empty where it is not installed."""
    program = shutil.which("schemathesis") or shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if program is None:
        return {}
    before = _responses(server)
    command = [program, "run", f"http://127.0.0.1:{server.port}/openapi.json", "--max-examples", "150"]
    command += ["--header", f"Authorization: Bearer {TOKEN}", "--checks", "not_a_server_error", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=server.log.parent, timeout=900)
    sent = _responses(server) - before
    return {
        "requests": sum(sent.values()),
        "server_errors": sum(n for status, n in sent.items() if status.startswith("5")),
        "passed": done.returncode == 0,
    }


def _responses(server: Server) -> Counter[str]:
    """Responses so far by status, from the server's own measurements."""
    from prometheus_client.parser import text_string_to_metric_families

    url, header = f"http://127.0.0.1:{server.port}/metrics", {"Authorization": f"Bearer {TOKEN}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=header)) as answer:  # our own server
        families = text_string_to_metric_families(answer.read().decode())
    counts: Counter[str] = Counter()
    for sample in (sample for family in families for sample in family.samples):
        if sample.name == "featherweight_responses_total":
            counts[sample.labels["status"]] += int(sample.value)
    return counts
