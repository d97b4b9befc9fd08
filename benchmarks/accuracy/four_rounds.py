"""The generated parts of docs/results/four-rounds.md: published figures, and what the committed results say of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accuracy.longer_runs import longer
from pages.write import filled

from featherweight.evaluation.significance import rows_needed
from featherweight.recipe import Recipe
from featherweight.report.comparison.tables import Table
from featherweight.report.comparison.words import markdown_table
from featherweight.report.run.headline import duration
from featherweight.workflows.weigh import weigh_recipe

PAGE = "four-rounds.md"
PUBLISHED = Path(__file__).parent / "published_rounds.json"
BACKBONES = {"mpnet": "all-mpnet-base-v2", "minilm": "all-MiniLM-L6-v2"}
"""Results that the page has a section for, and the full names of their backbones."""
LEGENDS = {
    "rounds": "Accuracy of each round with its 95% interval",
    "accuracy": "Validation accuracy over the epochs",
    "loss": "Training loss over the epochs",
    "frontier": "Accuracy against trained parameters",
    "shift": "Accuracy on the test rows and on shift sets",
}
Record = dict[str, Any]


def made_anew(page: str, results: Path) -> str:
    """The page with all its generated parts written anew from the files in ``results``."""
    published = json.loads(PUBLISHED.read_text("utf-8"))
    found = {name: record for name in BACKBONES if (record := _read(results / f"rounds-{name}.json"))}
    rates = {name: record for name in BACKBONES if (record := _read(results / f"rounds-{name}-rates.json"))}
    parts: dict[str, Callable[[], str]] = {
        "outcome": lambda: "\n".join(f"- {_outcome(name, record)}" for name, record in found.items()),
        "published": lambda: beside_published(published, found),
        "counts": lambda: counts(published),
        "noise": lambda: noise(published),
        "longer": lambda: longer(results, BACKBONES),
        "rates": lambda: "\n\n".join(rates_tried(name, record) for name, record in rates.items()),
        "round 1": lambda: "\n\n".join(round_1(name, published, record) for name, record in found.items()),
        **{name: lambda name=name: section(name, found.get(name), results) for name in BACKBONES},  # type: ignore[misc]
    }
    for name, make in parts.items():
        page = filled(page, name, make())
    return page


def _read(path: Path) -> Record | None:
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _outcome(name: str, record: Record) -> str:
    return f"**{BACKBONES[name]}, {_seeds(record)}:** {record['summary']['headline']}."


def _seeds(record: Record) -> str:
    least, *more = sorted({len(one["seeds"]) for one in _own(record)})
    count = f"{least} to {more[-1]}" if more else str(least)
    return "one seed a round" if count == "1" else f"{count} seeds a round"


def beside_published(published: Record, found: dict[str, Record]) -> str:
    """The published table with a column for each of our results."""
    columns = ["round", "LoRA", "targets", "bias", "schedule", "trainable, published", "on roberta-base, counted here"]
    columns += ["accuracy %, published", *(f"{BACKBONES[name]}, here" for name in found)]
    rows = [
        [
            name.upper(),
            *(row[key] for key in ("lora", "targets", "bias", "schedule")),
            f"{row['parameters']:,}",
            f"{_weight(name).total:,}",
            _percent(row["accuracy"]),
            *(_measured(record, name) for record in found.values()),
        ]
        for name, row in published["rounds"].items()
    ]
    return markdown_table(Table("", columns, rows, 5))


def _weight(name: str) -> Any:
    return weigh_recipe(Recipe.load(name))[1]


def _measured(record: Record, name: str) -> str:
    one = _round(record, name)
    if one is None:
        return "–"
    low, high = one["accuracy_interval"]
    figures = one["figures"]["accuracy"]
    spread = "" if figures["spread"] is None else f" ± {100 * figures['spread']:.2f}"
    return f"{_percent(figures['mean'])}{spread} ({_percent(low)} to {_percent(high)})"


def _round(record: Record, name: str) -> Record | None:
    return next((one for one in record["rounds"] if one["round"] == name), None)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def counts(published: Record) -> str:
    """Trained parameters by component on the published backbone, beside the published totals."""
    weights = {name: _weight(name) for name in published["rounds"]}
    kinds = {"head": "classification head", "lora": "LoRA matrices", "bias": "encoder biases"}
    table = [
        [title, *(f"{sum(c.parameters for c in w.components if c.kind == kind):,}" for w in weights.values())]
        for kind, title in kinds.items()
    ]
    more = {name: row["parameters"] - weights[name].total for name, row in published["rounds"].items()}
    table += [
        ["**each trained tensor once**", *(f"{weight.total:,}" for weight in weights.values())],
        ["published", *(f"{row['parameters']:,}" for row in published["rounds"].values())],
        ["published too many", *(f"{count:,}" for count in more.values())],
    ]
    return markdown_table(Table("", ["on roberta-base, four classes", *map(str.upper, weights)], table, 1))


def noise(published: Record) -> str:
    """How far chance alone moves the published accuracies, in words."""
    rows, rounds = published["test_rows"], published["rounds"]
    best = max(rounds, key=lambda name: rounds[name]["accuracy"])
    share = rounds[best]["accuracy"]
    error = math.sqrt(share * (1 - share) / rows)
    others = [
        f"{best.upper()} over {name.upper()}: {100 * (share - row['accuracy']):+.2f} points"
        for name, row in rounds.items()
        if name != best
    ]
    return (
        f"One accuracy of {share:.1%} on {rows:,} rows has a standard error of {100 * error:.2f} points, and a 95% "
        f"interval of about ±{196 * error:.1f} points. The published differences are:\n\n"
        + "\n".join(f"- {words}" for words in others)
        + f"\n\n{_needed(published, best)}"
    )


def _needed(published: Record, best: str) -> str:
    """How many rows the smallest published difference would take, where the two runs err on partly the same rows."""
    rounds = published["rounds"]
    share = rounds[best]["accuracy"]
    apart = min(share - row["accuracy"] for name, row in rounds.items() if name != best)
    # Each is wrong on 1 - share of the rows; with half of these in common the other halves tell the two apart.
    either = 1 - share
    rows = rows_needed((either + apart) / 2, (either - apart) / 2)
    return (
        "Two runs are judged on the same rows, which makes a comparison sharper. Suppose that half of the rows that "
        "one gets wrong are wrong for the other as well. "
        f"Then about {int(float(f'{rows:.2g}')):,} test rows are needed to show the smallest of "
        f"these differences, {100 * apart:.2f} points, with a power of 80%; there are {published['test_rows']:,}."
    )


def rates_tried(name: str, record: Record) -> str:
    """Validation accuracy of every round at every rate, the chosen one strong."""
    rates = record["settings"]["rates"]
    rows = [[one, *(_tried(record, one, rate) for rate in rates)] for one in record["summary"]]
    table = Table("", ["validation accuracy %", *(f"{rate:g}" for rate in rates)], rows, 1)
    ends = [[one, *(_at_the_end(record, one, rate) for rate in rates)] for one in record["summary"]]
    last = Table("", ["at the last step", *table.columns[1:]], ends, 1)
    data, settings = record["data"], record["settings"]
    how = (
        f"{BACKBONES[name]}: {data['train_rows']:,} training rows, epochs: {settings['epochs']:g}, judged on "
        f"{data['validation_rows']:,} validation rows ([figures](rounds-{name}-rates.json)). The chosen rate is "
        "strong; in brackets, the 95% interval of how far another rate is from it on the same rows, in points."
    )
    edges = [
        f"{one}'s is the {choice['edge']} rate tried" for one, choice in record["summary"].items() if choice["edge"]
    ]
    kept = "The best adapter of a run is kept. Without that, it would be the last one:"
    return f"{how}\n\n{markdown_table(table)}\n\n{kept}\n\n{markdown_table(last)}" + (
        f"\n\nAt an edge of the grid: {'; '.join(edges)}." if edges else ""
    )


def _at_the_end(record: Record, name: str, rate: float) -> str:
    row = next((row for row in record["runs"] if (row["round"], row["learning_rate"]) == (name, rate)), {})
    return _percent(row["validation_curve"][-1]["accuracy"]) if row.get("validation_curve") else "–"


def _tried(record: Record, name: str, rate: float) -> str:
    row = next((row for row in record["runs"] if (row["round"], row["learning_rate"]) == (name, rate)), None)
    if row is None:
        return "–"
    if row["accuracy"] is None:
        return "diverged"
    if record["summary"][name]["learning_rate"] == rate:
        return f"**{_percent(row['accuracy'])}**"
    # Adding zero makes no minus zero of a small negative number.
    apart = [f"{round(100 * row['over_chosen'][key], 1) + 0.0:+.1f}" for key in ("low", "high")]
    return f"{_percent(row['accuracy'])} ({' to '.join(apart)})"


def round_1(name: str, published: Record, record: Record) -> str:
    """What became of round 1's published accuracy: ours beside it, and every other round over it."""
    one = _round(record, "r1")
    if one is None:
        return ""
    there, here = published["rounds"]["r1"]["accuracy"], one["figures"]["accuracy"]["mean"]
    pairs = [pair["words"] for pair in record["differences"] if "r1" in (pair["first"], pair["second"])]
    intro = (
        f"On {BACKBONES[name]} round 1 reaches {_percent(here)}%, {abs(100 * (here - there)):.2f} points "
        f"{'above' if here > there else 'below'} the published {_percent(there)}%. Against it:"
    )
    return "\n".join([intro, "", *(f"- {words}" for words in pairs)])


