"""Commands that take data in the place of a recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.commands import Cli, refused
from support.reviews import write_reviews

from featherweight import recipe_for
from featherweight.cli.arguments import load_recipe
from featherweight.recipe import Recipe


def test_new_writes_the_recipe_that_train_would_use(cli: Cli) -> None:
    write_reviews("reviews.csv")
    answer = cli("new", "reviews.csv", "-o", "reviews.toml", "--budget", "300k")
    assert (answer.code, answer.out) == (
        0, "reviews.toml: edit it, then train it with: featherweight train reviews.toml\n",
    )  # fmt: skip
    assert answer.err.startswith("note: reviews.csv: 40 rows, 2 classes; ")
    assert Recipe.load("reviews.toml") == recipe_for("reviews.csv", budget="300k")
    written = Path("reviews.toml").read_text("utf-8")
    assert '# The text columns; several are joined by a space.\ntext = ["review"]\n' in written
    printed = cli("new", "reviews.csv", "--budget", "300k", "--set", "adapter.lora.rank=3").out
    Path("ranked.toml").write_text(printed, "utf-8")
    ranked = recipe_for("reviews.csv", budget="300k", overrides=["adapter.lora.rank=3"])
    assert Recipe.load("ranked.toml").with_values(name="reviews") == ranked


def test_new_replaces_nothing(cli: Cli) -> None:
    write_reviews("reviews.csv")
    Path("mine.toml").write_text("seed = 1\n")
    refused(cli, "new", "reviews.csv", "-o", "mine.toml", naming="-o mine.toml: exists; choose a new file")
    refused(cli, "new", "reviews.csv", "-o", "mine.txt", naming="-o mine.txt: a recipe is a TOML file")
    refused(cli, "new", "reviews.csv", "-o", "no/mine.toml", naming="the folder no does not exist")
    refused(cli, "new", "none.csv", "-o", "new.toml", naming="none.csv: no such file")


def test_commands_take_data_in_the_place_of_a_recipe(cli: Cli) -> None:
    write_reviews("reviews.csv")
    answer = cli("weigh", "reviews.csv", "--budget", "200k")
    assert answer.code == 0
    assert answer.out.startswith("reviews on minilm, 2 labels")
    refused(cli, "train", "reviews.csv", "--label", "stars", naming=("no column 'stars'", "--label COLUMN"))
    refused(cli, "train", "reviews.csv", "--set", "training.epoch=2", naming="unknown key 'training.epoch'")
    refused(cli, "weigh", "none.csv", naming="none.csv: no such file")


def test_a_plan_is_made_for_the_classes_of_data(cli: Cli) -> None:
    rows = "".join(f"a note of mine {n},kind {n % 3},{n % 2}\n" for n in range(12))
    Path("notes.csv").write_text("body,sort,other\n" + rows, "utf-8")
    refused(cli, "plan", "notes.csv", naming=("sort, other could each be the labels", "--label sort"))
    answer = cli("plan", "notes.csv", "--label", "sort", "--budget", "100k", "--row", 2, "--out", "notes.toml")
    assert answer.code == 0
    assert "labels from 'sort' (as given)" in answer.err
    assert cli("plan", "notes.csv", "--label", "sort").out.startswith(
        "minilm, 3 labels, a budget of 1,000,000 trainable parameters\n"
    )
    assert (Recipe.load("notes.toml").data.label, Recipe.load("notes.toml").budget) == ("sort", 100_000)
    total = answer.out.split(": ")[1].split()[0]
    assert f"trainable {total}" in " ".join(cli("weigh", "notes.toml").out.split())
    refused(cli, "plan", "notes.csv", "--labels", 3, naming="notes.csv determines the number of classes")
    Path("notes.csv").write_bytes(Path("notes.csv").read_text("utf-8").replace("kind", "Größe").encode("cp1252"))
    answer = cli("plan", "notes.csv", "--label", "sort", "--set", "data.encoding=cp1252", "--set", "adapter.bias=lora")
    assert answer.code == 0 and answer.out.startswith("minilm, 3 labels")
    weighed = cli("weigh", "notes.csv", "--label", "sort", "--backbone", "mpnet")
    assert weighed.out.startswith("notes on mpnet, 3 labels")


def test_check_counts_with_the_backbone_of_a_training(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    write_reviews("reviews.csv")
    monkeypatch.setattr("featherweight.backbone.resolve.best_at_hand", lambda: ("./other", "installed"))
    refused(cli, "check", "reviews.csv", naming="backbone.name = ./other: no such folder")
    assert cli("check", "reviews.csv", "--backbone", "minilm").code == 0


def test_check_cuts_texts_where_a_training_does(cli: Cli) -> None:
    rows = "".join(f"{n} {'is a rather long note and ' * 60},{'odd' if n % 2 else 'even'}\n" for n in range(12))
    Path("long.csv").write_text("note,label\n" + rows, "utf-8")
    draft = cli("new", "long.csv")
    assert "max_length = 512" in draft.out
    assert "max_length = 512 truncates 0 rows" in cli("check", "long.csv").out
    assert "max_length = 256 truncates 12 rows" in cli("check", "long.csv", "--max-length", 256).out


def test_check_guesses_columns_and_looks_at_data_without_labels(cli: Cli) -> None:
    write_reviews("reviews.csv")
    assert "texts from review; labels from sentiment" in cli("check", "reviews.csv").out
    assert "texts from sentiment; labels from review" in (
        cli("check", "reviews.csv", "--text", "sentiment", "--label", "review").out
    )
    Path("new.csv").write_text("id,comment\n1,the first of them\n2,the second of them\n", "utf-8")
    assert "texts from comment; labels from no column" in cli("check", "new.csv").out
    Path("two.csv").write_text(
        "note,kind,place\n" + "a note of mine,x,y\nthe other note,u,v\na third one,x,v\n" * 2, "utf-8"
    )
    refused(cli, "check", "two.csv", naming=("kind, place could each be the labels", "--label kind"))


def test_train_alone_says_what_to_type(cli: Cli) -> None:
    answer = cli("train")
    assert answer.code == 2
    assert "featherweight train reviews.csv" in answer.err
    assert "featherweight train newsbriefs" in answer.err


def test_the_line_after_an_adaptation_repeats_the_options(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("featherweight.workflows.adapt.adapt_backbone", lambda recipe, folder, *_, **__: folder)
    Path("my notes.csv").write_text("body,kind\n" + "a note of mine,x\nanother note,y\n" * 6, "utf-8")
    options = ["--text", "body", "--label", "kind", "--set", "data.validation_size=2"]
    answer = cli("adapt", "my notes.csv", *options, "-o", "new one")
    given = "--text body --label kind --set data.validation_size=2 --backbone 'new one'"
    assert answer.out.endswith(f"To train on it: featherweight train 'my notes.csv' {given}\n")


def write_one_class() -> None:
    Path("one.csv").write_text("text,label\n" + "".join(f"apple {n},fruit\n" for n in range(20)), "utf-8")


@pytest.mark.parametrize("task", [[], ["--set", "task=multi-label"]])
@pytest.mark.parametrize("command", [["new"], ["plan"], ["weigh"], ["train", "--out", "run"]])
def test_data_of_one_class_is_refused_by_every_command_for_training(
    cli: Cli, command: list[str], task: list[str]
) -> None:
    write_one_class()
    refused(cli, command[0], "one.csv", *command[1:], *task, naming="one.csv: every training row has the label 'fruit'")


def test_a_recipe_with_data_of_one_class_is_not_weighed(cli: Cli) -> None:
    write_one_class()
    given = ["--set", "data.train=one.csv", "--set", "data.text=text"]
    refused(cli, "weigh", "newsbriefs", *given, naming="one.csv: every training row has the label 'fruit'")


def test_a_backbone_is_adapted_to_texts_of_one_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_one_class()
    assert load_recipe("one.csv", [], trains=False).data.label == "label"  # as `adapt` does
