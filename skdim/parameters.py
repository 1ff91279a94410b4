"""Constraints and comparison of parameters of estimators and objectives."""

import inspect
import math
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from torch import nn

# Maximum length of an error message that is quoted in another one.
MAX_ERROR_LENGTH = 1000

# Integer parameters are sizes and counts, which torch and its libraries hold in 32 bits.
MAX_INTEGER = 2**31 - 1

INTERNAL = ("contextlib", "skdim", "sklearn")


@dataclass(frozen=True)
class Rule:
    """Constraint of a parameter.

    Parameters
    ----------
    text : str
        Description, to follow "must be".
    holds : callable
        Returns whether a value is valid.
    """

    text: str
    holds: Callable[[Any], bool]


def cut(text: str, most: int = 200) -> str:
    """Shorten a text to quote it in a message."""
    return text if len(text) <= most else text[: most - 3] + "..."


def shown(value: object) -> str:
    """Return the shortened ``repr`` of a value, or its type if ``repr`` fails."""
    try:
        return cut(repr(value))
    except Exception:  # User classes, and ints of more than 4300 digits.
        return f"an object of type {type(value).__name__}"


def is_number(value: object, *kinds: type) -> bool:
    """Whether a value is a number of the given types, but not a bool or a timedelta."""
    return isinstance(value, kinds) and not isinstance(value, bool | np.timedelta64)


def is_integer(value: Any, low: int, high: int = MAX_INTEGER) -> bool:
    """Whether a value is an integer in ``[low, high]``."""
    return is_number(value, int, np.integer) and low <= value <= high


def check_positive(**counts: object) -> None:
    """Raise a ValueError if a parameter, passed by name, is not an integer of at least 1."""
    for name, value in counts.items():
        if not is_integer(value, 1):
            raise ValueError(f"{name}={shown(value)}. It must be an integer of at least 1.")


def integer(low: int, high: int = MAX_INTEGER) -> Rule:
    """Allow integers in ``[low, high]``."""
    text = f"an int >= {low} and < 2**31" if high == MAX_INTEGER else f"an int in [{low}, {high}]"
    return Rule(text, lambda v: is_integer(v, low, high))


def real(low: float, high: float = math.inf, *, low_open: bool = False) -> Rule:
    """Allow finite numbers in ``[low, high)``, or ``(low, high)`` if ``low_open``."""
    bracket = "(" if low_open else "["

    def holds(value: Any) -> bool:
        # torch multiplies by 64-bit integers.
        if isinstance(value, int) and abs(value) >= 2**63:
            return False
        if not is_number(value, int, float, np.integer, np.floating) or not math.isfinite(value):
            return False
        return bool((low < value if low_open else low <= value) and value < high)

    return Rule(f"a float in {bracket}{low:g}, {high:g})", holds)


def choice(names: Collection[str]) -> Rule:
    """Allow the given strings."""
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
    """Allow instances of the given classes."""
    return Rule(text, lambda v: isinstance(v, kinds))


def dict_of(*names: str, rule: Rule) -> Rule:
    """Allow mappings with the given keys and values that follow a rule."""

    def holds(value: object) -> bool:
        return isinstance(value, Mapping) and all(
            name in names and rule.holds(part) for name, part in value.items()
        )

    return Rule("a dict of these for " + " and ".join(map(repr, names)), holds)


def tuple_of_integers() -> Rule:
    """Allow tuples of positive integers."""
    return Rule(
        "a tuple of positive ints < 2**31",
        lambda v: isinstance(v, tuple) and len(v) > 0 and all(is_integer(n, 1) for n in v),
    )


def any_of(*rules: Rule) -> Rule:
    """Allow values that follow any of the rules."""
    return Rule(" or ".join(rule.text for rule in rules), lambda v: any(r.holds(v) for r in rules))


def check_parameters(estimator: object, rules: Mapping[str, Rule]) -> None:
    """Raise a ValueError if a parameter does not follow its rule."""
    for name, rule in rules.items():
        value = getattr(estimator, name)
        if not rule.holds(value):
            raise ValueError(
                f"The {name!r} parameter of {type(estimator).__name__} must be {rule.text}. "
                f"Got {shown(value)} instead."
            )


def is_same(now: object, before: object) -> bool:
    """Whether two values of a parameter are the same object, or consist of equal parts."""
    scalars = (bool, int, float, str, np.generic)
    if isinstance(now, scalars) and isinstance(before, scalars):
        return bool(now == before)
    if now is before or type(now) is not type(before):
        return now is before
    parts, others = named_parts(now), named_parts(before)
    if parts is None or others is None:
        return False
    return parts.keys() == others.keys() and all(is_same(parts[k], others[k]) for k in parts)


def named_parts(value: Any) -> Mapping[Any, Any] | None:
    """Return the named parts of a container, a dataclass, an objective or a partial call."""
    match value:
        case BaseEstimator():
            return dict(value.get_params(deep=False))
        case partial():
            return {"func": value.func, "args": value.args, "keywords": value.keywords}
        case Mapping():
            return value
        case list() | tuple():
            return dict(enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: getattr(value, f.name) for f in fields(value) if hasattr(value, f.name)}
        return parts | getattr(value, "__dict__", {})  # Slots are not in it.
    return None


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn with the line of the user's code."""
    warnings.warn(message, category, stacklevel=stacklevel_of_user())


def stacklevel_of_user() -> int:
    """Return the ``stacklevel`` with which ``warnings.warn`` names the user's line.

    That is the innermost caller outside of skdim, scikit-learn and contextlib.
    """
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in INTERNAL:
        level, frame = level + 1, frame.f_back
    return level
