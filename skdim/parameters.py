"""What the parameters of an estimator may be, and what is said where they are not."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from torch import nn

__all__ = [
    "Rule",
    "any_of",
    "boolean",
    "check_parameters",
    "choice",
    "dict_of",
    "instance",
    "integer",
    "is_callable",
    "list_of_callbacks",
    "none",
    "one_of_numbers",
    "real",
    "sequence_of_sides",
    "tuple_of_integers",
]


@dataclass(frozen=True)
class Rule:
    """What a parameter may be.

    Parameters
    ----------
    text : str
        In words, to follow "must be".
    holds : callable
        Whether a value is so.
    """

    text: str
    holds: Callable[[Any], bool]


def is_number(value: Any, kind: type) -> bool:
    """Whether a value is a number and no truth value."""
    return isinstance(value, kind) and not isinstance(value, bool)


def integer(low: int, high: int | None = None) -> Rule:
    """Allow whole numbers from ``low`` on, to ``high`` if there is one."""
    text = f"an int >= {low}" if high is None else f"an int in [{low}, {high}]"
    return Rule(
        text,
        lambda v: is_number(v, Integral) and low <= v and (high is None or v <= high),
    )


def real(low: float, high: float = math.inf, *, low_open: bool = False) -> Rule:
    """Allow finite numbers from ``low`` (``low_open``: from above it) to below ``high``."""
    bracket = "(" if low_open else "["

    def inside(value: Any) -> bool:
        if not is_number(value, Real) or not math.isfinite(value):
            return False
        return bool((low < value if low_open else low <= value) and value < high)

    return Rule(f"a float in {bracket}{low:g}, {high:g})", inside)


def choice(names: Collection[str]) -> Rule:
    """Allow some names."""
    listed = ", ".join(repr(name) for name in names)
    return Rule(
        f"one of {listed}" if len(names) > 1 else listed,
        lambda v: isinstance(v, str) and v in names,
    )


def none() -> Rule:
    """Allow None."""
    return Rule("None", lambda v: v is None)


def boolean() -> Rule:
    """Allow truth values."""
    return Rule("a bool", lambda v: isinstance(v, bool | np.bool_))


def is_callable(text: str) -> Rule:
    """Allow what can be called, modules excepted."""
    return Rule(text, lambda v: callable(v) and not isinstance(v, nn.Module))


def instance(text: str, *kinds: type) -> Rule:
    """Allow instances of some classes."""
    return Rule(text, lambda v: isinstance(v, kinds))


def one_of_numbers(*numbers: int) -> Rule:
    """Allow some whole numbers."""
    return Rule(
        "one of " + ", ".join(map(str, numbers)),
        lambda v: is_number(v, Integral) and v in numbers,
    )


def dict_of(*names: str, rule: Rule) -> Rule:
    """Allow a dict whose keys are among ``names`` and whose values follow a rule."""

    def holds(value: Any) -> bool:
        return isinstance(value, Mapping) and all(
            name in names and rule.holds(part) for name, part in value.items()
        )

    return Rule("a dict of these for " + " and ".join(map(repr, names)), holds)


def list_of_callbacks() -> Rule:
    """Allow skorch's callbacks, also as classes or in pairs with a name, but for early stopping.

    That one stops by raising KeyboardInterrupt, which cannot be told from Ctrl-C.
    """

    def is_welcome(callback: Any) -> bool:
        if isinstance(callback, tuple):
            named = len(callback) == 2 and isinstance(callback[0], str)
            return named and is_welcome(callback[1])
        kind = callback if isinstance(callback, type) else type(callback)
        stops = any(base.__name__ == "EarlyStopping" for base in kind.__mro__)
        return hasattr(kind, "on_train_begin") and not stops

    return Rule(
        "a list of skorch callbacks (not its EarlyStopping: use early_stopping=True)",
        lambda v: isinstance(v, list | tuple) and all(map(is_welcome, v)),
    )


def sequence_of_sides() -> Rule:
    """Allow two or three whole numbers from 1 on."""

    def holds(value: Any) -> bool:
        return (
            isinstance(value, tuple | list)
            and len(value) in (2, 3)
            and all(is_number(side, Integral) and side >= 1 for side in value)
        )

    return Rule("a tuple of two or three positive ints", holds)


def tuple_of_integers() -> Rule:
    """Allow tuples of whole numbers from 1 on."""
    return Rule(
        "a tuple of positive ints",
        lambda v: (
            isinstance(v, tuple)
            and len(v) > 0
            and all(is_number(part, Integral) and part >= 1 for part in v)
        ),
    )


def any_of(*rules: Rule) -> Rule:
    """Allow what any of the rules allows."""
    return Rule(" or ".join(rule.text for rule in rules), lambda v: any(r.holds(v) for r in rules))


def check_parameters(estimator: Any, rules: Mapping[str, Rule]) -> None:
    """Raise an error for parameters that their rules do not allow.

    Raises
    ------
    ValueError
        Naming the parameter, what it may be, and what it is.
    """
    for name, rule in rules.items():
        value = getattr(estimator, name)
        if not rule.holds(value):
            raise ValueError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {rule.text}. "
                f"Got {value!r} instead."
            )
