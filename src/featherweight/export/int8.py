"""Quantises the matrices of an ONNX graph to int8; inputs are quantised while it computes (dynamic quantisation)."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from featherweight.model.engine import processor_flags

_DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Flags of processors that add products of 8-bit numbers into 32 bits in one instruction."""
_SMALL = 100_000
"""Elements of a table that is not worth it, such as that of positions in a tiny model."""


def quantise(source: Path, target: Path) -> dict[str, Any]:
    """Write ``source`` with int8 matrices to ``target``; returns the settings, for export.json.

    A matrix has one scale per output (QInt8, per channel), a table of embeddings has one per row; norms stay in fp32.
    Older processors, without instructions for 8-bit dot products (VNNI), add pairs of products in 16 bits, which can
    overflow. If this machine has such a processor, weights get only 7 bits (``reduce_range``). So an export should be
    made on the kind of processor that will use it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    flags = dot_product_flags()
    settings = {"per_channel": True, "reduce_range": not flags}
    root = logging.getLogger()
    level = root.level
    try:
        root.setLevel(logging.ERROR)  # it recommends a preprocessing that changes nothing here
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=["MatMul", "Gemm"],
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
                **settings,
            )
    finally:
        root.setLevel(level)
    _quantise_tables(target)
    return {"weights": "QInt8", **settings, "processor_flags": flags}


def dot_product_flags() -> list[str]:
    """The flags of this processor for 8-bit dot products; empty if it has no such instructions."""
    return sorted(set(_DOT_PRODUCTS) & processor_flags())


def _quantise_tables(path: Path) -> None:
    """Store each large table of embeddings in 8 bits, with a scale per row.

    ONNX Runtime would take one scale for a whole table, which costs accuracy. A row's own largest value bounds its
    rounding error: at most 1/254 of that value.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    tables = {each.name: each for each in graph.initializer if len(each.dims) == 2 and math.prod(each.dims) > _SMALL}
    nodes = []
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.data_type != onnx.TensorProto.FLOAT or _axis(node) != 0:
            nodes.append(node)
            continue
        name, rows = table.name, node.input[1]
        if table in graph.initializer:
            values = numpy_helper.to_array(table)
            scale = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-12).astype(np.float32) / 127
            small = np.rint(values / scale).astype(np.int8)
            graph.initializer.remove(table)
            graph.initializer.append(numpy_helper.from_array(small, f"{name}_int8"))
            graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        at = f"{node.output[0]}_"
        nodes += [
            helper.make_node("Gather", [f"{name}_int8", rows], [f"{at}int8"], axis=0),
            helper.make_node("Cast", [f"{at}int8"], [f"{at}float"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}_scale", rows], [f"{at}scale"], axis=0),
            helper.make_node("Mul", [f"{at}float", f"{at}scale"], [node.output[0]]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _axis(node: Any) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 0)
