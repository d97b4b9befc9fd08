"""A comparison in words, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from featherweight.evaluation.comparison import Comparison
from featherweight.evaluation.comparison_notes import not_better
from featherweight.evaluation.differences import Difference
from featherweight.evaluation.round import Round
from featherweight.evaluation.training_time import total_training_seconds
from featherweight.formatting import QUOTED, counted, duration, in_sentence, safe_cell
from featherweight.report.comparison.tables import (
    Table,
    lora_in_words,
    percent,
    schedule_in_words,
    tables,
)
from featherweight.run.figures import SCALED

_SCALED = in_sentence([metric.name for metric in SCALED]).capitalize()
METHOD = (
    "Accuracy is the mean over the seeds, ± their standard deviation. The 95% interval of an accuracy is Wilson's. The "
    "interval of a difference is computed from 10,000 paired bootstrap samples of the rows, with each row's mean over "
    "the seeds. Both intervals are about other test rows, not about other seeds, and are not corrected for the number "
    "of rounds. Rows with the same text are one unit in the tests and in the bootstrap. McNemar's exact test uses all "
    "seeds together, by the sign of each row's difference of means; with one seed per round it is the usual test. With "
    "enough seeds, a difference is significant only if a t-test over rows and seeds is significant too. The error of "
    "the t-test contains both variances; all rounds, including baselines with one seed, are assumed to have the same "
    "variance between seeds. Both tests are corrected with Holm's method "
    f"for all pairs in their list. {_SCALED} are computed after temperature scaling on "
    "validation rows. Peak memory is that of the whole process, including libraries."
)


METHOD_OF_SEVERAL = (
    "A text may have several labels here: it is right if exactly its own labels are predicted, and accuracy "
    "means subset accuracy, the share of such texts. Rounds are ranked and tested by it, because every "
    "row is right or wrong. The difference of micro-F1 is shown too, with an interval from the same bootstrap; it is "
    "not tested."
)


def method(comparison: Comparison) -> str:
    """A paragraph that explains how the numbers, intervals and tests of a comparison are computed."""
    return f"{METHOD} {METHOD_OF_SEVERAL}" if comparison.several else METHOD


def headline(comparison: Comparison) -> str:
    """The result in one sentence: which round is the best, and whether the difference is significant."""
    texts = counted(comparison.rows, f"{comparison.split} text")
    right = "exactly right" if comparison.several else "correct"
    ranked = sorted(comparison.own or comparison.rounds, key=lambda round_: -(round_.mean("accuracy") or 0.0))
    best, figure = ranked[0].name, f"{percent(comparison, ranked[0].mean('accuracy') or 0.0)}%"
    bags = [pair for pair in comparison.not_better_than_tfidf if pair.first == best]
    doubt = f"; {not_better(min(bags, key=lambda pair: pair.difference))}" if bags else ""  # the strongest alone
    if len(ranked) == 1:
        return f"{best} classifies {figure} of {texts} {'exactly right' if comparison.several else 'correctly'}{doubt}"
    if not comparison.own:
        return f"{best} is the best of {len(ranked)} baselines: {figure} of {texts} {right}; significance is not tested"
    doubt += "" if comparison.has_seed_variance else "; too few seeds to estimate their variance"
    decided = {
        name
        for pair in comparison.differences
        if pair.verdict == "significant" and best in (pair.first, pair.second)
        for name in (pair.first, pair.second)
    }
    undecided = [round_.name for round_ in ranked[1:] if round_.name not in decided]
    if not undecided:
        return f"{best} is the best of {len(ranked)} rounds: {figure} of {texts} {right}{doubt}"
    if not any(pair.verdict == "significant" for pair in comparison.differences):
        low = percent(comparison, ranked[-1].mean("accuracy") or 0.0)
        names = in_sentence([round_.name for round_ in ranked])
        figures = figure if figure == f"{low}%" else f"{low} to {figure}"
        return f"{names} are not significantly different: {figures} of {texts} {right}{doubt}"
    others = in_sentence(undecided) if len(undecided) <= 3 else f"{len(undecided)} others"
    return f"{best} leads with {figure} of {texts} {right}; not significantly different from {others}{doubt}"


def provenance(comparison: Comparison) -> dict[str, str]:
    """The conditions of the comparison as {name: text}: data, backbone, seeds, machine, versions and dates."""
    runs = [run for round_ in comparison.rounds for run in round_.runs]
    trained = [run for round_ in comparison.own if not round_.is_soup for run in round_.runs]
    environments = [run.environment for run in runs]
    rows = [environment.get("data", {}).get("train", {}).get("rows") for environment in environments]
    machines = [
        f"{e['processor']}, {e.get('cores')} cores, {e.get('device', 'cpu')} {e.get('precision', '')}".strip()
        for e in environments
        if e.get("processor")
    ]
    versions = [
        ", ".join(f"{name} {e[name]}" for name in ("featherweight", "torch", "transformers", "peft") if name in e)
        for e in environments
    ]
    days = sorted(str(e["started"])[:10] for e in environments if e.get("started"))
    facts = {
        "Data": _each_once(run.recipe.data.train for run in runs),
        "Training rows": _each_once(f"{count:,}" for count in rows if count),
        f"{comparison.split.capitalize()} rows": f"{comparison.rows:,}",
        "Backbone": _each_once(run.recipe.backbone.name for run in runs),
        "Epochs": _each_once(f"{run.recipe.training.epochs:g}" for run in trained),
        "Seeds": _each_once(seed for round_ in comparison.own for seed in round_.seeds_in_words),
        "Machine": _each_once(machines),
        "Versions": _each_once(versions),
        "Started": " to ".join(dict.fromkeys((days[0], days[-1]))) if days else "",
        "Total training time": duration(total_training_seconds(runs)),
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value}


def markdown(comparison: Comparison) -> str:
    """The whole comparison as Markdown."""
    parts = [f"# {_escaped(headline(comparison))}", *map(_escaped, comparison.notes)]
    for table in tables(comparison):
        parts += [f"## {table.title}", markdown_table(table)]
    for title, pairs in sections(comparison).items():
        parts += [f"## {title}", "\n".join(f"- {_escaped(pair.words)}" for pair in pairs)]
    parts += [" ".join(map(_escaped, comparison.baseline_notes))] if comparison.baselines else []
    parts += ["## Method", method(comparison)]
    rows = [f"- {name}: {_escaped(value)}" for name, value in provenance(comparison).items()]
    return "\n\n".join([*parts, "## Conditions", "\n".join(rows)]) + "\n"


def sections(comparison: Comparison) -> dict[str, Sequence[Difference]]:
    """{heading: differences}, for pairs of rounds and for pairs of a round and a baseline; empty lists are left out."""
    lists = {"Round against round": comparison.differences, "Rounds against baselines": comparison.against_baselines}
    return {title: pairs for title, pairs in lists.items() if pairs}


def rounds_csv(comparison: Comparison) -> str:
    """A CSV file with one line per round and all values in full precision: fractions, seconds and bytes."""
    return _csv([_csv_row(comparison, round_) for round_ in comparison.rounds])


def pairs_csv(comparison: Comparison) -> str:
    """A CSV file with one line per compared pair: difference, interval, p-values, and the result in words."""
    pairs = [*comparison.differences, *comparison.against_baselines]
    return _csv([_csv_pair(pair) for pair in pairs])


def _csv_pair(pair: Difference) -> dict[str, Any]:
    row = {field.name: getattr(pair, field.name) for field in fields(Difference)}
    beside = row.pop("micro_f1")
    names = ("micro_f1_difference", "micro_f1_low", "micro_f1_high")
    return row | dict(zip(names, beside, strict=True)) if beside else row


def _csv_row(comparison: Comparison, round_: Round) -> dict[str, Any]:
    recipe, own = round_.recipe, round_.baseline is None
    trained = own and not round_.is_soup
    row: dict[str, Any] = {
        "round": round_.name,
        "baseline": round_.baseline,
        "backbone": recipe.backbone.name,
        "lora": lora_in_words(recipe) if own else None,
        "bias": recipe.adapter.bias if own else None,
        "head": recipe.adapter.head if own else None,
        "schedule": schedule_in_words(recipe) if trained else None,
        "learning_rate": recipe.training.learning_rate if trained else None,
        "epochs": recipe.training.epochs if trained else None,
        "parameters": round_.parameters,
        "seeds": " ".join(round_.seeds_in_words),
        "split": comparison.split,
        "rows": comparison.rows,
        "accuracy_low": round_.interval[0],
        "accuracy_high": round_.interval[1],
    }
    keys = dict.fromkeys(key for round_ in comparison.rounds for key in round_.figures)
    return row | {
        name: value for key in keys for name, value in ((key, round_.mean(key)), (f"{key}_spread", round_.spread(key)))
    }


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n", quoting=QUOTED)
        writer.writeheader()
        writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def markdown_table(table: Table) -> str:
    """A table as Markdown, with words left-aligned and numbers right-aligned."""
    rule = ["---"] * table.words + ["---:"] * (len(table.columns) - table.words)
    lines = [table.columns, rule, *([_escaped(cell) for cell in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    # Markdown may read "<" as the start of a tag, unless a space follows. Brackets would make links.
    return re.sub(r"<(?! )", "&lt;", re.sub(r"([|\[\]`])", r"\\\1", text).replace("\n", " "))


def _each_once(values: Any) -> str:
    return "; ".join(dict.fromkeys(values))
