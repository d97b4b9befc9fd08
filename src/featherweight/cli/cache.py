"""The command `featherweight cache [KIND] [--clear]`."""

from __future__ import annotations

from typing import Annotated

import typer

NAME = "cache"


def command(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="states (of frozen layers), encoded (token ids of texts), teachers (their predictions), backbones "
            "(joined weights), or all. By default all are shown, but --clear removes only states."
        ),
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the entries; they can be made again.")] = False,
) -> None:
    """Show what is cached between runs, or remove it."""
    from featherweight.cache import KINDS, STATES, clear_cache
    from featherweight.errors import UserError
    from featherweight.formatting import size_in_words

    if kind not in (None, "all", *KINDS):
        raise UserError(f"cache {kind}: no such kind; choose {', '.join(KINDS)} or all")
    chosen = list(KINDS) if kind == "all" else [kind or STATES]
    if clear:
        print(f"{', '.join(chosen)}: {size_in_words(clear_cache(chosen))} freed")
    else:
        _show(chosen if kind else list(KINDS))


def _show(kinds: list[str]) -> None:
    from rich.table import Table

    from featherweight.cache import KINDS, cache_entries, cache_folder
    from featherweight.console import plain_console
    from featherweight.formatting import age_in_words, size_in_words

    table = Table("kind", "entries", "size", "last used", "what it is", box=None, pad_edge=False)
    for column in table.columns[1:3]:
        column.justify = "right"
    for kind in kinds:
        entries = cache_entries(kind)
        size = size_in_words(sum(entry.bytes for entry in entries))
        age = age_in_words(max(entry.used for entry in entries)) if entries else ""
        table.add_row(kind, f"{len(entries):,}", size, age, KINDS[kind].what)
    console = plain_console(soft_wrap=True)
    console.print(f"{cache_folder()}")
    console.print(table)
