"""A recipe's data checked before training, and the findings as lines of text."""

from __future__ import annotations

from typing import Any

from featherweight.data.inspection import Inspection, PartInspection, inspect_data
from featherweight.recipe import Recipe
from featherweight.recipe.schema import require_recipe


def check(recipe: Recipe) -> Inspection:
    """What is in a recipe's data: columns, labels, empty, repeated and shared texts, lengths in tokens of its backbone.

    Raises UserError where a part cannot be read, or the backbone has no tokenizer at hand.
    """
    require_recipe(recipe, "check")

    from featherweight.backbone.resolve import resolve_backbone
    from featherweight.backbone.tokenizer import load_tokenizer

    folder = resolve_backbone(recipe.backbone).folder
    assert folder is not None
    return inspect_data(recipe.data, load_tokenizer(folder))


def inspection_lines(inspection: Inspection) -> list[str]:
    """The findings as lines, part by part; lines of a part are indented by two blanks."""
    lines = []
    for name, part in inspection.parts.items():
        lines += [
            f"{name}  {part.origin}: {part.rows:,} rows, columns {', '.join(part.columns)}",
            f"  {_source_of_texts(part)}; labels from {part.label_column or 'no column'}",
            *(f"  {rows:>9,}  {rows / part.rows:6.1%}  {label}" for label, rows in part.labels.items()),
            *(f"  {problem}" for problem in _problems(name, part, inspection.shared.get(name, 0))),
        ]
    return lines


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
        lesson = "nothing can be learnt from that" if name == "train" else "figures on it tell nothing of the others"
        found.append(f"one label alone: {lesson}")
    if part.unlabelled and not part.without_labels:
        found.append(f"{part.unlabelled:,} rows without a label")
    if part.empty:
        rows = ", ".join(str(row) for row in part.empty[:8])
        found.append(f"{len(part.empty):,} empty texts: rows {rows}{', ...' if len(part.empty) > 8 else ''}")
    if part.repeated:
        found.append(f"{part.repeated:,} rows repeat an earlier text")
    if part.contradicting:
        found.append(f"{part.contradicting:,} texts stand under more than one label")
    if shared:
        found.append(f"{shared:,} rows stand in the training rows too: a test on them flatters")
    return [*notes, *(found or ["no empty, repeated or shared texts"]), *_token_lines(part.tokens)]


def _token_lines(tokens: Any) -> list[str]:
    if tokens is None:
        return []
    return [
        f"tokens: mean {tokens.mean:.0f}, median {tokens.median:.0f}, 95% have at most {tokens.percentile_95:.0f}, "
        f"longest {tokens.longest}",
        f"a cut at {tokens.max_length} shortens {tokens.cut_rows:,} rows, and takes {tokens.cut_share:.2%} of tokens",
    ]
