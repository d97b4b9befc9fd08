"""Truncates texts that are longer than the maximum length, or splits them into windows, as ``data.long`` says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from featherweight.errors import UserError, first_line
from featherweight.hints import to_set
from featherweight.recipe import DataRecipe, Recipe

NOTABLE_CUT = 0.05
"""Minimum share of truncated tokens for which a training prints a warning."""


@dataclass(frozen=True)
class LongTexts:
    """The maximum length of a recipe, and how longer texts are treated."""

    max_length: int
    """Maximum number of tokens of a sequence, including special tokens."""
    how: str = "head"
    """``data.long``: head, tail, head-tail or windows."""
    overlap: float = 0.25
    """``data.window_overlap``: the minimum share of a window that the next window repeats."""
    most: int | None = None
    """Maximum number of windows of a text, evenly spaced from its start to its end; None if there is no limit."""

    @classmethod
    def of(cls, data: DataRecipe) -> LongTexts:
        """The settings for training texts, from the section [data] of a recipe."""
        return cls(data.max_length, data.long, data.window_overlap)

    @classmethod
    def for_evaluation(cls, recipe: Recipe) -> LongTexts:
        """The settings for evaluation and prediction: as in training, or ``evaluation.windows`` windows per text."""
        if recipe.evaluation.windows == 1:
            return cls.of(recipe.data)
        return cls(recipe.data.max_length, "windows", recipe.data.window_overlap, recipe.evaluation.windows)

    @property
    def windows(self) -> bool:
        """Whether long texts are read in windows."""
        return self.how == "windows"

    def other_ways(self, *, pairs: bool) -> str:
        """A clause that says how to set other values of ``data.long`` for texts that are too long."""
        if pairs:
            other = "head" if self.how == "tail" else "tail"
            return f"{to_set(f'data.long={other}')} keeps the other end of the longer text"
        others = [f'"{way}"' for way in ("head", "tail", "head-tail") if way != self.how]
        return f"{to_set('data.long=windows')} reads them whole, {' or '.join(others)} keeps another part"

    @property
    def identity(self) -> bytes:
        """Bytes that differ for different settings, for a fingerprint."""
        overlap = f" {self.overlap!r}" if self.windows else ""
        overlap += f" {self.most}" if self.most is not None else ""
        return self.max_length.to_bytes(8) + (f"{self.how}{overlap}".encode() if self.how != "head" else b"")

    def sequences(self, content: Sequence[int], room: int) -> list[list[int]]:
        """The parts of a long text that are used: lists of ``room`` tokens each, without special tokens.

        ``content`` are the tokens of the text without special tokens. With windows there are several parts, else one.
        """
        if self.how == "tail":
            return [list(content[-room:])]
        if self.how == "head-tail":
            head = _head_of(room)
            return [[*content[:head], *content[head - room :]]]
        if self.windows:
            return [list(content[start : start + room]) for start in self._window_starts(len(content), room)]
        return [list(content[:room])]

    def windows_of(self, content: int, room: int) -> int:
        """Number of windows of a text with ``content`` tokens, of ``room`` tokens each; 1 without windows."""
        return len(self._window_starts(content, room)) if self.windows and content > room else 1

    def require_room(self, special: int, *, pairs: bool) -> None:
        """Raise UserError if ``max_length`` leaves less than one token (two for a pair) beside the ``special`` ones."""
        least = special + (2 if pairs else 1)
        if self.max_length < least:
            what = "a pair" if pairs else "a text"
            raise UserError(
                f"data.max_length = {self.max_length}: {what} has {special} special tokens, "
                f"so too few tokens are left for its words; use {least} or more"
            )

    def _window_starts(self, content: int, room: int) -> list[int]:
        """The index of the first token of each window of ``room`` tokens in a text of ``content`` tokens.

        The windows are evenly spaced from the start of the text to its end; their number is the smallest for which
        neighbours share at least the part ``overlap`` of a window. If that is more than ``most``, ``most`` windows are
        used, and tokens between them may not be read.
        """
        step = max(1, room - round(self.overlap * room))
        gaps = -(-(content - room) // step)
        gaps = gaps if self.most is None else min(gaps, self.most - 1)
        return [place * (content - room) // gaps for place in range(gaps + 1)]


def _head_of(room: int) -> int:
    """Number of tokens from the start of the text with ``data.long = "head-tail"``; the rest comes from its end.

    It is a quarter of ``room``, such as 128 of 510 in Sun et al. 2019.
    """
    return (room + 2) // 4


@dataclass(frozen=True)
class Frame:
    """The special tokens that a tokenizer puts around a text."""

    before: list[int]
    after: list[int]

    def around(self, content: Sequence[int]) -> list[int]:
        """``content`` with the special tokens before and after it."""
        return [*self.before, *content, *self.after]

    def within(self, tokens: Sequence[int]) -> Sequence[int]:
        """``tokens`` without the special tokens at the start and the end."""
        return tokens[len(self.before) : len(tokens) - len(self.after)]


def frame_of(backend: Any) -> Frame:
    """The special tokens that ``backend`` adds.

    Raises UserError if it puts special tokens inside a text, or cannot encode texts because it is damaged.
    """
    for probe in ("a", "1", "."):
        try:
            content = backend.encode(probe, add_special_tokens=False).ids
            whole = backend.encode(probe).ids
        except Exception as error:  # the library tokenizers raises bare Exception
            reason = first_line(error)[:200]
            raise UserError(f"the tokenizer cannot encode texts ({reason}); restore its tokenizer.json") from None
        for before in range(len(whole) - len(content) + 1) if content else ():
            if whole[before : before + len(content)] == content:
                return Frame(whole[:before], whole[before + len(content) :])
    raise UserError("this backbone's tokenizer puts special tokens inside a text; choose another backbone")
