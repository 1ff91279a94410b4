"""Accuracy of a classifier of the features in each epoch of a training."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, column_or_1d
from skorch.callbacks import Callback
from torch import nn

from skdim.encoders import LAYERS
from skdim.inference import features_of
from skdim.inputs import ArraySamples, Samples, flatten_rows
from skdim.metrics.arrays import check_lengths, encode_labels, hold_out
from skdim.random import drawing, seeded
from skdim.training import EncoderNet

HELD_OUT = 0.25


@dataclass(eq=False, repr=False)
class OnlineProbe(Callback):
    """Train a classifier on the features of each epoch, and record its accuracy.

    Passed to a transformer as ``callbacks=[OnlineProbe(X, y)]``, it adds a column to ``history_``.
    A new classifier is fitted to plain arrays in each epoch: no gradient reaches the encoder, and
    the trained weights are bit-equal with and without the probe.

    Parameters
    ----------
    X : array-like
        Samples in the format of the transformer, of the shape it is fitted on. All of them are
        encoded in each epoch; a thousand are usually enough.
    y : array-like of shape (n,)
        Their classes, of any type.
    X_test, y_test : array-like, default=None
        Samples to score. None holds out a quarter of X.
    layer : {"code", "hidden", "conv", "local"}, default="code"
        Feature maps are flattened.
    classifier : estimator, default=None
        A classifier of scikit-learn, cloned in each epoch. None uses ridge regression on
        standardised features.
    name : str, default=None
        Name of the column; None uses ``"probe_code"`` and so on, after ``layer``. Two probes of one
        layer need different names.
    random_state : int, default=0
        Seed of the held-out quarter, and of the global generators while the classifier is fitted.

    Notes
    -----
    ``history_["seconds"]`` does not include the probe.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import DeepInfoMaxTransformer
    >>> from skdim.metrics import OnlineProbe
    >>> digits = load_digits()
    >>> probe = OnlineProbe(digits.images[:400], digits.target[:400])
    >>> dim = DeepInfoMaxTransformer(8, max_epochs=2, callbacks=[probe], random_state=0)
    >>> len(dim.fit(digits.images[:400]).history_["probe_code"])
    2
    """

    X: ArrayLike
    y: ArrayLike
    X_test: ArrayLike | None = None
    y_test: ArrayLike | None = None
    _: KW_ONLY
    layer: str = "code"
    classifier: BaseEstimator | None = None
    name: str | None = None
    random_state: int = 0

    def on_train_begin(self, net: EncoderNet, X: Samples, **kwargs: Any) -> None:
        """Check the parameters, and convert the samples as the training does."""
        self.check()
        classes = np.unique(column_or_1d(self.y))
        labels = encode_labels(self.y, "y", classes)
        rows = read_rows(self.X, "X", X)
        if self.X_test is None:
            split = hold_out(labels, HELD_OUT, self.random_state)
            self.train_, self.test_ = ((rows.part(part), labels[part]) for part in split)
        else:
            labels_test = encode_labels(self.y_test, "y_test", classes)
            self.train_ = rows, labels
            self.test_ = read_rows(self.X_test, "X_test", X), labels_test

    def on_epoch_end(self, net: EncoderNet, **kwargs: Any) -> None:
        """Record the accuracy in the history."""
        module = net.module_
        with evaluating(module), seeded(self.random_state, self.train_[0].device):
            (features, labels), (features_test, labels_test) = (
                (features_of(module, rows, self.layer), labels)
                for rows, labels in (self.train_, self.test_)
            )
            default = make_pipeline(StandardScaler(), RidgeClassifier())
            classifier = default if self.classifier is None else clone(self.classifier)
            with drawing(self.random_state):
                classifier.fit(features, labels)
                accuracy = classifier.score(features_test, labels_test)
        name = self.name or f"probe_{self.layer}"
        if name in net.history[-1]:
            raise ValueError(
                f"name={name!r} is taken by another column of the history. Pass a different name; "
                "two probes of one layer need different names."
            )
        # All processes record the accuracy of the first one.
        net.history.record(name, net.agree({name: float(accuracy)})[name])

    def on_train_end(self, net: EncoderNet, **kwargs: Any) -> None:
        """Delete the samples."""
        del self.train_, self.test_

    def check(self) -> None:
        """Raise a ValueError for parameters that are not valid for any transformer."""
        if not isinstance(self.random_state, Integral) or self.random_state < 0:
            raise ValueError(
                f"random_state={self.random_state!r}. It must be a non-negative integer, so that "
                "all epochs use the same seed."
            )
        if self.layer not in LAYERS:
            raise ValueError(
                f"layer={self.layer!r} is not a valid layer. Allowed are {', '.join(LAYERS)}."
            )
        if (self.X_test is None) != (self.y_test is None):
            missing = "X_test" if self.X_test is None else "y_test"
            raise ValueError(f"{missing} is missing. Pass both X_test and y_test, or neither.")
        check_lengths(X=self.X, y=self.y)
        if self.X_test is not None:
            check_lengths(X_test=self.X_test, y_test=self.y_test)


def read_rows(X: ArrayLike, name: str, like: Samples) -> Samples:
    """Read samples as those of the training; raise a ValueError if they have another shape."""
    layout = like.layout
    flat, shape = flatten_rows(X)
    if shape is not None:
        layout.check_same(shape[1:])
    array = check_array(flat, dtype=[np.float32, np.uint8])
    given = None if like.convert is None else check_array(flat, dtype=np.float64)
    if array.shape[1] != layout.n_features:
        raise ValueError(
            f"{name} of OnlineProbe has {array.shape[1]} features, but the transformer is trained "
            f"on {layout.n_features}. Pass samples of that shape."
        )
    return ArraySamples(array, layout, like.device, convert=like.convert, given=given)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch a module to evaluation mode, and restore the mode of each of its parts."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
