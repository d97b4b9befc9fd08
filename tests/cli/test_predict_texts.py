"""predict with texts in place of a file: what is shown, and which options do not go together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.commands import Cli

from featherweight.inference.classifier import Classifier
from featherweight.run.folder import Run


def test_texts_are_classified_and_shown(cli: Cli, finished_run: Run) -> None:
    texts = ["apple pear [bold]plum[/bold]", "crow " * 20, "iron\x1b[31m copper"]
    answer = cli("predict", finished_run.folder, *(part for text in texts for part in ("--text", text)))
    assert (answer.code, answer.err) == (0, "")
    head, *rows = answer.out.splitlines()
    assert head.split() == ["text", "label", "bird", "fruit", "metal"]
    expected = Classifier.load(finished_run.folder).predict(texts)
    assert len(rows) == 3
    for row, prediction in zip(rows, expected, strict=True):
        shown = [f"{share:.4f}" for share in prediction.probabilities.values()]
        assert row.split()[-4:] == [prediction.label, *shown]
    assert rows[0].startswith("apple pear [bold]plum[/bold]")
    assert rows[1].startswith("crow crow") and "... " in rows[1]
    assert "\x1b" not in answer.out


def test_of_many_classes_the_likeliest_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from featherweight.cli.tables import prediction_table
    from featherweight.console import plain_console
    from featherweight.inference.classifier import Prediction

    shares = {f"class {number}": share for number, share in enumerate(np.linspace(0, 0.2, 11))}
    plain_console().print(prediction_table(["a text"], [Prediction("class 10", shares)]))
    row = capsys.readouterr().out.splitlines()[1]
    assert " ".join(row.split()) == "a text class 10 class 10 0.2000 class 9 0.1800 class 8 0.1600"


@pytest.mark.parametrize(("arguments", "words"), [
    (["texts.csv", "--text", "owl"], "-o is missing"),
    (["--text", "owl", "-o", "out.csv"], "--out and --text exclude each other"),
    (["--text", "owl", "--kaggle"], "--kaggle and --text exclude each other"),
    (["-o", "out.csv"], 'FILE is missing: pass a file of texts, or a text with --text "..."'),
])  # fmt: skip
def test_bad_use_of_text(cli: Cli, finished_run: Run, arguments: list[str], words: str) -> None:
    answer = cli("predict", finished_run.folder, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err
    assert list(Path().iterdir()) == []
