"""Rows without a label: spreading of labels to neighbours, and the frequencies of classes."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags
from sklearn.neighbors import kneighbors_graph
from torch import Tensor

# Number of neighbours, and the steps and the share in which labels spread to them. These and the
# constants of self-training were chosen on CIFAR-10, Fashion-MNIST (validation rows) and digits.
NEIGHBOURS = 5
STEPS, SHARE = 100, 0.9
# Minimum probability of a class after spreading.
LEAST = 1e-6
# Maximum number of rows without a label that are used, and of labelled rows in the graph.
MOST_ROWS = 5000


@dataclass(frozen=True)
class Unlabelled:
    """Rows without a label, and the graph of neighbours of these and labelled rows.

    Parameters
    ----------
    x : Tensor of shape (m, d)
        Standardised features.
    graph : sparse array of shape (p + m, p + m)
        Symmetric, normalised weights of neighbours; p labelled rows come first.
    sources : ndarray of shape (p,)
        Numbers of these rows among all labelled rows.
    """

    x: Tensor
    graph: csr_array
    sources: NDArray[np.intp]

    @classmethod
    def of(cls, x: Tensor, codes: Tensor) -> Self:
        """Find the neighbours.

        Parameters
        ----------
        x : Tensor of shape (m, d)
        codes : Tensor of shape (n + m, e)
            Codes of n labelled rows, then of these, in which distances are measured.
        """
        n = len(codes) - len(x)
        sources = thin_out(np.arange(n))
        nodes = codes[np.concatenate([sources, np.arange(n, len(codes))])].cpu().numpy()
        weights = csr_array(kneighbors_graph(nodes, min(NEIGHBOURS, len(nodes) - 1)))
        weights = weights.maximum(weights.T)
        scale = diags(weights.sum(axis=1) ** -0.5)
        return cls(x, csr_array(scale @ weights @ scale), sources)

    def spread(self, y: Tensor, n_classes: int) -> Tensor:
        """Return log-probabilities (m, k) after spreading of labels (n,), -1 where unknown.

        References
        ----------
        Zhou et al. (2004). Learning with local and global consistency. NeurIPS.
        """
        labels = y.cpu().numpy()[self.sources]
        start = np.zeros((self.graph.shape[0], n_classes), np.float32)
        known = np.flatnonzero(labels >= 0)
        start[known, labels[known]] = 1
        start /= start.sum(axis=0).clip(min=1)  # Frequencies are aligned later.
        spread = start
        for _ in range(STEPS):
            spread = SHARE * (self.graph @ spread) + (1 - SHARE) * start
        reached = torch.from_numpy(spread[len(self.sources) :]).to(self.x) + 1e-9
        return (reached / reached.sum(dim=1, keepdim=True)).clamp(min=LEAST).log()


def shrunken_frequencies(counts: Tensor) -> Tensor:
    """Estimate the frequencies of classes from counts (k,), shrunk towards equal frequencies.

    The shrinkage is larger for fewer labels, whose counts differ more by chance.

    References
    ----------
    Hausser and Strimmer (2009). Entropy inference and the James-Stein estimator, with application
    to nonlinear gene association networks. JMLR 10.
    """
    n, equal = counts.sum(), 1 / len(counts)
    found = counts / n
    chance = (1 - found.square().sum()) / (n - 1).clamp(min=1)
    share = (chance / (found - equal).square().sum().clamp(min=1e-12)).clamp(max=1)
    return share * equal + (1 - share) * found


def thin_out(rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return at most MOST_ROWS rows, evenly spaced."""
    n = min(len(rows), MOST_ROWS)
    return rows[np.arange(n) * len(rows) // max(n, 1)]
