"""A recipe as TOML to be edited: the keys that matter, each with a comment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tomli_w

COMMENTS = {
    "description": "The line at the top of the report.",
    "budget": "Most trainable parameters; 100k and 1M are understood.",
    "data.train": "A relative path starts at the working directory.",
    "data.text": "The column of the texts; several are joined by a blank.",
    "data.label": "The column of the labels.",
    "data.validation_size": "Rows split off to choose the best adapter by: below 1 a share, from 1 on a number.",
    "data.max_length": "Tokens that are read of a text; longer texts are cut.",
    "backbone.name": "The frozen encoder: a hub name, a local folder, or an installed minilm or mpnet.",
    "adapter.lora": 'What is trained: "auto" takes as much as the budget affords.',
    "training.epochs": "Passes over the training rows.",
    "training.batch_size": "Most rows in a batch.",
    "training.evaluate_every": "Steps between two looks at the validation rows.",
}
"""A comment for each key, for readers who see the key for the first time."""
_SECTION = re.compile(r"\[+([^\[\]]+)\]+")
_KEY = re.compile(r"([a-z_]+) = ")
_LIST = re.compile(r"\[\n((?: {4}.*,\n)+)\]")
_WIDEST = 100  # characters of a list on one line


def commented_toml(values: Mapping[str, Any], head: str) -> str:
    """``values`` as TOML below the lines of ``head``, with a comment above each key of ``COMMENTS``."""
    lines, section = [*(f"# {line}" for line in head.splitlines()), ""], ""
    for line in _LIST.sub(_in_a_line, tomli_w.dumps(values)).splitlines():
        if table := _SECTION.fullmatch(line):
            section = f"{table[1]}."
        elif (key := _KEY.match(line)) and (comment := COMMENTS.get(f"{section}{key[1]}")):
            lines.append(f"# {comment}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _in_a_line(found: re.Match[str]) -> str:
    """A list as TOML on one line if it is short, instead of the library's one line per item."""
    inside = ", ".join(item.strip().removesuffix(",") for item in found[1].splitlines())
    return f"[{inside}]" if len(inside) <= _WIDEST else found[0]
