"""Rows from Python that are pairs of a text and its label, such as ``[("great", "pos"), ("dull", "neg")]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featherweight.errors import UserError


def are_pairs(rows: Any) -> bool:
    """Whether ``rows`` is a list of pairs, of which one value is a text; lists as pairs count from three rows on.

    Two lists, such as ``[texts, labels]`` of two rows, look like two pairs.
    """
    if not isinstance(rows, list) or not rows or any(not isinstance(row, tuple | list) for row in rows):
        return False
    return (len(rows) > 2 or isinstance(rows[0], tuple)) and all(
        len(row) == 2 and any(isinstance(value, str) for value in row) for row in rows
    )


def columns_of_pairs(rows: Sequence[Sequence[Any]], name: str) -> dict[str, list[Any]]:
    """The columns ``text`` and ``label`` of ``rows``; objects after the texts, as spaCy has them, give their columns.

    The labels are the side with values that are no texts, or with fewer different values, or shorter ones after the
    texts. If neither side is sure to hold the texts, raises UserError with the code that names the columns; ``name`` is
    the called function.
    """
    sides = [[row[0] for row in rows], [row[1] for row in rows]]
    of_texts = [all(isinstance(value, str) for value in side) for side in sides]
    if all(isinstance(value, Mapping) for value in sides[1]):
        keys = dict.fromkeys(key for value in sides[1] for key in value if key != "text")
        return {"text": sides[0], **{str(key): [value.get(key) for value in sides[1]] for key in keys}}
    if of_texts == [True, True]:
        different = [len(set(side)) for side in sides]
        length = [sum(map(len, side)) for side in sides]
        if different[0] != different[1]:
            text = different.index(max(different))
        elif length[0] > length[1]:
            text = 0
        else:
            raise UserError(
                f"{name}: both values of each pair could be the text; name them: "
                f"{name}(pandas.DataFrame(rows, columns=['text', 'label']))"
            )
    elif True in of_texts:
        text = of_texts.index(True)
    else:
        raise UserError(
            f"{name}: neither the first nor the second value of all pairs is a text; write (text, label) in each row"
        )
    return {"text": sides[text], "label": sides[1 - text]}
