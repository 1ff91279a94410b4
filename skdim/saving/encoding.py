"""Encode values as JSON: numbers, strings, objects of skdim, and containers of them.

Decoding builds objects of fixed tables only, so that a file cannot name anything else and is never
executed. Other values of users (callables, modules) must be passed again on loading.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skdim import bounds, critics, encoders, objectives, priors, views
from skdim.inputs import Layout
from skdim.parameters import cut, shown


class EncodeError(TypeError):
    """A value cannot be encoded."""


@dataclass(frozen=True)
class StoredTensor:
    """Reference to a tensor of the same file."""

    name: str
    # Its axes from the largest stride to the smallest; empty if it is contiguous. Results depend
    # on this order, in which vectorized sums are computed.
    order: tuple[int, ...] = ()


def classes_in(package: ModuleType, base: type) -> dict[str, Any]:
    """Return the classes of a package that are derived from another, by their names."""
    return {
        name: kind
        for name, kind in vars(package).items()
        if inspect.isclass(kind) and issubclass(kind, base) and kind is not base
    }


# All classes and functions that a file can name.
OBJECTIVES = classes_in(objectives, objectives.AbstractObjective)
DATACLASSES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Layout, bounds.Bound, priors.Prior),
        *(views.Augment, views.Distort, views.Identity, views.Mirror),
        *(views.Occlude, views.Stretch),
    )
}
FUNCTIONS: list[Any] = [
    critics.keras_discriminator,
    *(part for prior in priors.PRIORS.values() for part in (prior.squash, prior.sample)),
    *(prior.unsquash for prior in priors.PRIORS.values() if prior.unsquash is not None),
    *(part for bound in bounds.BOUNDS.values() for part in (bound.anchors, bound.total)),
]
CALLABLES: dict[str, Any] = {
    **classes_in(critics, nn.Module),
    **classes_in(encoders, nn.Module),
    **{function.__name__: function for function in FUNCTIONS},
    **{
        f"torch.optim.{name}": kind
        for name, kind in classes_in(torch.optim, torch.optim.Optimizer).items()
    },
}
# Largest position in the state of the Mersenne Twister.
MAX_POSITION = 624


def encode(value: object) -> Any:
    """Return a value as None, bool, int, finite float, str, and lists and dicts of these.

    A dict has one key, the type of the value: see ``ENCODINGS``. EncodeError is raised for all else
    and for classes and functions that are not in the tables above.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, float | np.floating) and math.isfinite(value):
        return float(value)
    if type(value) is list:
        return [encode(part) for part in value]
    for tag, (kinds, encode_value, _) in ENCODINGS.items():
        if isinstance(value, kinds):
            return {tag: encode_value(value)}
    raise EncodeError(f"{shown(value)} of type {type(value).__name__} cannot be encoded.")


def decode(encoded: object) -> Any:
    """Return the value of a result of ``encode``; raise a ValueError for all else."""
    if isinstance(encoded, list):
        return [decode(part) for part in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if len(encoded) != 1 or not encoded.keys() <= ENCODINGS.keys():
        raise ValueError(f"It holds {shown(encoded)}, which is of an unknown type")
    ((tag, content),) = encoded.items()
    try:
        return ENCODINGS[tag][2](content)
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"It holds {shown(encoded)}, which is not a valid {tag}: {cut(str(error))}"
        ) from error


def encode_named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Encode the values of a dict."""
    return {name: encode(part) for name, part in values.items()}


def decode_named(encoded: Mapping[str, Any]) -> dict[str, Any]:
    """Decode the values of a dict."""
    return {name: decode(part) for name, part in encoded.items()}


def name_in(table: Mapping[str, Any], value: object) -> str:
    """Return the name of a class or function; raise an EncodeError if it is not in the table."""
    for name, known in table.items():
        if value is known:
            return name
    raise EncodeError(f"{shown(value)} cannot be encoded: it is not a part of skdim.")


def encode_array(value: NDArray[Any]) -> dict[str, Any]:
    """Encode an array of numbers or strings; names of columns have the dtype object."""
    values, dtype = value.tolist(), value.dtype
    if not is_allowed(dtype, values):
        raise EncodeError(f"An array of dtype {dtype} cannot be encoded.")
    return {"dtype": "object" if dtype.hasobject else dtype.str, "values": encode(values)}


def decode_array(encoded: Mapping[str, Any]) -> NDArray[Any]:
    """Build an array of numbers or strings."""
    values, dtype = decode(encoded["values"]), np.dtype(str(encoded["dtype"]))
    if not is_allowed(dtype, values):
        raise TypeError(f"dtype {dtype} is not allowed for these values")
    # Strings take the memory of their own length, never of what a file states.
    return np.array(values, dtype="U" if dtype.kind == "U" else dtype)


def is_allowed(dtype: np.dtype[Any], values: Any) -> bool:
    """Whether an array is of numbers, booleans or strings."""
    if dtype.hasobject:
        return all(type(value) is str for value in values)
    return dtype.kind in "Uiufb"


def encode_random_state(value: np.random.RandomState) -> dict[str, Any]:
    """Encode the state of a RandomState of NumPy's default kind."""
    state: Any = value.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise EncodeError("A RandomState of another kind than MT19937 cannot be encoded.")
    inner = {"key": state["state"]["key"].tolist(), "pos": state["state"]["pos"]}
    gauss = {"has_gauss": state["has_gauss"], "gauss": state["gauss"]}
    return {"generator": "MT19937", "state": inner, **gauss}


