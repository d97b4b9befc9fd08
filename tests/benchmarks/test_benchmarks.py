"""The benchmarks: their commands and the contests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.benchmarks import Load
from support.made_up_benchmarks import a_record, trained

from featherweight.data.sources import Rows
from featherweight.errors import UserError

ROOT = Path(__file__).parents[2]


def test_the_command_lists_its_suites(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    run = load("run")
    assert run.cli([]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in run.SUITES)
    assert run.cli(["trains"]) == 2
    assert capsys.readouterr().out.startswith("benchmark: no suite trains; there are train, predict")


@pytest.mark.parametrize("name", [
    "train", "predict", "limit", "scale", "changes", "prefix", "startup", "gpu", "gpu-smoke", "server", "kills",
    "checkpoint-cost", "bad-inputs", "same-bits", "planted-faults", "publish", "publish-rounds", "pages",
    "shift-trials", "ablation",
])  # fmt: skip
def test_every_suite_says_what_it_does(load: Load, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name in load("run").SUITES
    with pytest.raises(SystemExit) as ended:
        load("run").cli([name, "--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and f"usage: run.py {name}" in said and f"benchmarks/run.py {name}" in said


def test_gains_under_the_simulated_shift_are_paired_by_part_and_seed(load: Load) -> None:
    def run(setting: str, part: int, accuracy: float) -> dict[str, Any]:
        return {"setting": setting, "part": part, "seed": 0, "accuracy": accuracy, "log_loss": 0.5, "seconds": 1.0}

    runs = [run("recipe", 0, 0.5), run("recipe", 1, 0.9), run("smoothing", 1, 0.8)]
    found = load("accuracy.shift_trials").summary(runs)
    assert found["smoothing"]["accuracy_gain"] == pytest.approx(-0.1) and found["smoothing"]["runs"] == 1
    assert found["recipe"]["accuracy"] == pytest.approx(0.7) and found["recipe"]["accuracy_gain"] == 0
    gains = {(0, 0): 0.1, (0, 1): 0.3, (1, 0): -0.1, (1, 1): -0.3, (2, 0): 0.0, (2, 1): 0.0}
    runs = [
        {**run(name, part, 0.5 + gain * (name == "smoothing")), "seed": seed}
        for (part, seed), gain in gains.items()
        for name in ("recipe", "smoothing")
    ]
    smoothing = load("accuracy.shift_trials").summary(runs)["smoothing"]
    # Over three parts, with 0.2, -0.2 and 0 points over their seeds; the six runs are not independent.
    assert smoothing["accuracy_gain_error"] == pytest.approx(0.2 / 3**0.5) and smoothing["runs"] == 6


def test_accuracies_are_compared_over_the_seeds_that_both_have(load: Load) -> None:
    truth, right, wrong = [0, 1, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1]
    ours = {0: right, 1: [0, 1, 1, 1], 2: []}
    found = load("suites.train").compare({"featherweight": ours, "trainer": {0: [], 1: wrong, 2: right}}, truth)
    assert found["trainer"]["seeds"] == 1 and found["trainer"]["rows"] == 4
    assert (found["trainer"]["accuracy"], found["trainer"]["other_accuracy"]) == (0.75, 0.0)
    assert load("suites.train").compare({"featherweight": {0: []}, "trainer": {0: right}}, truth) == {}


def test_a_comparison_of_accuracies_tells_what_else_differs(load: Load) -> None:
    record, write = trained(load), load("pages.write")
    record["runs"] += [{"contestant": "featherweight", "repeat": 0, "rows_seen": 40_000, "steps": 1250}]
    record["runs"][0] |= {"rows_seen": 40_000, "steps": 1250, "evaluations": record["runs"][0]["evaluations"]}
    assert "Not an equal comparison" not in write.rendered("train.md", r=record)
    record["runs"][0] |= {"steps": 625}
    said = "Not an equal comparison: Trainer + PEFT took 625 steps, and Featherweight 1,250."
    assert said in write.rendered("train.md", r=record)
    record["runs"][0] |= {"rows_seen": 1024, "steps": None}
    assert "took 1,024 rows, and Featherweight 40,000." in write.rendered("train.md", r=record)


def test_a_machine_without_a_gpu_is_told_so_in_one_line(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert load("run").cli(["gpu"]) == 2
    assert capsys.readouterr() == ("", "benchmark: gpu needs a CUDA device, and torch finds none on this machine\n")


def test_an_unknown_data_file_is_bad_input(load: Load, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("run").cli(["train", "--data", str(tmp_path / "none.csv"), "--results", str(tmp_path)]) == 2
    assert "no such file" in capsys.readouterr().err


def test_an_unknown_competitor_is_named(load: Load) -> None:
    with pytest.raises(UserError, match="--only trainers: no such competitor; there are pipeline, pipeline-64"):
        load("harness.competition").competitors("predict", "trainers")


def test_a_note_says_what_the_job_sets(load: Load) -> None:
    job = {"half": "bf16", "tuned_batch": 16, "setfit_rows": 99, "peers": sys.executable}
    tuned, setfit = load("harness.competition").competitors("train", "tuned,setfit", job)
    assert tuned.note == "bf16, grouped by length as in a long run, batches of 16"
    assert setfit.note == "pairs from 99 rows, each in two" and setfit.python == sys.executable


COMPETITOR = """from harness.measuring import peak_memory_bytes


