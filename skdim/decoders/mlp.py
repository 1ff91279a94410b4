"""A decoder of vectors, and of samples too small for convolutions."""

import math

from torch import Tensor, nn


class MLPDecoder(nn.Module):
    """Decode codes by a multilayer perceptron of two hidden layers with batch normalisation.

    Parameters
    ----------
    output_shape : tuple of int
        Shape of one sample.
    n_components : int
        Size of a code.
    hidden_units : int, default=256
        Size of each hidden layer.

    Raises
    ------
    ValueError
        If the shape is empty or has a zero.
    """

    def __init__(
        self, output_shape: tuple[int, ...], n_components: int, *, hidden_units: int = 256
    ) -> None:
        super().__init__()
        if not output_shape or min(output_shape) < 1:
            raise ValueError(
                f"output_shape={output_shape} holds no numbers. Give the shape of one sample, such "
                "as (n_features,)."
            )
        layers: list[nn.Module] = []
        for n_inputs in (n_components, hidden_units):
            layers += [
                nn.Linear(n_inputs, hidden_units, bias=False),
                nn.BatchNorm1d(hidden_units),
                nn.ReLU(),
            ]
        self.network = nn.Sequential(*layers, nn.Linear(hidden_units, math.prod(output_shape)))
        self.output_shape = tuple(output_shape)

    def forward(self, code: Tensor) -> Tensor:
        """Decode codes (n, n_components) to samples (n, *output_shape)."""
        sample: Tensor = self.network(code)
        return sample.reshape(len(code), *self.output_shape)
