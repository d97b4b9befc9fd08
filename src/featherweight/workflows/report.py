"""Writes the plots and the HTML report of a run and adds them to its manifest; or a report for a PEFT folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from featherweight.adapter.peft.folder import PeftFolder, read_peft_folder
from featherweight.adapter.peft.given import NOTHING_GIVEN, PeftOptions
from featherweight.adapter.peft.weigh import as_dict
from featherweight.environment import describe_machine, versions
from featherweight.errors import UserError
from featherweight.export.card import render_card
from featherweight.files import write_whole
from featherweight.progress import RowProgress
from featherweight.report.fonts import key_of
from featherweight.report.run import page, plots
from featherweight.report.run.contents import contents_of_peft, read_contents
from featherweight.run.cleanup import CARD, DRAWN, PAGE
from featherweight.run.folder import Run, refuse_adapter
from featherweight.run.manifest import lists_file, renew_manifest


def report_run(folder: str | Path, note: Callable[[str], object] = lambda line: None) -> list[Path]:
    """Write plots, model card and report of the run in ``folder``, which may be unfinished; return the plots' paths.

    ``note`` is called with a message about names that no installed font can draw. The manifest lists plots and report
    only when all of them are written, so that ``is_reported`` detects an interruption. Raises UserError if ``folder``
    is not a run or one of its files is damaged.
    """
    refuse_adapter(folder)
    run = Run(folder)
    contents = read_contents(run.folder)  # raises for a damaged file before anything is written
    renew_manifest(run.folder, forget=DRAWN)
    pictures = plots.draw_plots(run.folder)
    cards = _write_card(run)
    page.write_report(run.folder)
    renew_manifest(run.folder, [*pictures, *cards, run.report])
    if contents.numbered_labels or contents.numbered_sets:
        note(key_of(contents.numbered_labels, contents.numbered_sets))
    return pictures


def _write_card(run: Run) -> list[Path]:
    """Write the model card, and return [its path]; return [] if the run has no adapter or no results."""
    if not (run.adapter / "featherweight.json").is_file() or not (run.folder / "evaluation.json").is_file():
        return []
    write_whole(run.folder / CARD, render_card(run.folder))
    return [run.folder / CARD]


def is_reported(folder: Path) -> bool:
    """Whether all plots and the report of the complete run in ``folder`` are written."""
    try:
        return (folder / PAGE).is_file() and lists_file(folder, PAGE)
    except UserError:
        return True  # a damaged manifest is reported by `verify`


def run_pictures(run: Run) -> list[Path]:
    """Paths of the plots of a run (PNG); missing plots are drawn. Raises UserError if a file of the run is damaged."""
    if pictures := sorted((run.folder / "plots").glob("*.png")):
        return pictures
    pictures = plots.draw_plots(run.folder)
    renew_manifest(run.folder, pictures)
    return pictures


def report_peft_folder(
    path: str | Path,
    out: Path,
    data: str | None = None,
    given: PeftOptions = NOTHING_GIVEN,
    tell: Callable[[str], object] = lambda line: None,
) -> PeftFolder:
    """Write the report ``out`` for the PEFT folder ``path``; if ``data`` is given, evaluate it on that labelled set.

    Nothing is written into ``path``. ``given`` are the user's options for what PEFT does not save, such as the names of
    the classes. ``tell`` gets a line on the progress once a minute. Raises UserError if ``out`` exists, or the folder
    or the rows cannot be read.
    """
    if out.suffix != ".html" or not out.parent.is_dir():
        raise UserError(f"--out {out}: must be an .html file in a folder that exists")
    if out.exists():
        raise UserError(f"--out {out}: exists; choose another file, or remove this file")
    peft = read_peft_folder(path, given)

    from featherweight.inference.classifier import Classifier
    from featherweight.workflows.evaluate import figures_on, labelled_rows

    # The rows come first: what is wrong with them is said before the model is loaded.
    rows = labelled_rows(peft.data, peft.labels, data) if data is not None else None
    classifier = Classifier.load(path, **vars(given))
    evaluation = {}
    if data is not None and rows is not None:
        evaluation = {"test": figures_on(rows, classifier, RowProgress(tell, data, len(rows)))}
    engine = {"device": classifier.engine.device, "precision": classifier.engine.precision}
    environment = {"evaluated on": data, **_settings(peft), **versions(), **describe_machine(), **engine}
    tensors = len(peft.tensors)
    contents = contents_of_peft(peft.folder, peft.base.name, as_dict(peft), evaluation, environment, tensors)
    page.write_page(contents, out)
    return peft


def _settings(peft: PeftFolder) -> dict[str, Any]:
    """The settings of the adapter that differ from PEFT's defaults, for the report; keys are those of PEFT."""
    shown = peft.settings.model_dump(exclude={"base_model_name_or_path"}, exclude_defaults=True)
    return {key: _listed(value) for key, value in shown.items() if value} | {"warnings": list(peft.notes)}


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
