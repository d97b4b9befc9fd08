"""A light HTTP client for load on a server: many connections in one thread, so that the server keeps its cores."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Status = int | str
"""The status of an answer, or what happened instead of one."""


@dataclass
class Server:
    """A server process that was started for a measurement."""

    process: subprocess.Popen
    port: int
    log: Path

    @property
    def memory_bytes(self) -> int:
        """Resident memory."""
        line = next(line for line in self._status() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    def _status(self) -> list[str]:
        return Path(f"/proc/{self.process.pid}/status").read_text().splitlines()


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
        for line in log.read_text().splitlines():
            if "http://127.0.0.1:" in line:
                return int(line.split("http://127.0.0.1:")[1].split(":")[0].split("/")[0])
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


@dataclass
class Load:
    """What came of many requests."""

    seconds: list[float] = field(default_factory=list)
    """Of each answered request."""
    statuses: dict[Status, int] = field(default_factory=dict)
    elapsed: float = 0.0

    def count(self, status: Status) -> None:
        """One more of this status."""
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def figures(self, texts: int = 1) -> dict[str, Any]:
        """Requests a second, percentiles in milliseconds, statuses."""
        ordered = sorted(self.seconds)
        at = {f"p{rank}_ms": 1000 * ordered[min(len(ordered) - 1, len(ordered) * rank // 100)] for rank in (50, 95, 99)}
        statuses = {str(status): count for status, count in sorted(self.statuses.items(), key=str)}
        return {"texts_per_second": texts * len(ordered) / self.elapsed, "requests": len(ordered), **at} | {
            "statuses": statuses
        }


async def closed_loop(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Each client sends its next request when the last one is answered, for so many seconds."""
    load, begun = Load(), time.perf_counter()

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        place = number
        while time.perf_counter() - begun < seconds:
            started = time.perf_counter()
            writer.write(requests[place % len(requests)])
            status, stays = await read_answer(reader)
            load.count(status)
            load.seconds.append(time.perf_counter() - started)
            place += clients
            if not stays:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    load.elapsed = time.perf_counter() - begun
    return load


async def open_loop(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> Load:
    """Requests at a fixed rate, whether or not the earlier ones are answered; times count from when each was due."""
    load, begun, idle = Load(), time.perf_counter(), []
    tasks = set()

    async def ask(request: bytes, due: float) -> None:
        connection = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        connection[1].write(request)
        status, stays = await read_answer(connection[0])
        load.count(status)
        load.seconds.append(time.perf_counter() - due)
        if stays:
            idle.append(connection)

    for number in range(int(rate * seconds)):
        due = begun + number / rate
        await asyncio.sleep(max(0, due - time.perf_counter()))
        task = asyncio.create_task(ask(requests[number % len(requests)], due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    load.elapsed = time.perf_counter() - begun
    for _, writer in idle:
        writer.close()
    return load
