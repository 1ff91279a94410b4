"""Nested dicts, lists and tuples of tensors and plain values, as JSON and tensors by name."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from skdim.parameters import shown
from skdim.saving.plain import StoredTensor, decode, encode

__all__ = ["flatten", "mapped", "unflatten"]


def mapped(value: object, change: Callable[[Any, str], Any], name: str = "") -> Any:
    """Change the leaves of nested dicts, lists and tuples.

    Parameters
    ----------
    value : object
    change : callable
        ``(leaf, name) -> leaf``; the name is made of all keys and positions, joined by dots.
    name : str, default=""
        Of ``value`` itself.
    """
    start = name and f"{name}."
    if isinstance(value, Mapping):
        return {key: mapped(part, change, f"{start}{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [mapped(part, change, f"{start}{place}") for place, part in enumerate(value)]
        return parts if isinstance(value, list) else tuple(parts)
    return change(value, name)


def flatten(value: object) -> tuple[Any, dict[str, Tensor]]:
    """Return a nested value as what JSON can hold, and its tensors by name.

    Parameters
    ----------
    value : object
        Dicts, lists and tuples of tensors and what ``encode`` takes.

    Raises
    ------
    NotPlainError
        If it holds anything else.
    """
    tensors: dict[str, Tensor] = {}

    def store(leaf: object, name: str) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        while name in tensors:  # Keys may have dots of their own.
            name += "_"
        tensors[name] = leaf
        if leaf.is_contiguous():
            return StoredTensor(name)
        strides = leaf.stride()
        return StoredTensor(name, tuple(sorted(range(leaf.ndim), key=lambda axis: -strides[axis])))

    return encode(mapped(value, store)), tensors


def unflatten(said: object, tensors: Mapping[str, Tensor]) -> Any:
    """Return the nested value that ``flatten`` was given.

    Raises
    ------
    ValueError
        If it was not encoded by ``flatten``, or a tensor is missing or superfluous.
    """
    unused = set(tensors)

    def fetch(leaf: object, name: str) -> Any:
        if not isinstance(leaf, StoredTensor):
            return leaf
        tensor = tensors[leaf.name]
        unused.discard(leaf.name)
        if not leaf.order:
            return tensor
        inverse = torch.tensor(leaf.order).argsort().tolist()
        return tensor.permute(leaf.order).contiguous().permute(inverse)

    try:
        value = mapped(decode(said), fetch)
    except (LookupError, TypeError, RuntimeError) as error:
        raise ValueError(f"it does not hold what its header refers to: {shown(error)}") from error
    # What is not nested is for the caller to refuse.
    if unused and isinstance(value, dict | list | tuple):
        raise ValueError(f"its header does not refer to the tensors {shown(sorted(unused))}")
    return value
