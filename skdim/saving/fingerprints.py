"""Digests of parameters and data that are the same in every process."""

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

__all__ = ["describe_data", "describe_parameters", "fingerprint"]

# Parameters on which the outcome does not depend, or, for max_epochs, not by its name.
LEFT_OUT = ("callbacks", "checkpoint_dir", "checkpoint_every", "device", "max_epochs", "verbose")

# How many samples of a stream are read, in this process.
N_READ = 64

# Bytes of an array that are read at once.
BLOCK = 1 << 24

# Whether two equal ones are the same object depends on how the code was compiled and read.
CONSTANT = (tuple, frozenset, types.CodeType)

# Met objects by their ids, with their numbers; kept, so that no id is given to another one.
Met = dict[int, tuple[int, Any]]


def fingerprint(value: object) -> str:
    """Return a digest of an object and of all that it is made of, of 16 hexadecimal digits."""
    return sha1_of(simplified(value, {}))[:16]


def sha1_of(value: object) -> str:
    """Return the SHA-1 of texts, arrays and lists of them."""
    return str(joblib.hash(value, hash_name="sha1"))


def describe_parameters(estimator: BaseEstimator) -> dict[str, str]:
    """Describe the class and the parameters of an estimator.

    Numbers, names and sequences of them are shown as they are; of everything else, its type and a
    digest: of the weights of modules, the code of functions, the attributes of other objects.
    """
    parameters = estimator.get_params(deep=False)
    described = {name: text_of(value) for name, value in parameters.items() if name not in LEFT_OUT}
    if isinstance(estimator.random_state, np.random.RandomState):
        # It changes with each fit: a training that is resumed has the seed of its beginning.
        described["random_state"] = "a RandomState"
    return {"estimator": type(estimator).__qualname__} | described


def text_of(value: object) -> str:
    """Describe one parameter."""
    if is_plain(value):
        return plain_text(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(text_of, value))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {text_of(value[name])}" for name in value) + "}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return f"{name} ({fingerprint(value)})"


def is_plain(value: object) -> bool:
    """Whether a value is a number, a text or None."""
    return value is None or isinstance(value, bool | np.bool_ | Real | str | bytes | complex)


def plain_text(value: object) -> str:
    """Describe a number or a name; equal numbers alike, of whatever type."""
    if isinstance(value, bool | np.bool_):
        return repr(bool(value))
    if isinstance(value, Integral):
        return repr(int(value))
    if isinstance(value, Real):
        number = float(value)
        return repr(int(number)) if number.is_integer() else repr(number)
    return repr(value)


def simplified(value: object, met: Met) -> Any:
    """Reduce an object to texts, lists and arrays, which joblib hashes alike in every process.

    joblib hashes pickles, which differ between processes for tensors, and which functions and
    classes of a script do not have.
    """
    if is_plain(value):
        return plain_text(value)
    if not isinstance(value, CONSTANT):
        if id(value) in met:
            return ["again", met[id(value)][0]]
        met[id(value)] = len(met), value
    parts: Any
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        parts = np.ascontiguousarray(value)
    elif isinstance(value, set | frozenset):
        parts = sorted(sha1_of(simplified(part, dict(met))) for part in value)
    else:
        parts = [simplified(part, met) for part in contents_of(value)]
    return [type(value).__module__, type(value).__qualname__, parts]


def contents_of(value: object) -> list[Any]:
    """Return what an object is made of.

    Of functions, that is the code, the defaults and the closure, but nothing that is called by a
    global name. Hooks of modules are left out, since torch numbers them in the order of creation.
    """
    match value:
        case torch.Generator():
            return [value.get_state()]
        case Tensor():
            # NumPy does not have all types of torch.
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
    """Return what a function has closed over."""
    contents = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # It may be empty.
            contents.append(cell.cell_contents)
    return contents


def state_of(value: object) -> Any:
    """Return the attributes and slots of an object, or its ``repr`` where it has none."""
    if isinstance(value, nn.Module):
        return {name: part for name, part in vars(value).items() if "_hook" not in name}
    # An address would differ in each process.
    return object.__getstate__(value) or ("" if " at 0x" in repr(value) else repr(value))


def describe_data(rows: Samples, classes: NDArray[Any] | None) -> dict[str, str]:
    """Describe the training data; the labels of the rows are numbers of ``classes``.

    Of an array, every number is read. Of a stream, some samples are: none count if the data set
    draws them anew each time they are read.
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
    """Return a digest of an array in a dtype, read in blocks: a memory map may not fit memory."""
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
