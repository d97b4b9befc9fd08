"""Predictions between programs: a text a line in, JSON Lines out."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused

from featherweight.errors import UserError
from featherweight.inference import pipes
from featherweight.inference.classifier import Classifier
from featherweight.inference.pipes import predict_lines

GIVEN = "\ufeffapple pear\r\n\nrobin über\nno end"
TEXTS = ["apple pear", "", "robin über", "no end"]


@pytest.fixture(scope="module")
def classifier(finished_run: Any) -> Classifier:
    return Classifier.load(finished_run.folder)


def answers(classifier: Classifier, pieces: list[bytes]) -> list[dict[str, Any]]:
    output, left = io.StringIO(), iter([*pieces, b""])
    assert predict_lines(classifier, lambda: next(left), output) == output.getvalue().count("\n")
    return [json.loads(line) for line in output.getvalue().splitlines()]


@pytest.mark.parametrize("most", [2, 1000])
def test_lines_are_classified_however_they_come(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(pipes, "_MOST_LINES", most)
    whole = GIVEN.encode()
    one_by_one = [bytes([byte]) for byte in whole]
    for pieces in ([whole], one_by_one, [whole[:20], whole[20:]]):
        found = answers(classifier, pieces)
        assert [row["row"] for row in found] == ["0", "1", "2", "3"]
        expected = classifier.predict(TEXTS, warn=False)
        assert [row["label"] for row in found] == [each.label for each in expected]
        for row, each in zip(found, expected, strict=True):
            assert [row[f"p_{name}"] for name in classifier.labels] == pytest.approx([*each.probabilities.values()])


def test_an_answer_comes_before_the_next_line(classifier: Classifier) -> None:
    output = io.StringIO()

    def lines() -> Iterator[bytes]:
        yield b"apple\n"
        assert output.getvalue().count("\n") == 1
        yield b"robin\n"
        yield b""

    given = lines()
    assert predict_lines(classifier, lambda: next(given), output) == 2


def test_a_line_that_is_not_utf_8_is_named(classifier: Classifier) -> None:
    for pieces in ([b"apple\n\xff\xfe\n"], [b"apple\n", b"\xff\xfe\n"]):
        with pytest.raises(UserError, match="line 2 is not UTF-8"):
            answers(classifier, pieces)


def test_the_command_reads_and_writes_pipes(cli: Cli, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"apple\nrobin\n \n")
    os.close(writing)
    with os.fdopen(reading) as given:
        monkeypatch.setattr("sys.stdin", given)
        piped = cli("predict", run, "-")
    assert piped.code == 0 and [json.loads(line)["row"] for line in piped.out.splitlines()] == ["0", "1", "2"]
    assert piped.err == "note: -: 1 row is blank or missing (row 3); it gets the label of an empty text\n"
    Path("texts.csv").write_text("text\napple\nrobin\n \n", "utf-8")
    from_file = cli("predict", run, "texts.csv", "-o", "-")
    assert from_file.out == piped.out
    refused(
        cli,
        "predict",
        run,
        "-",
        "-o",
        "out.csv",
        naming=("--out: cannot be used with -", "to write a file, add > FILE"),
    )
    refused(cli, "predict", run, "texts.csv", "--kaggle", "-o", "-", naming="-o -: a submission is a CSV file")
