"""Digests of parameters and data, which are the same in every process."""

import functools
import types
from collections.abc import Mapping
from contextlib import suppress
from numbers import Integral, Real
from typing import Any

import joblib
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import Tensor, nn

from skdim.inputs import ArraySamples, Samples, StreamSamples

# Parameters without influence on the results; the number of epochs is hashed separately.
OMITTED = ("callbacks", "checkpoint_dir", "checkpoint_every", "device", "max_epochs", "verbose")

# Samples of a stream that are hashed.
N_READ = 64

# Bytes of an array that are hashed at once.
BLOCK = 1 << 24

# Numbers and strings.
PRIMITIVES = (types.NoneType, np.bool_, Real, str, bytes, complex)

# Python may merge equal constants of these types into one object, depending on compilation.
CONSTANT = (tuple, frozenset, types.CodeType)

# Numbers of objects by their ids, and the objects, so that no id is used twice.
Visited = dict[int, tuple[int, Any]]


def describe_training(
    estimator: Any, rows: Samples, epochs: int, seed: int
) -> tuple[str, dict[str, Any]]:
    """Return the fingerprint of a training, and its description by parameters and data."""
    parameters = describe_parameters(estimator)
    data = describe_data(rows, getattr(estimator, "classes_", None))
    # Otherwise the learning rate of each step depends on the number of epochs.
    is_constant = estimator.schedule == "constant" and epochs > 0
    is_drawn = isinstance(estimator.random_state, np.random.RandomState)
    name = [parameters, data, seed if is_drawn else None, None if is_constant else epochs]
    return fingerprint(name), {"parameters": parameters, "data": data}


def fingerprint(value: object) -> str:
    """Return a digest of an object and its contents, of 16 hexadecimal digits."""
    return sha1_of(simplified(value, {}))[:16]


def sha1_of(value: object) -> str:
    """Return the SHA-1 of strings, arrays and lists of them."""
    return str(joblib.hash(value, hash_name="sha1"))


def describe_parameters(estimator: BaseEstimator) -> dict[str, str]:
    """Describe the class and the parameters of an estimator.

    Numbers, strings and containers of them are described by their values, other objects by their
    types and digests: of the weights of modules, the code of functions, or attributes.
    """
    parameters = estimator.get_params(deep=False)
    described = {name: text_of(value) for name, value in parameters.items() if name not in OMITTED}
    if isinstance(estimator.random_state, np.random.RandomState):
        # Its state changes with each fit; the seed that was drawn is hashed instead.
        described["random_state"] = "a RandomState"
    return {"estimator": type(estimator).__qualname__} | described


def text_of(value: object) -> str:
    """Describe one parameter."""
    if isinstance(value, PRIMITIVES):
        return text_of_primitive(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(text_of, value))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {text_of(value[name])}" for name in value) + "}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{name} ({fingerprint(value)})"


def text_of_primitive(value: object) -> str:
    """Describe a number or a string; equal numbers of any types have equal descriptions."""
    if isinstance(value, bool | np.bool_):
        return repr(bool(value))
    if isinstance(value, Integral):
        return repr(int(value))
    if isinstance(value, Real):
        number = float(value)
        return repr(int(number)) if number.is_integer() else repr(number)
    return repr(value)


def simplified(value: object, visited: Visited) -> Any:
    """Reduce an object to strings, lists and arrays, for equal joblib hashes in all processes.

    joblib hashes pickles. Those of tensors differ between processes, and functions and classes of a
    script cannot be pickled.
    """
    if isinstance(value, PRIMITIVES):
        return text_of_primitive(value)
    if not isinstance(value, CONSTANT):
        if id(value) in visited:
            return ["again", visited[id(value)][0]]
        visited[id(value)] = len(visited), value
    parts: Any
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        parts = np.ascontiguousarray(value)
    elif isinstance(value, set | frozenset):
        parts = sorted(sha1_of(simplified(part, dict(visited))) for part in value)
    else:
        parts = [simplified(part, visited) for part in contents_of(value)]
    return [type(value).__module__, type(value).__qualname__, parts]


