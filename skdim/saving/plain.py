"""Values in plain words, that JSON can hold: numbers, names, our small objects, nests of them.

What is decoded is built from fixed tables of this package: a file can name nothing else. So a
file never executes anything, and all else a user gives (callables, modules) is given again.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skdim import bounds, critics, encoders, objectives, priors, views
from skdim.inputs import Layout
from skdim.parameters import cut, shown

__all__ = ["NotPlainError", "decode", "encode", "flatten", "mapped", "unflatten"]


class NotPlainError(TypeError):
    """A value has no form in plain words."""


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """Reference to a tensor of the same file."""

    name: str
    # Its axes from the largest stride to the smallest; none if it is contiguous. Results depend on
    # the order, since vectors of the processor add up other numbers.
    order: tuple[int, ...] = ()


def named_callables() -> dict[str, Any]:
    """Collect the classes and functions that a file may name."""
    offered = [getattr(room, name) for room in (critics, encoders) for name in room.__all__]
    networks = [kind for kind in offered if inspect.isclass(kind) and issubclass(kind, nn.Module)]
    maps: list[Any] = [
        *(part for prior in priors.PRIORS.values() for part in (prior.squash, prior.sample)),
        *(prior.unsquash for prior in priors.PRIORS.values() if prior.unsquash is not None),
        *(part for bound in bounds.BOUNDS.values() for part in (bound.anchors, bound.total)),
    ]
    optimizers = {
        f"torch.optim.{name}": kind
        for name, kind in vars(torch.optim).items()
        if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)
    }
    factories = (critics.keras_discriminator,)
    return {known.__name__: known for known in (*networks, *factories, *maps)} | optimizers


# What the tables hold is all that a file can name.
CALLABLES: dict[str, Any] = named_callables()
DATACLASSES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *(Layout, bounds.Bound, priors.Prior),
        *(views.Augment, views.Distort, views.Identity, views.Mirror),
        *(views.Occlude, views.Stretch),
    )
}
OBJECTIVES: dict[str, type[objectives.AbstractObjective]] = {
    name: kind
    for name in objectives.__all__
    if inspect.isclass(kind := getattr(objectives, name))
    and issubclass(kind, objectives.AbstractObjective)
    and kind is not objectives.AbstractObjective
}
# Strings, whole numbers, floats and truth values: no objects.
KINDS_OF_ARRAYS = "Uiufb"


def encode(value: object) -> Any:
    """Put a value in plain words: None, bool, int, finite float, str, and lists and dicts of these.

    A dict has one key, which says what it holds. NotPlainError is raised for all that FORMS,
    CALLABLES and DATACLASSES do not hold.
    """
    is_finite = type(value) is float and math.isfinite(value)
    if is_finite or value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if type(value) is list:
        return [encode(part) for part in value]
    for tag, (kind, say, _) in FORMS.items():
        if isinstance(value, kind):
            return {tag: say(value)}
    for name, known in CALLABLES.items():
        if value is known:
            return {"callable": name}
    if DATACLASSES.get(type(value).__name__) is type(value):
        names = [field.name for field in dataclasses.fields(value)]  # type: ignore[arg-type]
        fields = encode_named({name: getattr(value, name) for name in names})
        return {"object": {"class": type(value).__name__, "fields": fields}}
    raise NotPlainError(
        f"{shown(value)} of type {type(value).__name__} has no form in plain words."
    )


def decode(said: object) -> Any:
    """Decode what ``encode`` returned; raise a ValueError for all else."""
    if isinstance(said, list):
        return [decode(part) for part in said]
    if not isinstance(said, dict):
        return said
    if len(said) != 1:
        raise ValueError(f"it holds {shown(said)}, which is no value")
    ((tag, inner),) = said.items()
    if tag not in FORMS:
        raise ValueError(f"it holds a value of the unknown kind {shown(tag)}")
    try:
        return FORMS[tag][2](inner)
    except (LookupError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"it holds {shown(said)}, which is no {tag}: {cut(str(error))}") from error


def decode_named(said: Mapping[str, Any]) -> dict[str, Any]:
    """Read values by their names."""
    return {name: decode(part) for name, part in said.items()}


def encode_named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put values in plain words, by their names."""
    return {name: encode(part) for name, part in values.items()}


def encode_objective(value: objectives.AbstractObjective) -> dict[str, Any]:
    """Describe one of our own objectives by its parameters."""
    if OBJECTIVES.get(type(value).__name__) is not type(value):
        raise NotPlainError(f"{shown(value)} is not an objective of skdim.")
    return {
        "class": type(value).__name__,
        "parameters": encode_named(value.get_params(deep=False)),
    }


def encode_partial(value: "partial[Any]") -> dict[str, Any]:
    """Put a partial call of one of our classes in plain words."""
    return {
        "of": encode(value.func),
        "args": encode(list(value.args)),
        "keywords": encode_named(value.keywords),
    }


