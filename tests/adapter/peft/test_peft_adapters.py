"""Classifiers that PEFT and transformers' Trainer saved: weighed, judged, used and reported as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from support.backbones import save_tiny_backbone
from support.commands import Cli, contents, refused
from support.peft_adapters import (
    LABELS,
    TEXTS,
    VARIANTS,
    WEIGHTS,
    assert_same,
    peft_logits,
    save_by_hand,
    set_keys,
    wrapped,
)

from featherweight.adapter.peft.folder import read_peft_folder
from featherweight.adapter.peft.given import PeftOptions
from featherweight.adapter.peft.weigh import weigh_peft_folder
from featherweight.inference.classifier import Classifier

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")


@pytest.fixture(scope="session")
def saved(tiny_backbones: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """A function that gives a variant's folder and PEFT's own count, trained once; tests read it, or copy it."""
    root, made = tmp_path_factory.mktemp("peft"), {}

    def make(variant: str) -> tuple[Path, int]:
        if variant not in made:
            family, lora = VARIANTS[variant]
            made[variant] = root / variant, save_by_hand(root / variant, tiny_backbones[family], **lora)
        return made[variant]

    return make


@pytest.fixture
def spoilt(saved: Any, cli: Cli) -> Path:
    """A copy of a sound folder in the working directory, to be spoilt."""
    shutil.copytree(saved("roberta")[0], "saved")
    return Path("saved")


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_those_of_peft(saved: Any, tiny_backbones: dict[str, Path], variant: str) -> None:
    folder, count = saved(variant)
    before = contents(folder)
    classifier = Classifier.load(folder, labels=LABELS, device="cpu")
    one_by_one = np.concatenate([classifier.logits([text]) for text in TEXTS])
    assert_same(one_by_one, peft_logits(folder, tiny_backbones[VARIANTS[variant][0]]))
    np.testing.assert_allclose(classifier.logits(TEXTS), one_by_one, atol=1e-5)
    assert classifier.network.trainable_count() == count
    assert contents(folder) == before


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_header_alone_gives_the_count_that_peft_trained(saved: Any, variant: str) -> None:
    folder, count = saved(variant)
    weight = weigh_peft_folder(read_peft_folder(folder))
    assert weight.total == count == sum(component.parameters for component in weight.components)
    assert weight.labels == 3


def test_magnitudes_of_dora_may_end_in_weight(saved: Any, tmp_path: Path) -> None:
    """As in the adapters of runs, which PEFT loads, too."""
    folder, count = saved("deberta-v2")
    copy = shutil.copytree(folder, tmp_path / "copy")
    tensors = load_file(copy / WEIGHTS)
    renamed = {f"{name}.weight" if name.endswith("_vector") else name: tensor for name, tensor in tensors.items()}
    assert renamed.keys() != tensors.keys()
    save_file(renamed, copy / WEIGHTS)
    assert weigh_peft_folder(read_peft_folder(copy)).total == count
    logits = [Classifier.load(path, labels=LABELS, device="cpu").logits(TEXTS) for path in (folder, copy)]
    assert_same(*logits)


def test_weighing_needs_no_weights_of_the_base(saved: Any, cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(saved("roberta")[0], "saved")
    base = Path(json.loads(Path("saved/adapter_config.json").read_text())["base_model_name_or_path"])
    shutil.copytree(base, "base", ignore=shutil.ignore_patterns("*.safetensors", "tokenizer*"))
    set_keys(Path("saved/adapter_config.json"), base_model_name_or_path="base")
    answer = cli("weigh", "saved")
    assert answer.code == 0
    assert "LoRA query, layers 0-1, rank 2" in answer.out
    assert "encoder biases" in answer.out
    assert "head, classifier.out_proj" in answer.out
    assert "budget" not in answer.out
    assert "not counted: 70 values in the file" in answer.err  # PEFT writes the biases of the head three times
    plain = json.loads(cli("weigh", "saved", "--json").out)
    assert plain["total"] == saved("roberta")[1]
    assert cli("weigh", "saved", "--budget", "10k").code == 0
    naming = ("saved: 2,243 trained parameters", "over budget = 1,000")
    answer = cli("weigh", "saved", "--budget", "1k")
    assert answer.code == 2
    assert all(part in answer.err for part in naming)


@pytest.fixture(scope="session")
def trained_by_trainer(
    tiny_backbones: dict[str, Path], tiny_data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """A checkpoint of transformers' Trainer, with all that it leaves there, and the Trainer's own test predictions."""
    from transformers import AutoTokenizer, Trainer, TrainingArguments

    out, base = tmp_path_factory.mktemp("trainer"), tiny_backbones["bert"]
    tokenizer = AutoTokenizer.from_pretrained(base)
    train, test = (
        [
            {**tokenizer(row["text"]), "labels": LABELS.index(row["label"])}
            for row in map(json.loads, tiny_data[part].read_text("utf-8").splitlines())
        ]
        for part in ("train", "test")
    )
    settings = {"max_steps": 30, "save_steps": 30, "per_device_train_batch_size": 16, "learning_rate": 0.1}
    quiet = {"report_to": [], "disable_tqdm": True, "use_cpu": True, "logging_strategy": "no"}
    trainer = Trainer(
        wrapped(base, target_modules=["query", "value"]),
        TrainingArguments(str(out), **settings, **quiet),
        train_dataset=train,
        processing_class=tokenizer,
    )
    trainer.train()
    found = trainer.predict(test).predictions.argmax(1)
    return out / "checkpoint-30", [LABELS[number] for number in found]


def test_a_checkpoint_of_the_trainer_is_judged_predicted_and_reported(
    trained_by_trainer: tuple[Path, list[str]], tiny_data: dict[str, Path], cli: Cli
) -> None:
    folder, expected = trained_by_trainer
    before = contents(folder)
    naming = ["--labels", "bird,fruit, metal"]
    judged = cli("evaluate", folder, "--data", tiny_data["test"], *naming, "--json")
    assert (judged.code, judged.err) == (0, "")
    figures = json.loads(judged.out)
    assert figures["rows"] == 24
    assert figures["temperature"] == 1
    assert [row["label"] for row in figures["per_class"]] == list(LABELS)
    assert cli("predict", folder, tiny_data["test"], "-o", "out.csv", *naming).code == 0
    rows = pd.read_csv("out.csv")
    assert list(rows.columns) == ["row", "label", "p_bird", "p_fruit", "p_metal"]
    assert rows["label"].tolist() == expected
    answer = cli("predict", folder, tiny_data["test"], "--kaggle", *naming)
    assert (answer.code, "no id column found" in answer.err) == (0, True)
    submission = pd.read_csv("submission.csv")
    assert list(submission.columns) == ["ID", "Label"]
    assert [LABELS[number] for number in submission["Label"]] == expected
    truth = [json.loads(line)["label"] for line in tiny_data["test"].read_text("utf-8").splitlines()]
    assert np.mean(rows["label"] == truth) == pytest.approx(figures["accuracy"])
    answer = cli("report", folder, "--out", "page.html", "--data", tiny_data["test"], *naming)
    assert answer.code == 0
    page = Path("page.html").read_text("utf-8")
    assert f"{figures['accuracy']:.1%} of 24 test texts classified correctly" in page
    assert ">611<" in page  # 4 x 128 for query and value in two layers at rank 2, and 99 for the head
    assert "PEFT saves no temperature" in page
    for absent in ("Training</h2>", "Shift</h2>", "Recipe</h2>", "budget"):  # what only a run has
        assert absent not in page
    assert "Loaded by PEFT: all 10 tensors of the file are in the model" in page
    assert contents(folder) == before


def test_a_family_that_is_not_built_in(tmp_path: Path) -> None:
    base, folder = save_tiny_backbone(tmp_path / "base", "albert"), tmp_path / "saved"
    count = save_by_hand(folder, base, target_modules="all-linear")
    found = Classifier.load(folder, labels=LABELS, device="cpu")
    assert weigh_peft_folder(read_peft_folder(folder)).total == count == found.network.trainable_count()
    logits = np.concatenate([found.logits([text]) for text in TEXTS])
    assert_same(logits, peft_logits(folder, base))


@pytest.mark.usefixtures("real_pictures")
def test_a_page_without_rows_says_what_it_lacks(saved: Any, cli: Cli) -> None:
    folder = saved("deberta-v2")[0]
    answer = cli("report", folder, "--out", "page.html")
    assert answer.code == 0
    assert "does not name its 3 classes" in answer.err
    page = Path("page.html").read_text("utf-8")
    assert "Not evaluated yet: --data adds accuracy" in page
    assert "DoRA magnitudes" in page
    refused(cli, "report", folder, naming="is not a run, so the report is not written into it; add --out PAGE.html")
    refused(cli, "report", folder, "--out", "page.html", naming="--out page.html: exists; choose another file")
    refused(cli, "report", folder, "--out", "page.pdf", naming="--out page.pdf: must be an .html file")


@pytest.mark.parametrize(("own", "base", "given", "names", "noted"), [
    (None, None, (), ("LABEL_0", "LABEL_1", "LABEL_2"), True),
    (None, None, LABELS, LABELS, False),
    (LABELS, None, (), LABELS, False),
    (LABELS, ("x", "y", "z"), (), LABELS, False),
    (None, ("x", "y", "z"), (), ("x", "y", "z"), False),
    (("LABEL_0", "LABEL_1", "LABEL_2"), ("x", "y", "z"), (), ("x", "y", "z"), False),
    (None, ("x", "y"), (), ("LABEL_0", "LABEL_1", "LABEL_2"), True),
    (LABELS, ("x", "y", "z"), ("A", "B", "C"), ("A", "B", "C"), False),
])  # fmt: skip
def test_where_label_names_come_from(
    spoilt: Path, own: Any, base: Any, given: Any, names: tuple[str, ...], noted: bool
) -> None:
    if own:
        (spoilt / "config.json").write_text(json.dumps({"id2label": dict(enumerate(own))}), "utf-8")
    if base:
        place = json.loads((spoilt / "adapter_config.json").read_text())["base_model_name_or_path"]
        shutil.copytree(place, "base")
        set_keys(spoilt / "adapter_config.json", base_model_name_or_path="base")
        set_keys(Path("base/config.json"), id2label=dict(enumerate(base)))
    found = read_peft_folder(spoilt, PeftOptions(given))
    assert found.labels == names
    assert bool(found.notes) == noted


def test_the_adapter_decides_over_a_head_that_the_base_brings(
    saved: Any, tiny_backbones: dict[str, Path], tmp_path: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base = tmp_path / "base"
    AutoModelForSequenceClassification.from_pretrained(tiny_backbones["roberta"], num_labels=2).save_pretrained(base)
    AutoTokenizer.from_pretrained(tiny_backbones["roberta"]).save_pretrained(base)
    folder = tmp_path / "saved"
    shutil.copytree(saved("roberta")[0], folder)
    set_keys(folder / "adapter_config.json", base_model_name_or_path=str(base))
    found = Classifier.load(folder, labels=LABELS).logits(TEXTS)
    assert_same(found, Classifier.load(saved("roberta")[0], labels=LABELS).logits(TEXTS))


@pytest.mark.parametrize("named", [None, ""])
def test_a_folder_that_names_no_base_takes_the_one_that_is_given(
    saved: Any, cli: Cli, tmp_path: Path, named: Any
) -> None:
    folder = tmp_path / "saved"
    shutil.copytree(saved("roberta")[0], folder)
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    set_keys(folder / "adapter_config.json", base_model_name_or_path=named)
    answer = cli("predict", str(folder), "--text", "one text")
    assert answer.code == 2
    assert "base_model_name_or_path names no base model\nAdd --base FOLDER" in answer.err
    found = Classifier.load(folder, labels=LABELS, base=base).logits(TEXTS)
    assert_same(found, Classifier.load(saved("roberta")[0], labels=LABELS).logits(TEXTS))