def section(name: str, record: Record | None, results: Path) -> str:
    """A backbone's results: tables, pairs in words, pictures and how they were made; empty while there are none."""
    if record is None:
        return ""
    parts = [f"## {BACKBONES[name]}, {_seeds(record)}", f"{record['summary']['headline']}."]
    parts += [*record["summary"]["notes"]]
    for table in record["tables"]:
        parts += [f"### {table['title']}", markdown_table(Table(**table))]
    for title, key in (("Round against round", "differences"), ("Rounds against baselines", "against_baselines")):
        if record[key]:
            parts += [f"### {title}", "\n".join(f"- {pair['words']}" for pair in record[key])]
    pictures = [picture for picture in LEGENDS if (results.parent / "images" / _file(name, picture)).is_file()]
    parts += [f"![{LEGENDS[picture]}](../images/{_file(name, picture)})" for picture in pictures]
    return "\n\n".join([*parts, made_how(name, record)])


def _file(name: str, picture: str) -> str:
    return f"rounds-{name}-{picture}.png"


def made_how(name: str, record: Record) -> str:
    """Data, seeds, machine, versions and dates in one paragraph."""
    data = record["data"]
    machines = "; ".join(_machine(one) for one in record["machine"])
    versions = "; ".join(
        ", ".join(f"{package} {v[package]}" for package in ("torch", "transformers", "peft") if package in v)
        for v in record["versions"]
    )
    epochs = _each_once(f"{one['recipe']['training']['epochs']:g}" for one in _own(record))
    without = " and ".join(record.get("baselines_left_out", []))
    left_out = f" (stopped before the baselines that are not listed: {without})" if without else ""
    seconds = sum(run.get("training_seconds") or 0.0 for run in record["runs"])
    return (
        f"Made by `{record['command']}`{left_out} with the recipes that are in [the result](rounds-{name}.json): "
        f"{data['train_rows']:,} rows of {data['train']}, {data['validation_rows']:,} validation rows, "
        f"{data['test_rows']:,} rows of {data['test']}; epochs: {epochs}; "
        f"seeds: {', '.join(map(str, record['seeds']))}; {machines}; {versions}; begun {' to '.join(record['begun'])}; "
        f"{duration(seconds)} of training in all."
    )


def _machine(one: Record) -> str:
    counts = [f"{one[key]} {key.rstrip('s') if one[key] == 1 else key}" for key in ("cores", "threads") if key in one]
    told = [one.get("processor"), *counts]
    return ", ".join(filter(None, [*told, " ".join(filter(None, (one.get("device"), one.get("precision"))))]))


def _own(record: Record) -> Sequence[Record]:
    return [one for one in record["rounds"] if one["baseline"] is None]


def _each_once(values: Any) -> str:
    return ", ".join(dict.fromkeys(values))
