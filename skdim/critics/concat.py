"""A critic that is a network on the concatenation of both sides."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from skdim.critics.abstract import AbstractCritic, as_sequence, at_positions


class ConcatCritic(AbstractCritic):
    """Score pairs by a network on the concatenation of code and local feature.

    Two hidden layers with ReLUs: 512-512-1 in the paper, for the global term ("Table 6") and, as
    1x1 convolutions, for the local one ("concat-and-convolve", "Table 7"). The first layer is a sum
    of two projections. The further layers run once per pair, which is slow for ``negatives="all"``
    on large maps.

    Parameters
    ----------
    code_features, local_features : int
        Size of a code, and channels of the local features.
    units : int or sequence of int, default=512
        Size of both hidden layers, or of each of any number of them.
    samples, activation_penalty : int, float
        See :class:`AbstractCritic`.

    References
    ----------
    Hjelm et al. (2019), appendix. arXiv:1808.06670.
    """

    def __init__(
        self,
        code_features: int,
        local_features: int,
        units: int | Sequence[int] = 512,
        *,
        samples: int | None = None,
        activation_penalty: float = 0.0,
    ) -> None:
        super().__init__(samples=samples, activation_penalty=activation_penalty)
        widths = tuple(units) if isinstance(units, Sequence) else (units, units)
        self.pair_floats = sum(widths)
        first = nn.Linear(code_features + local_features, widths[0])
        self.from_code = nn.Linear(code_features, widths[0])
        self.from_local = nn.Linear(local_features, widths[0], bias=False)
        # Initialised as one layer.
        with torch.no_grad():
            self.from_code.weight.copy_(first.weight[:, :code_features])
            self.from_code.bias.copy_(first.bias)
            self.from_local.weight.copy_(first.weight[:, code_features:])
        self.hidden = nn.ModuleList(nn.Linear(*sizes) for sizes in pairwise(widths))
        self.last = nn.Linear(widths[-1], 1)

    def project_code(self, code: Tensor) -> Tensor:
        """Project codes (n, d, *grid) to (n, g, units)."""
        return at_positions(self.from_code, as_sequence(code))

    def project_local(self, local: Tensor) -> Tensor:
        """Project local features (n, c, *grid) to (n, l, units)."""
        return at_positions(self.from_local, as_sequence(local))

    def join(self, code: Tensor, local: Tensor) -> Tensor:
        """Score (*batch, g, u) with (*batch, l, u), to (*batch, g, l)."""
        # In place, since this is the largest tensor of a step.
        hidden = (code.unsqueeze(-2) + local.unsqueeze(-3)).relu_()
        for layer in self.hidden:
            assert isinstance(layer, nn.Linear)
            hidden = at_positions(layer, hidden, relu=True)
        scores: Tensor = self.last(hidden)
        return scores.squeeze(-1)
