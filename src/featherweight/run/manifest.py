"""The manifest of a finished run: the sha256 of every file, to detect changed, missing and added files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from featherweight.errors import UserError, damaged
from featherweight.files import sha256_of, write_json
from featherweight.run.folder import read_json

FILE = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Deviations:
    """The differences between a run folder and its manifest; names are relative to the folder."""

    files: int
    """Number of files in the manifest."""
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    added: tuple[str, ...]
    out_of_reach: tuple[str, ...]
    """Links to files of the backbone that do not exist on this machine."""


def write_manifest(folder: Path) -> None:
    """Write the manifest: every file of the run with its sha256. Links are followed; checkpoints are left out."""
    _write(folder, {name: sha256_of(folder / name) for name in _names(folder)})


def remake_manifest(folder: Path) -> None:
    """Write a manifest for a complete run that has none, from its current files.

    Raises UserError if a file that every run has is missing or damaged, because the manifest would hide this.
    """
    for name in ("weigh.json", "environment.json", "evaluation.json", "verification.json"):
        read_json(folder / name)
    for name in ("history.jsonl", "predictions.parquet", "adapter/featherweight.json"):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: missing from a complete run; train again in another folder")
    write_manifest(folder)


def renew_manifest(folder: Path, files: Iterable[Path] = (), *, forget: Collection[str] = ()) -> None:
    """Update the entries of ``files`` in the manifest, and remove the names in ``forget`` from it.

    Other entries do not change. Without a manifest nothing is written. Raises UserError if the manifest is damaged.
    """
    if not (folder / FILE).is_file():
        return
    listed = {name: digest for name, digest in _read(folder).items() if name not in forget}
    _write(folder, listed | {path.relative_to(folder).as_posix(): sha256_of(path) for path in files})


def lists_file(folder: Path, name: str) -> bool:
    """Whether the manifest of ``folder`` lists the file ``name``. Raises UserError if the manifest is damaged."""
    return (folder / FILE).is_file() and name in _read(folder)


def missing_from(folder: Path, part: str) -> list[str]:
    """Files below ``folder / part`` that the manifest of ``folder`` lists, and that no longer exist.

    Links do not count: after a move to another machine, those to files of the backbone lead nowhere. Raises UserError
    if the manifest is missing or damaged.
    """
    paths = {name: folder / name for name in _read(folder) if name.startswith(f"{part}/")}
    return [name for name, path in paths.items() if not (path.is_file() or path.is_symlink())]


def compare_with_manifest(folder: Path) -> Deviations | None:
    """The differences between ``folder`` and its manifest; None if there is no manifest.

    Raises UserError if the manifest is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    listed, present = _read(folder), _names(folder)
    absent = [name for name in listed if name not in present]
    linked = tuple(name for name in absent if (folder / name).is_symlink())
    missing = tuple(name for name in absent if name not in linked)
    changed = tuple(name for name in listed if name in present and sha256_of(folder / name) != listed[name])
    return Deviations(len(listed), missing, changed, tuple(name for name in present if name not in listed), linked)


def _names(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [path.as_posix() for path in paths if path.parts[0] not in ("checkpoint", ".lock", FILE)]


def _read(folder: Path) -> dict[str, str]:
    files = read_json(folder / FILE).get("files")
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        raise damaged(folder / FILE, "its key 'files' is not an object of names and checksums")
    return files


def _write(folder: Path, files: dict[str, str]) -> None:
    write_json(folder / FILE, {"format": FORMAT, "files": dict(sorted(files.items()))})
