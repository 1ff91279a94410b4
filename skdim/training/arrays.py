"""Nested tensors as arrays, which need no torch to be read, and back."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["as_arrays", "as_tensors", "mapped", "mean_of", "on_cpu"]


def as_arrays(value: Any) -> Any:
    """Return the tensors in nested dicts and lists as arrays on the CPU, all else as it is.

    Raises
    ------
    TypeError
        If NumPy lacks the type of one.
    """
    return mapped(value, lambda v: v.detach().cpu().numpy() if isinstance(v, Tensor) else v)


def as_tensors(value: Any) -> Any:
    """Return the arrays in nested dicts and lists as tensors of their own, all else as it is."""
    return mapped(value, lambda v: torch.tensor(v) if isinstance(v, np.ndarray) else v)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change the leaves of nested dicts and lists."""
    if isinstance(value, Mapping):
        return {name: mapped(part, change) for name, part in value.items()}
    if isinstance(value, list):
        return [mapped(part, change) for part in value]
    return change(value)


def on_cpu(value: Any) -> Any:
    """Return tensors on the CPU, all else as it is."""
    return value.detach().cpu() if isinstance(value, Tensor) else value


def mean_of(steps: list[dict[str, Tensor]], sizes: list[int]) -> dict[str, float]:
    """Average what the batches of an epoch gave, numbers by batch sizes: one read for all."""
    columns = {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
    first = next(iter(columns.values()))
    weights = torch.tensor(sizes, dtype=first.dtype, device=first.device)
    ratios = [
        # What has two entries brings its own weights: a sum and a count.
        column.sum(dim=0) if column.ndim == 2 else torch.stack([weights @ column, weights.sum()])
        for column in columns.values()
    ]
    sums, counts = torch.stack(ratios).unbind(dim=1)
    return dict(zip(columns, (sums / counts).tolist(), strict=True))