def solve(job):
    return {"size": 2 * job["size"], "scratch": job["scratch"], "peak_memory_bytes": peak_memory_bytes()}
"""


class TestCompetition:
    def test_everybody_plays_once_a_repeat_and_the_first_changes(self, load: Load) -> None:
        competition = load("harness.competition")
        three = [competition.Competitor(name, name, "none") for name in "abc"]
        order = [(repeat, one.name) for repeat, one in competition.interleaved(three, 3)]
        assert [name for repeat, name in order if repeat == 1] == ["b", "c", "a"]
        assert sorted(order) == [(repeat, name) for repeat in range(3) for name in "abc"]

    def test_a_competitor_answers_from_a_process_of_its_own(
        self, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        competition = load("harness.competition")
        (tmp_path / "competitors").mkdir()
        (tmp_path / "competitors" / "doubling.py").write_text(COMPETITOR, "utf-8")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        doubling = competition.Competitor("a", "a", "doubling", {"size": 3})
        found = competition.play(doubling, {"size": 1}, tmp_path)
        assert (found["size"], found["scratch"]) == (6, str(tmp_path)) and found["peak_memory_bytes"] > 10**6
        # One that fails says why and stops nobody.
        failed = competition.play(competition.Competitor("b", "b", "doubling"), {}, tmp_path)
        assert failed == {"failed": "KeyError: 'size'"}

    def test_ratios_are_of_runs_side_by_side(self, load: Load) -> None:
        def run(contestant: str, repeat: int, speed: float) -> dict[str, Any]:
            points = [{"step": 1, "seconds": 4.0, "accuracy": 0.91}, {"step": 2, "seconds": 9.0, "accuracy": 0.93}]
            return {"contestant": contestant, "repeat": repeat, "samples_per_second": speed, "evaluations": points}

        # The machine is twice as fast in the second turn, and that is nobody's merit.
        runs = [
            run("trainer", 0, 10),
            run("featherweight", 0, 120),
            run("featherweight", 1, 240),
            run("trainer", 1, 20),
        ]
        summary = load("suites.train").summarise(runs, ["trainer", "featherweight"])
        assert summary["trainer"]["times_faster"] == {"median": 12.0, "low": 12.0, "high": 12.0, "runs": 2}
        assert summary["trainer"]["seconds_to_target"]["median"] == 9.0
        assert summary["trainer"]["accuracy"]["median"] == 0.93

    def test_accuracies_are_compared_on_the_same_rows(self, load: Load) -> None:
        truth = [0, 1] * 50
        worse = [1 - label if place < 10 else label for place, label in enumerate(truth)]
        pair = load("suites.train").compare(
            {"featherweight": {0: truth}, "trainer": {0: worse}, "setfit": {0: []}}, truth
        )
        assert pair.keys() == {"trainer"}
        assert pair["trainer"]["difference"] == pytest.approx(0.1) and pair["trainer"]["low"] > 0
        assert pair["trainer"]["p_values"] == [pytest.approx(2 * 0.5**10)]

    def test_recombined_rows_are_new_texts_of_the_same_classes(self, load: Load) -> None:
        rows = Rows(
            [f"{name} one two three {n}" for n in range(20) for name in ("a", "b")],
            np.array([0, 1] * 20),
            ("a", "b"),
            "x",
        )
        many = load("harness.jobs").recombined(rows, 200, seed=0)
        assert len(many) == 200 and many.texts[:40] == rows.texts
        assert all(
            text.startswith(many.label_names[label]) for text, label in zip(many.texts, many.labels, strict=True)
        )
        assert load("harness.jobs").recombined(rows, 200, seed=0).texts == many.texts
        assert load("harness.jobs").recombined(rows, 10, seed=0) is rows


class TestPrefix:
    def test_epochs_are_told_apart_from_evaluations_and_paired_by_turn(self, load: Load, tmp_path: Path) -> None:
        prefix, run = load("suites.prefix"), tmp_path / "run"
        run.mkdir()
        history = []
        for epoch, (end, evaluation) in enumerate(((9.0, 2.0), (15.0, 1.0)), 1):
            history.append({"kind": "step", "step": 2 * epoch - 1, "epoch": epoch - 0.5, "seconds": end - 2})
            history.append({"kind": "step", "step": 2 * epoch, "epoch": float(epoch), "seconds": end})
            history.append({"kind": "evaluation", "step": 2 * epoch, "seconds": evaluation})
        (run / "history.jsonl").write_text("".join(json.dumps(record) + "\n" for record in history), "utf-8")
        found = prefix.figures(run, tmp_path)
        assert found == {"epoch_seconds": [9.0, 4.0], "evaluation_seconds": [2.0, 1.0], "states_bytes": 0}
        slow = {**found, "epoch_seconds": [9.0, 10.0], "evaluation_seconds": [3.0, 3.0]}
        both = [{"contestant": "kept", **found}, {"contestant": "without", **slow}]
        runs = [{**one, "repeat": repeat, "peak_memory_bytes": 10**9} for repeat in (0, 1) for one in both]
        summary = prefix.summarise(runs, [{"adapter": 0.0, "probabilities": 1e-7}, {}])
        assert summary["kept"]["epoch_seconds_times_faster"] == {"median": 2.5, "low": 2.5, "high": 2.5, "runs": 2}
        record = a_record(load, "prefix", "prefix-minilm", summary=summary)
        record["contestants"] = {name: {"label": name, "note": ""} for name in ("kept", "without")}
        record["profiles"] = {
            "kept": [{"operation": "aten::bmm", "share": 0.25, "calls": 7}],
            "without": {"failed": "x"},
        }
        page = load("pages.write").rendered("prefix.md", r=record)
        assert "A later epoch is 2.50× (2.50–2.50) as fast, an evaluation 3.00× (3.00–3.00); 0.0 MB stored." in page
        assert "adapter 0, probabilities 1e-07" in page
        assert "from the second epoch on, kept:" in page and "| `aten::bmm` | 25.0% | 7 |" in page
        assert "epoch on, without" not in page

    def test_steps_of_the_second_epoch_are_looked_into(
        self, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prefix = load("suites.prefix")
        monkeypatch.setattr(
            prefix.competition, "play", lambda one, job, folder: {"profile": [one.name, *job["profile"]]}
        )
        # Of twelve steps an epoch: the thirteenth is over when the profile begins, and the next evaluation far.
        assert prefix.profiles({}, 12, tmp_path) == {name: [name, 13, 5] for name in ("kept", "without")}
        assert prefix.profiles({}, 4, tmp_path)["kept"] == ["kept", 5, 2]
        assert prefix.profiles({}, 2, tmp_path) == {}
