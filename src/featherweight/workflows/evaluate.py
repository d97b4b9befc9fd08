"""A trained classifier evaluated: as its run wrote it down, or on other labelled rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featherweight.errors import UserError
from featherweight.evaluation.results import evaluate_rows
from featherweight.run.folder import Run

if TYPE_CHECKING:
    from featherweight.inference.classifier import Classifier


def evaluate_run(run: Run, data: str | None = None) -> dict[str, Any]:
    """Figures of a finished run: as written at its end, or freshly computed on the labelled set ``data``.

    Raises UserError where the run is unfinished or the set does not fit its labels.
    """
    if data is None:
        return run.evaluation
    from featherweight.inference.classifier import Classifier

    return evaluate_on(Classifier.load(run.folder, merge=False), data)


def evaluate_on(classifier: Classifier, data: str) -> dict[str, Any]:
    """Figures of a loaded classifier on the labelled set ``data``, read as its recipe says.

    Raises UserError where the set cannot be read or does not fit its labels.
    """
    from featherweight.data.unlabelled import read_labelled

    recipe = classifier.recipe
    remedy = "there is nothing to judge by: classify it with featherweight predict"
    rows = read_labelled(data, recipe.data, "test", classifier.labels, remedy)
    if not rows.texts:
        raise UserError(f"{data}: no rows to evaluate")
    return evaluate_rows(rows, classifier.logits(rows.texts), classifier.temperature, recipe.evaluation)
