"""Discrete pairs, by a table of their probabilities."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

__all__ = ["JointTable"]


@dataclass(frozen=True, eq=False)
class JointTable:
    """Discrete x and y, whose every probability stands in a table.

    Parameters
    ----------
    probabilities : Tensor of shape (n_x, n_y)
        Entry ``[i, j]`` is the probability of x = i and y = j.

    Raises
    ------
    ValueError
        If that is not a table of numbers from 0 up that add up to 1.

    Examples
    --------
    >>> sampler = JointTable(torch.tensor([[0.5, 0.0], [0.0, 0.5]]))
    >>> sampler.information
    0.693147...
    >>> x, y = sampler.draw(100, torch.Generator().manual_seed(0))
    >>> bool((x == y).all()), sampler.log_ratio(x, y).unique()
    (True, tensor([0.6931]))
    """

    probabilities: Tensor

    def __post_init__(self) -> None:
        """Raise an error for an invalid distribution."""
        table = self.probabilities
        if (
            table.ndim != 2
            or bool((table < 0).any())
            or not math.isclose(table.sum().item(), 1, abs_tol=1e-5)
        ):
            raise ValueError(
                f"probabilities of shape {tuple(table.shape)} with sum {table.sum().item():.6g} "
                "are no joint distribution; a table (n_x, n_y) of numbers from 0 up that add up "
                "to 1 is needed."
            )

    @property
    def information(self) -> float:
        """Mutual information of x and y, in nats."""
        table = self.probabilities
        product = table.sum(1, keepdim=True) * table.sum(0)
        return (torch.xlogy(table, table) - torch.xlogy(table, product)).sum().item()

    def draw(self, n: int, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Draw n pairs.

        Parameters
        ----------
        n : int
            Number of pairs.
        generator : Generator or None, default=None
            What to draw from. None is torch's global generator.

        Returns
        -------
        x, y : Tensor of shape (n,)
            Indices of rows and of columns.
        """
        cell = self.probabilities.flatten().multinomial(n, replacement=True, generator=generator)
        n_y = self.probabilities.shape[1]
        return cell // n_y, cell % n_y

    def log_ratio(self, x: Tensor, y: Tensor) -> Tensor:
        """Compare the joint probability with the product of the marginal ones.

        Parameters
        ----------
        x : Tensor of shape (*b)
            Indices of rows.
        y : Tensor of shape (*b)
            Indices of columns. Axes broadcast.

        Returns
        -------
        Tensor of shape (*b)
            In nats; minus infinity where possible values cannot occur together.
        """
        table = self.probabilities
        log_product = table.sum(1).log()[x] + table.sum(0).log()[y]
        return table.log()[x, y] - log_product
