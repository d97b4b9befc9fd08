"""The page in a headless browser: typing, words, a CSV file, keyboard, dark mode, phone width, accessibility."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import CARD, FakeModel, Running, running

pytest.importorskip("fastapi")
playwright = pytest.importorskip("playwright.sync_api", reason="the extra web-tests is not installed")

pytestmark = pytest.mark.slow
GOAL = "The striker scores a goal"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            opened = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except playwright.Error:
            pytest.skip("no Chromium on this machine: playwright install chromium")
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as started:
        yield started


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop", "phone, dark"])
def page(browser: Any, server: Running, request: Any) -> Iterator[Any]:
    width, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    opened.goto(server.url)
    opened.wait_for_selector("#bars li")
    yield opened
    opened.close()
    assert problems == [], "no script failed, and the content security policy was not broken"


def until(page: Any, condition: str) -> None:
    """Wait until the expression is true. Playwright's own way evaluates texts, which the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def say(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.wait_for_selector(".answer:not(.stale) .label:not(.empty)")


def test_bars_follow_the_text_and_words_are_marked(page: Any) -> None:
    say(page, GOAL)
    assert page.inner_text("#verdict") == "Sports"
    assert page.eval_on_selector_all(".value", "cells => cells.map(cell => cell.textContent)") == ["10.0%", "90.0%"]
    widths = page.eval_on_selector_all(".fill", "fills => fills.map(fill => fill.style.width)")
    assert widths == ["10%", "90%"]
    page.wait_for_selector("#words mark.for")
    assert page.inner_text("mark.for >> nth=0") == "goal"
    assert "goal for: 90.0%, without it 20.0%" in page.inner_text("#strongest")
    assert page.text_content("#status") == "Sports, 90%"
    page.click(".bars button >> nth=0")  # the words for the other class
    page.wait_for_selector("#marked mark.against")
    page.fill("#text", " ")
    page.wait_for_selector(".label.empty")
    assert page.is_hidden("#words")


def test_an_answer_that_comes_late_is_not_shown(page: Any, server: Running) -> None:
    server.model.free.clear()
    page.fill("#text", GOAL)
    page.wait_for_timeout(250)  # the request is on its way
    page.fill("#text", "a treaty")
    page.wait_for_timeout(250)
    server.model.free.set()
    page.wait_for_selector(".answer:not(.stale) .label:not(.empty)")
    page.wait_for_timeout(200)
    assert page.inner_text("#verdict") == "World"


def test_examples_and_card_are_shown(page: Any) -> None:
    page.click(f"text={CARD['examples'][0]}")  # type: ignore[index]
    until(page, "document.getElementById('verdict').textContent === 'Sports'")
    assert "92.50%" in page.inner_text("header") and "80.0% to 97.0%" in page.inner_text("#card")
    assert page.eval_on_selector_all(".matrix td", "cells => cells.map(cell => cell.textContent)")[1:3] == ["18", "2"]
    assert CARD["doubts"][0] in page.inner_text("#card")  # type: ignore[index]
    assert page.eval_on_selector_all("#card th", "cells => cells.map(cell => cell.textContent)")[:3] == [
        "Texts", "Rows", "Accuracy",
    ]  # fmt: skip
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out at the side"
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
    assert page.eval_on_selector_all("pre, .scroll", cut) == [], "nothing is cut off"


def test_a_model_without_results_is_shown(browser: Any) -> None:
    with running(card={**CARD, "results": []}) as server:
        opened = browser.new_page()
        problems: list[str] = []
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.goto(server.url)
        opened.wait_for_selector(".facts")
        assert "Trained parameters" in opened.inner_text("#card") and problems == []
        opened.close()


FILE = 'id;text;note\r\n1;"a ""goal""; and\nmore";x\r\n2;treaty;\r\n\r\n3;;y\r\n'


