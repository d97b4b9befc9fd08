"""The model card that a server shows: task, classes, training, metrics, and reasons to doubt them.

Everything is read from the files beside the weights. If a file is missing, its entries in the card are empty.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featherweight.backbone.adapted import frozen_in_words
from featherweight.files import read_object
from featherweight.formatting import counted, percent, rough_share, without_paths
from featherweight.inference.exported import FILE as EXPORT
from featherweight.inference.exported import is_export, training_of
from featherweight.recipe.loading import read_recipe
from featherweight.recipe.public_names import public_names
from featherweight.run.best import without_test_set
from featherweight.run.doubts import doubts, remedies
from featherweight.run.figures import metrics_of
from featherweight.run.folder import read_json
from featherweight.serving.limits import Limits
from featherweight.serving.model import Model

_SHOWN_CLASSES = 40
"""Classes up to which the card has a confusion matrix."""


def card_of(folder: Path, model: Model, limits: Limits, examples: list[str], note: str = "") -> dict[str, Any]:
    """The answer of /v1/model as a dict: labels, limits, training, results and doubts of the model in ``folder``.

    ``examples`` are texts to try, and ``note`` is a sentence about them.
    """
    evaluation, weigh, environment = _read(folder, "evaluation"), _read(folder, "weigh"), training_of(folder)
    recipe = _recipe(folder)
    name = str(recipe.get("name") or folder.resolve().name)
    return {
        "id": model.id,
        "name": name,
        "description": without_paths(str(recipe.get("description") or "")),
        "task": "multi-label" if model.several else "single-label",
        "labels": list(model.labels),
        "pair": list(model.pair) if model.pair else None,
        "max_tokens": model.max_tokens,
        "windows": model.windows,
        "limits": {
            "texts": limits.texts,
            "characters": limits.characters,
            "body_bytes": limits.body_bytes,
            "tokens": limits.queue_tokens,
            "explained_words": limits.explained_words,
        },
        "facts": _facts(recipe, weigh, environment),
        "budget": {"trained": weigh.get("total"), "budget": weigh.get("budget")},
        "results": _results(evaluation),
        "doubts": [
            *_notes_on_export(folder, has_results=bool(evaluation)),
            *map(without_paths, _doubts(evaluation, recipe, environment)),
        ],
        "examples": examples,
        "examples_note": note,
    }


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    return read_json(path) if os.path.lexists(path) else {}


def _recipe(folder: Path) -> dict[str, Any]:
    path = folder / "recipe.toml"
    return read_recipe(path)[1] if path.is_file() else {}


def _facts(recipe: Mapping[str, Any], weigh: Mapping[str, Any], environment: Mapping[str, Any]) -> list[list[str]]:
    """Facts about the training as pairs of name and value, such as ``["Training rows", "4,000"]``.

    The arguments are the contents of recipe.toml, weigh.json (numbers of parameters) and environment.json.
    """
    facts = []
    if backbone := recipe.get("backbone", {}).get("name"):
        size = weigh.get("backbone_parameters")
        frozen = frozen_in_words(environment)
        facts.append(["Backbone", f"{Path(str(backbone)).name}{f', {size:,} parameters, {frozen}' if size else ''}"])
    if lora := recipe.get("adapter", {}).get("lora"):
        facts.append(["Adapter", _adapter(lora)])
    if weigh.get("total"):
        budget = weigh.get("budget")
        of = f" ({rough_share(weigh['total'], budget)} of the budget of {budget:,})" if budget else ""
        facts.append(["Trained parameters", f"{weigh['total']:,}{of}"])
    rows = {part: values.get("rows") for part, values in (environment.get("data") or {}).items()}
    if rows.get("train"):
        facts.append(["Training rows", f"{rows['train']:,}"])
    if environment.get("started"):
        facts.append(["Trained on", str(environment["started"])[:10]])
    return facts


def _adapter(lora: Any) -> str:
    groups = [group for group in lora if isinstance(group, dict)] if isinstance(lora, list) else []
    ranks = sorted({int(group["rank"]) for group in groups if isinstance(group.get("rank"), int)})
    roles = list(dict.fromkeys(role.replace("_", " ") for group in groups for role in group.get("roles", ())))
    return f"LoRA, rank {', '.join(map(str, ranks)) or 'chosen'}, on {', '.join(roles) or 'chosen layers'}"


def _results(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One dict of metrics for each evaluated set; only the first has a confusion matrix.

    The order is: test, validation, shift sets (further test sets, with texts of another kind than the training data).
    """
    shift = evaluation.get("shift") or {}
    names = public_names(shift)
    sets = [(name, evaluation[name]) for name in ("test", "validation") if evaluation.get(name)]
    sets += [(f"shift: {names[source]}", figures) for source, figures in shift.items()]
    results = [_result(name, figures) for name, figures in sets]
    for result in results[1:]:
        result.pop("confusion_matrix", None)
    return results


def _result(name: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    metrics = metrics_of(figures)
    shown = [(metric, metric.value(figures)) for metric in metrics]
    matrix = figures.get("confusion_matrix")
    return {
        "set": name,
        "rows": figures["rows"],
        "metrics": [
            {"key": metric.key, "name": metric.title, "value": value, "shown": metric.words(value)}
            for metric, value in shown
            if value is not None
        ],
        "interval": figures.get(f"{metrics[0].key}_interval"),
        "confusion_matrix": matrix if matrix and len(matrix) <= _SHOWN_CLASSES else None,
        "per_class": [{key: row.get(key) for key in ("label", "f1", "support")} for row in figures["per_class"]],
    }


def _notes_on_export(folder: Path, *, has_results: bool) -> list[str]:
    """Sentences about an export: the results are those of its run, and how often both predict the same label.

    The first needs ``has_results`` (metrics in the folder). The list is empty if ``folder`` is no export.
    """
    if not is_export(folder):
        return []
    known = ["The results are those of the run that was exported."] if has_results else []
    compared = read_object(folder / EXPORT).get("comparison")
    if isinstance(compared, dict) and isinstance(compared.get("agreement"), float):
        rows = int(compared.get("rows", 0))
        same = percent(compared["agreement"], rows)
        known.append(f"This export predicts the same label as its run for {same} of {counted(rows, 'row')}.")
    return known


def _doubts(evaluation: Mapping[str, Any], recipe: Mapping[str, Any], environment: Mapping[str, Any]) -> list[str]:
    """Sentences that a reader should know before trusting the results, such as that there was no test set."""
    known = [str(warning) for warning in environment.get("warnings") or ()]
    split = next((name for name in ("test", "validation") if evaluation.get(name)), None)
    if split is None:
        return [
            *known,
            "There are no evaluation results for this model, so its accuracy is unknown; evaluate it first.",
        ]
    if found := doubts(evaluation[split]):
        known.append(f"{split.capitalize()} rows: {', and '.join(found)}. {remedies(evaluation[split], recipe)}.")
    if split == "validation":
        known.append(without_test_set(recipe))
    if not evaluation.get("shift"):
        known.append("It was tested only on texts like those of its training; expect less accuracy on others.")
    return known
