"""Adaptations that are refused before anything is read or written, and those of backbones that were adapted before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.commands import Cli, refused

from featherweight.backbone.adapted import FILE, read_adapted
from featherweight.backbone.resolve import resolve_backbone
from featherweight.data.splits import load_splits
from featherweight.errors import UserError
from featherweight.recipe import BackboneRecipe
from featherweight.workflows.adapt import AdaptationSettings, adapt_backbone
from featherweight.workflows.prepare import adaptation_notes


@pytest.mark.parametrize("more", [(), ("--resume",)])
def test_a_folder_of_the_user_in_the_place_of_the_unfinished_work_stays(
    cli: Cli, job: Path, more: tuple[str, ...]
) -> None:
    Path("bert.part").mkdir()
    Path("bert.part/thesis.txt").write_text("ten years", "utf-8")
    naming = "-o bert: bert.part, where the unfinished work would be, has other files (thesis.txt); move them away"
    refused(cli, "adapt", job, "-o", "bert", *more, naming=naming)
    assert Path("bert.part/thesis.txt").read_text("utf-8") == "ten years"


def test_a_link_that_leads_nowhere_is_no_new_folder(cli: Cli, job: Path) -> None:
    Path("bert").symlink_to("gone")
    refused(cli, "adapt", job, "-o", "bert", naming="-o bert: exists already; choose a new folder")


@pytest.mark.parametrize("there", [True, False])
def test_a_link_in_the_place_of_the_unfinished_work_is_refused(cli: Cli, job: Path, there: bool) -> None:
    if there:
        Path("elsewhere").mkdir()
    Path("bert.part").symlink_to("elsewhere")
    naming = "-o bert: bert.part, where the unfinished work would be, is a link; remove it, or choose another folder"
    refused(cli, "adapt", job, "-o", "bert", naming=naming)
    assert Path("bert.part").is_symlink() and Path("elsewhere").exists() == there


def test_a_huge_batch_is_refused_by_an_option_that_was_given(cli: Cli, job: Path) -> None:
    options = ["--batch-size", "100000", "--max-length", "1000000"]
    naming = "--max-length 1000000: "
    refused(cli, "adapt", job, "-o", "bert", *options, naming=naming)


def test_wrong_arguments_in_python_are_refused(tiny_recipe: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"adapt_backbone takes a Recipe, not the text 'newsbriefs'; write adapt_backb"):
        adapt_backbone("newsbriefs", "bert")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="out takes the path of the new backbone folder, not the number 3"):
        adapt_backbone(tiny_recipe(), 3)  # type: ignore[arg-type]
    for texts in (3, [b"more.txt"], [["more.txt"]]):
        with pytest.raises(UserError, match="texts takes the paths of files with further texts, not "):
            adapt_backbone(tiny_recipe(), "bert", texts=texts)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="texts: a name is empty"):
        adapt_backbone(tiny_recipe(), tmp_path / "bert", texts="")
    for file in (tmp_path / "more.txt", str(tmp_path / "more.txt")):
        with pytest.raises(UserError, match=rf"^{file}: no such file"):
            adapt_backbone(tiny_recipe(), tmp_path / "bert", texts=file)
    with pytest.raises(UserError, match=r"training\.batch_size: must be a whole number \(it is '3'\)"):
        adapt_backbone(tiny_recipe(), "bert", AdaptationSettings(batch_size="3"))  # type: ignore[arg-type]


def test_texts_of_an_earlier_adaptation_count(tiny_recipe: Any, tmp_path: Path) -> None:
    recipe = tiny_recipe()
    splits = load_splits(recipe)
    folder = Path(shutil.copytree(recipe.backbone.name, tmp_path / "adapted"))

    def marker(fingerprint: str, **source: Any) -> dict[str, Any]:
        texts = {"rows": 46, "held_out": 2, "fingerprint": fingerprint}
        numbers = {"epochs": 1.0, "steps": 3, "seed": 0, "loss_before": 2.0, "loss_after": 1.0}
        return {"source": {"name": "bert", **source}, "texts": texts, **numbers}

    def noted(values: dict[str, Any]) -> bool:
        (folder / FILE).write_text(json.dumps(values), "utf-8")
        notes = adaptation_notes(resolve_backbone(BackboneRecipe(name=str(folder))), splits)
        return any("it was adapted to other texts than the training texts of this run" in note for note in notes)

    from featherweight.data.fingerprints import rows_fingerprint

    ours = rows_fingerprint(splits.train)["texts"]
    assert not noted(marker(ours))
    assert not noted(marker(ours, adapted=marker(ours)))
    assert noted(marker(ours, adapted=marker("other")))
    assert noted(marker(ours, adapted=marker(ours, adapted=marker("other"))))
    (folder / FILE).write_text(json.dumps(marker(ours, adapted={"steps": -1})), "utf-8")
    with pytest.raises(UserError, match=r"adapted\.json: damaged"):
        read_adapted(folder)
