"""Small networks that tell the class from features, and how they are trained."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import Tensor, nn

from skdim.training import EarlyStopping, StopTraining

__all__ = ["NETWORKS", "ProbeNet", "make_probe_net", "mlp_network", "tutorial_network"]

BATCH_SIZE = 64

LEARNING_RATE = 1e-3

# Epochs without a better likelihood of the validation split after which training ends.
PATIENCE = 10

# Nats by which it must be better.
TOLERANCE = 1e-3


def mlp_network(n_features: int, n_classes: int) -> nn.Sequential:
    """Make the probe of the paper: one hidden layer of 200 units.

    Hjelm et al., 2019; dropout stands before batch normalisation, as in their code.

    Returns
    -------
    Sequential
        Features of shape (n, n_features) to logits of shape (n, n_classes).
    """
    return nn.Sequential(
        nn.Linear(n_features, 200, bias=False),
        nn.Dropout(0.1),
        nn.BatchNorm1d(200),
        nn.ReLU(),
        nn.Linear(200, n_classes),
    )


def tutorial_network(n_features: int, n_classes: int) -> nn.Sequential:
    """Make the classifier of the PyTorch tutorial: layers of 15 and 10 units.

    Its end is the logits: the tutorial took a softmax here, and then its loss took another.

    Returns
    -------
    Sequential
        Features of shape (n, n_features) to logits of shape (n, n_classes).
    """
    return nn.Sequential(
        nn.Linear(n_features, 15),
        nn.BatchNorm1d(15),
        nn.ReLU(),
        nn.Linear(15, 10),
        nn.BatchNorm1d(10),
        nn.ReLU(),
        nn.Linear(10, n_classes),
        nn.BatchNorm1d(n_classes),
    )


NETWORKS = {"mlp": mlp_network, "tutorial": tutorial_network}


class WholeBatches:
    """All samples once, in batches of about equal size, indexed as whole tensors.

    No batch is of a single sample, unless there is only one: batch normalisation needs a variance.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        Of arrays ``X`` and ``y``; without ``y``, targets are zeros.
    batch_size : int
    shuffle : bool, default=False
        By torch's global generator.
    """

    def __init__(self, dataset: Any, batch_size: int, shuffle: bool = False) -> None:
        self.x = torch.as_tensor(dataset.X)
        labelled = dataset.y is not None
        self.y = torch.as_tensor(dataset.y) if labelled else torch.zeros(len(self.x))
        self.shuffle = shuffle
        n = len(self.x)
        self.n_batches = max(1, min(math.ceil(n / batch_size), n // 2))

    def __len__(self) -> int:
        """Count the batches."""
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch."""
        n = len(self.x)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for index in order.tensor_split(self.n_batches):
            yield self.x[index], self.y[index]


class ProbeNet(NeuralNetClassifier):
    """A classifier of skorch that lets Ctrl-C through and indexes whole tensors.

    Its network gives logits, and the loss is their cross entropy.

    Parameters
    ----------
    module : Module
        Features to logits.
    **kwargs : Any
        Of :class:`skorch.NeuralNetClassifier`.
    """

    def __init__(self, module: Any, **kwargs: Any) -> None:
        settings = {
            "criterion": nn.CrossEntropyLoss,
            "iterator_train": WholeBatches,
            "iterator_train__shuffle": True,
            "iterator_valid": WholeBatches,
            "verbose": 0,
        }
        super().__init__(module, **(settings | kwargs))

    def get_default_callbacks(self) -> list[tuple[str, Callback]]:
        """Write down the likelihood of the validation split, and keep no other books.

        Of a small split the accuracy is soon perfect, long before the network is good.
        """
        scoring = EpochScoring("neg_log_loss", name="validation_score", lower_is_better=False)
        return [("validation_score", scoring)]

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> Any:
        """Train; unlike skorch's, let Ctrl-C through instead of giving what is half trained."""
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        with suppress(StopTraining):
            self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self

    def state(self) -> dict[str, Any]:
        """Weights and buffers of the network."""
        state: dict[str, Any] = self.module_.state_dict()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Set weights and buffers from what ``state`` gave."""
        self.module_.load_state_dict(state)


def make_probe_net(
    name: str,
    n_classes: int,
    held_out: tuple[NDArray[np.float32], NDArray[np.int64]],
    *,
    max_epochs: int,
    device: torch.device,
) -> tuple[ProbeNet, EarlyStopping]:
    """Make a network that stops where it does best on what is held out.

    Parameters
    ----------
    name : str
        In :data:`NETWORKS`.
    n_classes : int
    held_out : tuple of ndarray
        Features of shape (m, d), standardised as those to train on, and their classes.
    max_epochs : int
    device : torch.device

    Returns
    -------
    net : ProbeNet
        Its weights, orders and dropout are drawn from torch's global generators.
    stopping : EarlyStopping
        ``best_epoch_`` says, after training, how many epochs are behind the weights kept.
    """
    stopping = EarlyStopping(PATIENCE, TOLERANCE)
    net = ProbeNet(
        NETWORKS[name](held_out[0].shape[1], n_classes),
        classes=list(range(n_classes)),
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE,
        batch_size=BATCH_SIZE,
        max_epochs=max_epochs,
        train_split=predefined_split(Dataset(*held_out)),
        callbacks=[("stopping", stopping)],
        device=str(device),
    )
    return net, stopping
