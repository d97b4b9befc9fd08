"""Classifiers that PEFT saved, for texts with several labels and for pairs of texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from support.commands import Cli, refused
from support.peft_adapters import LABELS, TEXTS, assert_same, peft_logits, save_by_hand

from featherweight.inference.classifier import Classifier

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
NAMES = ("--labels", ",".join(LABELS))


@pytest.fixture(scope="module")
def trained(tiny_backbones: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA on BERT, whose tokenizer tells the texts of a pair apart."""
    folder = tmp_path_factory.mktemp("peft") / "trained"
    save_by_hand(folder, tiny_backbones["bert"], target_modules=["query", "value"], r=4)
    return folder


@pytest.fixture
def saved(trained: Path, cli: Cli) -> Path:
    """A copy in the working directory."""
    return Path(shutil.copytree(trained, "saved"))


def given_labels(saved: Path, tiny_backbones: dict[str, Path]) -> np.ndarray:
    """0 or 1 [texts, labels] by PEFT's own logits: a probability of one half is a logit of 0."""
    return (peft_logits(saved, tiny_backbones["bert"]) >= 0).astype(int)


def test_several_labels_are_those_from_one_half_on(saved: Path, tiny_backbones: dict[str, Path], cli: Cli) -> None:
    (saved / "config.json").write_text(json.dumps({"problem_type": "multi_label_classification"}), "utf-8")
    expected = given_labels(saved, tiny_backbones)
    assert 0 < expected.sum() < expected.size
    truth = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0], [1, 1, 1]])
    lists = [[LABELS[place] for place in np.flatnonzero(row)] for row in truth]
    Path("lists.jsonl").write_text(
        "".join(json.dumps({"text": text, "label": given}) + "\n" for text, given in zip(TEXTS, lists, strict=True)),
        "utf-8",
    )
    # The columns of the labels may be in any order, and in upper or lower case.
    pd.DataFrame({"text": TEXTS, **dict(zip(LABELS, truth.T, strict=True))})[["metal", "text", "bird", "fruit"]].to_csv(
        "columns.csv", index=False
    )
    figures = [json.loads(cli("evaluate", saved, "--data", file, *NAMES, "--json").out)
               for file in ("lists.jsonl", "columns.csv")]  # fmt: skip
    assert figures[0] == figures[1]
    assert figures[0]["micro_f1"] == pytest.approx(f1_score(truth, expected, average="micro"))
    assert {row["threshold"] for row in figures[0]["per_class"]} == {0.5}

    answer = cli("predict", saved, "columns.csv", "-o", "out.jsonl", *NAMES)
    assert answer.code == 0 and "PEFT saves no thresholds" in answer.err
    found = pd.read_json("out.jsonl", lines=True)
    assert found["label"].tolist() == [[LABELS[place] for place in np.flatnonzero(row)] for row in expected]
    sigmoid = 1 / (1 + np.exp(-peft_logits(saved, tiny_backbones["bert"])))
    np.testing.assert_allclose(found[[f"p_{name}" for name in LABELS]], sigmoid, atol=1e-5)
    assert cli("report", saved, "--out", "page.html", "--data", "columns.csv", *NAMES).code == 0
    page = Path("page.html").read_text("utf-8")
    assert "Per label" in page and "the probabilities are the plain sigmoid of the logits" in page
    assert "reaches its threshold: 0.5, because PEFT saves no thresholds." in page and "gave the best F1" not in page


def test_an_option_names_the_task_that_no_config_names(saved: Path, tiny_backbones: dict[str, Path], cli: Cli) -> None:
    expected = given_labels(saved, tiny_backbones)
    classifier = Classifier.load(saved, labels=LABELS, task="multi-label")
    assert [[int(name in found.labels) for name in LABELS] for found in classifier.predict(TEXTS)] == expected.tolist()
    shown = cli("predict", saved, "--text", TEXTS[0], *NAMES, "--task", "multi-label").out
    single = cli("predict", saved, "--text", TEXTS[0], *NAMES).out
    assert shown != single
    counts = [json.loads(cli("weigh", saved, "--json").out)["total"]]
    (saved / "config.json").write_text(json.dumps({"problem_type": "multi_label_classification"}), "utf-8")
    counts.append(json.loads(cli("weigh", saved, "--json").out)["total"])
    assert counts[0] == counts[1] > 0
    # The option decides over the config.
    assert cli("predict", saved, "--text", TEXTS[0], *NAMES, "--task", "single-label").out == single


def pair_logits(folder: Path, base: Path, pairs: list[tuple[str, str]]) -> np.ndarray:
    """Logits of pairs by PEFT and transformers alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model: Any = AutoModelForSequenceClassification.from_pretrained(base, num_labels=3, dtype=torch.float32)
    model, tokenizer = PeftModel.from_pretrained(model, folder).eval(), AutoTokenizer.from_pretrained(base)
    with torch.inference_mode():
        return np.concatenate(
            [model(**tokenizer([a], [b], return_tensors="pt")).logits.double().numpy() for a, b in pairs]
        )


def test_pairs_get_the_pair_encoding_with_its_token_types(
    saved: Path, tiny_backbones: dict[str, Path], cli: Cli
) -> None:
    pairs = [("apple pear", "iron"), ("iron", "apple pear"), ("a heron", "an owl and a crow")]
    expected = pair_logits(saved, tiny_backbones["bert"], pairs)
    assert_same(Classifier.load(saved, labels=LABELS, join="pair").logits(pairs), expected)
    frame = pd.DataFrame(pairs, columns=["premise", "hypothesis"])
    frame.to_csv("pairs.csv", index=False)
    columns = ("--join", "pair", "--text", "premise", "--text", "hypothesis")
    assert cli("predict", saved, "pairs.csv", "-o", "out.csv", *NAMES, *columns).code == 0
    labels = [LABELS[place] for place in expected.argmax(axis=1)]
    assert pd.read_csv("out.csv")["label"].tolist() == labels
    frame.set_axis(["text", "text_pair"], axis=1).assign(label=labels).to_csv("usual.csv", index=False)
    judged = cli("evaluate", saved, "--data", "usual.csv", *NAMES, "--join", "pair", "--json")
    assert json.loads(judged.out)["accuracy"] == 1
    shown = cli("predict", saved, "--text", pairs[0][0], "--text", pairs[0][1], *NAMES, "--join", "pair")
    assert len(shown.out.splitlines()) == 2 and labels[0] in shown.out
    both = "This run takes pairs: name the columns of the two texts: --text premise --text hypothesis"
    refused(cli, "predict", saved, "pairs.csv", "-o", "x.csv", *NAMES, "--join", "pair", naming=both)
