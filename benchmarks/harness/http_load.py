"""A light HTTP client for load on a server: many connections in one thread, so that the server keeps its cores."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

LOST, REFUSED = "lost", "refused a connection"


@dataclass
class Server:
    """A server process that was started for a measurement."""

    process: subprocess.Popen
    port: int
    log: Path

    @property
    def memory_bytes(self) -> int:
        """Resident memory."""
        return psutil.Process(self.process.pid).memory_info().rss


@contextmanager
def served(run: Path, folder: Path, *options: str) -> Iterator[Server]:
    """``featherweight serve`` on a free port, as a process of its own; it is ended at the end."""
    log = folder / "server.log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "featherweight", "serve", str(run), "--port", "0", *options]
        process = subprocess.Popen(command, stderr=file, stdout=file)
    try:
        yield Server(process, _port(process, log), log)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(40)
        process.kill()


def _port(process: subprocess.Popen, log: Path) -> int:
    for _ in range(1200):
        if found := re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text()):
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text()[-300:]}")


def post(path: str, body: Any, token: str | None = None) -> bytes:
    """A whole request."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    return "\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status of the next answer, and whether the connection stays open. Raises IncompleteReadError at its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0]) if b"content-length:" in head else 0
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1]), b"connection: close" not in head


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Load:
    """What came of many requests."""

    seconds: list[float] = field(default_factory=list)
    """Of each answered request."""
    answered_at: list[float] = field(default_factory=list)
    """The clock at each answer."""
    statuses: Counter[int | str] = field(default_factory=Counter)
    """Of the answers, and what happened instead of one."""
    elapsed: float = 0.0

    def answered(self, status: int, since: float) -> None:
        """One more answer, to a request that was due at ``since``."""
        self.statuses[status] += 1
        self.answered_at.append(time.perf_counter())
        self.seconds.append(self.answered_at[-1] - since)

    def figures(self) -> dict[str, Any]:
        """Requests a second, percentiles in milliseconds, statuses."""
        ordered = sorted(self.seconds)
        at = {f"p{rank}_ms": 1000 * ordered[min(len(ordered) - 1, len(ordered) * rank // 100)] for rank in (50, 95, 99)}
        statuses = {str(status): count for status, count in sorted(self.statuses.items(), key=str)}
        rate = len(ordered) / self.elapsed
        return {"texts_per_second": rate, "requests": len(ordered), **at, "statuses": statuses}


async def closed_loop(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Each client sends its next request when the last one is answered, for so many seconds or until it gets none."""
    load, begun = Load(), time.perf_counter()

    async def client(number: int) -> None:
        connection, place = None, number
        while time.perf_counter() - begun < seconds:
            otherwise = REFUSED
            try:
                connection = connection or await asyncio.open_connection("127.0.0.1", port)
                otherwise, started = LOST, time.perf_counter()
                status, stays = await send(connection, requests[place % len(requests)])
            except (OSError, asyncio.IncompleteReadError):
                load.statuses[otherwise] += 1
                return
            load.answered(status, started)
            connection, place = connection if stays else None, place + clients
        if connection:
            connection[1].close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    load.elapsed = time.perf_counter() - begun
    return load


async def send(connection: Connection, request: bytes) -> tuple[int, bool]:
    """Send ``request``; returns the answer's status and whether the connection stays open."""
    connection[1].write(request)
    return await read_answer(connection[0])


async def open_loop(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> Load:
    """Requests at a fixed rate, whether or not the earlier ones are answered; times count from when each was due."""
    load, begun = Load(), time.perf_counter()
    idle: list[Connection] = []

    async def ask(request: bytes, due: float) -> None:
        await asyncio.sleep(max(0, due - time.perf_counter()))
        connection, answer = idle.pop() if idle else None, None
        if connection:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # the server closes what was idle for long
                answer = await send(connection, request)
        if not connection or not answer:
            connection = await asyncio.open_connection("127.0.0.1", port)
            answer = await send(connection, request)
        status, stays = answer
        load.answered(status, due)
        if stays:
            idle.append(connection)

    count = int(rate * seconds)
    await asyncio.gather(*(ask(requests[n % len(requests)], begun + n / rate) for n in range(count)))
    load.elapsed = time.perf_counter() - begun
    for _, writer in idle:
        writer.close()
    return load
