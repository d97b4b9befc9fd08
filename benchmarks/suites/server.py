"""The server under load: texts a second, waiting times, memory, hostile requests, and its end under load.

    python benchmarks/run.py server --run runs/newsbriefs
    python benchmarks/run.py server --run runs/newsbriefs --minutes 30 --hostile 10000

Clients and server share the machine's cores. A request has one text of the built-in test rows' first words. One by one
means a server that computes each text alone (--batch-tokens 1).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.competition import named, say
from harness.http_load import LOST, REFUSED, Load, Server, closed_loop, open_loop, post, served
from harness.recording import new_record, save, spread
from suites.hostile import hostile_requests

from featherweight.data.sources import read_rows
from featherweight.errors import UserError
from featherweight.files import read_object
from featherweight.recipe import Recipe

CLIENTS = 32
WORDS = 14
"""Words of a text: about 20 tokens."""


def main(options: argparse.Namespace) -> None:
    """Measure all parts, or those that ``--only`` names anew, and write the result after each of them."""
    if options.run is None:
        raise UserError("server needs a finished run or an export: --run runs/newsbriefs")
    settings = {"clients": CLIENTS, "seconds": options.seconds, "minutes": options.minutes, "hostile": options.hostile}
    data = {"name": "newsbriefs", "words": WORDS}
    described = options.run / "export.json"  # what an export was made for
    kind = str(read_object(described)["target"]) if described.is_file() else "run"
    name = f"server-{options.name}" + (f"-{kind}" if kind != "run" else "")
    record = new_record("serving-server", name, settings={**settings, "model": kind}, data=data, seeds=[0])
    path = options.results / options.machine / f"{record['name']}.json"
    if options.only and path.is_file():
        record |= {key: value for key, value in json.loads(path.read_text()).items() if key in ("runs", "summary")}
    rows = read_rows("newsbriefs", Recipe.load("newsbriefs").data, split="test")
    requests = [post("/v1/classify", {"texts": [" ".join(str(text).split()[:WORDS])]}) for text in rows.texts]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "throughput": lambda: throughput(options, folder, requests),
            "endurance": lambda: endurance(options, folder, requests, record["summary"]),
            "end": lambda: end_under_load(options, folder, requests),
            "hostile": lambda: hostile_requests(options.run, folder, options.hostile),
        }
        for name in named(options.only, parts, "part"):
            busy = round(os.getloadavg()[0], 2)
            record["summary"][name] = parts[name]()
            record["runs"] = [run for run in record["runs"] if run["part"] != name]
            when = {"date": record["date"], "commit": record["commit"], "load": busy, "priority": priority()}
            record["runs"].append({"part": name, **when})
            say(f"{name}: {record['summary'][name]}")
            save(record, options.results / options.machine, whole=False)
    record["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    say(f"written: {save(record, options.results / options.machine).name}")


def priority() -> int:
    """The priority of the benchmark's processes over other programs, -20 (first) to 19 (last); 0 is the usual one."""
    path = Path("/proc/self/autogroup")
    return int(path.read_text().rsplit(" ", 1)[1]) if path.is_file() else 0


def throughput(options: argparse.Namespace, folder: Path, requests: list[bytes]) -> dict[str, Any]:
    """One client and many, batched and one by one, in turns."""
    found: dict[str, list[dict[str, Any]]] = {"one_client": [], "batched": [], "one_by_one": []}
    (folder / "single").mkdir()
    single_folder = folder / "single"
    with served(options.run, folder) as batched, served(options.run, single_folder, "--batch-tokens", "1") as single:
        ways = {"one_client": (batched, 1), "batched": (batched, CLIENTS), "one_by_one": (single, CLIENTS)}
        for server, clients in ways.values():  # once without counting
            asyncio.run(closed_loop(server.port, requests, clients, 1))
        for _ in range(options.repeats):
            for name, (server, clients) in ways.items():
                load = asyncio.run(closed_loop(server.port, requests, clients, options.seconds))
                found[name].append(load.figures())
    keys = ("texts_per_second", "p50_ms", "p99_ms")
    summary: dict[str, Any] = {
        name: {key: spread(figures[key] for figures in turns) for key in keys} for name, turns in found.items()
    }
    pairs = zip(found["batched"], found["one_by_one"], strict=True)
    summary["ratio"] = spread(one["texts_per_second"] / other["texts_per_second"] for one, other in pairs)
    summary["statuses"] = [figures["statuses"] for turns in found.values() for figures in turns]
    return summary


def endurance(options: argparse.Namespace, folder: Path, requests: list[bytes], done: dict[str, Any]) -> dict[str, Any]:
    """Half of the load for some minutes: waiting times, and the memory at the end of each twentieth of the time."""
    whole, memory, rate = Load(), [], done["throughput"]["batched"]["texts_per_second"]["median"] / 2
    with served(options.run, folder) as server:
        asyncio.run(closed_loop(server.port, requests, CLIENTS, 5))
        memory.append(server.memory_bytes)
        for _ in range(20):
            part = asyncio.run(open_loop(server.port, requests, rate, 3 * options.minutes))
            whole.seconds += part.seconds
            whole.statuses += part.statuses
            whole.elapsed += part.elapsed
            memory.append(server.memory_bytes)
    return {"rate": rate, **whole.figures(), "memory_bytes": memory}


def end_under_load(options: argparse.Namespace, folder: Path, requests: list[bytes]) -> dict[str, Any]:
    """SIGTERM while all clients are sending: requests that were sent and not answered are lost."""

    async def stop(process: subprocess.Popen) -> float:
        await asyncio.sleep(3)
        process.send_signal(signal.SIGTERM)
        return time.perf_counter()

    async def both(server: Server) -> tuple[Load, float]:
        return await asyncio.gather(closed_loop(server.port, requests, CLIENTS, 60), stop(server.process))

    with served(options.run, folder) as server:
        load, signalled = asyncio.run(both(server))
        code = server.process.wait(40)
    return {
        "answered": len(load.seconds),
        "answered_after_the_signal": sum(at > signalled for at in load.answered_at),
        "lost": load.statuses[LOST],
        "clients_refused_a_connection": load.statuses[REFUSED],
        "exit_code": code,
    }
