"""What the tests of displays share."""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skdim import DeepInfoMaxTransformer

DIGITS = load_digits()
IMAGES = DIGITS.images[:60].astype(np.float32)
LABELS = DIGITS.target[:60]
# Of two channels, with values of different sizes.
SIGNALS = np.random.default_rng(0).normal(size=(30, 2, 32)).astype(np.float32)
SIGNALS[:, 1] = 50 * SIGNALS[:, 1].cumsum(axis=1) + 7


def fitted(X=IMAGES, **kwargs):
    """A transformer that has seen X once or a few times."""
    kwargs = {"n_components": 4, "max_epochs": 1, "view": None, "random_state": 0} | kwargs
    with warnings.catch_warnings():
        # What so short a training may say of its codes.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return DeepInfoMaxTransformer(**kwargs).fit(X)


def refuse(*args, **kwargs):
    raise AssertionError("something was computed again")
