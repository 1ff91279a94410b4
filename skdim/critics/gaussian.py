"""A critic that is the density ratio of Gaussian pairs: the critic of the closed form."""

import torch
from torch import Tensor, nn

from skdim.critics.abstract import AbstractCritic, as_sequence, at_positions


class GaussianCritic(AbstractCritic):
    r"""Score pairs by the log ratio of their joint density to the product of the marginals.

    Code and local feature are projected linearly to ``units`` values each, :math:`a_i` and
    :math:`b_i`. If these are standard normal, and only :math:`a_i` and :math:`b_i` are correlated,
    by :math:`\rho_i`, the score is

    .. math:: \sum_i -\tfrac{1}{2} \ln(1 - \rho_i^2)
        + \frac{\rho_i a_i b_i - \rho_i^2 (a_i^2 + b_i^2) / 2}{1 - \rho_i^2},

    the optimal critic of Gaussian pairs, whose mean over positive pairs is their mutual
    information. The closed form of InfoMax sets projections and correlations; gradients can train
    them.

    Parameters
    ----------
    code_features, local_features : int
        Size of a code, and channels of the local features.
    units : int, default=None
        Number of pairs of values; None is the smaller of both sizes.
    """

    def __init__(self, code_features: int, local_features: int, units: int | None = None) -> None:
        super().__init__()
        self.units = min(code_features, local_features) if units is None else units
        self.code_projection = nn.Linear(code_features, self.units)
        self.local_projection = nn.Linear(local_features, self.units)
        # The inverse hyperbolic tangent of each correlation.
        self.fisher_z = nn.Parameter(torch.full((self.units,), 0.5))

    def project_code(self, code: Tensor) -> Tensor:
        """Project codes (n, d, *grid) to (n, g, units + 2)."""
        a = at_positions(self.code_projection, as_sequence(code))
        squares, products = self.factors()
        own = -(squares * a.square()).sum(dim=-1, keepdim=True)
        return torch.cat([products * a, own, torch.ones_like(own)], dim=-1)

    def project_local(self, local: Tensor) -> Tensor:
        """Project local features (n, c, *grid) to (n, l, units + 2)."""
        b = at_positions(self.local_projection, as_sequence(local))
        squares, _ = self.factors()
        # -1/2 ln(1 - tanh(z)^2) = ln cosh(z).
        constant = torch.log(torch.cosh(self.fisher_z)).sum()
        own = constant - (squares * b.square()).sum(dim=-1, keepdim=True)
        return torch.cat([b, torch.ones_like(own), own], dim=-1)

    def factors(self) -> tuple[Tensor, Tensor]:
        """Return the coefficients (units,) of squares and of products."""
        # r / (1 - r^2) = sinh(z) cosh(z), and r^2 / (1 - r^2) = sinh(z)^2.
        sinh, cosh = torch.sinh(self.fisher_z), torch.cosh(self.fisher_z)
        return sinh.square() / 2, sinh * cosh

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*batch, g, u) with (*batch, l, u), to (*batch, g, l)."""
        return code @ local.mT

    @torch.no_grad()
    def set_pairs(
        self, code: tuple[Tensor, Tensor], local: tuple[Tensor, Tensor], correlations: Tensor
    ) -> None:
        """Set projections and correlations.

        Parameters
        ----------
        code, local : (Tensor of shape (k, features), Tensor of shape (k,))
            Weight and bias of projections of mean 0 and variance 1; ``k`` is at most ``units``.
        correlations : Tensor of shape (k,)
        """
        k = len(correlations)
        for layer, (weight, bias) in ((self.code_projection, code), (self.local_projection, local)):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[:k] = weight.to(layer.weight)
            layer.bias[:k] = bias.to(layer.bias)
        self.fisher_z.zero_()
        self.fisher_z[:k] = torch.atanh(correlations).to(self.fisher_z)
