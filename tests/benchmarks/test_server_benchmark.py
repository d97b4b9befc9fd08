"""The benchmark of the server: its clients, hostile requests and page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.benchmarks import Load
from support.served import FakeModel, running

ROOT = Path(__file__).parents[2]
pytest.importorskip("uvicorn")


def test_clients_measure_and_count(load: Load) -> None:
    http = load("harness.http_load")
    requests = [http.post("/v1/classify", {"texts": ["a goal"]}), http.post("/v1/classify", {"texts": []})]
    with running() as server:
        closed = asyncio.run(http.closed_loop(server.port, requests, 2, 0.2)).figures()
        opened = asyncio.run(http.open_loop(server.port, requests, 50, 0.2))
    assert set(closed["statuses"]) == {"200", "422"} and closed["texts_per_second"] > 10
    assert opened.statuses == {200: 5, 422: 5} and len(opened.seconds) == 10


def test_no_hostile_request_gets_an_error_of_the_server(load: Load) -> None:
    from featherweight.serving.auth import Access

    hostile = load("suites.hostile")
    with running(FakeModel(), access=Access(hostile.TOKEN), receive_seconds=0.3) as server:
        found = asyncio.run(hostile._all(server.port, 200, 0))
        assert server.thread.is_alive()
    statuses = {status for counts in found.values() for status in counts}
    assert not any(status.startswith("5") for status in statuses)
    assert {"200", "400", "401", "408", "413", "422"} <= statuses
    assert set(found["slow sender"]) == {"408"} and set(found["wrong token"]) == {"401"}


def test_the_page_is_that_of_the_results(load: Load) -> None:
    page = load("pages.write").serving(load("harness.recording").load_all())
    assert page == (ROOT / "docs" / "results" / "serving.md").read_text("utf-8")
