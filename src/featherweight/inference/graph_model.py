"""Computes the logits of an export with ONNX Runtime or OpenVINO; needs neither torch nor transformers."""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from featherweight.backbone.tokenizer import UNKNOWN, SavedTokenizer
from featherweight.data.batches import Encoded, encode, padded, sorted_batches
from featherweight.data.long_texts import LongTexts
from featherweight.data.sources import Rows
from featherweight.errors import UserError, first_line
from featherweight.hints import to_install
from featherweight.inference.exported import MODEL, Description
from featherweight.inference.openvino import without_telemetry

Compute = Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]]
"""Logits, [texts, classes], of the inputs of a graph by their names, each [texts, tokens]."""
BUCKETS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""Lengths to which texts are padded: few shapes, because the memory of both libraries grows with every new one."""
_BATCH_TOKENS = 2048
_MOST_THREADS = 8


@dataclass(eq=False)
class GraphModel:
    """A graph that was exported to a file, with the interface ``Runner`` of loaded models."""

    compute: Compute
    inputs: Collection[str]
    """Names of the inputs that the graph has."""
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
        apart = encoded.by_window
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
        if types is not None and "token_type_ids" in self.inputs:
            inputs["token_type_ids"] = types
        return self.compute(inputs)


def load_graph(folder: Path, described: Description) -> GraphModel:
    """The model of an ONNX or OpenVINO export. Raises UserError if its library is missing or a file is damaged."""
    load = _load_openvino if described.target == "openvino-int8" else _load_onnx
    compute, inputs = load(folder / MODEL[described.target])
    return GraphModel(compute, inputs, described.labels, tokenizer_of(folder, described), described.long_texts)


def _load_onnx(path: Path) -> tuple[Compute, set[str]]:
    try:
        import onnxruntime
    except ImportError:
        raise UserError(f"{path.parent}: an ONNX export needs onnxruntime: {to_install('onnxruntime')}") from None
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
        raise _unreadable(path, "cannot be loaded by ONNX Runtime", error) from None
    return lambda inputs: session.run(["logits"], inputs)[0], {each.name for each in session.get_inputs()}


def _load_openvino(path: Path) -> tuple[Compute, set[str]]:
    try:
        with without_telemetry():
            import openvino
    except ImportError:
        raise UserError(f"{path.parent}: needs openvino: {to_install('openvino')}") from None
    settings = {
        "INFERENCE_NUM_THREADS": min(_cores(), _MOST_THREADS),
        "INFERENCE_PRECISION_HINT": "f32",  # what is not in 8 bits: the same on processors with and without bf16
        "PERFORMANCE_HINT": "LATENCY",  # all threads work on one batch
        "ENABLE_CPU_PINNING": False,  # threads may leave a core that another program uses
    }
    try:
        compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        names = {each.get_any_name() for each in compiled.inputs}
    except Exception as error:  # RuntimeError for any kind of damage
        made = "cannot be loaded by OpenVINO; export.json has the version of openvino that wrote it"
        raise _unreadable(path, made, error) from None
    alone = Lock()  # a compiled model computes one batch at a time

    def compute(inputs: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        with alone:
            return np.array(compiled(dict(inputs))["logits"])

    return compute, names


def _unreadable(path: Path, problem: str, error: Exception) -> UserError:
    reason = f"{problem}: {first_line(error)[:300]}"
    return UserError(f"{path}: {reason}\nThe file may be damaged: export the run again")


def tokenizer_of(folder: Path, described: Description) -> SavedTokenizer:
    """The tokenizer of an export, read by the library tokenizers alone. Raises UserError if it is damaged."""
    from tokenizers import Tokenizer

    try:
        backend = Tokenizer.from_file(str(folder / "tokenizer.json"))
        backend.encode(UNKNOWN)
    except Exception as error:  # the library raises bare Exception
        raise _unreadable(folder / "tokenizer.json", "cannot be loaded", error) from None
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
