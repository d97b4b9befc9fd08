"""Reads adapted.json, the file in a backbone folder that describes how `featherweight adapt` made this backbone.

`adapt` trains all parameters of a backbone further, as a masked language model on training texts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from featherweight.backbone.wheels import WHEELS
from featherweight.files import read_object
from featherweight.formatting import counted
from featherweight.run.checked import Checked, Count, Label, Number, require

FILE = "adapted.json"


class Source(Checked):
    """The entry ``source`` of adapted.json: name and hash of the backbone that was trained further."""

    name: Label
    sha256: Label | None = None


class Texts(Checked):
    """The entry ``texts`` of adapted.json: the numbers and the hash of the texts that were used."""

    rows: Count
    """Number of texts that were trained on."""
    held_out: Count
    """Number of texts that were not trained on, but used to measure the loss before and after."""
    without_labels: Count = 0
    """How many of the texts that were trained on or held out are further texts, which needed no labels."""
    fingerprint: Label
    """SHA-256 of all texts of the training split; ``rows`` and ``held_out`` count two parts of it and further texts."""
    unseen: tuple[Label, ...] = ()
    """SHA-256 of the validation, test and shift texts that were left out of further texts; empty without these."""


class Adapted(Checked):
    """The content of adapted.json; further keys are allowed."""

    source: Source
    texts: Texts
    epochs: Annotated[Number, Field(gt=0)]
    steps: Count
    seed: Count
    loss_before: Number
    loss_after: Number

    @property
    def earlier(self) -> tuple[Adapted, ...]:
        """The adaptations of the source, if it was adapted itself, the last one first."""
        values = (self.source.model_extra or {}).get("adapted")
        if not values:
            return ()
        source = Adapted.model_validate(values)
        return source, *source.earlier

    def in_words(self) -> str:
        """The adaptation as a clause for logs, reports and model cards."""
        texts = counted(self.texts.rows, "training text")
        if self.texts.without_labels:
            texts = f"{self.texts.rows:,} texts, of which some are no training texts"
        return (
            f"the backbone was adapted: all parameters of {self.source.name} were trained further as a masked language "
            f"model on {texts} ({counted(self.epochs, 'epoch')}); some contests forbid this"
        )


def read_adapted(folder: Path | None) -> Adapted | None:
    """The content of adapted.json in a backbone folder; None if there is no such file.

    Raises UserError, naming the file, if it is damaged.
    """
    if folder is None or not os.path.lexists(folder / FILE):
        return None
    values = read_object(folder / FILE)
    of_one: Any = values
    while of_one:  # this adaptation, and those of its source
        require(of_one, Adapted, folder / FILE)
        of_one = of_one["source"].get("adapted")
    return Adapted.model_validate(values)


def adapted_by_name(name: str) -> Adapted | None:
    """The content of adapted.json of the backbone ``name``, as in a recipe; None if that is not an adapted folder."""
    return None if name in WHEELS else read_adapted(Path(name).expanduser())


def entry(adapted: Adapted | None, key: str = "adapted") -> dict[str, Any]:
    """``adapted`` as a dict under ``key``, to be merged into a JSON file; empty if the backbone was not adapted."""
    return {key: adapted.model_dump(mode="json")} if adapted else {}


def frozen_in_words(environment: Mapping[str, Any]) -> str:
    """How the backbone of a run was frozen, as a clause; ``environment`` is the content of environment.json."""
    adapted = (environment.get("backbone") or {}).get("adapted")
    return "frozen after an adaptation to training texts" if adapted else "frozen"
