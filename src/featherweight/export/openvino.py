"""Writes an ONNX graph as an OpenVINO model in 8 bits, with scales that are measured on training texts (static)."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.batches import padded
from featherweight.data.sources import Rows
from featherweight.export.int8 import dot_product_flags
from featherweight.inference.openvino import without_telemetry
from featherweight.inference.runner import Loaded

CALIBRATION_ROWS = 300
"""Training rows on which the ranges are measured: as many as NNCF takes by default."""


def quantise_with(rows: Rows, loaded: Loaded, source: Path, target: Path) -> dict[str, Any]:
    """Write the graph ``source`` in int8 to ``target`` (.xml, and .bin beside it); return the settings for export.json.

    NNCF quantises matrices and their inputs with fixed scales, and first moves outliers of the inputs into the matrices
    (SmoothQuant, arXiv 2211.10438). ``loaded`` encodes ``rows``, of which ``CALIBRATION_ROWS`` at equal distances are
    read, each alone.
    """
    with without_telemetry():
        import nncf
        import openvino

    model = openvino.Core().read_model(str(source))
    names = {each.get_any_name() for each in model.inputs}
    inputs = list(_inputs(rows.take(_spread(len(rows))), loaded, names))
    flags = dot_product_flags()
    # Without such instructions two products are added in 16 bits, which overflow: weights then get 7 bits.
    fix = nncf.OverflowFix.DISABLE if flags else nncf.OverflowFix.ENABLE
    with _quiet():
        small = nncf.quantize(
            model,
            nncf.Dataset(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(inputs),
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
        )
    openvino.save_model(small, str(target), compress_to_fp16=False)
    settings = {"weights": "int8", "inputs": "int8, static", "calibration_texts": len(inputs)}
    return {**settings, "reduce_range": not flags, "processor_flags": flags}


def _spread(count: int) -> NDArray[np.int64]:
    """At most ``CALIBRATION_ROWS`` of the numbers from 0 to ``count`` - 1, at equal distances."""
    return np.unique(np.linspace(0, count - 1, CALIBRATION_ROWS).astype(np.int64))


def _inputs(rows: Rows, loaded: Loaded, names: set[str]) -> Iterator[Mapping[str, NDArray[np.int64]]]:
    """The inputs of the graph for some texts, each alone, [1, tokens]; of a long text in windows, for some windows."""
    windows = loaded.model.encode(rows).by_window
    for place in _spread(len(windows)):
        ids, mask, types = padded(windows, np.array([place]), loaded.model.tokenizer.pad_token_id)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        yield {name: values for name, values in given.items() if name in names and values is not None}


@contextmanager
def _quiet() -> Iterator[None]:
    """Within the context, NNCF draws no progress bars and prints no warnings."""
    logger = logging.getLogger("nncf")
    level = logger.level
    try:
        logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
