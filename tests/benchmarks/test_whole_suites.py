"""Whole suites of the benchmarks, on a tiny backbone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.benchmarks import Load, play_here


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
class TestWholeBenchmarks:
    """Whole suites with all that competes, in this process; one competitor has one of its own above."""

    @pytest.fixture
    def whole(self, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Runs a suite on a tiny backbone, once, and returns what it recorded."""
        play_here(load, monkeypatch)
        rows = {"train": 96, "test": 24}
        names = ("World", "Sports", "Business", "Sci/Tech")
        for part, count in rows.items():
            lines = (f"{names[n % 4]} news {'word ' * (n % 13)}{n},{names[n % 4]}\n" for n in range(count))
            (tmp_path / f"{part}.csv").write_text("text,label\n" + "".join(lines), "utf-8")

        def run(suite: str, backbone: Path, *arguments: str, job: bool = True) -> dict[str, Any]:
            options = ["--backbone", str(backbone), "--max-length", "64", "--repeats", "1", "--results", str(tmp_path)]
            if job:
                options += ["--data", str(tmp_path / "train.csv"), "--test", str(tmp_path / "test.csv")]
                options += ["--validation-rows", "16"]
            assert load("run").cli([suite, *options, "--machine", "here", *arguments]) == 0
            (path,) = (tmp_path / "here").glob("*.json")
            return json.loads(path.read_text("utf-8"))

        return run

    def test_a_changed_engine_trains(self, whole: Any, load: Load, tiny_backbones: dict[str, Path]) -> None:
        lean, loop = load("featherweight.model.lean.encoder"), load("featherweight.training.loop")
        before = lean.pad_rows, loop.collate
        record = whole("changes", tiny_backbones["bert"], "--steps", "2", "--length", "40", "--only", "lean,collate")
        runs = {run["contestant"]: run for run in record["runs"]}
        assert runs.keys() == {"shipped", "lean", "collate"}
        assert not [run for run in record["runs"] if "failed" in run]
        assert runs["shipped"]["tokens_seen"] == 2 * 32 * 40
        assert runs["collate"]["collate_milliseconds"] > 0
        assert (lean.pad_rows, loop.collate) == before

    def test_every_change_changes_something_that_there_is(self, load: Load) -> None:
        changes, changed = load("harness.competition").competitors("changes"), load("competitors.changed_run").CHANGES
        assert {change.settings["change"] for change in changes if "change" in change.settings} == changed.keys()
        for name, attributes in changed.items():
            assert all(hasattr(target, attribute) for target, attribute, _ in attributes), name

    def test_training_competition(self, whole: Any, tiny_backbones: dict[str, Path]) -> None:
        record = whole("train", tiny_backbones["bert"], "--steps", "2", "--only", "trainer,tuned,featherweight")
        assert {run["contestant"] for run in record["runs"]} == {"trainer", "tuned", "featherweight"}
        assert not [run for run in record["runs"] if "failed" in run]
        # The same job: as many trained parameters, and every row seen once.
        assert len({run["trainable"] for run in record["runs"]}) == 1
        assert {run["rows_seen"] for run in record["runs"]} == {64}
        assert record["summary"]["trainer"]["times_faster"]["median"] > 0
        assert record["comparison"]["trainer"]["rows"] == 24
        # Of 64 rows, grouped by length against in random order.
        padding = {name: figures["padding_share"]["median"] for name, figures in record["summary"].items()}
        assert 0 < padding["featherweight"] < padding["trainer"] < 1

    def test_prediction_competition(self, whole: Any, tiny_backbones: dict[str, Path]) -> None:
        arguments = ("--rows", "80", "--epochs", "0.05", "--latency-texts", "2")
        record = whole("predict", tiny_backbones["roberta"], *arguments, job=False)
        assert record["summary"]["featherweight"]["agreement"] == 1.0
        assert record["summary"]["pipeline-64"]["latency_p99_ms"]["median"] > 0

    def test_limit(self, whole: Any, tiny_backbones: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        arguments = ("--steps", "4", "--predict-rows", "64", "--profile-steps", "1", "--seconds", "0.001")
        monkeypatch.setenv("OMP_NUM_THREADS", "2")  # so that the profiled prediction works in threads
        record = whole("limit", tiny_backbones["bert"], *arguments)
        assert 0 < record["summary"]["training"]["share"]["median"] < 1
        for name in ("profile", "prediction_profile"):
            assert {"aten::bmm", "no operation: Python, waiting, the profiler"} < {
                row["operation"] for row in record[name]
            }
            assert sum(row["share"] for row in record[name]) <= 1.0001

    def test_scale(self, whole: Any, tiny_backbones: dict[str, Path]) -> None:
        record = whole("scale", tiny_backbones["bert"], "--steps", "4", "--only", "length", "--lengths", "16,32")
        tokens = [run["tokens_seen"] / run["rows_seen"] for run in record["runs"]]
        assert tokens == [16, 32]
        assert record["summary"]["length"]["exponents"].keys() >= {"seconds_a_row", "peak_memory_bytes"}

    def test_prefix(self, whole: Any, tiny_backbones: dict[str, Path]) -> None:
        record = whole("prefix", tiny_backbones["bert"], "--rows", "64", "--epochs", "2", "--layers", "1")
        assert [len(run["epoch_seconds"]) for run in record["runs"]] == [2, 2]
        assert record["summary"]["kept"]["states_bytes"] > 0
        assert record["summary"]["kept"]["largest_difference"]["probabilities"] < 1e-3


@pytest.mark.slow
def test_the_script_for_a_gpu_runs_on_a_processor(load: Load, tmp_path: Path) -> None:
    """Its parts on a GPU cannot be tried without one; what they call can."""
    out = tmp_path / "smoke.json"
    options = ["--device", "cpu", "--tiny", "--steps", "2", "--only", "curves", "--out", str(out)]
    assert load("run").cli(["gpu-smoke", *options]) == 0
    found = json.loads(out.read_text("utf-8"))["parts"]["curves"]
    assert found["steps"] == 2 and found["largest"] < 0.01
