"""Small classification networks of features, and their training."""

import copy
import math
from collections.abc import Callable
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skdim.metrics.arrays import count_batches

__all__ = ["NETWORKS", "NetworkProbe", "mlp_network", "tutorial_network"]

LEARNING_RATE = 1e-3
# Number of epochs without a better log-likelihood of the held-out samples after which training
# stops, and the improvement in nats that counts as better.
PATIENCE, TOLERANCE = 10, 1e-3
LOG_LIKELIHOOD = get_scorer("neg_log_loss")


def mlp_network(n_features: int, n_classes: int) -> nn.Sequential:
    """Build the probe of the paper (Hjelm et al., 2019): one hidden layer of 200 units.

    Dropout precedes batch normalisation, as in their code. The result maps features (n, n_features)
    to logits (n, n_classes).
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


class NetworkProbe(ClassifierMixin, BaseEstimator):
    """Train a network with early stopping, and keep its best epoch on held-out samples.

    Weights, orders and dropout are drawn from torch's global generators. ``scores_`` are mean
    log-likelihoods of the held-out samples, epoch by epoch: their accuracy reaches 1 long before
    the network stops improving. ``best_epoch_`` is counted from 1.
    """

    def __init__(
        self,
        make: Callable[[int, int], nn.Module],
        held_out: tuple[NDArray[np.float32], NDArray[np.int64]],
        max_epochs: int,
        device: torch.device,
    ) -> None:
        self.make = make
        self.held_out = held_out
        self.max_epochs = max_epochs
        self.device = device

    def fit(self, X: NDArray[np.float32], y: NDArray[np.int64]) -> Self:
        """Train on features (n, d) and class indices (n,)."""
        self.classes_ = np.unique(y)
        self.network_ = self.make(X.shape[1], len(self.classes_)).to(self.device)
        self.scores_: list[float] = []
        self.best_epoch_, best_score, best_state = 0, -math.inf, self.network_.state_dict()
        x, labels = torch.as_tensor(X), torch.as_tensor(y)
        optimizer = torch.optim.Adam(self.network_.parameters(), lr=LEARNING_RATE)
        for epoch in range(1, self.max_epochs + 1):
            self.network_.train()
            for index in torch.randperm(len(x)).tensor_split(count_batches(len(x))):
                optimizer.zero_grad()
                self.loss(x[index], labels[index]).backward()
                optimizer.step()
            self.scores_.append(LOG_LIKELIHOOD(self, *self.held_out))
            if self.scores_[-1] > best_score + TOLERANCE:
                self.best_epoch_, best_score = epoch, self.scores_[-1]
                best_state = copy.deepcopy(self.network_.state_dict())
            elif epoch - self.best_epoch_ >= PATIENCE:
                break
        self.network_.load_state_dict(best_state)
        return self

    def loss(self, x: Tensor, labels: Tensor) -> Tensor:
        """Compute the cross entropy of a batch."""
        return cross_entropy(self.network_(x.to(self.device)), labels.to(self.device))

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the probabilities (n, c) of the classes."""
        self.network_.eval()
        with torch.no_grad():
            logits = [
                self.network_(part.to(self.device))
                for part in torch.as_tensor(X).tensor_split(count_batches(len(X)))
            ]
        return np.asarray(torch.cat(logits).softmax(dim=1).cpu().numpy())

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the indices (n,) of the most probable classes."""
        return np.asarray(self.predict_proba(X).argmax(axis=1))
