"""What a training hangs on, in words and digests that are the same in every process."""

import functools
import hashlib
import types
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skdim.inputs import Rows
from skdim.inputs.sources import ArraySource

__all__ = ["describe_data", "describe_parameters", "digest_of", "short"]

# Parameters on which the outcome does not hang, or, of max_epochs, not by its name.
LEFT_OUT = ("callbacks", "checkpoint_dir", "checkpoint_every", "device", "max_epochs", "verbose")

# How many samples of a stream are looked at: as many as are read in this process.
LOOKED_AT = 64

BLOCK = 1 << 24


def describe_parameters(estimator: Any) -> dict[str, str]:
    """Describe the parameters of an estimator.

    Numbers, names and sequences of them are said as they are; of everything else its type and a
    digest: of the weights of modules, the code of functions, the attributes of other objects.

    Returns
    -------
    dict of str to str
        Also "estimator", the class.
    """
    parameters = estimator.get_params(deep=False)
    described = {
        name: describe(value) for name, value in parameters.items() if name not in LEFT_OUT
    }
    if isinstance(estimator.random_state, np.random.RandomState):
        # It moves on with each fit: a training that goes on has the seed of its beginning.
        described["random_state"] = "a RandomState"
    return {"estimator": type(estimator).__qualname__} | described


def describe(value: Any) -> str:
    """Describe one parameter."""
    if value is None or isinstance(value, bool | np.bool_ | Integral | Real | str):
        return plain_text(value)
    if isinstance(value, tuple | list):
        return f"({', '.join(map(describe, value))})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {describe(value[name])}" for name in value) + "}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    trail = Trail()
    trail.add(value)
    return f"{name} ({short(trail.digest())})"


def plain_text(value: Any) -> str:
    """Describe a number or a name; equal numbers alike, of whatever type."""
    if isinstance(value, bool | np.bool_):
        return repr(bool(value))
    if isinstance(value, Integral):
        return repr(int(value))
    if isinstance(value, Real):
        number = float(value)
        return repr(int(number)) if number.is_integer() else repr(number)
    return repr(value)


def short(digest: str) -> str:
    """Shorten a digest to what no two of a user's things will share."""
    return digest[:16]


