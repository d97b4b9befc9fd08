"""The tables of a comparison, with all cells as text; the terminal, Markdown and HTML show the same tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from featherweight.evaluation.comparison import Comparison
from featherweight.evaluation.metrics import wilson_interval
from featherweight.evaluation.round import Round
from featherweight.evaluation.run_groups import SHIFT
from featherweight.formatting import counted, duration, rounded_size
from featherweight.formatting import percent as percent_of_rows
from featherweight.recipe import ROLES, Recipe
from featherweight.run.figures import ACCURACY

NONE = "–"


@dataclass(frozen=True)
class Table:
    """A table: a heading, the column names, and one row of text cells per round."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    words: int
    """Number of columns, from the left, that contain words; the others contain numbers."""


Cell = Callable[[Round], str]


def tables(comparison: Comparison) -> list[Table]:
    """The tables: rounds with accuracy; other metrics and cost; and accuracy on shift sets, if there are any."""
    always = [_rounds(comparison), _quality(comparison)]
    return [*always, _shift(comparison)] if comparison.shift_sets else always


def _rounds(comparison: Comparison) -> Table:
    words: dict[str, Cell] = {
        "round": lambda round_: round_.name,
        "LoRA": lambda round_: _own(round_, lora_in_words),
        "bias": lambda round_: _own(round_, lambda recipe: recipe.adapter.bias),
        "schedule": lambda round_: _of_training(round_, schedule_in_words),
    }
    if len({round_.recipe.backbone.name for round_ in comparison.rounds}) > 1:
        words["backbone"] = lambda round_: round_.recipe.backbone.name
    if len({round_.recipe.adapter.head for round_ in comparison.own}) > 1:
        words["head"] = lambda round_: _own(round_, lambda recipe: recipe.adapter.head)
    figures: dict[str, Cell] = {
        "learning rate": lambda round_: _of_training(round_, lambda recipe: f"{recipe.training.learning_rate:.3g}"),
        "parameters": lambda round_: NONE if round_.parameters is None else f"{round_.parameters:,}",
        "seeds": lambda round_: str(len(round_.seeds)),
        f"{comparison.metric.name} %": lambda round_: accuracy(comparison, round_),
        "95% interval": lambda round_: " to ".join(percent(comparison, share) for share in round_.interval),
    }
    return _table("The rounds", comparison, words, figures)


def _quality(comparison: Comparison) -> Table:
    figures: dict[str, Cell] = {
        **{
            metric.name + (" %" if metric.in_percent else ""): partial(
                _with_spread, key=metric.key, number=metric.number
            )
            for metric in comparison.metrics
            if metric is not comparison.metric
        },
        "training": lambda round_: _each(round_, "seconds", duration),
        "samples/s": lambda round_: _each(
            round_, "samples_per_second", lambda value: f"{value:,.{0 if value >= 10 else 1}f}"
        ),
        "peak memory": lambda round_: _each(round_, "peak_memory_bytes", rounded_size),
    }
    return _table("Quality and cost", comparison, {"round": lambda round_: round_.name}, figures)


def _shift(comparison: Comparison) -> Table:
    figures: dict[str, Cell] = {f"{comparison.split} %": lambda round_: accuracy(comparison, round_)}
    for name in comparison.shift_sets:
        rows = comparison.shift_rows(name)
        figures[f"{name} % (95% interval, {counted(rows, 'row')})"] = partial(_on_shift, name=name, rows=rows)
    return _table(
        f"{comparison.metric.title} on shift sets", comparison, {"round": lambda round_: round_.name}, figures
    )


def _on_shift(round_: Round, name: str, rows: int) -> str:
    mean = round_.mean(SHIFT + name)
    if mean is None:
        return NONE
    interval = " to ".join(_percent(rows, share) for share in wilson_interval(round(mean * rows), rows))
    return f"{_with_spread(round_, SHIFT + name, partial(_percent, rows))} ({interval})"


def _table(title: str, comparison: Comparison, words: dict[str, Cell], figures: dict[str, Cell]) -> Table:
    cells = words | figures
    return Table(
        title, list(cells), [[cell(round_) for cell in cells.values()] for round_ in comparison.rounds], len(words)
    )


def accuracy(comparison: Comparison, round_: Round) -> str:
    """The mean accuracy over the seeds in percent; with several seeds also their standard deviation: "93.1 ± 0.2"."""
    return _with_spread(round_, ACCURACY.key, partial(_percent, comparison.rows))


def percent(comparison: Comparison, share: float) -> str:
    """The fraction ``share`` in percent: "93.1", or "93.12" if it was measured on at least 2,000 texts."""
    return _percent(comparison.rows, share)


def lora_in_words(recipe: Recipe) -> str:
    """Rank, alpha and targets of all [[adapter.lora]] tables, such as ``r 8/16, alpha 16/32, value / query+value``."""
    tables = recipe.adapter.lora
    if not tables or isinstance(tables, str):
        return str(tables) if tables else "none"
    rank = "/".join(dict.fromkeys(f"{table.rank}" for table in tables))
    alpha = "/".join(dict.fromkeys(f"{table.effective_alpha:g}" for table in tables))
    targets = []
    for table in tables:
        roles = "all linear" if set(table.roles) == set(ROLES) else "+".join(table.roles)
        targets.append(roles if table.layers == "all" else f"{roles} ({table.layers})")
    kind = "DoRA " if recipe.adapter.dora else ""
    return f"{kind}r {rank}, alpha {alpha}, {' / '.join(targets)}"


def schedule_in_words(recipe: Recipe) -> str:
    """Learning-rate schedule and warm-up (in steps, or percent of all steps), such as ``cosine, warm-up 500``."""
    training = recipe.training
    warmup = f"{training.warmup:.0%}" if training.warmup < 1 else f"{training.warmup:g}"
    return training.schedule + (f", warm-up {warmup}" if training.warmup else "")


def _own(round_: Round, words: Callable[[Recipe], str]) -> str:
    """``words(recipe)`` for the recipe of the round; a dash for a baseline, because it does not use these settings."""
    return NONE if round_.baseline is not None else words(round_.recipe)


def _of_training(round_: Round, words: Callable[[Recipe], str]) -> str:
    """``_own`` for a setting of the training; a dash for a soup, whose runs may have trained with different values."""
    return NONE if round_.is_soup else _own(round_, words)


def _percent(rows: int, share: float) -> str:
    return percent_of_rows(share, rows).removesuffix("%")


def _with_spread(round_: Round, key: str, number: Callable[[float], str]) -> str:
    mean, spread = round_.mean(key), round_.spread(key)
    if mean is None:
        return NONE
    return number(mean) if spread is None else f"{number(mean)} ± {number(spread)}"


def _each(round_: Round, key: str, words: Callable[[float], str]) -> str:
    mean = round_.mean(key)
    return NONE if mean is None else words(mean)
