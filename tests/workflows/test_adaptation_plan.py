"""An adaptation is resumed, and a finished one returned, only with the settings and texts that it was made with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused
from support.pairs import COLUMNS, write_nli

from featherweight.backbone.adapted import FILE
from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.workflows import adapt
from featherweight.workflows.adapt import AdaptationSettings, adapt_backbone
from featherweight.workflows.adaptation_plan import begin, plan_of
from featherweight.workflows.adaptation_texts import adaptation_texts

QUICK = AdaptationSettings(epochs=1, learning_rate=5e-3, batch_size=16)


@pytest.fixture(scope="module")
def finished(tiny_recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adapt_backbone(tiny_recipe(), tmp_path_factory.mktemp("adapted") / "bert", QUICK)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test with this fixture may begin a training."""
    monkeypatch.setattr(adapt, "_job", None)


def with_a_training_text(recipe: Any, folder: Path) -> Path:
    """A file of test rows, among which is the first training text of ``recipe``."""
    text = load_splits(recipe).train.texts[0]
    rows = [{"text": text, "label": "fruit"}, *({"text": f"a {word}", "label": word} for word in ("metal", "bird"))]
    (folder / "other.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder / "other.jsonl"


@pytest.mark.usefixtures("untrained")
def test_a_finished_adaptation_is_returned_by_the_same_call(finished: Path, tiny_recipe: Any, tmp_path: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    assert adapt_backbone(tiny_recipe(), finished, QUICK, resume=True) == finished
    assert {path.name: path.stat().st_mtime_ns for path in finished.iterdir()} == before
    # An earlier version recorded less, and a copy of the same weights is the same backbone.
    earlier = shutil.copytree(finished, tmp_path / "earlier")
    marker = json.loads((earlier / FILE).read_text("utf-8"))
    del marker["texts"]["trained"], marker["max_length"]
    (earlier / FILE).write_text(json.dumps(marker), "utf-8")
    recipe = tiny_recipe(data={"max_length": 16})
    copy = shutil.copytree(recipe.backbone.name, tmp_path / "copy")
    assert adapt_backbone(recipe.with_values(backbone={"name": str(copy)}), earlier, QUICK, resume=True) == earlier


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(("settings", "changes", "message"), [
    ({"epochs": 10}, {}, r"epochs was 1\.0, is 10\.0"),
    ({"learning_rate": 1e-3}, {}, r"learning_rate was 0\.005, is 0\.001"),
    ({"batch_size": 8}, {}, "batch_size was 16, is 8"),
    ({"max_length": 16}, {}, "max_length was 32, is 16"),
    ({}, {"seed": 7}, "seed was 0, is 7"),
    ({}, {"data": {"train_rows": 20}}, "the training texts have changed since"),
    ({}, {"training": {"precision": "bf16"}}, r'training\.precision was "fp32", is "bf16"'),
])  # fmt: skip
def test_a_finished_adaptation_with_other_settings_or_texts_is_refused(
    finished: Path, tiny_recipe: Any, settings: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    wanted = AdaptationSettings(**{"epochs": 1, "learning_rate": 5e-3, "batch_size": 16, **settings})
    recipe = tiny_recipe().with_values(**changes)
    with pytest.raises(
        UserError, match=f"bert: resume=True, but .*: {message}\nUse the same settings and data, or choose"
    ):
        adapt_backbone(recipe, finished, wanted, resume=True)


@pytest.mark.usefixtures("untrained")
def test_a_finished_adaptation_of_another_backbone_is_refused(finished: Path, tiny_recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'backbone was ".*bert.*", is ".*electra'):
        adapt_backbone(tiny_recipe("electra"), finished, QUICK, resume=True)
    recipe, changed = tiny_recipe(), shutil.copytree(finished, tmp_path / "changed")
    marker = json.loads((changed / FILE).read_text("utf-8"))
    marker["source"]["sha256"] = "0" * 64
    (changed / FILE).write_text(json.dumps(marker), "utf-8")
    with pytest.raises(UserError, match=r'the weights of backbone ".*" have changed since'):
        adapt_backbone(recipe, changed, QUICK, resume=True)


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("section", ["test", "shift"])
def test_test_and_shift_rows_that_are_also_training_rows_are_another_adaptation(
    section: str, finished: Path, tiny_recipe: Any, tmp_path: Path
) -> None:
    other = str(with_a_training_text(tiny_recipe(), tmp_path))
    changes = {"data": {"test": other}} if section == "test" else {"evaluation": {"shift": [other]}}
    with pytest.raises(UserError, match="the validation, test or shift texts have changed since"):
        adapt_backbone(tiny_recipe().with_values(**changes), finished, QUICK, resume=True)


def test_an_unfinished_adaptation_is_not_resumed_with_other_texts_left_out(tmp_path: Path) -> None:
    plan = {"backbone": {"name": "bert", "sha256": "1"}, "seed": 0, "fingerprint": "a", "trained": "b"}
    begin(tmp_path, plan, resume=False)
    begin(tmp_path, plan, resume=True)
    with pytest.raises(UserError, match="cannot be resumed: the validation, test or shift texts have changed since"):
        begin(tmp_path, plan | {"trained": "c"}, resume=True)
    earlier = {key: value for key, value in plan.items() if key != "trained"}
    begin(tmp_path, earlier, resume=False)
    begin(tmp_path, plan, resume=True)


def test_pairs_that_are_cut_elsewhere_are_another_adaptation(tiny_recipe: Any, tmp_path: Path) -> None:
    data = {"train": str(write_nli(tmp_path / "nli.csv", 24)), "text": list(COLUMNS), "join": "pair", "test": ""}
    plans = []
    for long in ("head", "tail"):
        recipe = tiny_recipe(data={**data, "long": long})
        splits = load_splits(recipe)
        chosen = adaptation_texts(splits, recipe.data, [], recipe.seed)
        plans.append(plan_of(recipe, QUICK.schedule(recipe), resolve_backbone(recipe.backbone), splits, chosen))
    begin(tmp_path, plans[0], resume=False)
    with pytest.raises(UserError, match='cannot be resumed: long was "head", is "tail"'):
        begin(tmp_path, plans[1], resume=True)


def test_the_command_names_what_differs(finished: Path, tiny_recipe: Any, cli: Cli) -> None:
    Path("mine.toml").write_text(tiny_recipe().to_toml(), "utf-8")
    options = ["--epochs", "10", "--lr", "0.005", "--batch-size", "16", "--resume"]
    refused(cli, "adapt", "mine.toml", "-o", finished, *options, naming="epochs was 1.0, is 10.0")


def test_the_command_to_train_next_names_the_new_backbone_alone(finished: Path, tiny_recipe: Any, cli: Cli) -> None:
    recipe = tiny_recipe()
    Path("mine.toml").write_text(recipe.to_toml(), "utf-8")
    options = ["--epochs", "1", "--lr", "0.005", "--batch-size", "16", "--resume"]
    overrides = ["--set", f"backbone.name={recipe.backbone.name}", "--set", "training.epochs=4"]
    overrides += ["--set", f'backbone={{name = "{recipe.backbone.name}"}}']
    answer = cli("adapt", "mine.toml", "-o", finished, *options, *overrides)
    command = answer.out.splitlines()[-1]
    assert command.endswith(f"featherweight train mine.toml --set training.epochs=4 --backbone {finished}")
