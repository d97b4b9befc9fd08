"""What a benchmark writes down, and the arithmetic between what is measured and what is said."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.benchmarks import Load
from support.made_up_benchmarks import a_record, trained

from featherweight.backbone.describe import architecture_of
from featherweight.backbone.known_configs import KNOWN


class TestRecording:
    def test_a_result_says_where_when_and_on_what(self, load: Load, tmp_path: Path) -> None:
        recording = load("harness.recording")
        path = recording.save(a_record(load, "train", "train-minilm"), tmp_path)
        record = json.loads(path.read_text("utf-8"))
        assert set(recording.PROMISED) <= set(record)
        assert record["machine"].keys() >= {"processor", "cores", "memory_bytes", "instructions", "load_before"}
        assert record["versions"].keys() >= {"featherweight", "python", "torch", "transformers", "peft"}
        assert record["seeds"] == [0, 1] and record["data"]["train_rows"] == 816
        assert record["date"].startswith("20") and record["date"].endswith("+00:00")

    @pytest.mark.parametrize("text", [
        "/home/someone/train.csv", "/my data/a.csv", "/one, two/a.csv", "see https://example.org", "~/data",
        "row " * 200,
    ])  # fmt: skip
    def test_what_belongs_to_the_machine_or_the_data_is_refused(self, text: str, load: Load, tmp_path: Path) -> None:
        record = a_record(load, "train", "train-minilm", settings={"data": text})
        with pytest.raises(ValueError, match="no place in a result"):
            load("harness.recording").save(record, tmp_path)
        assert not list(tmp_path.iterdir())

    def test_words_with_slashes_are_no_paths(self, load: Load, tmp_path: Path) -> None:
        record = a_record(load, "train", "x", settings={"classes": "Sci/Tech", "rate": "12 rows/s", "aten": "aten::mm"})
        assert load("harness.recording").save(record, tmp_path).is_file()

    def test_a_missing_key_is_refused(self, load: Load, tmp_path: Path) -> None:
        record = a_record(load, "train", "train-minilm")
        del record["machine"]
        with pytest.raises(ValueError, match="lacks machine"):
            load("harness.recording").save(record, tmp_path)

    def test_an_unfinished_result_is_kept_but_not_shown(self, load: Load, tmp_path: Path) -> None:
        recording = load("harness.recording")
        record = a_record(load, "train", "train-minilm")
        assert recording.save(record, tmp_path, whole=False).name == "train-minilm.partial.json"
        assert recording.load_all(tmp_path) == []
        recording.save(record, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["train-minilm.json"]

    def test_an_error_keeps_its_words_and_loses_its_paths(self, load: Load) -> None:
        presentable = load("harness.recording").presentable
        assert presentable("OSError: /tmp/a/b/model.safetensors: gone") == "OSError: model.safetensors: gone"
        assert presentable("OSError: '/tmp/a, b/c d/e.csv': gone") == "OSError: 'e.csv': gone"
        assert presentable("OSError:/tmp/a/b.csv, no https://host.example/a/b.bin") == "OSError:b.csv, no b.bin"
        assert presentable("no host http://localhost:8000") == "no host localhost:8000"
        assert presentable("tests/a/test_b.py::test_c") == "tests/a/test_b.py::test_c"

    def test_spread_and_ratios_go_run_by_run(self, load: Load) -> None:
        recording = load("harness.recording")
        assert recording.spread([3.0, None, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0, "runs": 3}
        assert recording.spread([None]) is None
        ratio = recording.ratio_spread([10.0, 30.0, 50.0], [1.0, 2.0, None])
        assert ratio == {"median": 12.5, "low": 10.0, "high": 15.0, "runs": 2}

    def test_the_exponent_of_a_power_is_found(self, load: Load) -> None:
        sizes = [32, 64, 128, 512]
        assert load("harness.recording").fitted_exponent(sizes, [0.1 * n**1.5 for n in sizes]) == pytest.approx(1.5)
        assert load("harness.recording").fitted_exponent([32], [1.0]) is None


class TestArithmetic:
    @pytest.mark.parametrize(("name", "weights"), [("roberta-base", 84_934_656), ("minilm", 10_616_832)])
    def test_a_token_costs_four_flops_a_weight_in_training_and_two_in_prediction(
        self, name: str, weights: int, load: Load
    ) -> None:
        flops, architecture = load("suites.limit"), architecture_of(KNOWN[name])
        assert flops.linear_weights(architecture) == weights
        assert flops.flops_a_token(architecture) == {"training": 4 * weights, "prediction": 2 * weights}

    def test_the_shapes_of_roberta_base(self, load: Load) -> None:
        flops, architecture = load("suites.limit"), architecture_of(KNOWN["roberta-base"])
        one_by_one = {(p.inputs, p.outputs): p.count for p in flops.products(architecture)}
        assert one_by_one == {(768, 768): 48, (768, 3072): 12, (3072, 768): 12}
        joined = {(p.inputs, p.outputs): p.count for p in flops.products(architecture, joined=True)}
        assert joined == {(768, 768): 12, (768, 2304): 12, (768, 3072): 12, (3072, 768): 12}

    def test_joined_products_are_as_much_work(self, load: Load) -> None:
        for name in ("minilm", "mpnet", "distilbert-base-uncased", "answerdotai/ModernBERT-base"):
            flops, architecture = load("suites.limit"), architecture_of(KNOWN[name])
            joined = sum(p.inputs * p.outputs * p.count for p in flops.products(architecture, joined=True))
            assert joined == flops.linear_weights(architecture), name

    def test_evaluations_do_not_count_as_training(self, load: Load) -> None:
        history = [
            {"kind": "step", "step": 1, "seconds": 2.0, "rows": 32, "tokens": 1000},
            {"kind": "evaluation", "step": 1, "seconds": 5.0, "accuracy": 0.5},
            {"kind": "step", "step": 2, "seconds": 9.0, "rows": 32, "tokens": 1200},
            {"kind": "evaluation", "step": 2, "seconds": 5.0, "accuracy": 0.9},
        ]
        pace = load("competitors.featherweight_run").pace(history)
        assert pace["training_seconds"] == pytest.approx(4.0)
        assert pace["samples_per_second"] == pytest.approx(16.0)
        assert pace["tokens_per_second"] == pytest.approx(550.0)
        assert [(point["seconds"], point["accuracy"]) for point in pace["evaluations"]] == [(2.0, 0.5), (4.0, 0.9)]
        assert load("competitors.featherweight_run").pace(history, skip=1)["samples_per_second"] == pytest.approx(16.0)

    def test_a_batch_is_counted_as_the_change_makes_it_ready(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        from featherweight.training import loop

        batch = SimpleNamespace(attention_mask=torch.tensor([[1, 1, 1], [1, 0, 0]]))
        made: list[int] = []
        twice = load("competitors.changed_run").collate_twice
        monkeypatch.setattr(loop, "collate", lambda *rows: twice(*rows, once=lambda *_: made.append(1) or batch))
        watcher = load("competitors.featherweight_run").Watcher({"device": "cpu"})
        assert watcher.batches() == {}
        watcher.total = 4
        assert watcher.collate() is batch
        assert len(made) == 2
        found = watcher.batches()
        assert found["padding_share"] == pytest.approx(1 / 3)
        assert found["collate_milliseconds"] == 1000 * watcher.collate_seconds / 4

    def test_what_fits_on_a_t4_follows_from_rest_and_tokens(self, load: Load) -> None:
        gpu = load("suites.gpu")
        points = [
            {"tokens": tokens, "cuda_reserved_bytes": 10**9 + 50_000 * tokens, "cuda_context_bytes": 5 * 10**8}
            for tokens in (2048, 8192, 32768)
        ]
        room = gpu.t4_room(points, 256)
        assert room["bytes_at_rest"] == pytest.approx(1.5e9, abs=2)
        assert room["bytes_a_token"] == 50_000
        assert room["largest_batch"] == (gpu.T4_BYTES - 1_500_000_000) // (50_000 * 256)

    def test_the_page_says_what_a_t4_holds(self, load: Load) -> None:
        points = [{"tokens": 4096 * size, "cuda_reserved_bytes": 1} for size in (1, 2)] + [{"rows": 3, "failed": "x"}]
        room = {"bytes_at_rest": 1.5e9, "bytes_a_token": 50_000, "largest_batch": 99, "max_length": 256}
        record = {**trained(load), "benchmark": "gpu-train", "t4": {**room, "capacity_bytes": 15 * 2**30}}
        record["t4"]["points"], record["settings"]["batch_size"] = points, 32

        def said(*runs: dict[str, Any]) -> str:
            return load("pages.write").rendered("train.md", r={**record, "runs": runs})

        assert "32 rows of 256 tokens take 1.9 GB, and 99 would fit" in said({"failed": "x"}, {"precision": "bf16"})
        assert "through 2 sizes, measured in bf16; a number takes as many bytes in fp16" in said({"precision": "bf16"})
        assert "in fp16" not in said({"precision": "fp32"})

    def test_a_target_that_not_every_turn_reached_says_so(self, load: Load) -> None:
        spread, shown = load("harness.recording").spread, load("pages.write").FIGURES.to_target
        speed = spread([10.0, 11.0])
        assert shown({"seconds_to_target": spread([90.0, None]), "samples_per_second": speed}) == "90, in 1 of 2 turns"
        assert shown({"seconds_to_target": spread([90.0, 80.0]), "samples_per_second": speed}) == "85 (80–90)"
        assert shown({"seconds_to_target": None, "samples_per_second": speed}) == "not reached"