def test_a_csv_file_comes_back_with_labels(page: Any, tmp_path: Path) -> None:
    (tmp_path / "news.csv").write_text("\ufeff" + FILE, "utf-8", newline="")
    page.set_input_files("#file", tmp_path / "news.csv")
    page.wait_for_selector("#start:not([hidden])")
    assert page.eval_on_selector("#columns select", "select => select.selectedOptions[0].textContent") == "text"
    with page.expect_download() as download:
        page.click("#start")
        page.wait_for_selector("#download:not([hidden])")
        page.click("#download")
    assert download.value.suggested_filename == "news-labels.csv"
    rows = [*csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8"), newline=""), delimiter=";")]
    assert rows[0] == ["id", "text", "note", "label", "p_World", "p_Sports"]
    assert rows[1] == ["1", 'a "goal"; and\nmore', "x", "Sports", "0.100000", "0.900000"]
    assert [row[3] for row in rows[2:]] == ["World", "World"]


def test_a_file_can_be_cancelled_and_other_encodings_are_said(page: Any, server: Running, tmp_path: Path) -> None:
    server.model.seconds = 0.05
    (tmp_path / "news.csv").write_bytes(("text\n" + "caf\u00e9\n" * 1000).encode("windows-1252"))
    page.set_input_files("#file", tmp_path / "news.csv")
    page.wait_for_selector("#start:not([hidden])")
    assert "Windows-1252" in page.inner_text("#file-status")
    page.click("#start")
    until(page, "document.getElementById('progress').value > 0")
    page.click("#cancel")
    until(page, "document.getElementById('file-status').textContent.startsWith('Cancelled')")
    assert page.is_hidden("#download") and page.is_visible("#start")
    server.model.seconds = 0.0


def test_a_text_of_exactly_the_greatest_length_is_not_called_cut(page: Any) -> None:
    say(page, "word " * 62)
    until(page, "document.getElementById('text-note').textContent === '63 of at most 64 tokens.'")
    say(page, "word " * 63)
    until(page, "document.getElementById('text-note').textContent.includes('of a longer text, the rest is not used')")


def test_a_share_below_one_is_not_rounded_up_to_it(page: Any) -> None:
    shown = page.evaluate("import('/api.js').then(api => [api.percent(0.9997), api.percent(0.997, 0), api.percent(1)])")
    assert shown == ["99.9%", "99%", "100.0%"]


def test_a_file_says_how_many_texts_were_cut(page: Any, tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_text(f"text\n{'a' * 20_000}\n{'b' * 20_001}\nc\n", "utf-8")
    page.set_input_files("#file", tmp_path / "long.csv")
    page.click("#start")
    page.wait_for_selector("#download:not([hidden])")
    said = page.inner_text("#file-status")
    assert said == "Done: 3 rows. 1 text was cut to the first 20,000 characters."


def test_a_file_is_given_up_when_the_server_does_not_answer_in_time(
    browser: Any, server: Running, tmp_path: Path
) -> None:
    page, asked = browser.new_page(), []

    def late(route: Any) -> None:
        asked.append(1)
        content = {"error": {"status": 503, "code": "unavailable", "message": "the answer took too long"}}
        route.fulfill(status=503, headers={"Retry-After": "0.01"}, json=content)

    page.route("**/v1/classify", late)
    page.goto(server.url)
    (tmp_path / "news.csv").write_text("text\na\n", "utf-8")
    page.set_input_files("#file", tmp_path / "news.csv")
    page.click("#start")
    until(page, "document.getElementById('file-status').textContent.endsWith('too long. Nothing was written.')")
    assert len(asked) == 5 and page.is_hidden("#download")
    page.close()


def test_everything_is_reached_by_keyboard(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.type(GOAL)
    page.wait_for_selector("#words mark.for")
    reached = []
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.closest('section, ol')?.id"))
    assert "file" in reached and "bars" in reached
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_axe_finds_nothing_serious(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra web-tests is not installed")
    say(page, GOAL)
    page.wait_for_selector("#words mark.for")
    page.wait_for_timeout(700)  # transitions have ended
    found = axe.Axe().run(page).response["violations"]
    serious = [(f["id"], f["nodes"][0]["html"][:120]) for f in found if f["impact"] in ("serious", "critical")]
    assert serious == []


def test_a_server_with_a_token_asks_for_it(browser: Any) -> None:
    from featherweight.serving.auth import Access

    token = "a-token-of-24-characters"
    with running(FakeModel(), access=Access(token)) as server:
        page = browser.new_page()
        page.goto(server.url)
        page.wait_for_selector("#token-form:not([hidden])")
        page.fill("#token", token)
        page.keyboard.press("Enter")
        page.wait_for_selector("#token-form", state="hidden")
        say(page, GOAL)
        assert page.inner_text("#verdict") == "Sports"
        page.close()
