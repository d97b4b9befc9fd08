"""Exports: what is written, what is refused, and that they work where there is no torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.exports import Exports, in_this_process

import featherweight
from featherweight.backbone.adapted import Adapted, entry
from featherweight.data.fingerprints import training_fingerprint
from featherweight.data.long_texts import LongTexts
from featherweight.data.splits import load_part
from featherweight.errors import FeatherweightError, UserError
from featherweight.export import gate
from featherweight.export.card import render_card
from featherweight.inference.classifier import Classifier
from featherweight.inference.exported import read_export
from featherweight.model.text_model import TextModel
from featherweight.task.interface import SINGLE_LABEL
from featherweight.training.signals import Interrupted
from featherweight.workflows.export import export_run

TEXTS = ["apple pear plum", "robin and crow", "zinc silver iron"]


def test_transformers_own_pipeline_loads_a_merged_export(run: Path, exports: Exports) -> None:
    from transformers import pipeline

    folder = exports["bert", "merged"]
    found = pipeline("text-classification", str(folder), device="cpu", dtype="float32")(TEXTS, top_k=None)
    classifier = Classifier.load(run, precision="fp32")
    expected = SINGLE_LABEL.probabilities(classifier.logits(TEXTS))
    for scores, row in zip(found, expected, strict=True):
        by_label = {score["label"]: score["score"] for score in scores}
        assert [by_label[label] for label in classifier.labels] == pytest.approx(row.tolist(), abs=1e-5)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    assert config["problem_type"] == "single_label_classification"
    assert config["calibration_temperature"] == classifier.temperature
    assert json.loads((folder / "tokenizer_config.json").read_text("utf-8"))["model_max_length"] == 32
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1  # all are readable, not only by their owner


def test_transformers_alone_cuts_long_texts_at_the_start_as_a_run_of_tails_does(
    exports: Exports, tiny_recipe: Any, in_process: None, tmp_path: Path
) -> None:
    from transformers import pipeline

    run = exports.add("tail", tiny_recipe("bert", data={"long": "tail"}, adapter={"head": "native"}))
    notes: list[str] = []
    export_run(run, "merged", tmp_path / "out", note=notes.append)
    text = "apple pear plum " * 20 + "robin and crow " * 20
    score = pipeline("text-classification", str(tmp_path / "out"), truncation=True, device="cpu", dtype="float32")
    found = score(text, function_to_apply="none", top_k=None)
    classifier = Classifier.load(tmp_path / "out", precision="fp32")
    expected = dict(zip(classifier.labels, Classifier.load(run, precision="fp32").logits([text])[0], strict=True))
    assert {each["label"]: each["score"] for each in found} == pytest.approx(expected, abs=1e-5)
    assert classifier.logits([text])[0].tolist() == pytest.approx(list(expected.values()), abs=1e-5)
    assert not [note for note in notes if "transformers alone" in note]


@pytest.mark.parametrize(("long", "read"), [("windows", "them in windows"), ("head-tail", "their start and end")])
def test_a_merged_export_tells_what_transformers_alone_does_not_read(
    long: str, read: str, exports: Exports, tiny_recipe: Any, in_process: None, tmp_path: Path
) -> None:
    run = exports.add(long, tiny_recipe("bert", data={"long": long}, adapter={"head": "native"}))
    notes: list[str] = []
    export_run(run, "merged", tmp_path / "out", note=notes.append)
    told = f"transformers alone reads only the first 32 tokens of longer texts, while the run reads {read}"
    assert any(told in note for note in notes)
    assert told in render_card(tmp_path / "out", "me/x")


def test_the_speeds_of_run_and_export_leave_out_the_first_texts(
    run: Path, in_process: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from featherweight.export import fresh

    sizes: list[int] = []
    compute = TextModel.logits
    monkeypatch.setattr(TextModel, "logits", lambda self, rows, **more: sizes.append(len(rows)) or compute(self, rows))
    export_run(run, "merged", tmp_path / "out")
    assert sizes == [12, 2, 12]  # the export in the place of its new process; the run
    sizes.clear()
    (tmp_path / "texts.json").write_text(json.dumps([*TEXTS, *TEXTS]), "utf-8")
    fresh.main(str(tmp_path / "out"), str(tmp_path / "texts.json"), str(tmp_path / "logits.npy"))
    assert sizes == [2, 6] and len(np.load(tmp_path / "logits.npy")) == 6
    assert json.loads(capsys.readouterr().out)["seconds"] > 0


def test_a_merged_export_computes_in_bf16_what_it_computes_in_fp32(run: Path, exports: Exports) -> None:
    folder = exports["bert", "merged"]
    exact, rounded = (Classifier.load(folder, precision=name).logits(TEXTS) for name in ("fp32", "bf16"))
    np.testing.assert_allclose(rounded, exact, atol=0.2)  # logits of up to 12
    assert not np.array_equal(rounded, exact)


def test_export_json_lists_every_file_and_the_comparison(run: Path, exports: Exports) -> None:
    folder = exports["bert", "merged"]
    written = json.loads((folder / "export.json").read_text("utf-8"))
    assert set(written["files"]) == {path.name for path in folder.iterdir()} - {"export.json"}
    found = written["comparison"]
    assert found["rows"] == 12 and found["source"] == "validation rows"
    assert found["agreement"] == 1 and found["largest_difference"] < 1e-3
    assert found["run_accuracy"] == found["export_accuracy"]
    assert not [path for path in folder.parent.iterdir() if path.name.endswith(".part")]


def test_an_export_and_its_card_say_that_the_backbone_was_adapted(
    exports: Exports, tiny_recipe: Any, in_process: None, tmp_path: Path
) -> None:
    run = exports.add("adapted", tiny_recipe("bert", adapter={"head": "native"}))
    numbers = {"epochs": 2.0, "steps": 8, "seed": 0, "loss_before": 3.0, "loss_after": 2.0}
    texts = {"rows": 36, "held_out": 4, "fingerprint": "ab"}
    adapted = Adapted.model_validate({"source": {"name": "/home/ann/encoder"}, "texts": texts, **numbers})
    environment = {"data": {"train": {"rows": 36, "fingerprint": "ef"}}, "warnings": [adapted.in_words()]}
    environment["backbone"] = {"name": "/home/ann/adapted", "sha256": "cd", **entry(adapted)}
    (run / "environment.json").write_text(json.dumps(environment), "utf-8")
    done = export_run(run, "merged", tmp_path / "out")
    assert read_export(tmp_path / "out").backbone.adapted.texts.rows == 36
    assert done["data"] == {"train": {"rows": 36}} and "/home/ann" not in json.dumps(done)
    card = render_card(tmp_path / "out")
    assert "The backbone was adapted: all parameters of encoder were trained further" in card
    assert re.search(r"\| train \| \S+ \| 36 \|", card), "its rows are known, as in the card of the run"


def test_an_export_that_differs_is_refused_and_nothing_is_left(
    run: Path, in_process: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def wrong(folder: Path, texts: Any) -> gate.Answer:
        answer = in_this_process(folder, texts)
        return gate.Answer(answer.logits + np.array([0.01, 0, 0]), 1.0, 1.0)

    monkeypatch.setattr(gate, "in_fresh_process", wrong)
    with pytest.raises(FeatherweightError, match=r"logits differ from those of the run by up to 0\.01.*\n.*force=True"):
        export_run(run, "merged", tmp_path / "out")
    assert not list(tmp_path.iterdir())
    done = export_run(run, "merged", tmp_path / "out", force=True)
    assert "0.01" in done["kept_by_force"] and Classifier.load(tmp_path / "out").labels == ("fruit", "metal", "bird")


def test_a_signal_leaves_nothing(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gate, "in_fresh_process", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match="stopped; to export the run, run the same command again"):
        export_run(run, "merged", tmp_path / "new" / "out")
    assert not list(tmp_path.iterdir())


def test_without_the_data_short_texts_are_compared(
    exports: Exports, tiny_recipe: Any, in_process: None, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.csv"
    data = {"train": str(gone), "test": None, "labels": ["fruit", "metal", "bird"]}
    run = exports.add("gone", tiny_recipe("bert", data=data, adapter={"head": "native"}))
    notes: list[str] = []
    done = export_run(run, "merged", tmp_path / "out", note=notes.append)
    assert done["comparison"]["source"] == "short texts" and "run_accuracy" not in done["comparison"]
    assert any(f"{gone}: no such file" in note and "only 4 short texts are compared" in note for note in notes)


def test_the_verdict_of_the_gate() -> None:
    run = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0 + 1e-7]])
    same = gate.compare(run, run + 5e-4, SINGLE_LABEL, 1.0)
    assert not gate.verdict("onnx", same) and same["agreement"] == 1
    tie = gate.compare(run, np.array([[2.0, 0.0], [0.0, 2.0], [1.0 + 1e-7, 1.0]]), SINGLE_LABEL, 1.0)
    assert tie["other_labels"] == 0  # rounding decides such a row
    other = gate.compare(run, run[:, ::-1], SINGLE_LABEL, 1.0)
    assert "2 of 3 rows have another label" in gate.verdict("merged", other)
    for target in ("onnx-int8", "openvino-int8"):
        assert "at least 99.3% must agree" in gate.verdict(target, other)
        assert gate.verdict(target, gate.compare(run, run * np.nan, SINGLE_LABEL, 1.0))


@pytest.mark.parametrize(
    ("others", "rows", "refused"),
    [(1, 4, False), (2, 4, True), (4, 144, False), (5, 144, True), (53, 7600, False), (75, 7600, True)],
)
def test_in_8_bits_few_rows_refuse_only_what_is_not_chance(others: int, rows: int, refused: bool) -> None:
    found = {"rows": rows, "other_labels": others, "agreement": 1 - others / rows, "largest_difference": 0.1}
    assert bool(gate.verdict("onnx-int8", found)) is refused
    assert gate.verdict("onnx", found)  # in fp32 every row must agree


BLOCKED = """
import json, sys
for name in ("torch", "transformers", "peft", "accelerate", "datasets", "sklearn", "scipy"):
    sys.modules[name] = None
