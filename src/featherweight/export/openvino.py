"""Writes an ONNX graph as an OpenVINO model in 8 bits, with scales that are measured on training texts (static)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featherweight.data.batches import padded
from featherweight.data.sources import Rows
from featherweight.inference.runner import Loaded

CALIBRATION_ROWS = 300
"""Training rows on which the ranges are measured: as many as NNCF takes by default."""
_WITHOUT_TELEMETRY = "NNCF_CI"
"""The environment variable that NNCF reads for this, when it is imported."""


def quantise_with(rows: Rows, loaded: Loaded, source: Path, target: Path) -> dict[str, Any]:
    """Write the graph ``source`` in int8 to ``target`` (.xml, and .bin beside it); return the settings for export.json.

    NNCF quantises matrices and their inputs with fixed scales, and first moves outliers of the inputs into the matrices
    (SmoothQuant, arXiv 2211.10438). ``loaded`` encodes ``rows``, of which ``CALIBRATION_ROWS`` at equal distances are
    read, each alone.
    """
    import openvino

    nncf, core = import_nncf(), openvino.Core()
    model, places = core.read_model(str(source)), np.unique(np.linspace(0, len(rows) - 1, CALIBRATION_ROWS, dtype=int))
    names = {each.get_any_name() for each in model.inputs}
    inputs = list(_inputs(rows.take(places), loaded, names))
    with warnings.catch_warnings(), redirect_stdout(StringIO()):  # it draws progress bars
        warnings.simplefilter("ignore")
        kind = nncf.ModelType.TRANSFORMER
        small = nncf.quantize(model, nncf.Dataset(inputs), model_type=kind, subset_size=len(inputs))
    openvino.save_model(small, str(target), compress_to_fp16=False)
    return {"weights": "int8", "inputs": "int8, static", "calibration_rows": len(places)}


def _inputs(rows: Rows, loaded: Loaded, names: set[str]) -> Iterator[Mapping[str, NDArray[np.int64]]]:
    """The inputs of the graph for each text alone, or each window of a text, [1, tokens]."""
    apart = loaded.model.encode(rows).by_window
    for place in range(len(apart)):
        ids, mask, types = padded(apart, np.array([place]), loaded.model.tokenizer.pad_token_id)
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        yield {name: values for name, values in given.items() if name in names and values is not None}


def import_nncf() -> Any:
    """The module nncf, which then prints nothing and sends no report of its use (telemetry) to its maker."""
    earlier = os.environ.get(_WITHOUT_TELEMETRY)
    os.environ[_WITHOUT_TELEMETRY] = "1"
    try:
        import nncf
    finally:
        if earlier is None:
            del os.environ[_WITHOUT_TELEMETRY]
        else:
            os.environ[_WITHOUT_TELEMETRY] = earlier
    nncf.disable_logging()
    return nncf
