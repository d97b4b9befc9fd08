"""Computes the logits of an ONNX export with ONNX Runtime; needs neither torch nor transformers."""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.backbone.tokenizer import UNKNOWN, SavedTokenizer
from featherweight.data.batches import Encoded, encode, padded, sorted_batches
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.errors import UserError, first_line
from featherweight.inference.exported import MODEL, Description

BUCKETS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Lengths to which texts are padded: few shapes, because ONNX Runtime's memory grows with every new one."""
_BATCH_TOKENS = 2048
_MOST_THREADS = 8


@dataclass(eq=False)
class OnnxModel:
    """An ONNX export that ONNX Runtime computes, with the interface ``Runner`` of loaded models."""

    session: Any
    """An InferenceSession."""
    labels: tuple[str, ...]
    tokenizer: SavedTokenizer
    long_texts: LongTexts

    def encode(self, rows: Rows, cache: Path | None = None) -> Encoded:
        """Token ids of the texts of ``rows``; if ``cache`` is a folder, they are stored there and reused."""
        return encode(rows, self.tokenizer, self.long_texts, cache)

    def logits(
        self, rows: Rows, *, cache: Path | None = None, advance: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """Logits, float64 [rows, classes], in the order of ``rows``."""
        return self.logits_of(self.encode(rows, cache), advance=advance)

    def logits_of(self, encoded: Encoded, *, advance: Callable[[int], None] | None = None) -> np.ndarray:
        """Logits, float64 [rows, classes], of encoded texts; the logits of the windows of a text are averaged."""
        apart = encoded.apart
        logits = np.zeros((len(apart), len(self.labels)))
        for rows in sorted_batches(apart.lengths, batch_tokens=_BATCH_TOKENS):
            logits[rows] = self._batch(apart, rows)
            if advance:
                advance(encoded.texts_begun(rows))
        return encoded.averaged(logits)

    def _batch(self, apart: Encoded, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        longest = int(apart.lengths[rows].max())
        # Never beyond the maximum length: a backbone may have no positions there.
        width = min(padded_length(longest), max(longest, self.long_texts.max_length))
        ids, mask, types = padded(apart, rows, self.tokenizer.pad_token_id, width)
        inputs = {"input_ids": ids, "attention_mask": mask}
        if types is not None and "token_type_ids" in self._inputs:
            inputs["token_type_ids"] = types
        return self.session.run(["logits"], inputs)[0]

    @property
    def _inputs(self) -> set[str]:
        return {given.name for given in self.session.get_inputs()}


def load_onnx(folder: Path, described: Description) -> OnnxModel:
    """The model of an export. Raises UserError if onnxruntime is not installed or a file is damaged."""
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f'{folder}: an ONNX export needs onnxruntime: pip install "featherweight[onnx]"') from None
    path = folder / MODEL[described.target]
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.intra_op_num_threads = min(_cores(), _MOST_THREADS)
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # classes of its own for each kind of damage
        reason = f"cannot be loaded by ONNX Runtime: {first_line(error)[:300]}"
        raise UserError(f"{path}: {reason}\nThe file may be damaged: export the run again") from None
    return OnnxModel(session, described.labels, tokenizer_of(folder, described), described.long_texts)


def tokenizer_of(folder: Path, described: Description) -> SavedTokenizer:
    """The tokenizer of an export, read by the library tokenizers alone. Raises UserError if it is damaged."""
    from tokenizers import Tokenizer

    try:
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
        backend.encode(UNKNOWN)
    except Exception as error:  # the library raises bare Exception
        reason = f"cannot be loaded: {first_line(error)[:300]}"
        raise UserError(
            f"{folder / 'tokenizer.json'}: {reason}\nThe file may be damaged: export the run again"
        ) from None
    names = ("input_ids", "attention_mask", *(["token_type_ids"] if described.token_types else []))
    return SavedTokenizer(folder, backend, described.pad_token_id, names)


def padded_length(length: int) -> int:
    """The length to which a text of ``length`` tokens is padded: 33 gives 48, the next length in ``BUCKETS``.

    Above the largest of these it is a multiple of 128.
    """
    place = bisect.bisect_left(BUCKETS, length)
    return BUCKETS[place] if place < len(BUCKETS) else -(-length // 128) * 128


def _cores() -> int:
    limit = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(int(limit), cores) if limit.isdecimal() and int(limit) else cores
