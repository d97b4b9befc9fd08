"""adapted.json: what a backbone folder says about its adaptation to training texts by `featherweight adapt`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from featherweight.backbone.wheels import WHEELS
from featherweight.files import read_object
from featherweight.formatting import counted
from featherweight.run.schema import Checked, Count, Label, Number, require

FILE = "adapted.json"


class Source(Checked):
    """The backbone before the adaptation."""

    name: Label
    sha256: Label | None = None


class Texts(Checked):
    """The texts of the adaptation."""

    rows: Count
    """Number of texts that were trained on."""
    held_out: Count
    """Number of training texts that only the loss was measured on."""
    fingerprint: Label
    """SHA-256 of all training texts of the split, from which both were taken."""


class Adapted(Checked):
    """The content of adapted.json; further keys are allowed."""

    source: Source
    texts: Texts
    epochs: Annotated[Number, Field(gt=0)]
    steps: Count
    seed: Count
    loss_before: Number
    loss_after: Number

    def in_words(self) -> str:
        """One clause for logs, reports and model cards."""
        texts = counted(self.texts.rows, "training text")
        return (
            f"the backbone was adapted: {self.source.name} was trained further as a masked language model on {texts} "
            f"({counted(self.epochs, 'epoch')}), all of its parameters; some contests forbid this"
        )


def read_adapted(folder: Path | None) -> Adapted | None:
    """The content of adapted.json in a backbone folder; None if there is no such file.

    Raises UserError, naming the file, if it is damaged.
    """
    if folder is None or not os.path.lexists(folder / FILE):
        return None
    values = read_object(folder / FILE)
    require(values, Adapted, folder / FILE)
    return Adapted.model_validate(values)


def adapted_by_name(name: str) -> Adapted | None:
    """The content of adapted.json of the backbone that a recipe names; None if it is not an adapted folder."""
    return None if name in WHEELS else read_adapted(Path(name).expanduser())


def entry(adapted: Adapted | None, key: str = "adapted") -> dict[str, Any]:
    """``adapted`` as a dict under ``key``, to be merged into a JSON file; empty if the backbone was not adapted."""
    return {key: adapted.model_dump(mode="json")} if adapted else {}
