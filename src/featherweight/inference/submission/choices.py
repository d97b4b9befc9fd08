"""The options of a submission, and the check that they do not contradict each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from featherweight.data.readers.table import is_unicode
from featherweight.errors import UserError
from featherweight.hints import flag


@dataclass(frozen=True)
class Choices:
    """The options of `predict --kaggle`."""

    like: str | Path | None = None
    """A sample submission that determines header, order of ids and kind of values."""
    id_column: str | None = None
    label_name: str | None = None
    as_numbers: bool | None = None
    """Write class numbers (True), labels as in the training data (False), or choose by the data (None)."""
    as_probabilities: bool = False
    """Write the probability of the positive one of two classes."""

    def check(self, kaggle: bool) -> None:
        """Raise UserError if an option would have no effect or contradicts another one.

        ``kaggle`` is whether the user passed --kaggle, which the other options need.
        """
        spelled = flag("--as-numbers" if self.as_numbers else "--as-names")
        given = [(flag("--label-name"), self.label_name is not None), (spelled, self.as_numbers is not None)]
        option = next((name for name, is_given in given if is_given), None)
        if option and self.like is not None:
            raise UserError(
                f"{flag('--like')} and {option} exclude each other: the sample submission already determines the "
                f"header and how labels are written; leave out {option}"
            )
        if self.as_probabilities and self.as_numbers is not None:
            raise UserError(f"{spelled} and {flag('--as-probabilities')} exclude each other: use only one of them")
        option = option or (flag("--as-probabilities") if self.as_probabilities else None)
        if option and not kaggle:
            raise UserError(f"{option} is for a submission to a contest; add {flag('--kaggle')}")
        if self.label_name is not None and not self.label_name.strip():
            raise UserError(
                f"{flag('--label-name')} is empty; give the name of the label column, or leave the option out"
            )
        if not is_unicode(self.label_name or ""):
            raise UserError(f"{flag('--label-name')} is not valid Unicode; type the name again")
