"""Pairs of a sample and a code told apart: what plays against an encoder and a generator."""

import math

import torch
from torch import Tensor, nn

__all__ = ["JointDiscriminator"]

SLOPE = 0.2

# Maps are halved until their shorter side is below this.
SMALL = 8

LEAST_CHANNELS, MOST_CHANNELS = 32, 256

CONVOLUTIONS: dict[int, type[nn.Module]] = {2: nn.Conv1d, 3: nn.Conv2d}


class JointDiscriminator(nn.Module):
    """Discriminate pairs of sample and code from pairs of generated sample and its latent.

    Strided convolutions of images and signals, a linear layer of vectors; one hidden layer of the
    sample, one of the code, and two of both. Nothing is normalised over the batch: what is told of
    a pair depends on that pair only.

    Parameters
    ----------
    shape : tuple of int
        Of a sample: ``(C, H, W)``, ``(C, L)`` or ``(d,)``.
    code_features : int
        Size of a code.
    units : int, default=256
        Size of the hidden layers.

    References
    ----------
    Donahue, Krähenbühl and Darrell (2017). Adversarial feature learning. ICLR. arXiv:1605.09782.
    Radford, Metz and Chintala (2016). arXiv:1511.06434 (strided convolutions, leaky ReLUs).
    """

    def __init__(self, shape: tuple[int, ...], code_features: int, units: int = 256) -> None:
        super().__init__()
        layers, n_features = halving_layers(shape)
        self.of_sample = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(n_features, units), nn.LeakyReLU(SLOPE)
        )
        self.of_code = nn.Sequential(nn.Linear(code_features, units), nn.LeakyReLU(SLOPE))
        self.of_both = nn.Sequential(
            nn.Linear(2 * units, units),
            nn.LeakyReLU(SLOPE),
            nn.Linear(units, units),
            nn.LeakyReLU(SLOPE),
            nn.Linear(units, 1),
        )

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        r"""Score pairs.

        Parameters
        ----------
        x : Tensor of shape (n, \*shape)
        code : Tensor of shape (n, d)

        Returns
        -------
        Tensor of shape (n, 1)
            Logits; high means that the code was made of the sample, not the sample of the code.
        """
        both = torch.cat([self.of_sample(x), self.of_code(code)], dim=1)
        logits: Tensor = self.of_both(both)
        return logits


def halving_layers(shape: tuple[int, ...]) -> tuple[list[nn.Module], int]:
    """Build strided convolutions, and count what they leave of a sample."""
    channels, *sides = shape
    if not sides:
        return [], channels
    convolution = CONVOLUTIONS[len(shape)]
    layers: list[nn.Module] = []
    wider = LEAST_CHANNELS
    while min(sides) >= SMALL:
        layers += [convolution(channels, wider, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        channels, wider = wider, min(2 * wider, MOST_CHANNELS)
        sides = [side // 2 for side in sides]
    return layers, channels * math.prod(sides)
