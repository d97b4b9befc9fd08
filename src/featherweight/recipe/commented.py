"""Writes a recipe as TOML for a user to edit, with a comment above each key."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

import tomli_w

from featherweight.recipe.messages import section_at
from featherweight.recipe.schema import Recipe

COMMENTS = {
    "description": "Printed at the top of the report.",
    "budget": "Maximum number of trainable parameters; also written as 100k or 1M.",
    "data.train": "A relative path starts at the working directory.",
    "data.text": "The text columns; several are joined by a space.",
    "data.label": "The label column; with several labels per text also a list of columns of 0 and 1.",
    "data.validation_size": "Validation rows, split off the training rows: a share below 1, or a number of rows.",
    "data.max_length": "Maximum number of tokens of a text; `long` says what happens to longer texts.",
    "backbone.name": "The frozen encoder: a hub name, a local folder, or an installed minilm or mpnet.",
    "adapter.lora": 'LoRA matrices: "auto" adapts every linear layer with the largest rank within the budget.',
    "training.epochs": "Number of passes over the training rows.",
    "training.batch_size": "Maximum number of rows in a batch.",
    "training.evaluate_every": "Steps between two evaluations on the validation rows.",
}
"""Comments that are shorter than the descriptions in the recipe's sections, which every other key gets."""
_SECTION = re.compile(r"\[+([^\[\]]+)\]+")
_KEY = re.compile(r"([a-z_]+) = ")
_LIST = re.compile(r"\[\n((?: {4}.*,\n)+)\]")
_WIDEST = 100  # characters of a list on one line, and of a comment


def commented_toml(values: Mapping[str, Any], head: str) -> str:
    """``values`` as TOML text. It starts with the lines of ``head`` as comments, and has a comment above each key."""
    lines, section = [*(f"# {line}" for line in head.splitlines()), ""], ""
    for line in _LIST.sub(_in_a_line, tomli_w.dumps(values)).splitlines():
        if table := _SECTION.fullmatch(line):
            section = f"{table[1]}."
        elif key := _KEY.match(line):
            lines += _comment(section, key[1])
        lines.append(line)
    return "\n".join(lines) + "\n"


def _comment(section: str, key: str) -> list[str]:
    """Comment lines for ``key`` in ``section``, which ends with a dot (``data.``); empty for an unknown key."""
    text = COMMENTS.get(f"{section}{key}")
    if text is None:
        fields = section_at(Recipe, section.split(".")[:-1])
        field = fields.model_fields.get(key) if fields else None
        text = field.description if field and f"{section}{key}" != "name" else None
    return [f"# {line}" for line in textwrap.wrap(text or "", _WIDEST)]


def _in_a_line(found: re.Match[str]) -> str:
    """The TOML list in the match ``found``, rewritten on one line; unchanged if this line would be too long."""
    inside = ", ".join(item.strip().removesuffix(",") for item in found[1].splitlines())
    return f"[{inside}]" if len(inside) <= _WIDEST else found[0]
