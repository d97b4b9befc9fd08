"""Exports a finished run, and compares the export with the run before the folder gets its final name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.adapter.storage import read_description
from featherweight.argument_checks import require_path
from featherweight.data.run_rows import rows_of_run, training_difference
from featherweight.data.sources import Rows
from featherweight.errors import FeatherweightError, UserError
from featherweight.export import gate
from featherweight.export.staging import OLD, PART, remove_leftovers, staging_folder
from featherweight.files import disk_refusal, sync_folder
from featherweight.hints import flag, for_command_line, to_install
from featherweight.inference.exported import MODEL, WEIGHTS, holds_only_an_export, is_export, to_make_replaceable
from featherweight.run.folder import Run, read_json, refuse_adapter
from featherweight.training.signals import end_on_signals

if TYPE_CHECKING:
    from featherweight.inference.classifier import Classifier
    from featherweight.inference.runner import Loaded, Runner

TARGETS = tuple(MODEL)
PROBE_TEXTS = ("Stocks fell after the bank cut its forecast.", "The striker scored twice.", "!", "Größe 東京")
"""Compared where the data of the run is not available: they show a wrong export, but no small loss."""


def export_run(
    run: str | Path,
    to: str,
    out: str | Path | None = None,
    *,
    force: bool = False,
    note: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Export the run to ``out`` (by default ``RUN/exports/TARGET``).

    Returns the content of export.json, with the folder under the key ``out``.

    ``to`` is one of ``TARGETS``. The export is loaded in a fresh process and compared with the run on the
    run's validation rows; if it differs by more than ``export/gate.py`` allows, FeatherweightError is raised and the
    export is removed. With ``force`` the export is kept, and export.json records the difference. ``force`` also
    replaces an existing export. Raises UserError for wrong arguments, before anything is written.
    """
    folder, target = _checked(run, to, out, force)
    tell = note or (lambda line: None)
    new = [path for path in target.parents if not path.exists()]
    try:
        with end_on_signals(lambda: "stopped; to export the run, run the same command again"):
            target.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(target, PART)
            with staging_folder(target, PART) as part:
                description = _write(folder, to, part, tell)
                description["comparison"] = _compared(folder, to, part, tell)
                refused = gate.verdict(to, description["comparison"])
                if refused and not force:
                    keep = f"nothing was kept; to keep it all the same, add {_force()}"
                    raise FeatherweightError(f"{target}: the export does not give the run's results: {refused}\n{keep}")
                description["kept_by_force"] = refused
                if lost := gate.loss_of_accuracy(description["comparison"]):
                    tell(lost)
                _store_probes(part)
                _finish(part, target, description, force)
    except BaseException as error:
        with suppress(OSError):  # another export may be in the folder by now
            for path in new:
                path.rmdir()
        if isinstance(error, Exception) and (full := disk_refusal(error, target)):
            raise full from None
        raise
    return {**description, "out": str(target)}


def _checked(run: str | Path, to: str, out: str | Path | None, force: bool) -> tuple[Path, Path]:
    """The run folder and the folder of the export. Raises UserError if one of them cannot be used."""
    require_path(run, "export_run", "the path of a run folder")
    folder = Path(run)
    if to not in TARGETS:
        raise UserError(f"{flag('--to', to)}: use one of {', '.join(TARGETS)}")
    if is_export(folder):
        raise UserError(f"{run}: is an export; name the run folder that it was made from")
    refuse_adapter(folder)
    recipe = Run(folder).recipe
    read_description(folder / "adapter")
    for name in ("environment.json", "evaluation.json", "weigh.json"):  # read again when the model has been merged
        if (folder / name).is_file():
            read_json(folder / name)
    if to == "merged":
        from featherweight.export.merged import require_native_head

        require_native_head(recipe, folder)
    else:
        _require_packages(to)
    target = Path(out) if out is not None else folder / "exports" / to
    _require_free(target, force)
    return folder, target


def _require_free(target: Path, force: bool) -> None:
    """Raise UserError if ``target`` exists, unless ``force`` is set and it has only the files of an export."""
    if not os.path.lexists(target) or (force and holds_only_an_export(target)):
        return
    named = flag("--out", str(target))
    if holds_only_an_export(target):
        raise UserError(f"{named}: exists; name a new folder, or replace it by {_force()}")
    remedy = to_make_replaceable(target)
    raise UserError(f"{named}: exists; name a new folder{f', or {remedy}' if remedy else ''}")


def _force() -> str:
    return "--force" if for_command_line() else "force=True"


def _require_packages(to: str) -> None:
    from importlib.util import find_spec

    used = ("nncf", "openvino") if to == "openvino-int8" else ("onnxruntime",)
    if missing := [name for name in ("onnx", "onnxscript", *used) if find_spec(name) is None]:
        raise UserError(f"{flag('--to', to)} needs {', '.join(missing)}: {to_install(*missing)}")


