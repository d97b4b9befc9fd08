"""Keeps the probabilities of a large file, piece by piece, so that an interrupted prediction can continue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featherweight.errors import FeatherweightError, UserError, lacks_memory
from featherweight.files import replace_file
from featherweight.formatting import counted

if TYPE_CHECKING:
    from featherweight.data.pairs import Text
    from featherweight.inference.classifier import Classifier


class FinishedPieces:
    """A folder next to the output file that stores finished probabilities, so that a prediction can be resumed.

    The rows are classified in pieces, and each piece has a file. Its name is a sha256 of the texts, the model, its
    recipe and the precision. So probabilities are never reused where one of these is another.
    """

    def __init__(self, out: Path, classifier: Classifier) -> None:
        self.folder = out.with_name(out.name + ".pieces")
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(
                f"{self.folder}: is a file, but a folder of this name must hold the finished pieces; rename the file"
            )
        self.rows = 0
        """Number of rows in the folder, as far as this prediction has come."""
        self.found = 0
        """How many of them an interrupted prediction classified."""
        self._classes = len(classifier.labels)
        engine = str(getattr(classifier.model, "engine", ""))  # device and precision
        recipe = classifier.recipe.model_dump_json()  # a folder that PEFT saved has no task of its own
        self._model = json.dumps([classifier.model_id, classifier.temperature, engine, recipe])

    def read(self, texts: Sequence[Text]) -> np.ndarray | None:
        """The probabilities of ``texts``, float64 [texts, classes]; None if they are not in the folder."""
        probabilities = _read(self._path(texts), (len(texts), self._classes))
        if probabilities is not None:
            self.found += len(texts)
            self.rows += len(texts)
        return probabilities

    def keep(self, texts: Sequence[Text], probabilities: np.ndarray) -> None:
        """Write the probabilities of ``texts`` to the folder."""
        replace_file(self._path(texts), lambda file: np.save(file, probabilities, allow_pickle=False))
        self.rows += len(texts)

    def remove(self) -> None:
        """Remove all pieces, and the folder if it contains nothing else."""
        for path in self.folder.glob(f"{'[0-9a-f]' * 64}.npy"):
            path.unlink()
        with suppress(OSError):  # someone else's files stay
            self.folder.rmdir()

    def _path(self, texts: Sequence[Text]) -> Path:
        digest = hashlib.sha256(self._model.encode())
        for text in texts:
            digest.update(json.dumps(text).encode())
        return self.folder / f"{digest.hexdigest()}.npy"


@contextmanager
def finished_pieces(
    out: Path, classifier: Classifier, total: int, note: Callable[[str], None]
) -> Iterator[FinishedPieces]:
    """Yield the ``FinishedPieces`` of the output ``out``; its files are removed at the end of the block.

    After an interruption or an error that may not come again (``_PASSING``) the files stay, and ``note`` is called with
    a line that says how to continue. ``total`` is the number of rows, for this note.
    """
    pieces = FinishedPieces(out, classifier)
    try:
        yield pieces
    except BaseException as error:
        if pieces.rows and _may_pass(error):
            kept = f"{pieces.rows:,} of {total:,} rows are classified and saved in {pieces.folder}"
            note(f"{kept}; to continue, run the same command again")
        else:
            pieces.remove()
        raise
    if pieces.found:
        note(f"{counted(pieces.found, 'row')} had been classified by an interrupted prediction and were reused")
    pieces.remove()


_PASSING = (KeyboardInterrupt, SystemExit, FeatherweightError, OSError)
"""Errors after which, as after a lack of memory, the same prediction may succeed: stopped, wrong input, a full disk."""


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, _PASSING) or lacks_memory(error)


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The array in the file ``path``; None if the file is missing or damaged, as after a power failure."""
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.float64 and np.isfinite(array).all() else None
