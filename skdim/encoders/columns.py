"""An encoder of vectors that is linear in the columns and in random features of them."""

import torch
from torch import Tensor
from torch.nn.functional import linear, relu

from skdim.encoders.layers import Shape, check_vectors
from skdim.encoders.linear import AbstractStem, LinearEncoder

# Number of standard deviations at which values are clipped.
LIMIT = 10.0


class ColumnStem(AbstractStem):
    """Fixed features of vectors: the columns and random features, in one cell.

    A random feature is the ReLU of a random projection, scaled to unit variance on the training
    samples, minus a random threshold; both are normal.

    References
    ----------
    Rahimi and Recht (2007). Random features for large-scale kernel machines. NeurIPS.
    """

    weight: Tensor
    threshold: Tensor

    def __init__(self, input_shape: Shape, n_random: int = 2048) -> None:
        super().__init__()
        check_vectors("columns", input_shape)
        self.register_buffer("weight", torch.zeros(n_random, *input_shape))
        self.register_buffer("threshold", torch.zeros(n_random))
        self.out_shape = (input_shape[0] + n_random, 1)

    def adapt(self, x: Tensor) -> None:
        """Draw projections and thresholds; scale projections by standardised samples (n, d)."""
        weight = torch.randn(self.weight.shape).to(x)
        spread = linear(x.clamp(-LIMIT, LIMIT), weight).std(dim=0, correction=0).clamp(min=1e-3)
        self.weight.copy_(weight / spread[:, None])
        self.threshold.copy_(torch.randn(len(weight)))

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors (n, d) to (n, d + n_random, 1)."""
        x = x.clamp(-LIMIT, LIMIT)
        return torch.cat([x, relu(linear(x, self.weight, -self.threshold))], dim=1)[:, :, None]


class ColumnEncoder(LinearEncoder):
    """Encode vectors linearly in their columns and in random features of them.

    With ``view=None``, the default for vectors, the closed form is kernel principal component
    analysis by random features, under noise of equal variance in all features.

    Parameters
    ----------
    input_shape : tuple of one int
        ``(n_features,)``.
    n_components : int
        Size of the code.
    n_random : int, default=2048
        Number of random features.
    hidden_units : int, default=256
        Size of the hidden layer, at least that of the code.
    """

    def __init__(
        self,
        input_shape: Shape,
        n_components: int,
        *,
        n_random: int = 2048,
        hidden_units: int = 256,
    ) -> None:
        super().__init__(
            ColumnStem(input_shape, n_random),
            n_components,
            hidden_units=hidden_units,
            n_coordinates=max(512, 2 * n_components),
        )