def _write(folder: Path, to: str, part: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Write all files of the export except export.json, and return the content of export.json."""
    from featherweight.export.contents import (
        copy_results,
        copy_text_files,
        describe_export,
        gives_token_types,
        write_description,
    )
    from featherweight.export.network import merged_for_export

    tell(f"{folder}: merging the adapter into its backbone")
    loaded = merged_for_export(folder)
    copy_text_files(folder / "adapter", part)
    copy_results(folder, part)
    token_types, more = gives_token_types(loaded), dict[str, Any]()
    calibration = _training_rows(folder, loaded) if to == "openvino-int8" else None
    if to == "merged":
        from featherweight.export.card import note_on_long_texts
        from featherweight.export.merged import write_merged

        write_merged(loaded.model, loaded.recipe, loaded.model.labels, loaded.temperature, part)
        if other_texts := note_on_long_texts(loaded.model.long_texts):
            tell(other_texts)
    else:
        from featherweight.export.onnx import write_onnx

        tell("writing the ONNX graph, which takes some minutes for a large backbone")
        network: Any = loaded.model.network  # type: ignore[attr-defined]
        write_onnx(network, part / "model.onnx", token_types=token_types)
        if to != "onnx":
            tell("quantising its matrices to int8")
            whole = (part / "model.onnx").rename(part / "fp32.onnx")
            more["quantization"] = _quantised(whole, part / MODEL[to], loaded, calibration)
            whole.unlink()
    description = describe_export(loaded, to, token_types, _environment(folder), **more)
    write_description(part, description)
    return description


def _quantised(whole: Path, target: Path, loaded: Loaded, calibration: Rows | None) -> dict[str, Any]:
    """Write the ONNX graph ``whole`` in 8 bits to ``target``, and return the settings for export.json.

    With ``calibration``, rows on which the scales of the activations are measured, the result is an OpenVINO model;
    without, it is an ONNX graph.
    """
    if calibration is None:
        from featherweight.export.int8 import quantise

        return quantise(whole, target)
    from featherweight.export.openvino import quantise_with

    return quantise_with(calibration, loaded, whole, target)


def _training_rows(folder: Path, loaded: Loaded) -> Rows:
    """The training rows of the run. Raises UserError if they cannot be read any more, or have changed."""
    try:
        return _rows(folder, "train", loaded.model)
    except UserError as error:
        needs = "needs the training rows of the run, to measure scales, and they cannot be read"
        other = flag("--to", "onnx-int8")
        raise UserError(f"openvino-int8 {needs}: {error}\nRestore them, or use {other}, which needs none") from None


def _rows(folder: Path, part: str, model: Runner) -> Rows:
    run = Run(folder)
    return rows_of_run(run, part, model.labels, training_difference(run, part, model.tokenizer))


def _environment(folder: Path) -> dict[str, Any]:
    """The content of environment.json, which describes the training; empty if the run is of an early version."""
    return Run(folder).environment if (folder / "environment.json").is_file() else {}


def _compared(folder: Path, to: str, part: Path, tell: Callable[[str], None]) -> dict[str, Any]:
    """Compare the logits of the export in ``part`` (from a new process) and of the run, both in fp32.

    Returns the entry ``comparison`` of export.json: agreement, differences, accuracies and speed.
    """
    from featherweight.evaluation.results import evaluate_rows
    from featherweight.inference.classifier import Classifier

    classifier = Classifier.load(folder, precision="fp32", device="cpu")
    rows, source = _rows_to_compare(folder, classifier, tell)
    tell(f"comparing {len(rows):,} {source} with the run, in a fresh process")
    answer = gate.in_fresh_process(part, list(rows.texts))
    classifier.model.logits(
        rows.take(np.arange(min(2, len(rows))))
    )  # the first texts take longer, as in export/fresh.py
    began = time.perf_counter()
    logits = classifier.model.logits(rows)
    seconds = time.perf_counter() - began
    found = gate.compare(logits, answer.logits, classifier.task, classifier.temperature)
    found |= {"source": source, "bytes": (part / WEIGHTS[to]).stat().st_size, "load_seconds": answer.load_seconds}
    found["rows_per_second"] = {"run": len(rows) / seconds, "export": len(rows) / answer.seconds}
    if rows.labels is not None:
        settings = classifier.temperature, classifier.recipe.evaluation, classifier.task
        for name, values in (("run", logits), ("export", answer.logits)):
            figures = evaluate_rows(rows, values, *settings)
            found[f"{name}_accuracy"], found[f"{name}_interval"] = figures["accuracy"], figures["accuracy_interval"]
    return found


def _store_probes(part: Path) -> None:
    """Store the export's token ids and logits of a few texts, which are computed again and compared at each loading."""
    from featherweight.inference.classifier import Classifier
    from featherweight.model.probes import write_probes

    exported = Classifier.load(part)
    write_probes(part, exported.model, pairs=exported.recipe.data.join == "pair")


def _rows_to_compare(folder: Path, classifier: Classifier, tell: Callable[[str], None]) -> tuple[Rows, str]:
    """The validation rows of the run and their name for messages; if not available, some texts without labels."""
    try:
        return _rows(folder, "validation", classifier.model), "validation rows"
    except UserError as error:
        problem = str(error)
    tell(f"the run's validation rows are not available ({problem}): only {len(PROBE_TEXTS)} short texts are compared")
    pair = classifier.recipe.data.join == "pair"
    texts: Any = [(text, PROBE_TEXTS[0]) for text in PROBE_TEXTS] if pair else list(PROBE_TEXTS)
    return Rows(texts, None, classifier.labels, "short texts"), "short texts"


def _finish(part: Path, target: Path, description: dict[str, Any], force: bool) -> None:
    """Write export.json into ``part``, and rename the folder to ``target``; ``force`` replaces an earlier export.

    Raises UserError if ``target`` cannot be replaced any more, because files were added to it in the meantime.
    """
    from featherweight.export.contents import write_description

    write_description(part, description)
    sync_folder(part)
    _require_free(target, force)
    if not target.exists():
        part.rename(target)
    else:
        with staging_folder(target, OLD) as folder:
            earlier = folder / "export"
            try:
                target.rename(earlier)
                part.rename(target)
            except BaseException:
                if os.path.lexists(earlier) and not os.path.lexists(target):
                    earlier.rename(target)
                raise
    remove_leftovers(target, OLD)  # not before: after a kill between the two lines it has the only export
