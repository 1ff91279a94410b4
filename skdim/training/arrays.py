"""Nested tensors as arrays, which need no torch to be read, and back."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_arrays", "as_tensors", "mapped"]


def as_arrays(value: Any) -> Any:
    """Give the tensors in nested dicts and lists as arrays on the CPU, all else as it is.

    Raises
    ------
    TypeError
        If NumPy lacks the type of one.
    """
    return mapped(value, lambda v: v.detach().cpu().numpy() if isinstance(v, Tensor) else v)


def as_tensors(value: Any) -> Any:
    """Give the arrays in nested dicts and lists as tensors of their own, all else as it is."""
    return mapped(value, lambda v: torch.tensor(v) if isinstance(v, np.ndarray) else v)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change the leaves of nested dicts and lists."""
    if isinstance(value, Mapping):
        return {name: mapped(part, change) for name, part in value.items()}
    if isinstance(value, list):
        return [mapped(part, change) for part in value]
    return change(value)