def contents_of(value: object) -> list[Any]:
    """Return the contents of an object that determine its digest.

    For functions, these are code, defaults and closure, without objects of global names. Hooks of
    modules are ignored, since torch numbers them in the order of creation.
    """
    match value:
        case torch.Generator():
            return [value.get_state()]
        case Tensor():
            # NumPy does not have all dtypes of torch.
            flat = value.detach().cpu().contiguous().flatten()
            return [str(value.dtype), tuple(value.shape), flat.view(torch.uint8).numpy()]
        case types.MethodType():
            return [value.__func__, value.__self__]
        case type() | types.BuiltinFunctionType():
            return [str(value.__module__), value.__qualname__]
        case types.FunctionType():
            name = [str(value.__module__), value.__qualname__]
            defaults = [value.__defaults__, value.__kwdefaults__]
            return [*name, value.__code__, *defaults, *closure_of(value)]
        case functools.partial():
            return [value.func, value.args, value.keywords]
        case types.CodeType():
            return [value.co_code, value.co_names, value.co_consts]
        case Mapping():
            return [part for pair in value.items() for part in pair]
        case tuple() | list() | np.ndarray():
            return list(value)
        case _:
            return [state_of(value)]


def closure_of(function: types.FunctionType) -> list[Any]:
    """Return the values of the free variables of a function."""
    contents = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # The cell may be empty.
            contents.append(cell.cell_contents)
    return contents


def state_of(value: object) -> Any:
    """Return the attributes and slots of an object, or its ``repr`` where it has none."""
    if isinstance(value, nn.Module):
        return {name: part for name, part in vars(value).items() if "_hook" not in name}
    # Addresses differ between processes.
    return object.__getstate__(value) or ("" if " at 0x" in repr(value) else repr(value))


def describe_data(rows: Samples, classes: NDArray[Any] | None) -> dict[str, str]:
    """Describe the training data; the labels of the rows are indices of ``classes``.

    Arrays are read completely, and some samples of streams. The content of a stream is ignored if
    its samples are random.
    """
    labels = rows.labels
    n, n_looks, rows = len(rows), rows.n_looks, rows.single()
    if isinstance(rows, ArraySamples):
        kind = rows.dtype if rows.convert is None else rows.array.dtype
        dtype, content = str(kind), digest_rows(rows.array, kind)
    else:
        assert isinstance(rows, StreamSamples)
        dtype, content = digest_samples(rows, n_looks * N_READ)
    described = {
        "the number of samples": str(n) if n_looks == 1 else f"{n}, of {n_looks} looks each",
        "the shape of a sample": str(tuple(rows.layout.shape)),
        "the dtype of X": dtype,
        "the content of X": content,
    }
    if classes is not None:
        described["the labels y"] = fingerprint([classes.tolist(), labels])
    return described


def digest_rows(array: NDArray[Any], dtype: np.dtype[Any] | None = None) -> str:
    """Return a digest of an array in a dtype, in blocks, since memory maps may exceed memory."""
    dtype = dtype or array.dtype
    step = max(1, BLOCK // max(1, array[:1].nbytes))
    blocks = (array[start : start + step] for start in range(0, len(array), step))
    return fingerprint([sha1_of(np.ascontiguousarray(block, dtype)) for block in blocks])


def digest_samples(rows: StreamSamples, n_read: int) -> tuple[str, str]:
    """Return the dtype and a digest of some samples of a stream, spread over all of it."""
    n = len(rows)
    numbers = np.unique(np.linspace(0, n - 1, min(n, n_read)).astype(np.intp))
    first, second = (rows.data.read(numbers).numpy() for _ in range(2))
    same = first.dtype == second.dtype and np.array_equal(first, second)
    return str(first.dtype), digest_rows(first) if same else "drawn anew each time"
