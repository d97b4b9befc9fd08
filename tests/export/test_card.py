"""The model card, and which files go to others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from support.exports import made_run
from support.onnx_exports import write_onnx_export

from featherweight.errors import UserError
from featherweight.evaluation.multi_label import evaluate_several
from featherweight.export.card import render_card
from featherweight.export.shareable import write_shareable
from featherweight.files import sha256_of
from featherweight.inference.classifier import Classifier
from featherweight.inference.exported import read_export
from featherweight.recipe.public_names import public_name, public_names
from featherweight.run.folder import Run
from featherweight.run.manifest import lists_file
from featherweight.task.multi_label import MultiLabel

TEXTS = ["apple pear plum", "robin and crow"]


def test_the_card_of_a_run_has_metadata_that_the_hub_reads(finished_run: Run) -> None:
    card = ModelCard(render_card(finished_run.folder, "me/fruit", "apache-2.0"))
    data, test = card.data, finished_run.evaluation["test"]
    assert (data.library_name, data.pipeline_tag, data.license) == ("peft", "text-classification", "apache-2.0")
    assert (data.model_name, data.base_model) == ("fruit", None)  # its backbone is a local folder
    values = {result.metric_name: result.metric_value for result in data.eval_results}
    assert values == {"accuracy": test["accuracy"], "macro-F1": test["macro_f1"]}
    assert {result.dataset_name for result in data.eval_results} == {"test.jsonl"}
    assert "license:" not in render_card(finished_run.folder, "me/fruit")


def test_a_run_has_a_card_of_its_own(finished_run: Run, tmp_path: Path) -> None:
    text = (finished_run.adapter / "README.md").read_text("utf-8")
    assert text == render_card(finished_run.folder)
    assert ModelCard(text).data.library_name == "peft"
    assert 'Classifier.load("ADAPTER")' in text and "snapshot_download" not in text
    assert str(tmp_path.parent) not in text
    assert lists_file(finished_run.folder, "adapter/README.md")


def test_the_card_of_a_run_tells_budget_data_results_and_limits(finished_run: Run) -> None:
    text = render_card(finished_run.folder, "me/fruit")
    weight, (low, high) = finished_run.weight, finished_run.evaluation["test"]["accuracy_interval"]
    assert "3 labels: bird, fruit, metal" in text
    assert f"{weight['total']:,} trained parameters, of a budget of {weight['budget']:,}" in text
    assert "| train | train.jsonl | 48 |" in text
    assert "| test | test.jsonl | 24 |" in text
    assert f"({low:.1%} to {high:.1%})" in text
    assert "| shift: shift.jsonl | 18 |" in text
    assert f"a temperature of {finished_run.evaluation['test']['temperature']:.3f}" in text
    assert 'snapshot_download("me/fruit")' in text
    assert "Texts longer than 32 tokens are " in text
    assert str(finished_run.folder.parent) not in text
    assert "\n\n\n\n" not in text


def test_the_card_leaves_out_commands_for_the_owner_of_the_data(finished_run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_run.folder, folder)
    environment = json.loads((folder / "environment.json").read_text("utf-8"))
    warning = "labels differ: write them alike"
    environment["warnings"] = [warning, "the rows of /home/Smith, John/my data/b.csv are few"]
    environment["remedies"] = {warning: "python -c 'import pandas; \"/home/me/my a.csv\"'"}
    (folder / "environment.json").write_text(json.dumps(environment), "utf-8")
    text = render_card(folder)
    assert "- Labels differ: write them alike." in text and "my a.csv" not in text
    assert "- The rows of b.csv are few." in text


def test_what_is_shared_of_a_run_classifies_like_it_and_names_no_folder(
    finished_run: Run, tiny_backbones: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_shareable(finished_run.folder, tmp_path, "card")
    names = {path.relative_to(tmp_path).as_posix() for path in files}
    assert {"adapter_config.json", "adapter_model.safetensors", "recipe.toml", "README.md", "probes.json"} <= names
    assert not {name for name in names if "/" in name or "backbone" in name}  # the weights of the backbone stay behind
    home = tiny_backbones["bert"].parent
    for path in files:
        content = path.read_bytes()
        assert str(home).encode() not in content, path
        assert str(finished_run.folder.parent).encode() not in content, path
    monkeypatch.chdir(home)
    shared, own = Classifier.load(tmp_path, precision="fp32"), Classifier.load(finished_run.folder, precision="fp32")
    np.testing.assert_allclose(shared.logits(TEXTS), own.logits(TEXTS), atol=1e-5)


def test_an_export_is_shared_without_texts_and_loads(finished_run: Run, tmp_path: Path) -> None:
    export, shared = write_onnx_export(tmp_path / "export"), tmp_path / "shared"
    evaluation = json.loads((finished_run.folder / "evaluation.json").read_text("utf-8"))
    evaluation["test"]["mistakes"] = [
        {"row": 1, "text": "a secret", "label": "bird", "predicted": "fruit", "probability": 0.9}
    ]
    (export / "evaluation.json").write_text(json.dumps(evaluation))
    described = json.loads((export / "export.json").read_text("utf-8"))
    described["files"]["evaluation.json"] = {"bytes": 1, "sha256": sha256_of(export / "evaluation.json")}
    described["comparison"] = {"rows": 12, "agreement": 1.0, "source": "validation rows"}
    (export / "export.json").write_text(json.dumps(described))
    (export / "rows.csv").write_text("a secret")
    shared.mkdir()
    text = render_card(export, "me/words")
    files = write_shareable(export, shared, text)
    assert ModelCard(text).data.library_name == "onnx"
    assert ModelCard(text).data.base_model == "sentence-transformers/all-MiniLM-L6-v2"
    assert "This export predicts the same label as its run for 100.0% of 12 validation rows." in text
    assert {path.name for path in files} == {
        "README.md", "evaluation.json", "export.json", "model.onnx", "recipe.toml", "tokenizer.json",
    }  # fmt: skip
    assert not any(b"secret" in path.read_bytes() for path in files)
    assert [found.label for found in Classifier.load(shared).predict(["goal"])] == ["Sports"]
    described["files"]["../secret.json"] = {"bytes": 1, "sha256": ""}
    (export / "export.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match=r"names \.\./secret\.json, a path outside"):
        write_shareable(export, shared, text)


def test_with_several_labels_the_card_has_micro_f1(tmp_path: Path) -> None:
    names, task = ("a|b", "<c>", "d"), MultiLabel((0.5, 0.5, 0.5))
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (50, 3))
    labels = (draw.normal(logits, 1) > 0).astype(np.int8)
    figures: dict[str, Any] = evaluate_several(logits, labels, names, temperature=1.2, bins=5, task=task)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "recipe.toml").write_text(
        'name = "x"\ntask = "multi-label"\n[data]\ntrain = "me/set"\n[backbone]\nname = "me/encoder"\n'
    )
    (tmp_path / "adapter" / "featherweight.json").write_text(
        json.dumps({"format": 1, "labels": names, "temperature": 1})
    )
    (tmp_path / "evaluation.json").write_text(json.dumps({"validation": figures, "test": figures, "shift": {}}))
    text = render_card(tmp_path, "me/x")
    data = ModelCard(text).data
    assert [(result.metric_name, result.metric_type) for result in data.eval_results] == [
        ("micro-F1", "f1"), ("macro-F1", "f1"),
    ]  # fmt: skip
    assert data.base_model == "me/encoder"
    assert "multi-label" in data.tags
    assert r"3 labels: a\|b, \<c\>, d" in text


def test_the_card_of_a_run_without_lora_says_so_and_prints_no_code_for_peft(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe("bert", adapter={"head": "native", "lora": []})
    folder = made_run(recipe, tmp_path / "run")
    (folder / "recipe.toml").write_text(recipe.with_values(backbone={"name": "me/encoder"}).to_toml(), "utf-8")
    (folder / "evaluation.json").write_text("{}")
    text = render_card(folder, "me/x")
    data = ModelCard(text).data
    assert data.library_name == "featherweight" and "lora" not in data.tags
    assert "fine-tuned without LoRA" in text and "AutoPeftModel" not in text and "PEFT cannot load these files" in text


def test_the_card_of_a_graph_names_its_inputs_and_thresholds(
    exports: Any, tiny_recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = {"head": "native", "bias": "all", "lora": [{"roles": ["query", "value", "mlp_up"], "rank": 2}]}
    exports.add("bert", tiny_recipe("bert", adapter=adapter))
    merged = render_card(exports["bert", "merged"], "me/x")
    assert 'pipeline("text-classification", "me/x", truncation=True)' in merged and "thresholds" not in merged
    described = read_export(exports["bert", "merged"])
    for target, pairs in (("onnx", True), ("onnx", False), ("merged", False)):
        other = described.model_copy(
            update={"target": target, "token_types": pairs, "thresholds": (0.3, 0.4, 0.5), "files": described.files}
        )
        monkeypatch.setattr("featherweight.export.card.read_export", lambda folder, other=other: other)
        text = render_card(exports["bert", "merged"], "me/x")
        assert "thresholds" in text
        if target == "onnx":
            inputs = ", `attention_mask` and `token_type_ids`" if pairs else " and `attention_mask`"
            assert f"takes `input_ids`{inputs} and gives logits; `export.json` has labels, their thresholds" in text
            assert "Give it at most 32 tokens, with the special ones; of longer texts the run reads their first" in text


def test_the_card_of_a_merged_export_says_how_to_get_all_labels_by_transformers(exports: Any, tiny_recipe: Any) -> None:
    exports.add("several", tiny_recipe("bert", task="multi-label", adapter={"head": "native"}))
    folder = exports["several", "merged"]
    text = render_card(folder, str(folder))
    assert "A text has a label if the sigmoid of its logit divided by the temperature is at least 0.5." in text
    code = text.partition("With transformers alone")[2].split("```")[1].removeprefix("python")
    shown: list[Any] = []
    exec(code, {"print": shown.append})
    classifier = Classifier.load(folder, precision="fp32")
    expected = dict(zip(classifier.labels, classifier.logits(["a text"])[0], strict=True))
    ((found,),) = shown
    assert {each["label"]: each["score"] for each in found} == pytest.approx(expected, abs=1e-4)


def test_the_card_of_a_run_names_its_folder_of_the_backbone_as_it_is_found(finished_run: Run) -> None:
    assert "in the working folder" in render_card(finished_run.folder, "me/fruit")
    own = render_card(finished_run.folder)
    assert "loading needs it where `recipe.toml` in this folder says" in own and "working folder" not in own


def test_an_export_of_links_is_shared_whole_and_a_run_of_links_is_refused(tmp_path: Path) -> None:
    export, linked, target = write_onnx_export(tmp_path / "export"), tmp_path / "snapshot", tmp_path / "target"
    for folder in (linked, target, tmp_path / "run" / "adapter"):
        folder.mkdir(parents=True)
    for path in export.iterdir():  # as the cache of the hub has them
        (linked / path.name).symlink_to(path)
    shared = {path.name for path in write_shareable(linked, target, "card")}
    assert shared == {"README.md", *(path.name for path in export.iterdir())}
    (tmp_path / "run" / "adapter" / "vocab.txt").symlink_to(export / "recipe.toml")
    with pytest.raises(UserError, match=r"vocab\.txt: is a link, .*; copy the folder with the files themselves"):
        write_shareable(tmp_path / "run", target, "card")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("newsbriefs", "newsbriefs"),
        ("fancyzhx/ag_news", "fancyzhx/ag_news"),
        ("/home/me/rows.csv", "rows.csv"),
        ("customers/rows.csv", "rows.csv"),
        (r"C:\me\rows.csv", "rows.csv"),
        ("postgresql://me:password@host/shop?query=x", "shop"),
        ("perturbed:typos", "perturbed:typos"),
        ("clients/acme/reviews", "reviews"),
        (r"clients\reviews", "reviews"),
    ],
)
def test_a_source_is_named_without_its_folder(source: str, name: str) -> None:
    assert public_name(source) == name


def test_sets_with_one_file_name_stay_apart() -> None:
    sources = ["/data/shops/test.csv", "/data/banks/test.csv", "perturbed:typos", "/data/banks/test.csv"]
    assert list(public_names(sources).values()) == ["test.csv", "test.csv (2)", "perturbed:typos"]
