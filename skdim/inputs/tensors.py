"""Arrays of the numbers of tensors."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_plain"]

# Floats that NumPy has.
FLOATS = (torch.float16, torch.float32, torch.float64)


def as_plain(value: Any, what: str) -> Any:
    """Return a tensor, of any device, as an array, and all else as it is.

    Parameters
    ----------
    value : object
    what : str
        What messages call it.

    Raises
    ------
    TypeError
        If it is a masked array, or a tensor that is not dense or has no numbers in memory.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{what} is a masked array, but masks are not supported. Remove the masked rows, or "
            "fill the masked entries: array.filled(value)."
        )
    if not isinstance(value, Tensor):
        return value
    kinds = {
        "nested": value.is_nested,
        "on the meta device": value.is_meta,
        "quantized": value.is_quantized,
        # Nested tensors have no layout.
        "sparse": not value.is_nested and value.layout is not torch.strided,
    }
    wrong = [kind for kind, holds in kinds.items() if holds]
    if wrong:
        raise TypeError(
            f"{what} is a tensor that is {wrong[0]}. It must be dense, with its numbers in memory."
        )
    value = value.detach().cpu().resolve_conj().resolve_neg()
    if value.is_floating_point() and value.dtype not in FLOATS:
        value = value.float()
    return value.numpy()
