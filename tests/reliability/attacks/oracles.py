"""What must hold of an estimator, whatever it is given."""

import random
import re
import warnings
from contextlib import contextmanager

import joblib
import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skdim import DeepInfoMaxClassifier

__all__ = [
    "Wrong",
    "check_contract",
    "check_refused",
    "check_unfitted",
    "codes_of",
    "global_states",
    "is_fitted",
    "quiet",
    "same_bits",
]

# Characters of a message.
LONGEST = 1200
DOCUMENTED = (ValueError, TypeError, FloatingPointError)


class Wrong(Exception):  # noqa: N818
    """What an oracle says of a case that is wrong."""


@contextmanager
def quiet():
    """Ignore warnings of users; those of NumPy about numbers are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", RuntimeWarning)
        yield


def global_states():
    """Return the states of the global generators as a value that compares with ``==``."""
    numpy = np.random.get_state()  # noqa: NPY002
    return random.getstate(), numpy[1].tobytes(), numpy[2:], torch.get_rng_state().numpy().tobytes()


def codes_of(model, X):
    """Return what a transformer or a classifier makes of samples."""
    return (model.predict_proba if isinstance(model, DeepInfoMaxClassifier) else model.transform)(X)


def content_of(X):
    """Return a digest of samples; of frames without what they cache."""
    return joblib.hash(X.to_numpy() if hasattr(X, "to_numpy") else X)


def same_bits(one, other):
    """Return whether two arrays have the same type, shape and bytes."""
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


def check_message(error, names):
    """Check that a message is short, and has one of some words."""
    text = str(error)
    # scikit-learn quotes up to a thousand numbers of an array of one axis.
    if len(text) > LONGEST and not text.startswith("Expected 2D array"):
        raise Wrong(f"the message has {len(text)} characters: {text[:300]}")
    if not re.search(rf"(?<![A-Za-z])({'|'.join(names)})(?![A-Za-z])", text):
        raise Wrong(f"the message names none of {sorted(names)[:9]}: {text}")


def is_fitted(model):
    """Return whether scikit-learn takes an estimator for fitted."""
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def check_unfitted(model):
    """Check that nothing looks fitted."""
    left = [name for name in vars(model) if name.endswith("_") and not name.startswith("__")]
    if left or is_fitted(model):
        raise Wrong(f"it looks fitted: {left}")


def check_refused(action, names, unfitted=None, errors=(ValueError, TypeError)):
    """Check that an action raises an error that names what is not valid.

    Parameters
    ----------
    action : callable
        Without arguments.
    names : collection of str
        Patterns of which the message has one as a word.
    unfitted : object, default=None
        An estimator that must not look fitted after that.
    errors : tuple of type
    """
    before = global_states()
    try:
        with quiet():
            result = action()
    except errors as error:
        check_message(error, names)
    except BaseException as error:
        raise Wrong(f"{type(error).__name__} instead of a refusal: {str(error)[:300]}") from error
    else:
        raise Wrong(f"not refused, but {type(result).__name__}")
    if global_states() != before:
        raise Wrong("the global generators have changed")
    if unfitted is not None:
        check_unfitted(unfitted)


def check_contract(model, X, y=None, names=(), take=None):
    """Fit a model twice, and check what is promised of it.

    Parameters
    ----------
    model : estimator
        Not fitted.
    X, y : object
    names : collection of str
        Patterns of which the message has one, if the model is refused; without any, it must not be.
    take : callable, default=None
        ``(X, rows) -> X`` returns some of the samples; None for what has none to take.

    Returns
    -------
    str
        "held", or the type of a documented error.
    """
    twin = clone(model)
    before, content = global_states(), content_of(X)
    try:
        with quiet():
            model.fit(X, y)
            codes = codes_of(model, X)
    except DOCUMENTED as error:
        if isinstance(error, FloatingPointError):
            names = ("learning_rate",)
        if not names:
            raise Wrong(f"refused: {str(error)[:500]}") from error
        check_message(error, names)
        check_unfitted(model)
        return type(error).__name__
    finally:
        if global_states() != before:
            raise Wrong("the global generators have changed")
        if content_of(X) != content:
            raise Wrong("X has changed")
    check_codes(model, X, codes, take)
    with quiet():
        again = codes_of(twin.fit(X, y), X)
    if not same_bits(codes, again):
        raise Wrong("a second fit has other codes")
    return "held"


def check_codes(model, X, codes, take):
    """Check the codes of samples."""
    n_columns = len(
        model.classes_ if hasattr(model, "predict_proba") else model.get_feature_names_out()
    )
    if codes.shape[1:] != (n_columns,) or codes.dtype != np.float32:
        raise Wrong(f"codes are {codes.dtype} of shape {codes.shape} for {n_columns} names")
    if not np.isfinite(codes).all():
        raise Wrong("codes are not finite")
    if take is None:
        return
    rows = np.flatnonzero(np.arange(len(codes)) % 3 != 1)[::-1]
    with quiet():
        part = codes_of(model, take(X, rows))
    exact = not hasattr(model, "predict_proba")
    if not (same_bits(part, codes[rows]) if exact else np.allclose(part, codes[rows], atol=1e-5)):
        raise Wrong("a code depends on the other rows")
