"""Small classification networks of features, and their training."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import Tensor, nn

from skdim.training import EarlyStopping, StopTraining

__all__ = ["NETWORKS", "ProbeNet", "make_probe_net", "mlp_network", "tutorial_network"]

BATCH_SIZE = 64
LEARNING_RATE = 1e-3
# Number of epochs without a better log-likelihood of the validation split after which training
# stops, and the improvement in nats that counts as better.
PATIENCE, TOLERANCE = 10, 1e-3


def mlp_network(n_features: int, n_classes: int) -> nn.Sequential:
    """Build the probe of the paper (Hjelm et al., 2019): one hidden layer of 200 units.

    Dropout precedes batch normalisation, as in their code.

    Returns
    -------
    Sequential
        Maps features of shape (n, n_features) to logits of shape (n, n_classes).
    """
    return nn.Sequential(
        nn.Linear(n_features, 200, bias=False),
        nn.Dropout(0.1),
        nn.BatchNorm1d(200),
        nn.ReLU(),
        nn.Linear(200, n_classes),
    )


def tutorial_network(n_features: int, n_classes: int) -> nn.Sequential:
    """Build the classifier of the PyTorch tutorial: layers of 15 and 10 units.

    It returns logits. The tutorial applied a softmax here and a second one in its loss.

    Returns
    -------
    Sequential
        Maps features of shape (n, n_features) to logits of shape (n, n_classes).
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
    """An iterator of skorch over batches of about equal size, indexed as whole tensors.

    No batch consists of a single sample, unless there is only one, because batch normalisation
    needs a variance.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        With arrays ``X`` and ``y``; targets are zeros if ``y`` is None.
    batch_size : int
    shuffle : bool, default=False
        Whether to shuffle the samples by torch's global generator.
    """

    def __init__(self, dataset: Dataset, batch_size: int, shuffle: bool = False) -> None:
        self.x = torch.as_tensor(dataset.X)
        labelled = dataset.y is not None
        self.y = torch.as_tensor(dataset.y) if labelled else torch.zeros(len(self.x))
        self.shuffle = shuffle
        n = len(self.x)
        self.n_batches = max(1, min(math.ceil(n / batch_size), n // 2))

    def __len__(self) -> int:
        """Return the number of batches."""
        return self.n_batches

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch."""
        n = len(self.x)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for index in order.tensor_split(self.n_batches):
            yield self.x[index], self.y[index]


class ProbeNet(NeuralNetClassifier):
    """A classifier of skorch that raises KeyboardInterrupt and indexes whole tensors.

    The loss is the cross entropy of the logits.

    Parameters
    ----------
    module : Module
        Maps features to logits.
    **kwargs : Any
        Parameters of :class:`skorch.NeuralNetClassifier`.
    """

    def __init__(self, module: nn.Module, **kwargs: Any) -> None:
        settings = {
            "criterion": nn.CrossEntropyLoss,
            "iterator_train": WholeBatches,
            "iterator_train__shuffle": True,
            "iterator_valid": WholeBatches,
            "verbose": 0,
        }
        super().__init__(module, **(settings | kwargs))

    def get_default_callbacks(self) -> list[tuple[str, Callback]]:
        """Return a single callback, which records the log-likelihood of the validation split.

        The accuracy of a small split reaches 1 long before the network stops improving.
        """
        scoring = EpochScoring("neg_log_loss", name="validation_score", lower_is_better=False)
        return [("validation_score", scoring)]

    def partial_fit(
        self,
        X: NDArray[np.float32],
        y: NDArray[np.int64],
        classes: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Train; unlike in skorch, KeyboardInterrupt is raised."""
        if not self.initialized_:
            self.initialize()
        self.notify("on_train_begin", X=X, y=y)
        with suppress(StopTraining):
            self.fit_loop(X, y, **fit_params)
        self.notify("on_train_end", X=X, y=y)
        return self

    def state(self) -> dict[str, Any]:
        """Return weights and buffers of the network."""
        state: dict[str, Any] = self.module_.state_dict()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Set weights and buffers from the result of ``state``."""
        self.module_.load_state_dict(state)


def make_probe_net(
    name: str,
    n_classes: int,
    held_out: tuple[NDArray[np.float32], NDArray[np.int64]],
    *,
    max_epochs: int,
    device: torch.device,
) -> tuple[ProbeNet, EarlyStopping]:
    """Build a network that stops early and keeps the best epoch on held-out samples.

    Parameters
    ----------
    name : str
        Key of :data:`NETWORKS`.
    n_classes : int
    held_out : tuple of ndarray
        Features of shape (m, d), standardised as the training features, and class indices.
    max_epochs : int
    device : torch.device

    Returns
    -------
    net : ProbeNet
        Weights, orders and dropout are drawn from torch's global generators.
    stopping : EarlyStopping
        After training, ``best_epoch_`` is the epoch of the final weights.
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
