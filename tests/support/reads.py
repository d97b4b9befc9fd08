"""Notes which operations need a value of a tensor: on a GPU each waits until everything before it is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_OPERATIONS = {
    "_local_scalar_dense",
    "is_nonzero",
    "equal",
    "masked_select",
    "nonzero",
    "unique",
    "_unique2",
    "bincount",
}
_METHODS = ("tolist", "numpy", "__array__", "cpu")
"""Methods that copy values into main memory; on a processor no operation is needed for that."""


class operations_noted(TorchDispatchMode):
    """Within the context, append to ``found`` the name of each operation on tensors for which ``chosen`` is true."""

    def __init__(self, found: list[str], chosen: Callable[[str, Any, Any], bool] = lambda *_: True) -> None:
        super().__init__()
        self._found, self._chosen = found, chosen

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if self._chosen(func.overloadpacket.__name__, args, kwargs or {}):
            self._found.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def _needs_a_value(name: str, args: Any, kwargs: Any) -> bool:
    if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return any(index is not None and index.dtype == torch.bool for index in args[1])
    return name in _OPERATIONS or (name == "repeat_interleave" and kwargs.get("output_size") is None)


@contextmanager
def reads_noted(found: list[str]) -> Iterator[None]:
    """Within the context, append to ``found`` the name of each operation or method that needs a tensor's value."""

    def noting(name: str) -> Callable[..., Any]:
        method = getattr(torch.Tensor, name)

        def noted(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            found.append(name)
            return method(self, *args, **kwargs)

        return noted

    methods = patch.multiple(torch.Tensor, **{name: noting(name) for name in _METHODS})
    with methods, operations_noted(found, _needs_a_value):
        yield
