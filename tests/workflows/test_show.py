"""What ``show`` puts below a notebook's cell, and the look at data and weight that it takes from Python."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
from IPython import display
from support.made_up_rounds import fabricate_rounds

import featherweight
from featherweight import Recipe, UserError, check, compare_runs, show, weigh
from featherweight.evaluation.comparison import Comparison
from featherweight.report.comparison.words import headline
from featherweight.run.folder import Run

PNG = b"\x89PNG"


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    things: list[Any] = []
    monkeypatch.setattr(display, "display", things.append)
    return things


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare_runs(fabricate_rounds(tmp_path_factory.mktemp("rounds"), seeds=1, rows=300))


def test_every_public_name_is_there() -> None:
    for name in featherweight.__all__:
        assert getattr(featherweight, name) is not None


def test_a_weight_is_shown_as_a_table(shown: list[Any]) -> None:
    show(weigh(Recipe.load("r4")))
    lines = shown[0].data.splitlines()
    assert lines[0] == "| component | parameters |"
    assert "| encoder biases | 102,144 |" in lines
    assert lines[-5:-2] == ["| **trainable** | **990,724** |", "| budget | 1,000,000 |", "| left | 9,276 |"]
    show(weigh(Recipe.load("r4", ["budget=100k"])))
    assert "| over budget | 890,724 |" in shown[1].data


def test_an_inspection_is_printed_as_the_command_prints_it(
    cli: Any, job: Path, tiny_recipe: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    said = cli("check", "data.csv", "--max-length", 128).out
    show(check(tiny_recipe().with_values(data={"train": "data.csv", "test": None, "max_length": 128})))
    assert capsys.readouterr().out == said


def test_a_run_is_shown_by_its_pictures(shown: list[Any], finished_run: Run) -> None:
    show(finished_run)
    show(finished_run, "curves", "confusion_matrix")
    assert [image.data for image in shown] == [
        (finished_run.folder / "plots" / f"{name}.png").read_bytes()
        for name in ("summary", "curves", "confusion_matrix")
    ]
    assert all(200 < image.width <= 900 for image in shown)
    with pytest.raises(UserError, match=r"the run has no plot 'loss'; it has .*confusion_matrix, curves"):
        show(finished_run, "loss")


def test_a_comparison_is_shown_in_tables_and_words_or_by_its_pictures(shown: list[Any], comparison: Comparison) -> None:
    show(comparison)
    text = shown[0].data
    assert text.startswith(f"**{headline(comparison)}.**")
    for pair in (*comparison.differences, *comparison.against_baselines):
        assert pair.words in text
    show(comparison, "frontier", "rounds")
    assert [image.data[:4] for image in shown[1:]] == [PNG, PNG]
    with pytest.raises(UserError, match="the comparison has no plot 'curves'; it has accuracy, "):
        show(comparison, "curves")


def test_what_cannot_be_shown_is_refused(shown: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="or the result of weigh or check, not the text 'runs/mine'"):
        show("runs/mine")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="Weight has no plots; call show without a name"):
        show(weigh(Recipe.load("r3")), "weigh_in")
    found = builtins.__import__

    def without_ipython(name: str, *more: Any, **named: Any) -> Any:
        if name == "IPython":
            raise ImportError(name)
        return found(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_ipython)
    with pytest.raises(UserError, match="show works only in notebooks, and IPython is not installed"):
        show(weigh(Recipe.load("r3")))
    assert not shown
