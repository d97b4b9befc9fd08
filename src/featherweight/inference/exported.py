"""Reads the description of an export, and checks that its files are complete."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from featherweight.adapter.storage import read_description
from featherweight.backbone.adapted import Adapted
from featherweight.data.long_texts import LongTexts
from featherweight.errors import UserError, damaged, first_line
from featherweight.files import read_object, sha256_of
from featherweight.formatting import listed
from featherweight.recipe.fields import unique
from featherweight.run.checked import Checked, Count, Label, Number, require
from featherweight.run.folder import read_json
from featherweight.run.schema import DataPart, LabelColumn

FILE = "export.json"
FORMAT = 1
"""Version of the layout of an export; a newer one is refused."""
_PROBES = "probes.json"
"""Tokens and logits of a few texts, which ``model/probes.py`` compares (its imports are too many for this file)."""
AGAIN = "export the run again"
MODEL = {
    "merged": "model.safetensors",
    "onnx": "model.onnx",
    "onnx-int8": "model.onnx",
    "openvino-int8": "model.xml",
}
"""The file that is loaded, by target."""
WEIGHTS = {**MODEL, "openvino-int8": "model.bin"}
"""The file with the weights, by target."""


class ExportedFile(Checked):
    """Size (bytes) and sha256 of a file of an export, as export.json lists them."""

    bytes: Count
    sha256: Label


class ExportedBackbone(Checked):
    """The backbone of an export: how it was adapted to texts (see ``backbone/adapted.py``), if it was."""

    adapted: Adapted | None = None


class Description(Checked):
    """The values of export.json that are needed to load an export."""

    format: Count
    target: Literal["merged", "onnx", "onnx-int8", "openvino-int8"]
    model_id: Annotated[Label, Field(min_length=1)]
    labels: Annotated[tuple[Annotated[Label, Field(min_length=1)], ...], Field(min_length=2), AfterValidator(unique)]
    temperature: Annotated[Number, Field(gt=0)]
    thresholds: tuple[Number, ...] = ()
    max_length: Annotated[Count, Field(ge=1)]
    long: Literal["head", "tail", "head-tail", "windows"]
    window_overlap: Annotated[Number, Field(ge=0, lt=1)]
    most_windows: Annotated[Count, Field(ge=2)] | None = None
    pad_token_id: Count
    token_types: bool
    files: dict[str, ExportedFile]
    label_column: LabelColumn | None = None
    """How the training data writes its labels."""
    data: dict[str, DataPart] | None = None
    backbone: ExportedBackbone | None = None
    started: Label | None = None
    warnings: tuple[Label, ...] | None = None

    @property
    def long_texts(self) -> LongTexts:
        """The maximum length, and what happens to longer texts."""
        return LongTexts(self.max_length, self.long, self.window_overlap, self.most_windows)


def is_export(path: str | Path) -> bool:
    """Whether ``path`` is the folder of an export."""
    return (Path(path) / FILE).is_file()


def read_export(folder: Path) -> Description:
    """The checked description of the export in ``folder``.

    Raises UserError if it is damaged, of a newer version, or a file is missing, of another size, or was changed. The
    contents of the weights are left to ``require_unchanged_weights``.
    """
    values, where = read_object(folder / FILE), folder / FILE
    version = values.get("format")
    if isinstance(version, int) and version > FORMAT:
        newer = f"layout {version}, this one reads {FORMAT}"
        raise UserError(f"{folder}: exported by a newer Featherweight ({newer}); update Featherweight")
    require(values, Description, where)
    described = Description.model_validate(values)
    if described.thresholds and len(described.thresholds) != len(described.labels):
        raise damaged(where, "the number of its thresholds is not the number of its labels", AGAIN)
    weights = WEIGHTS[described.target]
    for name in (MODEL[described.target], weights, "tokenizer.json", "recipe.toml"):
        if name not in described.files:
            raise damaged(where, f"{name} is missing from its key 'files'", AGAIN)
        _require_size(folder / name, described.files[name].bytes)
    if _PROBES in described.files:  # without it, a changed library would go unnoticed
        _require_size(folder / _PROBES, described.files[_PROBES].bytes)
    for name, file in described.files.items():
        # Weights take 0.1 to 0.5 seconds to hash, and a description is read several times in a prediction.
        if name != weights and (folder / name).is_file():
            _require_contents(folder / name, file.sha256)
    return described


def require_unchanged_weights(folder: Path, described: Description) -> None:
    """Raise UserError if the weights in ``folder`` are not those that were exported.

    The logits of a few stored texts do not show it, because they hardly depend on most tokens' embeddings.
    """
    weights = WEIGHTS[described.target]
    _require_contents(folder / weights, described.files[weights].sha256)


def training_of(folder: Path) -> dict[str, Any]:
    """How a run or an export was trained, for cards: ``data``, ``backbone``, ``started`` and ``warnings``.

    It is the content of environment.json, or of export.json, which has these keys, too; empty if there is neither.
    Raises UserError if the file is damaged.
    """
    if is_export(folder):
        return read_object(folder / FILE)
    path = folder / "environment.json"
    return read_json(path) if os.path.lexists(path) else {}


def holds_only_an_export(path: Path) -> bool:
    """Whether ``path`` is the folder of an export and contains no other files, so that it may be replaced as a whole.

    The files of an export are export.json and those listed in it.
    """
    try:
        described = read_export(path)
    except (UserError, OSError):
        return False
    return {entry.name for entry in path.iterdir()} <= {*described.files, FILE}


def to_make_replaceable(path: Path) -> str:
    """What to do with an export that is damaged or has other files, before another one can take its place.

    Empty if ``path`` is no export, or has files of the user in a damaged export.
    """
    try:
        files = read_object(path / FILE).get("files")
    except (UserError, OSError):
        return ""
    if not isinstance(files, dict) or not {*WEIGHTS.values()} & files.keys():
        return ""  # a file of another program with this name
    others = sorted({entry.name for entry in path.iterdir()} - {*files, FILE})
    try:
        read_export(path)
    except (UserError, OSError) as error:
        return "" if others else f"remove it, because it is a damaged export ({first_line(error)})"
    return f"move out of it what is not of the export: {listed(others)}"


def classes_and_thresholds(folder: Path) -> dict[str, Any]:
    """The keys ``labels`` and ``thresholds`` of an export or of a run. Raises UserError if they cannot be read."""
    if is_export(folder):
        return read_export(folder).model_dump(include={"labels", "thresholds"})
    return read_description(folder / "adapter" if (folder / "adapter").is_dir() else folder)


def _require_contents(path: Path, sha256: str) -> None:
    if sha256_of(path) != sha256:
        raise UserError(f"{path}: was changed after the export; {AGAIN}")


def _require_size(path: Path, size: int) -> None:
    if not path.is_file():
        raise UserError(f"{path}: missing; {AGAIN}")
    if (found := path.stat().st_size) != size:
        raise UserError(f"{path}: has {found:,} bytes, not {size:,}; the export is damaged: {AGAIN}")
