"""A look at what features are worth, each epoch while the encoder trains."""

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, column_or_1d
from skorch.callbacks import Callback
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from skdim.encoders import LAYERS
from skdim.inference import encode_rows
from skdim.inputs import Layout, Rows, flatten_rows
from skdim.inputs.draws import drawing, seeded
from skdim.metrics.frozen import check_lengths
from skdim.metrics.labels import hold_out, number_classes

__all__ = ["OnlineProbe"]

HELD_OUT = 0.25


class OnlineProbe(Callback):
    """Train a small classifier on the features of each epoch, and write down its accuracy.

    Given to a transformer as ``callbacks=[OnlineProbe(X, y)]``, it adds a column to ``history_``.
    The classifier begins anew each epoch and sees plain arrays: no gradient reaches the encoder,
    and the training is the same to the last bit with the probe and without it.

    Parameters
    ----------
    X : array-like
        Samples as the transformer is given them, of the shape it is fitted on. A thousand are
        enough to watch a training; all of them are encoded each epoch.
    y : array-like of shape (n,)
        Their classes, of any type.
    X_test, y_test : array-like, default=None
        Samples to score. None draws a quarter of X, which is then not trained on.
    layer : {"code", "hidden", "conv", "local"}, default="code"
        Maps are flattened.
    classifier : estimator, default=None
        A classifier of scikit-learn, cloned each epoch. None is ridge regression on standardised
        features: linear, and solved at once.
    name : str, default=None
        Of the column; None is ``"probe_code"``, and so on by ``layer``. Two probes of one layer
        need two names.
    random_state : int, default=0
        Of the quarter, and of what the classifier draws from the global generators.

    Notes
    -----
    ``history_["seconds"]`` does not count the probe.

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

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        X_test: ArrayLike | None = None,
        y_test: ArrayLike | None = None,
        *,
        layer: str = "code",
        classifier: Any = None,
        name: str | None = None,
        random_state: int = 0,
    ) -> None:
        self.X = X
        self.y = y
        self.X_test = X_test
        self.y_test = y_test
        self.layer = layer
        self.classifier = classifier
        self.name = name
        self.random_state = random_state

    def on_train_begin(self, net: Any, X: Rows, **kwargs: Any) -> None:
        """Check before the first epoch what is to be probed; read samples as training does."""
        self.check()
        classes = np.unique(column_or_1d(self.y))
        labels = number_classes(self.y, "y", classes)
        rows = read_rows(self.X, "X", X.layout, X.device)
        if self.X_test is None:
            kept, held = hold_out(labels, HELD_OUT, self.random_state)
            self.train_ = rows.part(kept), labels[kept]
            self.test_ = rows.part(held), labels[held]
        else:
            test = read_rows(self.X_test, "X_test", X.layout, X.device)
            self.train_ = rows, labels
            self.test_ = test, number_classes(self.y_test, "y_test", classes)

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Write the accuracy into the history."""
        module = net.module_
        if isinstance(module, DistributedDataParallel):
            module = module.module
        with evaluating(module), seeded(self.random_state, self.train_[0].device):
            (features, labels), (features_test, labels_test) = (
                (read_layer(module, rows, self.layer), labels)
                for rows, labels in (self.train_, self.test_)
            )
            with drawing(self.random_state):
                classifier = self.make_classifier().fit(features, labels)
                accuracy = classifier.score(features_test, labels_test)
        name = self.name or f"probe_{self.layer}"
        if name in net.history[-1]:
            raise ValueError(
                f"name={name!r} is taken in the history of the training. Give the probe another; "
                "two probes of one layer need two names."
            )
        # Of several processes, all write down the first one's.
        net.history.record(name, net.agree({name: float(accuracy)})[name])

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Let go what was read."""
        del self.train_, self.test_

    def make_classifier(self) -> Any:
        """Return an untrained classifier."""
        if self.classifier is None:
            return make_pipeline(StandardScaler(), RidgeClassifier())
        return clone(self.classifier)

    def check(self) -> None:
        """Check what can be checked without the transformer's shapes.

        Raises
        ------
        ValueError
            If there is no such layer, half a test set, no seed, or arrays are of different lengths.
        """
        if not isinstance(self.random_state, Integral) or self.random_state < 0:
            raise ValueError(
                f"random_state={self.random_state!r}; a whole number from 0 on is needed, so that "
                "each epoch is judged alike."
            )
        if self.layer not in LAYERS:
            raise ValueError(f"layer={self.layer!r} is no layer. Allowed are {', '.join(LAYERS)}.")
        if (self.X_test is None) != (self.y_test is None):
            missing = "X_test" if self.X_test is None else "y_test"
            raise ValueError(f"{missing} is missing. Give both X_test and y_test, or neither.")
        check_lengths(X=self.X, y=self.y)
        if self.X_test is not None:
            check_lengths(X_test=self.X_test, y_test=self.y_test)


def read_rows(X: ArrayLike, name: str, layout: Layout, device: torch.device) -> Rows:
    """Lay samples out as those that the encoder is trained on.

    Raises
    ------
    ValueError
        If they are of another shape.
    """
    flat, shape = flatten_rows(X)
    if shape is not None:
        layout.check_same(shape[1:])
    array = check_array(flat, dtype=[np.float32, np.uint8])
    if array.shape[1] != layout.n_features:
        raise ValueError(
            f"{name} of the probe has {array.shape[1]} features, but the transformer is trained on "
            f"{layout.n_features}. Give samples of that shape."
        )
    return Rows(array, layout, device)


def read_layer(module: nn.Module, rows: Rows, layer: str) -> NDArray[np.float32]:
    """Return features as an array of shape (n, d), maps flattened."""
    features = torch.cat(list(encode_rows(module, rows, layer))).flatten(1)
    array: NDArray[np.float32] = features.float().cpu().numpy()
    return array


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Switch a module to evaluation mode for a while; each of its parts goes back to its own."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
