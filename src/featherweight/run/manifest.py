"""The manifest of a finished run: the sha256 of every file, so that a changed, lost or added one is noticed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from featherweight.errors import UserError
from featherweight.files import sha256_of, write_json
from featherweight.run.folder import read_json

FILE = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Deviations:
    """Where a run folder differs from its manifest; names are relative to the folder."""

    files: int
    """How many files the manifest lists."""
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    out_of_reach: tuple[str, ...]
    """Links into the backbone's own folder, where that is not on this machine."""


def write_manifest(folder: Path) -> None:
    """List every file of the run with its sha256, what is behind links included; checkpoints are no part of it."""
    _write(folder, {name: sha256_of(folder / name) for name in _names(folder)})


def remake_manifest(folder: Path) -> None:
    """Write a manifest for a complete run that has none, from its files as they are now.

    Raises UserError where one that every run has is missing or damaged: no manifest may say that this is right.
    """
    for name in ("weigh.json", "environment.json", "evaluation.json", "verification.json"):
        read_json(folder / name)
    for name in ("history.jsonl", "predictions.parquet", "adapter/featherweight.json"):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: missing from a complete run; train anew in another folder")
    write_manifest(folder)


def renew_manifest(folder: Path, files: Iterable[Path] = (), *, forget: Collection[str] = ()) -> None:
    """List ``files`` as they are now, and remove the names in ``forget`` from the list.

    Other files stay as they are listed, and a run without a manifest gets none. Raises UserError where it is damaged.
    """
    if not (folder / FILE).is_file():
        return
    listed = {name: digest for name, digest in _read(folder).items() if name not in forget}
    _write(folder, listed | {path.relative_to(folder).as_posix(): sha256_of(path) for path in files})


def lists_file(folder: Path, name: str) -> bool:
    """Whether the manifest of ``folder`` lists the file ``name``. Raises UserError where the manifest is damaged."""
    return (folder / FILE).is_file() and name in _read(folder)


def compare_with_manifest(folder: Path) -> Deviations | None:
    """What differs from the manifest; None where there is none. Raises UserError where it is damaged."""
    if not (folder / FILE).is_file():
        return None
    listed, present = _read(folder), _names(folder)
    lost = [name for name in listed if name not in present]
    linked = tuple(name for name in lost if (folder / name).is_symlink())
    missing = tuple(name for name in lost if name not in linked)
    changed = tuple(name for name in listed if name in present and sha256_of(folder / name) != listed[name])
    return Deviations(len(listed), missing, changed, tuple(name for name in present if name not in listed), linked)


def _names(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [path.as_posix() for path in paths if path.parts[0] not in ("checkpoint", ".lock", FILE)]


def _read(folder: Path) -> dict[str, str]:
    files = read_json(folder / FILE).get("files")
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise UserError(f"{folder / FILE}: damaged: it lists no files")
    return files


def _write(folder: Path, files: dict[str, str]) -> None:
    write_json(folder / FILE, {"format": FORMAT, "files": dict(sorted(files.items()))})