def decode_partial(said: Mapping[str, Any]) -> "partial[Any]":
    """Build a partial call of one of our classes."""
    func = decode(said["of"])
    if not callable(func):
        raise TypeError(f"{shown(func)} cannot be called")
    return partial(func, *decode(said["args"]), **decode_named(said["keywords"]))


def encode_array(value: NDArray[Any]) -> dict[str, Any]:
    """Put an array of numbers or strings in plain words; names of columns are dtype object."""
    if value.dtype == object and all(type(part) is str for part in value.tolist()):
        return {"dtype": "object", "values": value.tolist()}
    if value.dtype.kind not in KINDS_OF_ARRAYS:
        raise NotPlainError(f"an array of dtype {value.dtype} has no form in plain words.")
    return {"dtype": value.dtype.str, "values": encode(value.tolist())}


def decode_array(said: Mapping[str, Any]) -> Any:
    """Build an array of numbers or strings."""
    values = decode(said["values"])
    if said["dtype"] == "object":
        if not all(type(part) is str for part in values):
            raise TypeError("an array of objects holds strings only")
        return np.array(values, dtype=object)
    dtype = np.dtype(str(said["dtype"]))
    if dtype.kind not in KINDS_OF_ARRAYS:
        raise TypeError(f"dtype {dtype} is not allowed")
    array = np.array(values)
    # Strings are given room by their own length, never by what a file says.
    return array if dtype.kind == "U" else array.astype(dtype)


def encode_random_state(value: np.random.RandomState) -> Any:
    """Put where a RandomState stands in plain words."""
    state: Any = value.get_state(legacy=False)
    inner = {name: np.asarray(part).tolist() for name, part in state["state"].items()}
    return {
        "generator": state["bit_generator"],
        "state": inner,
        "has_gauss": state["has_gauss"],
        "gauss": state["gauss"],
    }


def decode_random_state(said: Mapping[str, Any]) -> np.random.RandomState:
    """Build a RandomState of NumPy's own kind."""
    if said["generator"] != "MT19937":
        raise TypeError("a RandomState is of the kind MT19937")
    random_state = np.random.RandomState(0)
    keys = np.array(said["state"]["key"], dtype=np.uint32)
    position = int(said["state"]["pos"])
    if not 0 <= position <= len(keys):
        raise TypeError(f"position {position} is outside the state")
    random_state.set_state(
        ("MT19937", keys, position, int(said["has_gauss"]), float(said["gauss"]))
    )
    return random_state


def decode_float(said: str) -> float:
    """Read a number that is not finite."""
    if said not in ("nan", "inf", "-inf"):
        raise TypeError("finite numbers stand for themselves")
    return float(said)


Form = tuple[type, Callable[[Any], Any], Callable[[Any], Any]]

# How each kind of value is put in words, and read from them; "float", "object" and "callable" are
# chosen by hand in ``encode``, whatever their type.
FORMS: dict[str, Form] = {
    "tuple": (tuple, lambda v: [encode(part) for part in v], lambda s: tuple(map(decode, s))),
    "dict": (
        dict,
        lambda v: [[encode(k), encode(p)] for k, p in v.items()],
        lambda s: {decode(k): decode(p) for k, p in s},
    ),
    "array": (np.ndarray, encode_array, decode_array),
    "partial": (partial, encode_partial, decode_partial),
    "objective": (
        objectives.AbstractObjective,
        encode_objective,
        lambda s: OBJECTIVES[s["class"]](**decode_named(s["parameters"])),
    ),
    "device": (torch.device, str, torch.device),
    "tensor": (
        StoredTensor,
        lambda v: [v.name, *v.order],
        lambda s: StoredTensor(s[0], tuple(s[1:])),
    ),
    "path": (PurePath, str, lambda s: type(PurePath())(s)),
    "random_state": (np.random.RandomState, encode_random_state, decode_random_state),
    "float": (type(None), str, decode_float),
    # Dataclasses check their fields themselves.
    "object": (
        type(None),
        str,
        lambda s: DATACLASSES[s["class"]](**decode_named(s["fields"])),
    ),
    "callable": (type(None), str, lambda s: CALLABLES[s]),
}


def mapped(value: object, change: Callable[[Any, str], Any], name: str = "") -> Any:
    """Change the leaves of nested dicts, lists and tuples by ``change(leaf, name)``.

    The name is made of all keys and positions, joined by dots; ``name`` is that of ``value``.
    """
    start = name and f"{name}."
    if isinstance(value, Mapping):
        return {key: mapped(part, change, f"{start}{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [mapped(part, change, f"{start}{place}") for place, part in enumerate(value)]
        return parts if isinstance(value, list) else tuple(parts)
    return change(value, name)


def flatten(value: object) -> tuple[Any, dict[str, Tensor]]:
    """Return a nest of tensors and what ``encode`` takes as what JSON can hold, and its tensors."""
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
    """Return what ``flatten`` was given; raise a ValueError if a tensor is missing or left over."""
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
