"""Checks the data of a recipe before training, and formats the result as lines of text."""

from __future__ import annotations

from dataclasses import replace

from featherweight.data.inspection import Inspection, PartInspection, TokenLengths, inspect_data
from featherweight.data.label_spelling import nearly_alike
from featherweight.data.refusals import refusals
from featherweight.errors import UserError, in_a_line
from featherweight.formatting import counted, listed, numbered
from featherweight.hints import Caller, called_with
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe
from featherweight.workflows.own_validation import own_validation
from featherweight.workflows.prepare import OF_BACKBONE

_ALL_SHOWN = 100
"""Maximum number of labels that are all listed; of more labels, half of this number."""


@called_with(Caller.RECIPE)
def check(recipe: Recipe, *, own_split: bool = False) -> Inspection:
    """Inspect the data of ``recipe``: columns, labels, missing values, repeated texts, and numbers of tokens.

    The result also has the errors with which a training would stop before its first step. With ``own_split``, for a
    ``recipe`` that does not choose its validation rows, they are those that ``recipe_for`` would choose.

    Raises UserError if a part of the data cannot be read, or the tokenizer of the backbone is not available.
    """
    require_recipe(recipe, "check")

    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.backbone.tokenizer import load_tokenizer

    backbone = resolve_backbone(recipe.backbone)
    assert backbone.folder is not None
    tokenizer = load_tokenizer(backbone.folder)
    found = inspect_data(recipe.data, tokenizer)
    train = found.parts["train"]
    if own_split and train.labels:
        chosen, _ = own_validation(recipe, train.rows, list(train.labels), several=recipe.data.several)
        recipe = recipe.with_values(data=chosen)
        if recipe.data.validation is not None:
            found = inspect_data(recipe.data, tokenizer)
    refused = refusals(recipe)
    for require in OF_BACKBONE:
        try:
            require(recipe, backbone.config)
        except UserError as error:
            refused.append(str(error))
    return replace(found, refusals=tuple(refused), backbone=recipe.backbone.name)


def inspection_lines(inspection: Inspection) -> list[str]:
    """The results as lines of text, one part of the data after the other; lines about a part are indented.

    The last lines list the reasons for which a training would refuse the data, if there are any.
    """
    lines = []
    for name, part in inspection.parts.items():
        lines += [
            in_a_line(f"{name}  {part.origin}: {counted(part.rows, 'row')}, columns {', '.join(part.columns)}"),
            in_a_line(f"  {_source_of_texts(part)}; labels from {part.label_column or 'no column'}"),
            *_count_lines(part),
            *(f"  {problem}" for problem in _problems(name, part, inspection.shared.get(name, 0))),
            *(f"  {line}" for line in _unknown_lines(part, inspection.backbone)),
        ]
    if inspection.refusals:
        lines.append("training would refuse this data:")
        lines += [f"  {line}" for message in inspection.refusals for line in message.split("\n")]
    return lines


def _count_lines(part: PartInspection) -> list[str]:
    """The number of rows of each label; of very many labels only of the most frequent ones."""
    counts = list(part.labels.items())
    shown = counts if len(counts) <= _ALL_SHOWN else counts[: _ALL_SHOWN // 2]
    others = [rows for _, rows in counts[len(shown) :]]
    more = [f"  {'':>9}  {'':>6}  {_others_in_words(others)}"] if others else []
    if part.without_any:
        shown = [*shown, ("(no label)", part.without_any)]
    return [*(f"  {rows:>9,}  {rows / part.rows:6.1%}  {in_a_line(label)}" for label, rows in shown), *more]


def _others_in_words(rows: list[int]) -> str:
    fewest, most = min(rows), max(rows)
    each = counted(most, "row") if fewest == most else f"{fewest:,} to {counted(most, 'row')}"
    return f"and {len(rows):,} more labels with {each} each"


def _source_of_texts(part: PartInspection) -> str:
    if part.join == "pair":
        return f"pairs of {' and '.join(part.text_columns)}"
    return f"texts from {', '.join(part.text_columns)}"


def _problems(name: str, part: PartInspection, shared: int) -> list[str]:
    found = []
    notes = [note.removeprefix(f"{part.origin}: ") for note in part.notes]
    if part.without_labels:
        found += part.without_labels.split("\n")
    elif len(part.labels) == 1:
        consequence = "training is not possible" if name == "train" else "metrics on it say nothing about other classes"
        found.append(f"only one label: {consequence}")
    if part.strange:
        labels = listed([f"{label!r} ({counted(rows, 'row')})" for label, rows in part.strange.items()])
        found.append(f"labels that no training row has: {labels}")
    single = [label for label, rows in part.labels.items() if rows == 1] if name == "train" else []
    if single:
        found.append(
            f"labels with only one row: {listed([repr(label) for label in single])}; add rows with them, or remove them"
        )
    if name == "train" and (clause := nearly_alike(part.labels)):
        found.append(clause)
    if part.left_out:
        found.append(part.left_out.in_words().removeprefix(f"{part.origin}: "))
    if part.unlabelled and not part.without_labels:
        found.append(f"{counted(part.unlabelled, 'row')} without a label")
    if part.empty:
        found.append(f"{counted(len(part.empty), 'empty text')}: {numbered(part.empty)}")
    if part.repeated:
        found.append(f"{counted(part.repeated, 'row')} repeat{_s(part.repeated)} an earlier text")
    if part.contradicting:
        found.append(f"{counted(part.contradicting, 'text')} occur{_s(part.contradicting)} with more than one label")
    if shared:
        are = "is a training row" if shared == 1 else "are training rows"
        found.append(f"{counted(shared, 'row')} {are}, too: metrics on this part would be too good")
    return [*notes, *(found or ["no empty, repeated or shared texts"]), *_token_lines(part.tokens)]


def _s(number: int) -> str:
    """The ending of a verb for ``number`` things: "s" for one ("1 text occurs"), else empty."""
    return "s" if number == 1 else ""


def _unknown_lines(part: PartInspection, backbone: str) -> list[str]:
    if part.unknown is None or not part.unknown.unknown:
        return []
    return [part.unknown.in_words(backbone), *([part.unknown.hint] if part.unknown.hint else [])]


def _token_lines(tokens: TokenLengths | None) -> list[str]:
    if tokens is None:
        return []
    return [
        f"tokens: mean {tokens.mean:.0f}, median {tokens.median:.0f}, 95% have at most {tokens.percentile_95:.0f}, "
        f"longest {tokens.longest}",
        _long_texts_line(tokens),
    ]


def _long_texts_line(tokens: TokenLengths) -> str:
    limit, rows = f"max_length = {tokens.max_length}", counted(tokens.cut_rows, "row")
    if tokens.long == "windows":
        have = "has" if tokens.cut_rows == 1 else "have"
        return f"{limit} is exceeded by {rows}, which {have} {counted(tokens.windows, 'window')}"
    how = "" if tokens.long == "head" else f' (long = "{tokens.long}")'
    line = f"{limit}{how} truncates {rows}, {tokens.cut_share:.2%} of tokens"
    return f"{line}; {tokens.other_ways}" if tokens.cut_rows else line
