"""Small runs that can be killed by the hundred: tiny backbones of random weights, made-up texts, some dozen steps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import tomli_w

from featherweight.recipe import Recipe

CLASSES = {"fruit": "apple pear plum cherry", "metal": "iron copper zinc silver", "bird": "robin crow heron owl"}
ROWS = {"train": 60, "test": 24}


@dataclass(frozen=True)
class SmallRun:
    """One job, to be killed and resumed; what makes it unlike the others is in its name."""

    name: str
    recipes: tuple[Path, ...]
    """One recipe is trained by `train`, several by `rounds`."""

    def carry_out(self, listener: Any) -> None:
        """Train it, the first time and at every resume; the run folder is called ``run``."""
        from featherweight.workflows.rounds import run_rounds
        from featherweight.workflows.train import train

        recipes = [Recipe.load(path) for path in self.recipes]
        if len(recipes) > 1:
            run_rounds(recipes, [0], "run", listeners=[listener])
        else:
            train(recipes[0], "run", listeners=[listener], resume=True)


def small_runs(folder: Path) -> list[SmallRun]:
    """Write backbones, data and recipes into ``folder``: between them every way to write checkpoints and to end."""
    write_inputs(folder, ("bert", "mpnet"))

    recipe = partial(write_recipe, folder)
    upper = {"lora": [{"roles": ["query", "value"], "rank": 2, "layers": "1"}]}
    often = {"batch_size": 4, "accumulate": 3, "epochs": 3, "evaluate_every": 2, "checkpoint_steps": 3}
    often["prefix_cache"] = "on"
    # Checkpoints by the clock, and so many steps between two of them that the history is written in mid-line.
    seldom = {"batch_size": 2, "epochs": 2, "evaluate_every": 40, "checkpoint_seconds": 0.5, "keep": "last"}
    native = {"head": "native", "bias": "all", "dropout": 0.2}
    stopped = {"learning_rate": 0.05, "batch_size": 8, "epochs": 9, "evaluate_every": 2, "early_stopping": 2}
    stopped["checkpoint_steps"] = 4
    short = {"batch_size": 8, "epochs": 1, "evaluate_every": 2, "checkpoint_steps": 2}
    rounds = (recipe("plain", "bert", {"dropout": 0.2}, short),
              recipe("pissa", "bert", {"initialisation": "pissa", "dora": True}, short))  # fmt: skip
    return [
        SmallRun("accumulating", (recipe("accumulating", "bert", upper, often),)),
        SmallRun("by-the-clock", (recipe("by-the-clock", "mpnet", {"initialisation": "eva"}, seldom),)),
        SmallRun("stopping-early", (recipe("early", "mpnet", native, stopped),)),
        SmallRun("rounds", rounds),
    ]


def write_inputs(folder: Path, families: Sequence[str]) -> None:
    """Write made-up rows, and a tiny backbone of each family, into ``folder``."""
    sys.path.append(str(Path(__file__).parents[2] / "tests"))  # whose maker this is
    from support.backbones import save_tiny_backbone

    for split, rows in made_up_rows().items():
        lines = ["text,label", *(f"{text},{label}" for text, label in rows)]
        (folder / f"{split}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    for family in families:
        save_tiny_backbone(folder / "backbones" / family, family)


def write_recipe(folder: Path, name: str, family: str, adapter: dict[str, Any], training: dict[str, Any]) -> Path:
    """Write the recipe of a small run on what ``write_inputs`` has written; the path of the recipe."""
    rows = {split: str(folder / f"{split}.csv") for split in ROWS}
    values = {
        "name": name,
        "data": {"max_length": 32, "validation_size": 12, **rows},
        "backbone": {"name": str(folder / "backbones" / family)},
        "adapter": {"lora": [{"roles": ["query", "value"], "rank": 2}], **adapter},
        "training": {"learning_rate": 5e-3, "precision": "fp32", **training},
    }
    path = folder / f"{name}.toml"
    path.write_text(tomli_w.dumps(values), "utf-8")  # without default values: an older version may not have them all
    return path


def made_up_rows() -> dict[str, list[tuple[str, str]]]:
    """Texts with their labels, by split: some words of a class, and a number."""

    def text(number: int, words: list[str]) -> str:
        return " ".join(words[(number * k + k) % 4] for k in range(1, 3 + number % 5)) + f" {number}"

    classes = [(label, words.split()) for label, words in CLASSES.items()]
    return {
        split: [(text(number, words), label) for number, (label, words) in zip(range(rows), cycle(classes))]
        for split, rows in ROWS.items()
    }