def decode_random_state(encoded: Mapping[str, Any]) -> np.random.RandomState:
    """Build a RandomState."""
    key, position = encoded["state"]["key"], encoded["state"]["pos"]
    # NumPy would read beyond the state.
    if not 0 <= position <= MAX_POSITION:
        raise TypeError(f"position {position} is outside the state")
    random_state = np.random.RandomState(0)
    random_state.set_state(
        (encoded["generator"], key, position, encoded["has_gauss"], encoded["gauss"])
    )
    return random_state


# For each type of value: its classes, how it is encoded, and how it is decoded.
ENCODINGS: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "float": ((float, np.floating), lambda v: str(float(v)), float),
    "tuple": (tuple, lambda v: [encode(part) for part in v], lambda e: tuple(map(decode, e))),
    "dict": (
        dict,
        lambda v: [[encode(key), encode(part)] for key, part in v.items()],
        lambda e: {decode(key): decode(part) for key, part in e},
    ),
    "array": (np.ndarray, encode_array, decode_array),
    "partial": (
        partial,
        lambda v: {
            "of": encode(v.func),
            "args": encode(list(v.args)),
            "keywords": encode_named(v.keywords),
        },
        lambda e: partial(decode(e["of"]), *decode(e["args"]), **decode_named(e["keywords"])),
    ),
    "objective": (
        objectives.AbstractObjective,
        lambda v: {
            "class": name_in(OBJECTIVES, type(v)),
            "parameters": encode_named(v.get_params(deep=False)),
        },
        lambda e: OBJECTIVES[e["class"]](**decode_named(e["parameters"])),
    ),
    "device": (torch.device, str, torch.device),
    "tensor": (
        StoredTensor,
        lambda v: [v.name, *v.order],
        lambda e: StoredTensor(e[0], tuple(e[1:])),
    ),
    "random_state": (np.random.RandomState, encode_random_state, decode_random_state),
    # Dataclasses check their fields themselves.
    "object": (
        tuple(DATACLASSES.values()),
        lambda v: {"class": name_in(DATACLASSES, type(v)), "fields": encode_named(vars(v))},
        lambda e: DATACLASSES[e["class"]](**decode_named(e["fields"])),
    ),
    "callable": (Callable, lambda v: name_in(CALLABLES, v), CALLABLES.__getitem__),
}


def mapped(value: object, change: Callable[[Any, str], Any], name: str = "") -> Any:
    """Change the leaves of nested dicts, lists and tuples by ``change(leaf, name)``.

    The name of a leaf is ``name``, its keys and positions, joined by dots.
    """
    start = name and f"{name}."
    if isinstance(value, Mapping):
        return {key: mapped(part, change, f"{start}{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [mapped(part, change, f"{start}{place}") for place, part in enumerate(value)]
        return parts if isinstance(value, list) else tuple(parts)
    return change(value, name)


def flatten(value: object) -> tuple[Any, dict[str, Tensor]]:
    """Encode nested values and tensors; return the result and its tensors by their names."""
    tensors: dict[str, Tensor] = {}

    def store(leaf: object, name: str) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        while name in tensors:  # Keys may have dots.
            name += "_"
        tensors[name] = leaf
        if leaf.is_contiguous():
            return StoredTensor(name)
        strides = leaf.stride()
        return StoredTensor(name, tuple(sorted(range(leaf.ndim), key=lambda axis: -strides[axis])))

    return encode(mapped(value, store)), tensors


def unflatten(encoded: object, tensors: Mapping[str, Tensor]) -> Any:
    """Invert ``flatten``; raise a ValueError if a tensor is missing or unused."""
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
        value = mapped(decode(encoded), fetch)
    except (LookupError, TypeError, RuntimeError) as error:
        raise ValueError(f"It does not hold what its header refers to: {shown(error)}") from error
    if unused:
        raise ValueError(f"Its header does not refer to the tensors {shown(sorted(unused))}")
    return value