sys.argv = ["featherweight", *json.loads(sys.argv[1])]
from featherweight.cli.main import main
main()
"""


@pytest.mark.slow
def test_an_onnx_export_classifies_where_there_is_no_torch(run: Path, exports: Exports, tmp_path: Path) -> None:
    folder, out = exports["bert", "onnx"], tmp_path / "out.jsonl"
    texts = tmp_path / "texts.csv"
    texts.write_text("text\n" + "\n".join(TEXTS) + "\n", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(featherweight.__file__).parents[1])}

    def command(*words: str) -> str:
        program = [sys.executable, "-c", BLOCKED, json.dumps(words)]
        return subprocess.run(program, capture_output=True, text=True, check=True, env=environment).stdout

    command("predict", str(folder), str(texts), "-o", str(out))
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    expected = Classifier.load(run, precision="fp32").predict(TEXTS)
    assert [row["label"] for row in rows] == [each.label for each in expected]
    assert rows[0]["p_fruit"] == pytest.approx(expected[0].probabilities["fruit"], abs=1e-5)


@pytest.mark.slow
def test_int8_is_smaller_and_says_how_it_was_made(run: Path, exports: Exports) -> None:
    whole, small = exports["bert", "onnx"], exports["bert", "onnx-int8"]
    assert (small / "model.onnx").stat().st_size < 0.35 * (whole / "model.onnx").stat().st_size
    written = json.loads((small / "export.json").read_text("utf-8"))["quantization"]
    assert written["weights"] == "QInt8" and written["reduce_range"] == (not written["processor_flags"])


def test_force_replaces_an_export_and_never_other_files(run: Path, in_process: None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_run(run, "merged", out)
    first = json.loads((out / "export.json").read_text("utf-8"))["files"]
    export_run(run, "merged", out, force=True)
    assert json.loads((out / "export.json").read_text("utf-8"))["files"].keys() == first.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (out / "thesis.txt").write_text("mine", "utf-8")
    own = tmp_path / "own"
    own.mkdir()
    (own / "export.json").write_text('[{"text": "a", "label": "b"}]', "utf-8")  # the data of another program
    others = ", or move out of it what is not of the export: thesis.txt"
    for folder, remedy in ((out, others), (own, "")):
        with pytest.raises(UserError, match=rf"exists; name a new folder{remedy}$"):
            export_run(run, "merged", folder, force=True)
    assert (out / "thesis.txt").is_file() and (own / "export.json").is_file()
    (out / "config.json").unlink()
    (out / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"exists; name a new folder$"):  # the thesis is not to be removed
        export_run(run, "merged", out, force=True)
    (out / "thesis.txt").unlink()
    damaged = r"exists; name a new folder, or remove it, because it is a damaged export \(.*tokenizer\.json: missing"
    with pytest.raises(UserError, match=damaged):
        export_run(run, "merged", out, force=True)


@pytest.mark.slow
def test_the_fresh_process_imports_nothing_from_the_working_folder(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokenizers.py").write_text("raise SystemExit('code of the working folder')\n", "utf-8")
    done = export_run(run, "onnx", tmp_path / "out")
    assert done["comparison"]["agreement"] == 1 and done["comparison"]["load_seconds"] > 0
    (tmp_path / "out" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(FeatherweightError, match="cannot be loaded in a new Python process"):
        gate.in_fresh_process(tmp_path / "out", TEXTS)


def test_a_process_that_the_system_has_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = subprocess.CompletedProcess([], -signal.SIGKILL, "", "")
    monkeypatch.setattr(gate.subprocess, "run", lambda *_, **options: killed)
    with pytest.raises(FeatherweightError, match="ended by signal 9; is there enough memory"):
        gate.in_fresh_process(tmp_path, TEXTS)


def test_a_loss_of_accuracy_is_told() -> None:
    assert gate.loss_of_accuracy({"run_accuracy": 0.95, "export_accuracy": 0.949, "rows": 1000}) == ""
    lost = gate.loss_of_accuracy({"run_accuracy": 0.95, "export_accuracy": 0.94, "rows": 1000})
    assert lost == "the export is 1.0 points less accurate than the run on 1,000 validation rows"
    assert gate.loss_of_accuracy({"rows": 4}) == ""


@pytest.mark.parametrize("changed", ["", "fingerprint", "labels", "rows"])
def test_only_the_validation_rows_of_the_training_are_compared(
    changed: str, exports: Exports, tiny_recipe: Any, in_process: None, tmp_path: Path
) -> None:
    run, recipe = tmp_path / "run", tiny_recipe("bert", adapter={"head": "native"})
    shutil.copytree(exports.add("bert", recipe), run)
    file = run / "environment.json"
    environment = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    classifier = Classifier.load(run)
    rows = load_part(recipe, "validation", classifier.labels)
    stored = training_fingerprint(rows, classifier.model.tokenizer, LongTexts.of(recipe.data))
    if changed:
        stored[changed] = 13 if changed == "rows" else "0" * 64
    environment["data"] = {"train": {"rows": 48}, "validation": stored}  # as the training writes it
    file.write_text(json.dumps(environment), "utf-8")
    done = export_run(run, "merged", tmp_path / "out")
    assert done["comparison"]["source"] == ("short texts" if changed else "validation rows")
