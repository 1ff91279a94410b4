"""Constraints and comparison of the parameters of estimators and objectives."""

import inspect
import math
import os
import types
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

__all__ = [
    "LONGEST_ERROR",
    "Rule",
    "any_of",
    "boolean",
    "check_parameters",
    "check_positive",
    "choice",
    "cut",
    "dict_of",
    "instance",
    "integer",
    "is_callable",
    "is_integer",
    "is_number",
    "is_same",
    "list_of_callbacks",
    "none",
    "one_of_numbers",
    "path",
    "real",
    "sequence_of_sides",
    "shown",
    "stacklevel_of_user",
    "tuple_of_integers",
]


# Characters of an error that the message of another one quotes.
LONGEST_ERROR = 1000

# The integers of parameters are sizes and counts: torch and its libraries hold them in 32 bits.
LARGEST = 2**31 - 1

INTERNAL = ("contextlib", "skdim", "sklearn")


@dataclass(frozen=True)
class Rule:
    """Constraint of a parameter.

    Parameters
    ----------
    text : str
        Description, to follow "must be".
    holds : callable
        Whether a value is valid.
    """

    text: str
    holds: Callable[[Any], bool]


def cut(text: str, most: int = 200) -> str:
    """Shorten a text that a message quotes."""
    return text if len(text) <= most else text[: most - 3] + "..."


def shown(value: object, most: int = 200) -> str:
    """Return the ``repr`` of a value for a message, shortened; of a failing one, the type."""
    try:
        return cut(repr(value), most)
    except Exception:  # int, of more than 4300 digits, and classes of the user
        return f"an object of type {type(value).__name__}"


def is_number(value: object, *kinds: type) -> bool:
    """Whether a value is a number of some types of Python or NumPy, and neither bool nor a time."""
    return isinstance(value, kinds) and not isinstance(value, bool | np.timedelta64)


def is_integer(value: Any, low: int, high: int = LARGEST) -> bool:
    """Whether a value is an integer in ``[low, high]``."""
    return is_number(value, int, np.integer) and low <= value <= high


def check_positive(**counts: object) -> None:
    """Raise a ValueError for parameters, given by name, that are not integers of at least 1."""
    for name, value in counts.items():
        if not is_integer(value, 1):
            raise ValueError(f"{name}={shown(value)}. It must be an integer of at least 1.")


def are_positive(values: Collection[object]) -> bool:
    """Whether all values are integers above 0."""
    return all(is_integer(value, 1) for value in values)


def integer(low: int, high: int = LARGEST) -> Rule:
    """Allow integers in ``[low, high]``."""
    text = f"an int >= {low} and < 2**31" if high == LARGEST else f"an int in [{low}, {high}]"
    return Rule(text, lambda v: is_integer(v, low, high))


def real(low: float, high: float = math.inf, *, low_open: bool = False) -> Rule:
    """Allow finite numbers in ``[low, high)``, or ``(low, high)`` if ``low_open``."""
    bracket = "(" if low_open else "["

    def holds(value: Any) -> bool:
        # torch multiplies by ints of 64 bits.
        if isinstance(value, int) and abs(value) >= 2**63:
            return False
        if not is_number(value, int, float, np.integer, np.floating) or not math.isfinite(value):
            return False
        return bool((low < value if low_open else low <= value) and value < high)

    return Rule(f"a float in {bracket}{low:g}, {high:g})", holds)


def choice(names: Collection[str]) -> Rule:
    """Allow some strings."""
    listed = ", ".join(repr(name) for name in names)
    text = f"one of {listed}" if len(names) > 1 else listed
    return Rule(text, lambda v: isinstance(v, str) and v in names)


def none() -> Rule:
    """Allow None."""
    return Rule("None", lambda v: v is None)


def boolean() -> Rule:
    """Allow booleans."""
    return Rule("a bool", lambda v: isinstance(v, bool | np.bool_))


def is_callable(text: str) -> Rule:
    """Allow callables except modules."""
    return Rule(text, lambda v: callable(v) and not isinstance(v, nn.Module))


def instance(text: str, *kinds: type) -> Rule:
    """Allow instances of some classes."""
    return Rule(text, lambda v: isinstance(v, kinds))


def one_of_numbers(*numbers: int) -> Rule:
    """Allow some integers."""
    text = "one of " + ", ".join(map(str, numbers))
    return Rule(text, lambda v: is_number(v, int, np.integer) and v in numbers)


