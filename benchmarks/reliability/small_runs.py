"""Small runs that can be killed by the hundred: tiny backbones of random weights, made-up texts, some dozen steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from featherweight.recipe import Recipe

CLASSES = {"fruit": "apple pear plum cherry", "metal": "iron copper zinc silver", "bird": "robin crow heron owl"}
ROWS = {"train": 60, "test": 24}
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}


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
    data: dict[str, Any] = {"max_length": 32, "validation_size": 12}
    for split, rows in made_up_rows().items():
        data[split] = str(folder / f"{split}.csv")
        Path(data[split]).write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), "utf-8")
    backbones = {family: str(_write_backbone(folder / family, family)) for family in ("bert", "mpnet")}

    def recipe(name: str, family: str, adapter: dict[str, Any], training: dict[str, Any]) -> Path:
        adapter = {"lora": [{"roles": ["query", "value"], "rank": 2}], **adapter}
        training = {"learning_rate": 5e-3, "precision": "fp32", **training}
        values = {"name": name, "data": data, "backbone": {"name": backbones[family]}}
        made = Recipe.parse({**values, "adapter": adapter, "training": training}, name)
        (folder / f"{name}.toml").write_text(made.to_toml(), "utf-8")
        return folder / f"{name}.toml"

    upper = {"lora": [{"roles": ["query", "value"], "rank": 2, "layers": "1"}]}
    often = {"batch_size": 4, "accumulate": 3, "epochs": 3, "evaluate_every": 2, "checkpoint_steps": 3}
    often["prefix_cache"] = "on"
    # Checkpoints by the clock, and so many steps between two of them that the history is written in mid-line.
    seldom = {"batch_size": 2, "epochs": 2, "evaluate_every": 40, "checkpoint_seconds": 0.5, "keep": "last"}
    native = {"head": "native", "bias": "all", "dropout": 0.2}
    stopped = {
        "learning_rate": 0.05,
        "batch_size": 8,
        "epochs": 9,
        "evaluate_every": 2,
        "early_stopping": 2,
        "checkpoint_steps": 4,
    }
    short = {"batch_size": 8, "epochs": 1, "evaluate_every": 2, "checkpoint_steps": 2}
    return [
        SmallRun("accumulating", (recipe("accumulating", "bert", upper, often),)),
        SmallRun("by-the-clock", (recipe("by-the-clock", "mpnet", {"initialisation": "eva"}, seldom),)),
        SmallRun("stopping-early", (recipe("early", "mpnet", native, stopped),)),
        SmallRun(
            "rounds",
            (
                recipe("plain", "bert", {"dropout": 0.2}, short),
                recipe("pissa", "bert", {"initialisation": "pissa", "dora": True}, short),
            ),
        ),
    ]


def made_up_rows() -> dict[str, list[tuple[str, str]]]:
    """Texts with their labels, by split: some words of a class, and a number."""
    return {
        split: [
            (_text(number, words.split()), label) for number, (label, words) in zip(range(rows), cycle(CLASSES.items()))
        ]
        for split, rows in ROWS.items()
    }


def _text(number: int, words: list[str]) -> str:
    return " ".join(words[(number * k + k) % 4] for k in range(1, 3 + number % 5)) + f" {number}"


def _write_backbone(folder: Path, family: str) -> Path:
    """Config, random weights and a tokenizer that knows the words of the rows and no other."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    words = sorted({word for rows in made_up_rows().values() for text, _ in rows for word in text.split()})
    vocabulary = {word: number for number, word in enumerate([*_SPECIAL, *words])}
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, vocab_size=len(vocabulary), max_position_embeddings=64, pad_token_id=0, **_SIZES
    )
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    around = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=around)
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), _SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(folder)
    return folder
