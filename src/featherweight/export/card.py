"""The model card of a run or an export: a README.md in the format of the hub, with metadata, results and limits.

Everything is read from the files of the folder. The card has no texts of the data and no paths of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featherweight.backbone.adapted import frozen_in_words
from featherweight.data.long_texts import LongTexts
from featherweight.errors import in_a_line
from featherweight.export.shareable import base_model
from featherweight.files import read_object
from featherweight.formatting import percent, without_paths
from featherweight.inference.exported import FILE, classes_and_thresholds, is_export, read_export, training_of
from featherweight.recipe import Recipe
from featherweight.recipe.public_names import public_name, public_names
from featherweight.run.best import without_test_set
from featherweight.run.doubts import doubts
from featherweight.run.figures import METRICS, MICRO_F1, SEVERAL_LABELS, metrics_of
from featherweight.run.folder import read_json

_SHOWN_LABELS = 100
"""Largest number of labels that the card names."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~$])")
_LIBRARY = {"run": "peft", "merged": "transformers", "onnx": "onnx", "onnx-int8": "onnx", "openvino-int8": "openvino"}


def render_card(folder: Path, repo: str | None = None, license_name: str | None = None) -> str:
    """The model card of the run or export in ``folder``.

    ``repo`` is the repository (user/name) to which it is uploaded; None for a card that stays with the run. Raises
    UserError if a file of the folder is missing or damaged.
    """
    from jinja2 import Environment, PackageLoader

    pages = Environment(
        loader=PackageLoader("featherweight.export"),
        autoescape=False,  # noqa: S701 - it is Markdown: names go through the filter `plain`
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    pages.filters |= {"plain": plain, "count": lambda number: f"{number:,}"}
    return pages.get_template("card.md.j2").render(**_contents(folder, repo, license_name))


def plain(text: Any) -> str:
    """``text`` on one line, with special characters of Markdown and HTML escaped."""
    return _SPECIAL.sub(r"\\\1", in_a_line(str(text)))


def _contents(folder: Path, repo: str | None, license_name: str | None) -> dict[str, Any]:
    recipe = Recipe.load(folder / "recipe.toml")
    name = repo.rpartition("/")[2] if repo else recipe.name
    exported = read_export(folder) if is_export(folder) else None
    target = exported.target if exported else "run"
    weigh, environment = _read(folder, "weigh"), training_of(folder)
    evaluation = _read(folder, "evaluation") if target != "run" else read_json(folder / "evaluation.json")
    labels = classes_and_thresholds(folder)["labels"]
    sets = _sets(evaluation)
    thresholds = bool(exported and exported.thresholds)
    several = thresholds or recipe.task == "multi-label"
    return {
        "metadata": _metadata(recipe, target, evaluation.get("test"), name, license_name),
        "name": name,
        "repo": repo,
        "target": target,
        "recipe": recipe,
        "description": without_paths(recipe.description),
        "backbone": public_name(recipe.backbone.name),
        "base_model": base_model(recipe),
        "frozen": frozen_in_words(environment),
        "labels": list(labels)[:_SHOWN_LABELS],
        "label_count": len(labels),
        "weigh": weigh,
        "data": _data(recipe, environment, evaluation),
        "sets": sets,
        "metrics": SEVERAL_LABELS if recipe.task == "multi-label" else METRICS,
        "calibration": _calibration(evaluation),
        "limits": _limits(recipe, environment, evaluation),
        "thresholds": thresholds,
        "token_types": bool(exported and exported.token_types),
        "comparison": _comparison(folder) if target != "run" else None,
        "example": ("a text", "another text") if recipe.data.join == "pair" else "a text",
        "for_pipeline": {"text": "a text", "text_pair": "another text"} if recipe.data.join == "pair" else "a text",
        "long_texts": note_on_long_texts(exported.long_texts) if exported else "",
        "several": several,
        "rule": _rule(several, thresholds),
        "room": _room(exported.long_texts) if exported else "",
    }


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f"{name}.json"
    return read_json(path) if path.is_file() else {}


def note_on_long_texts(long_texts: LongTexts) -> str:
    """A clause on texts of which a pipeline of transformers reads less than the run; empty if it reads the same.

    A pipeline with ``truncation=True`` can only cut texts at one end.
    """
    if long_texts.how not in ("head-tail", "windows"):
        return ""
    read = "their start and end" if long_texts.how == "head-tail" else "them in windows"
    most = f"the first {long_texts.max_length} tokens of longer texts"
    return (
        f"transformers alone reads only {most}, while the run reads {read}: so their labels may differ; "
        "with Featherweight the export reads them as the run does"
    )


def _rule(several: bool, thresholds: bool) -> str:
    """A sentence that says how probabilities, and several labels of a text, follow from logits."""
    if not several:
        return "Probabilities are the softmax of the logits divided by the temperature."
    least = "its threshold" if thresholds else "0.5"
    return f"A text has a label if the sigmoid of its logit divided by the temperature is at least {least}."


def _room(long_texts: LongTexts) -> str:
    """A sentence that says how many tokens a graph takes, and what the run reads of longer texts."""
    read = {
        "head": "the run reads their first tokens",
        "tail": "the run reads their last tokens",
        "head-tail": "the run reads their first and last tokens",
        "windows": "the run reads windows of so many tokens, and averages the logits",
    }[long_texts.how]
    return f"Give it at most {long_texts.max_length} tokens, with the special ones; of longer texts {read}."


def _metadata(recipe: Recipe, target: str, test: Mapping[str, Any] | None, name: str, license_name: str | None) -> str:
    """The YAML metadata of the model card, without the lines ``---`` around it."""
    from huggingface_hub import EvalResult, ModelCardData

    several = recipe.task == "multi-label"
    lora = ["lora"] if recipe.adapter.lora else []
    tags = ["featherweight", *lora, "text-classification", *(["multi-label"] if several else [])]
    results = None
    if test:
        first = MICRO_F1 if several else METRICS[0]
        source = in_a_line(public_name(recipe.data.test or recipe.data.train))
        about: dict[str, Any] = {
            "task_type": "text-classification",
            "dataset_type": source,
            "dataset_name": source,
            "dataset_split": "test",
        }
        shown = [first, next(metric for metric in metrics_of(test) if metric.key == "macro_f1")]
        results = [
            EvalResult(
                **about, metric_type=_metric_type(metric.key), metric_name=metric.name, metric_value=test[metric.key]
            )
            for metric in shown
        ]
    data = ModelCardData(
        library_name=_LIBRARY[target] if lora or target != "run" else "featherweight",
        base_model=base_model(recipe),
        pipeline_tag="text-classification",
        tags=tags,
        license=license_name,
        model_name=name if results else None,
        eval_results=results,
    )
    return data.to_yaml().strip()


def _metric_type(key: str) -> str:
    """The hub's name for a metric: ``f1`` for macro-F1 and micro-F1, otherwise ``key``."""
    return "f1" if key.endswith("f1") else key


def _sets(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Name, number of rows and metrics (as texts) of each evaluated set: test, shift sets, validation, in this order.

    A shift set is a further test set, whose texts are of another kind than the training data.
    """
    shift = evaluation.get("shift") or {}
    names = public_names(shift)
    sets = [("test", evaluation.get("test"))]
    sets += [(f"shift: {names[source]}", figures) for source, figures in shift.items()]
    sets.append(("validation", evaluation.get("validation")))
    return [{"name": name, "rows": figures["rows"], "values": _values(figures)} for name, figures in sets if figures]


def _values(figures: Mapping[str, Any]) -> list[str]:
    """The metrics of a set as text, with the confidence interval where there is one: ``90.1% (88.2% to 91.8%)``."""
    shown = []
    for metric in metrics_of(figures):
        value = metric.value(figures)
        text = "" if value is None else metric.words(value)
        if interval := figures.get(f"{metric.key}_interval"):
            low, high = (percent(share, figures["rows"]) for share in interval)
            text = f"{text} ({low} to {high})"
        shown.append(text)
    return shown


def _calibration(evaluation: Mapping[str, Any]) -> dict[str, Any] | None:
    """The calibration errors of the test set, or of the validation set if there was no test set.

    Keys: ``set``, ``temperature``, ``raw`` (the error with a temperature of 1) and ``scaled`` (the error with this
    temperature), all as texts. None if neither set was evaluated, or the set has no calibration errors.
    """
    name = next((name for name in ("test", "validation") if evaluation.get(name)), None)
    if name is None or evaluation[name].get("calibration_error_scaled") is None:
        return None
    figures, rows = evaluation[name], evaluation[name]["rows"]
    raw, scaled = (percent(figures[f"calibration_error{end}"], rows) for end in ("", "_scaled"))
    return {"set": name, "temperature": f"{figures['temperature']:.3f}", "raw": raw, "scaled": scaled}


def _data(recipe: Recipe, environment: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """(part, name, rows) of training, validation and test data, such as ("train", "rows.csv", 4000).

    Parts without a recorded number of rows are left out. If no number is recorded, the result is the training data
    with 0 rows, which means unknown.
    """
    counts = {part: values.get("rows") for part, values in (environment.get("data") or {}).items()}
    counts |= {part: evaluation[part]["rows"] for part in ("validation", "test") if evaluation.get(part)}
    train = public_name(recipe.data.train)
    names = {"train": train, "validation": recipe.data.validation, "test": recipe.data.test}
    return [(part, public_name(names[part] or train), counts.get(part) or 0) for part in names if part in counts] or [
        ("train", train, 0)
    ]


def _limits(recipe: Recipe, environment: Mapping[str, Any], evaluation: Mapping[str, Any]) -> list[str]:
    """Sentences on the limits of the model and of its results, for the card."""
    warnings = map(without_paths, environment.get("warnings") or ())
    found = [f"{warning[:1].upper()}{warning[1:]}." for warning in warnings]
    name = next((name for name in ("test", "validation") if evaluation.get(name)), None)
    if name is None:
        found.append("There are no evaluation results for this model, so its accuracy is unknown; evaluate it first.")
    else:
        found += [f"On the {name} rows, {doubt}." for doubt in doubts(evaluation[name])]
        if name == "validation":
            found.append(without_test_set(recipe.model_dump()))
        if not evaluation.get("shift"):
            found.append("It was tested only on texts like those of its training; expect less accuracy on others.")
    longer = "read in overlapping windows" if recipe.data.long == "windows" else "cut, and the rest is not read"
    if (most := recipe.evaluation.windows) > 1:
        longer = f"read in at most {most} windows from the start to the end, whose logits are averaged"
    found.append(f"Texts longer than {recipe.data.max_length} tokens are {longer}.")
    found.append(
        "The model also labels texts of a few words, or of another language or topic than the training data; such "
        "labels may be meaningless."
    )
    return found


def _comparison(folder: Path) -> dict[str, Any] | None:
    """For how many rows an export and the run that it was made from give the same label, according to export.json.

    Keys: ``rows`` (how many were compared), ``source`` (which, such as "validation rows") and ``agreement`` (the share
    with the same label, such as "99.3%"). None if export.json has no comparison.
    """
    compared = read_object(folder / FILE).get("comparison")
    if not isinstance(compared, dict) or not isinstance(compared.get("agreement"), float):
        return None
    rows = int(compared.get("rows", 0))
    return {"rows": rows, "source": compared.get("source", "rows"), "agreement": percent(compared["agreement"], rows)}
