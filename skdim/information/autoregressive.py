"""Densities of coordinates, each given those before it."""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu, softplus

from skdim.information.columns import Columns
from skdim.information.networks import waves

__all__ = ["AutoregressiveMixture", "inputs_of"]

UNITS = 256
COMPONENTS = 4
# Weight, mean and scale of a component.
NUMBERS = 3
# Of the last weights: components that start alike would learn alike.
FIRST_SPREAD = 0.01
SOFTPLUS_OF_ONE = math.log(math.e - 1)


class MaskedLinear(nn.Linear):
    """A linear layer between features that have ranks; none sees a feature it may not see.

    Parameters
    ----------
    may_see : Tensor of shape (n_out, n_in)
        Of truth values.
    """

    may_see: Tensor

    def __init__(self, may_see: Tensor) -> None:
        super().__init__(may_see.shape[1], may_see.shape[0])
        self.register_buffer("may_see", may_see.float())
        with torch.no_grad():
            # As wide as if all that is seen were all there is.
            seen = self.may_see.sum(1, keepdim=True).clamp(min=1)
            self.weight.mul_(torch.sqrt(self.in_features / seen))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (n, n_in): (n, n_out)."""
        return linear(x, self.weight * self.may_see, self.bias)


class AutoregressiveMixture(nn.Module):
    """A mixture of normals for each coordinate, given those before it.

    All at once, by a network whose units see the first coordinates only, up to a rank of their
    own. The densities integrate to one whatever the weights are: so no weights score better on
    rows held out, in the mean, than the density that these were drawn from. They start as
    standard normals, to about 1e-4 nats a coordinate.

    Parameters
    ----------
    n_coordinates, n_inputs : int
        Inputs a coordinate.
    least_scales : ndarray of shape (n_coordinates,)
        Below them no component gets.

    References
    ----------
    Germain et al. (2015), MADE: masked autoencoder for distribution estimation, arXiv:1502.03509.
    """

    least_scales: Tensor

    def __init__(self, n_coordinates: int, n_inputs: int, least_scales: Columns) -> None:
        super().__init__()
        last_seen = max(n_coordinates - 1, 1)
        coordinates = torch.arange(1, n_coordinates + 1)
        sees = torch.linspace(1, last_seen, max(UNITS, last_seen)).round()
        given = coordinates.repeat_interleave(n_inputs)
        found = coordinates.repeat_interleave(NUMBERS * COMPONENTS)
        self.first = MaskedLinear(sees[:, None] >= given)
        self.second = MaskedLinear(sees[:, None] >= sees)
        self.last = MaskedLinear(found[:, None] > sees)
        nn.init.normal_(self.last.weight, std=FIRST_SPREAD)
        nn.init.normal_(self.last.bias, std=FIRST_SPREAD)
        self.register_buffer("least_scales", torch.from_numpy(least_scales).float())

    def forward(self, inputs: Tensor, values: Tensor) -> Tensor:
        """Return log densities, times the square root of 2 pi.

        Parameters
        ----------
        inputs : Tensor of shape (n, d * n_inputs)
            What there is to know of each coordinate, in their order.
        values : Tensor of shape (n, d)

        Returns
        -------
        Tensor of shape (n, d)
            Of each value, given the inputs of the coordinates before it.
        """
        numbers = self.last(silu(self.second(silu(self.first(inputs)))))
        weights, means, widths = numbers.reshape(*values.shape, NUMBERS, COMPONENTS).unbind(2)
        scales = softplus(widths + SOFTPLUS_OF_ONE) + self.least_scales[:, None]
        distances = (values[..., None] - means) / scales
        each = torch.log_softmax(weights, -1) - distances.square() / 2 - scales.log()
        return torch.logsumexp(each, -1)


def inputs_of(scores: Columns, whitened: Columns) -> Tensor:
    """Add inputs to normal scores, all of them bounded.

    Whitened scores are: codes close to a curved surface are at hundreds of standard deviations
    there.

    Parameters
    ----------
    scores, whitened : ndarray of shape (n, d)
        Normal scores, and what whitening makes of them, a coordinate given those before it.

    Returns
    -------
    Tensor of shape (n, d * number of inputs)
    """
    squares = (np.square(scores) - 1) / math.sqrt(2)
    each = [scores, squares, np.arcsinh(whitened), *waves(scores)]
    return torch.from_numpy(np.stack(each, axis=2).reshape(len(scores), -1)).float()
