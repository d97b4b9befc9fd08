"""Chooses the maximum length of a text in tokens for data."""

from __future__ import annotations

from collections.abc import Sequence

from featherweight.backbone.resolve import config_of, local_folder, most_tokens
from featherweight.data.readers.table import Table, joined_texts, text_columns
from featherweight.data.source_tables import open_table
from featherweight.recipe import Recipe

_SAMPLED = 1_000  # number of texts whose tokens are counted
_LONG, _LONGER = 256, 512  # maximum length in tokens: the default, and the one for many longer texts
_MANY = 0.1  # fraction of longer texts from which on they count as many


def with_chosen_length(recipe: Recipe) -> Recipe:
    """``recipe`` with the maximum length of a text that ``train FILE`` would choose for its training data."""
    length, _ = chosen_length(recipe, open_table(recipe.data.train, recipe.data, "train"))
    return recipe.with_values(data={"max_length": length})


def chosen_length(recipe: Recipe, table: Table) -> tuple[int, str]:
    """The maximum length of a text in tokens, and a note if it is longer than the default because many texts need it.

    It is no more than the backbone can read.
    """
    most = most_tokens(config_of(recipe.backbone)) or _LONGER
    default = min(_LONG, most)
    texts = joined_texts(table, text_columns(table, recipe.data))
    sample = [texts[place] for place in range(0, len(texts), max(1, len(texts) // _SAMPLED))]
    # A token has at least one character, so most files need no tokenizer here.
    if most <= _LONG or _share_longer(list(map(len, sample)), _LONG) <= _MANY:
        return default, ""
    folder = local_folder(recipe.backbone)
    if folder is None or not (folder / "tokenizer.json").is_file():
        return default, ""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    share = _share_longer([len(encoding.ids) for encoding in tokenizer.encode_batch_fast(sample)], _LONG)
    if share <= _MANY:
        return default, ""
    longer = min(_LONGER, most)
    read = f"they are read in windows of {longer}" if recipe.data.long == "windows" else f"{longer} are read"
    return longer, f"; {share:.0%} of the texts are longer than {_LONG} tokens: {read}"


def _share_longer(lengths: Sequence[int], most: int) -> float:
    return sum(length > most for length in lengths) / max(1, len(lengths))
