"""Writes a network as an ONNX graph for any batch size and any number of tokens."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

from featherweight.errors import UserError
from featherweight.hints import flag
from featherweight.model.network import Network

_LARGEST = 2**31
"""Bytes of an ONNX file, a limit of its format."""


def write_onnx(network: Network, path: Path, *, token_types: bool) -> None:
    """Write ``network`` (merged, fp32, in transformers' classes) to ``path``.

    Inputs are ``input_ids`` and ``attention_mask``, int64 [batch, tokens], and ``token_type_ids`` if ``token_types``;
    the output is ``logits``, float32 [batch, labels]. ``torch.export`` makes the graph, with batch size and length as
    variables: so MPNet's relative position bias is computed for each length, and not stored for a single length.
    """
    if sum(parameter.numel() * 4 for parameter in network.parameters()) >= _LARGEST:
        raise UserError(f"the model is larger than 2 GB, the limit of an ONNX file; use {flag('--to', 'merged')}")
    network.base_model().set_attn_implementation("eager")
    wrapped = (_WithTypes if token_types else _WithoutTypes)(network).eval()
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if token_types else [])]
    # Two rows of nine tokens: a size of one would be taken for a constant.
    example = (torch.full((2, 9), 5), torch.ones(2, 9, dtype=torch.int64), torch.zeros(2, 9, dtype=torch.int64))
    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    with _silent(), torch.no_grad():
        program = torch.onnx.export(
            wrapped,
            example[: len(names)],
            dynamo=True,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes=dict.fromkeys(names, free),
            external_data=False,
            verbose=False,
        )
        assert program is not None
        program.save(str(path), external_data=False)


class _WithoutTypes(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.network(input_ids, attention_mask)


class _WithTypes(_WithoutTypes):
    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:  # type: ignore[override]
        return self.network(input_ids, attention_mask, None, token_type_ids)


@contextmanager
def _silent() -> Iterator[None]:
    """Within the context, torch.onnx prints no progress and no hints on optional packages."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
