"""Accuracy against trainable parameters on AG News: the points of docs/results/budget.md, and their picture.

A point is one committed run, or one round over its seeds, trained on AG News and tested on its official test rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.recording import read_results
from scipy.stats import t as student

from featherweight.evaluation.metrics import wilson_interval
from featherweight.formatting import counted, duration
from featherweight.recipe import Recipe
from featherweight.report import style
from featherweight.report.comparison.tables import NONE, lora_in_words

PAGE, PICTURE = "budget.md", "frontier.png"
TRAINED_ON, TEST, TEST_ROWS = "AG News", "AG News (test)", 7600
"""How the names of the training data begin, and the official test rows: the name in the results, and their number."""
PUBLISHED = Path(__file__).parents[1] / "accuracy" / "published_rounds.json"
PUBLISHED_ROUND = "r4"
CHANGES = PUBLISHED.with_name("ablation.toml")
CLOSE_UP = (8.6e5, 1.025e6)
"""The parameters that the right half of the picture shows."""
_LOOKS = (("o", style.BLUE), ("s", style.ORANGE), ("^", style.GREEN), ("D", style.PURPLE), ("v", style.MUTED))
_STEP = 0.008  # how far points of the same parameters are moved apart, as a fraction of these
Record = dict[str, Any]


@dataclass(frozen=True)
class Point:
    """One row of the table. ``accuracy``, ``interval`` (Wilson's, 95%) and ``spread`` (over seeds) are fractions."""

    name: str
    backbone: str
    adapter: str
    parameters: int
    rows: str
    epochs: str
    accuracy: float
    interval: Sequence[float]
    time: str
    """Training time, the mean over the seeds, with the machine."""
    file: str
    """What the name is linked to, in docs/results."""
    seeds: int = 1
    spread: float | None = None
    published: bool = False
    """Whether it is the figure of the project that this one reproduces, and not a run of ours."""


def points(results: Path) -> list[Point]:
    """All points of the result files in ``results``, by parameters, then by accuracy, and the published one.

    A run that is both a file of its own and part of a round counts once: alone, or in the mean where the round has more
    seeds than one.
    """
    records = read_results(results)
    single = {_key(record["environment"], record["weight"]["total"]): _run(path, record)
              for path, record in records.items() if _is_run(record)}  # fmt: skip
    found = []
    for path, record in records.items():
        for one in record["rounds"] if _is_of_rounds(record) else ():
            keys = [_key(run, one["parameters"]) for run in record["runs"] if run["round"] == one["round"]]
            if str(one["baseline"]).startswith("tfidf") or (len(keys) == 1 and keys[0] in single):
                continue
            single = {key: point for key, point in single.items() if key not in keys}
            found.append(_round(path, record, one))
    return sorted([*found, *single.values(), _published()], key=lambda point: (point.parameters, point.accuracy))


def runs(results: Path) -> dict[str, Record]:
    """The result files of single runs that are points of the page, by name."""
    return {path.stem: record for path, record in read_results(results).items() if _is_run(record)}


def finished(results: Path, suite: str) -> list[Record]:
    """The finished results of a suite in ``results``, by name: those of `run.py ablation` begin with ``ablation-``."""
    return list(read_results(results, f"{suite}-*.json").values())


def timed(ablation: Record, records: Sequence[Record]) -> Record | None:
    """The result of `run.py ablation-times` with the same recipe and backbone: the newest with most changes."""
    own = [one for one in records if one.get("benchmark") == "ablation-times" and _trained(one) == _trained(ablation)]
    return max(own, key=lambda one: (len(one["summary"]), one["date"]), default=None)


def time_of(change: Record, name: str, measured: Record) -> str:
    """How long a step takes with a change, as a multiple of the recipe's; a soup takes the time of its runs."""
    if "runs" in change:
        return f"{change['runs']}×"
    if name not in measured["summary"]:
        return "–"
    found = measured["summary"][name]["times_as_long"]
    turns = "" if found["low"] == found["high"] else f" ({found['low']:.2f} to {found['high']:.2f})"
    return f"{found['median']:.2f}×{turns}"


def _trained(record: Record) -> tuple[str, str]:
    return record["settings"]["recipe"], Path(record["settings"]["backbone"]).name


def t95(seeds: int) -> float:
    """How many standard errors a 95% interval of a mean over so many seeds reaches to either side (Student's t)."""
    return float(student.ppf(0.975, seeds - 1))


def outcomes(ablation: Record) -> dict[str, list[str]]:
    """Titles of the measured changes by what their seeds show: ``better`` or ``worse`` than the recipe, or ``neither``.

    A change is better or worse if the 95% interval of its difference, over at least two seeds, does not include zero.
    """
    found: dict[str, list[str]] = {"better": [], "worse": [], "neither": []}
    for name, one in ablation["summary"].items():
        seeds = one.get("pairs", len(ablation["settings"]["seeds"]))
        if name == "recipe" or not one.get("runs") or seeds < 2:
            continue
        gain, reach = one["accuracy_gain"], t95(seeds) * one["accuracy_gain_error"]
        outcome = "neither" if abs(gain) <= reach else "better" if gain > 0 else "worse"
        found[outcome].append(ablation["settings"]["changes"][name]["title"])
    return found


def _is_run(record: Record) -> bool:
    """Whether it is a single run that was trained on AG News and tested on its official test rows."""
    if "evaluation" not in record or not record["recipe"]["data"]["train"].startswith(TRAINED_ON):
        return False
    test = record["evaluation"].get("test") or {}
    return record["recipe"]["data"].get("test") == TEST and test.get("rows") == TEST_ROWS


def _is_of_rounds(record: Record) -> bool:
    data = record.get("data") or {}
    tested = (data.get("test"), data.get("test_rows")) == (TEST, TEST_ROWS)
    return record.get("benchmark") == "rounds" and tested and data["train"].startswith(TRAINED_ON)


def _key(run: Record, parameters: int) -> tuple[Any, ...]:
    """What is the same for a run in a file of its own and in a file of rounds, and for no two runs."""
    return run.get("started") or run.get("begun"), run["seed"], parameters, run.get("training_seconds")


def _run(path: Path, record: Record) -> Point:
    recipe, environment, test = record["recipe"], record["environment"], record["evaluation"]["test"]
    adapted = ", adapted to the training texts" if "adapted" in environment["backbone"] else ""
    return Point(
        path.stem, recipe["backbone"]["name"] + adapted, _adapter(recipe), record["weight"]["total"],
        _rows(recipe, environment["data"]["train"]["rows"]), _epochs(recipe["training"]), test["accuracy"],
        test["accuracy_interval"], _time(environment["training_seconds"], environment), path.name,
    )  # fmt: skip


def _round(path: Path, record: Record, one: Record) -> Point:
    recipe, accuracy = one["recipe"], one["figures"]["accuracy"]
    adapter, epochs = _adapter(recipe), _epochs(recipe["training"])
    machine = record["machine"][0]
    if one["baseline"]:  # the runs' machine comes first, then that of the baselines, where their records differ
        adapter, epochs, machine = one["round"], NONE, record["machine"][-1]
    return Point(
        f"{path.stem}, {one['round']}", recipe["backbone"]["name"], adapter, one["parameters"],
        _rows(recipe, record["data"]["train_rows"]), epochs, accuracy["mean"],
        one["accuracy_interval"], _time(one["figures"]["seconds"]["mean"], machine), path.name,
        len(one["seeds"]), accuracy["spread"],
    )  # fmt: skip


def _published() -> Point:
    published = json.loads(PUBLISHED.read_text("utf-8"))
    one, rows = published["rounds"][PUBLISHED_ROUND], published["test_rows"]
    interval = wilson_interval(round(one["accuracy"] * rows), rows)
    return Point(
        "the project this one reproduces", published["backbone"], _adapter(Recipe.load(PUBLISHED_ROUND).model_dump()),
        one["parameters"], f"{published['train_rows']:,}", NONE, one["accuracy"], interval,
        f"{NONE}, {published['machine']}", "four-rounds.md", published=True,
    )  # fmt: skip


def _adapter(values: Record) -> str:
    """LoRA, biases and head in words, such as ``r 8, alpha 16, query+value; all biases; native head``."""
    recipe = Recipe.model_validate(values)
    biases = {"none": [], "lora": ["biases of adapted layers"], "all": ["all biases"]}[recipe.adapter.bias]
    head = "native head" if recipe.adapter.head == "native" else f"linear head ({recipe.adapter.pooling})"
    return "; ".join([lora_in_words(recipe), *biases, head])


def _rows(recipe: Record, rows: int) -> str:
    """Training rows; where the steps end before an epoch does, not all of them have been seen."""
    steps = recipe["training"].get("max_steps")
    seen = steps * recipe["training"]["batch_size"] if steps else rows
    return f"{rows:,}" if seen >= rows else f"at most {seen:,} of {rows:,}"


def _epochs(training: Record) -> str:
    """The number of epochs, and of teachers if there are some."""
    taught = f", {counted(len(teachers), 'teacher')}" if (teachers := training.get("teacher")) else ""
    return f"{training['epochs']:g}{taught}"


def _time(seconds: float, machine: Record) -> str:
    threads = f"{machine['threads']} of " if "threads" in machine else ""
    cores = f"{threads}{machine['cores']} cores of {machine['processor']}"
    return f"{duration(seconds)}, {machine.get('gpu', 'a GPU' if machine.get('device') == 'cuda' else cores)}"


def draw(shown: Sequence[Point], folder: Path) -> Path:
    """The picture: all points, and beside them those near one million parameters."""
    backbones = sorted({point.backbone for point in shown if not point.published})
    looks = dict(zip(backbones, _LOOKS, strict=False))
    with style.drawing():
        figure = style.new_figure(9.2, 4.2)
        whole, near = figure.subplots(1, 2)
        close = [point for point in shown if CLOSE_UP[0] < point.parameters < CLOSE_UP[1]]
        for axes, part, title in ((whole, shown, "All"), (near, close, "Near one million, closer")):
            _scatter(axes, part, looks)
            axes.set(xscale="log", xlabel="trainable parameters (log scale)", title=title)
            axes.xaxis.set_major_formatter(style.count_tick)
            axes.yaxis.set_major_formatter(style.percent_tick)
            axes.minorticks_off()
        near.set(xlim=CLOSE_UP, xticks=[9e5, 9.5e5, 1e6])
        whole.set_ylabel("accuracy on the 7,600 test rows of AG News")
        named = dict(zip(*reversed(whole.get_legend_handles_labels()), strict=True))
        figure.legend(named.values(), named.keys(), loc="outside upper left", ncols=4)
        return style.save_png(figure, folder / PICTURE)


def _scatter(axes: Any, shown: Sequence[Point], looks: dict[str, tuple[str, str]]) -> None:
    for point, place in zip(shown, _side_by_side(shown), strict=True):
        mark, hue = looks.get(point.backbone, ("P", style.MUTED))
        size, label = 6, point.backbone
        if point.published:
            mark, hue, size, label = "*", style.INK, 10, f"published: {point.name} (one T4, one seed)"
        axes.vlines(place, *point.interval, color=hue, lw=1.4, alpha=0.55)
        axes.plot(place, point.accuracy, mark, color=hue, ms=size, mew=0, ls="", label=label)


def _side_by_side(shown: Sequence[Point]) -> Iterator[float]:
    """Each point's place: its parameters, and a little beside them where several points have the same."""
    weights = [point.parameters for point in shown]
    for place, weight in enumerate(weights):
        yield weight * (1 + _STEP * (weights[:place].count(weight) - (weights.count(weight) - 1) / 2))