def digest_of(*texts: str) -> str:
    """Return the SHA-256 of texts, none of which runs into the next."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@dataclass
class Trail:
    """A digest of an object and of all that it is made of."""

    sha: Any = field(default_factory=hashlib.sha256)
    seen: dict[int, int] = field(default_factory=dict)
    # Their ids must not be given to others meanwhile.
    kept: list[Any] = field(default_factory=list)

    def digest(self) -> str:
        """Return the digest, as hexadecimal digits."""
        return str(self.sha.hexdigest())

    def say(self, *texts: str) -> None:
        """Add texts."""
        for text in texts:
            encoded = text.encode(errors="backslashreplace")
            self.sha.update(len(encoded).to_bytes(8, "little") + encoded)

    def add(self, value: Any) -> None:
        """Add an object; what was met before is told by its number."""
        if value is None or isinstance(value, bool | np.bool_ | Real | str | bytes | complex):
            self.say(plain_text(value))
            return
        if id(value) in self.seen:
            self.say("again", str(self.seen[id(value)]))
            return
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        self.say(type(value).__module__, type(value).__qualname__)
        self.add_parts(value)

    def add_parts(self, value: Any) -> None:
        """Add what an object is made of."""
        match value:
            case Tensor() | np.ndarray() | torch.Generator():
                self.add_numbers(value)
            case type() | types.BuiltinFunctionType() | types.FunctionType() | types.MethodType():
                self.add_callable(value)
            case functools.partial():
                self.add_all((value.func, value.args, value.keywords))
            case types.CodeType():
                self.add_code(value)
            case Mapping():
                self.add_all(part for pair in value.items() for part in pair)
            case set() | frozenset():
                self.say(*sorted(map(repr, value)))
            case tuple() | list():
                self.say(str(len(value)))
                self.add_all(value)
            case _:
                self.add_attributes(value)

    def add_numbers(self, value: Any) -> None:
        """Add a tensor, an array, or where a generator stands."""
        if isinstance(value, torch.Generator):
            value = value.get_state()
        if isinstance(value, Tensor):
            self.say(str(value.dtype), str(tuple(value.shape)))
            # NumPy does not know all types of torch.
            value = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        self.say(str(value.dtype), str(value.shape))
        if value.dtype == object:
            self.add_all(value.flat)
        else:
            self.sha.update(np.ascontiguousarray(value).data)

    def add_callable(self, value: Any) -> None:
        """Add a class or a function: its name, and what is known of its code."""
        if isinstance(value, types.MethodType):
            self.add_all((value.__func__, value.__self__))
            return
        self.say(str(value.__module__), value.__qualname__)
        if isinstance(value, types.FunctionType):
            self.add_function(value)

    def add_all(self, values: Iterable[Any]) -> None:
        """Add several objects in their order."""
        for value in values:
            self.add(value)

    def add_function(self, function: types.FunctionType) -> None:
        """Add a function: its code, its defaults, and what it has closed over.

        What it calls by a global name is not looked at.
        """
        self.add_all((function.__code__, function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            with suppress(ValueError):  # an empty one
                self.add(cell.cell_contents)

    def add_code(self, code: types.CodeType) -> None:
        """Add what a piece of code does, wherever it stands."""
        self.sha.update(code.co_code)
        self.say(*code.co_names)
        self.add_all(code.co_consts)

    def add_attributes(self, value: Any) -> None:
        """Add what an object keeps.

        Hooks of modules are left out: torch numbers them as they come.
        """
        attributes = dict(getattr(value, "__dict__", {}))
        if isinstance(value, nn.Module):
            attributes = {name: part for name, part in attributes.items() if "_hook" not in name}
        for kind in type(value).__mro__:
            slots = vars(kind).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(value, name):
                    attributes[name] = getattr(value, name)
        text = repr(value) if not attributes else ""
        self.say("" if " at 0x" in text else text)  # An address would differ in each process.
        self.add(attributes)


def describe_data(rows: Rows, classes: NDArray[Any] | None) -> dict[str, str]:
    """Describe the training data.

    Of an array every number counts. Of a stream, some samples do: none, if the data set draws
    them anew each time it is asked.

    Parameters
    ----------
    rows : Rows
    classes : ndarray of shape (n_classes,) or None
        What the labels of the rows are numbers of.

    Returns
    -------
    dict of str to str
    """
    if isinstance(rows.source, ArraySource):
        array = rows.source.array
        dtype, content = str(array.dtype), digest_rows(array)
    else:
        dtype, content = look_at_samples(rows)
    described = {
        "the number of samples": str(len(rows)),
        "the shape of a sample": str(tuple(rows.layout.shape)),
        "the dtype of X": dtype,
        "the content of X": short(content),
    }
    if classes is not None:
        named = Trail()
        named.add_all((classes.tolist(), rows.labels))
        described["the labels y"] = short(named.digest())
    return described


def digest_rows(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array, read in blocks: a memory map may not fit memory."""
    sha = hashlib.sha256()
    step = max(1, BLOCK // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        sha.update(np.ascontiguousarray(array[start : start + step]).data)
    return sha.hexdigest()


def look_at_samples(rows: Rows) -> tuple[str, str]:
    """Return the dtype and a digest of some samples of a stream, spread over all of it."""
    n = len(rows)
    numbers = np.unique(np.linspace(0, n - 1, min(n, LOOKED_AT)).astype(np.intp))
    first, second = (rows.source.take(numbers).numpy() for _ in range(2))
    same = first.dtype == second.dtype and np.array_equal(first, second)
    return str(first.dtype), digest_rows(first) if same else "drawn anew each time"
