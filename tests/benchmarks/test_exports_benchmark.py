"""The benchmark of exports: what it compares with the run, and its turns."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.benchmarks import Load

from featherweight.data.sources import Rows
from featherweight.recipe import Recipe

LABELS = ("World", "Sports", "Business", "Sci/Tech")


def test_exports_are_compared_with_their_run(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {n}" for n in range(8)]
    (tmp_path / "rows.csv").write_text(
        "text,label\n" + "".join(f"{text},{LABELS[n % 4]}\n" for n, text in enumerate(texts)), "utf-8"
    )
    export = tmp_path / "run" / "exports" / "onnx"
    export.mkdir(parents=True)
    (export / "model.onnx").write_bytes(b"weights")

    def runner(wrong: int) -> SimpleNamespace:
        """Gives each text its own label, but for the last ``wrong`` ones."""

        def logits(rows: Rows) -> np.ndarray:
            return np.eye(4)[[(n + (n >= 8 - wrong)) % 4 for n in map(texts.index, rows.texts)]]

        model = SimpleNamespace(logits=logits)
        return SimpleNamespace(model=model, labels=LABELS, recipe=Recipe.load("newsbriefs"))

    monkeypatch.setattr(load("suites.exports"), "_runners", lambda run: {"run": runner(0), "onnx": runner(2)})
    options = ["--run", str(tmp_path / "run"), "--data", str(tmp_path / "rows.csv"), "--repeats", "2"]
    more = [
        "--call",
        str(tmp_path / "rows.csv"),
        "made up",
        "--machine",
        "here",
        "--results",
        str(tmp_path / "results"),
    ]
    assert load("run").cli(["exports", *options, *more]) == 0
    record = json.loads((tmp_path / "results" / "here" / "exports-minilm.json").read_text("utf-8"))
    found = record["summary"]["onnx"]
    assert (found["accuracy"], found["other_labels"], found["largest_difference"]) == (0.75, 2, 1.0)
    assert found["bytes"] == 7 and found["times_the_run"]["runs"] == found["times_onnx"]["runs"] == 2
    assert record["summary"]["run"]["accuracy"] == 1.0
    assert record["data"] == {"name": "made up", "rows": 8}
    assert [run["contestant"] for run in record["runs"]] == ["onnx", "run", "run", "onnx"]