def path() -> Rule:
    """Allow paths that the system can have."""

    def holds(value: Any) -> bool:
        if not isinstance(value, str | os.PathLike):
            return False
        try:
            return b"\0" not in os.fsencode(value)
        except UnicodeEncodeError:
            return False

    return Rule("a path without the null character", holds)


def dict_of(*names: str, rule: Rule) -> Rule:
    """Allow mappings with some keys and values that follow a rule."""

    def holds(value: object) -> bool:
        return isinstance(value, Mapping) and all(
            name in names and rule.holds(part) for name, part in value.items()
        )

    return Rule("a dict of these for " + " and ".join(map(repr, names)), holds)


# Callbacks of skorch that would do nothing here, or fail, and the parameters that replace them.
WITHOUT_EFFECT = {
    "EarlyStopping": "early_stopping",
    "LRScheduler": "schedule",
    "ScoringBase": "validation_fraction",
    "PassthroughScoring": "validation_fraction",
    "InputShapeSetter": "encoder",
    "ProgressBar": "verbose",
}


def list_of_callbacks() -> Rule:
    """Allow skorch's callbacks, also as classes or in pairs with a name, if they have an effect."""

    def has_effect(callback: object) -> bool:
        if isinstance(callback, tuple):
            named = len(callback) == 2 and isinstance(callback[0], str)
            return named and has_effect(callback[1])
        kind = callback if isinstance(callback, type) else type(callback)
        known = any(base.__name__ in WITHOUT_EFFECT for base in kind.__mro__)
        return hasattr(kind, "on_train_begin") and not known

    replaced = ", ".join(f"{name} (see {other})" for name, other in WITHOUT_EFFECT.items())
    return Rule(
        f"a list of skorch callbacks, without those that have no effect here: {replaced}",
        lambda v: isinstance(v, list | tuple) and all(map(has_effect, v)),
    )


def sequence_of_sides() -> Rule:
    """Allow sequences of two or three positive integers."""
    return Rule(
        "a tuple of two or three positive ints < 2**31",
        lambda v: isinstance(v, tuple | list) and len(v) in (2, 3) and are_positive(v),
    )


def tuple_of_integers() -> Rule:
    """Allow tuples of positive integers."""
    return Rule(
        "a tuple of positive ints < 2**31",
        lambda v: isinstance(v, tuple) and len(v) > 0 and are_positive(v),
    )


def any_of(*rules: Rule) -> Rule:
    """Allow values that any of the rules allows."""
    return Rule(" or ".join(rule.text for rule in rules), lambda v: any(r.holds(v) for r in rules))


def check_parameters(estimator: object, rules: Mapping[str, Rule]) -> None:
    """Raise a ValueError for parameters that their rules do not allow."""
    for name, rule in rules.items():
        value = getattr(estimator, name)
        if not rule.holds(value):
            raise ValueError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {rule.text}. "
                f"Got {shown(value)} instead."
            )


def is_same(now: object, before: object) -> bool:
    """Return whether a parameter is as it was: of equal parts, or else the same object."""
    plain = (bool, int, float, str, np.generic)
    if isinstance(now, plain) and isinstance(before, plain):
        return bool(now == before)
    if now is before or type(now) is not type(before):
        return now is before
    parts, others = named_parts(now), named_parts(before)
    return (
        parts is not None
        and others is not None
        and parts.keys() == others.keys()
        and all(is_same(part, others[name]) for name, part in parts.items())
    )


def named_parts(value: Any) -> Mapping[Any, Any] | None:
    """Return what a container, a dataclass, an objective or a partial call is made of, by name."""
    match value:
        case BaseEstimator():
            return dict(value.get_params(deep=False))
        case partial():
            return {"func": value.func, "args": value.args, "keywords": value.keywords}
        case Mapping():
            return value
        case list() | tuple():
            return dict(enumerate(value))
    return vars(value) if is_dataclass(value) else None


def stacklevel_of_user() -> int:
    """Return the ``stacklevel`` with which ``warnings.warn`` names the user's line.

    That is the innermost caller outside of skdim, scikit-learn and the standard library's contexts.
    """
    level, frame = 0, inspect.currentframe()
    while frame is not None and is_internal(frame):
        level, frame = level + 1, frame.f_back
    return level


def is_internal(frame: types.FrameType) -> bool:
    """Whether a frame belongs to skdim, scikit-learn or contextlib."""
    return frame.f_globals.get("__name__", "").partition(".")[0] in INTERNAL
