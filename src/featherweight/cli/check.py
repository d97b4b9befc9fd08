"""`featherweight check DATA`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from featherweight.data.inspect import Inspection, PartInspection

NAME = "check"


def command(
    data: Annotated[
        str, typer.Argument(help="A built-in name, a file, a folder saved by `datasets`, or a hub data set.")
    ],
    test: Annotated[str | None, typer.Option(help="Test rows, to find rows shared with the training rows.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="A text column; repeatable.")] = None,
    label: Annotated[str, typer.Option(help="The label column.")] = "label",
    clean: Annotated[str, typer.Option(help="Text repair before looking: none or ag_news.")] = "none",
    max_length: Annotated[int, typer.Option(min=4, help="Tokens kept of a text.")] = 256,
    backbone: Annotated[str, typer.Option(help="Whose tokenizer counts the tokens.")] = "minilm",
) -> None:
    """Look at data before training: columns, labels, empty and repeated texts, shared rows, token lengths."""
    from featherweight.data.inspect import inspect_data
    from featherweight.model.backbones import resolve_backbone
    from featherweight.model.tokenizer import load_tokenizer
    from featherweight.recipe import Recipe

    settings = {
        "train": data,
        "test": test,
        "text": tuple(text or ()),
        "label": label,
        "clean": clean,
        "max_length": max_length,
    }
    recipe = Recipe.parse({"data": {key: value for key, value in settings.items() if value is not None}}, "check")
    folder = resolve_backbone(recipe.backbone.model_copy(update={"name": backbone})).folder
    assert folder is not None
    _print(inspect_data(recipe.data, load_tokenizer(folder)))


def _print(inspection: Inspection) -> None:
    from featherweight.cli.tables import plain_console

    console = plain_console(soft_wrap=True)
    for name, part in inspection.parts.items():
        console.print(f"{name}  {part.origin}: {part.rows:,} rows, columns {', '.join(part.columns)}")
        console.print(f"  texts from {', '.join(part.text_columns)}; labels from {part.label_column or 'no column'}")
        for label, rows in part.labels.items():
            console.print(f"  {rows:>9,}  {rows / part.rows:6.1%}  {label}")
        for problem in _problems(part, inspection.shared.get(name, 0)):
            console.print(f"  {problem}")


def _problems(part: PartInspection, shared: int) -> list[str]:
    found = []
    if len(part.labels) == 1:
        found.append("one label alone: nothing can be learnt from that")
    if part.unlabelled:
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
    return [*(found or ["no empty, repeated or shared texts"]), *_token_lines(part.tokens)]


def _token_lines(tokens: Any) -> list[str]:
    if tokens is None:
        return []
    return [
        f"tokens: mean {tokens.mean:.0f}, median {tokens.median:.0f}, 95% have at most {tokens.percentile_95:.0f}, "
        f"longest {tokens.longest}",
        f"a cut at {tokens.max_length} shortens {tokens.cut_rows:,} rows, and takes {tokens.cut_share:.2%} of tokens",
    ]
