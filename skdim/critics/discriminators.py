"""Discriminators: of codes and draws of a prior, and of pairs of a sample and a code."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

# Negative slope of the ReLUs of JointDiscriminator.
SLOPE = 0.2

# Maps are halved until their shorter side is less.
SMALL = 8

MIN_CHANNELS, MAX_CHANNELS = 32, 256

CONVOLUTIONS: dict[int, type[nn.Module]] = {2: nn.Conv1d, 3: nn.Conv2d}


class Discriminator(nn.Module):
    """Discriminate codes from draws of the prior: 1000-200-1 with ReLUs, as in the paper.

    Parameters
    ----------
    code_features : int
        Size of a code.
    units : sequence of int, default=(1000, 200)
        Sizes of the hidden layers.
    batch_norm : bool, default=False
        Whether hidden layers have batch normalisation in place of a bias.
    """

    def __init__(
        self, code_features: int, units: Sequence[int] = (1000, 200), *, batch_norm: bool = False
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise([code_features, *units]):
            layers.append(nn.Linear(before, after, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(nn.ReLU())
        last = nn.Linear([code_features, *units][-1], 1)
        self.network = nn.Sequential(*layers, last)

    def forward(self, code: Tensor) -> Tensor:
        """Score codes (n, d) by logits (n, 1); high means drawn from the prior."""
        logits: Tensor = self.network(code)
        return logits


def keras_discriminator(code_features: int) -> Discriminator:
    """Build the Keras tutorial's discriminator: 32-200-1 with batch normalisation."""
    return Discriminator(code_features, (32, 200), batch_norm=True)


class JointDiscriminator(nn.Module):
    """Discriminate pairs of sample and code from pairs of generated sample and latent code.

    Strided convolutions of images and signals, a hidden layer each of sample and code, and two of
    both, without batch normalisation.

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
        r"""Score samples (n, \*shape) with codes (n, d) by logits (n, 1).

        High means that the code was computed from the sample, not the sample from the code.
        """
        both = torch.cat([self.of_sample(x), self.of_code(code)], dim=1)
        logits: Tensor = self.of_both(both)
        return logits


def halving_layers(shape: tuple[int, ...]) -> tuple[list[nn.Module], int]:
    """Build strided convolutions; also return the number of features behind them."""
    channels, *sides = shape
    if not sides:
        return [], channels
    convolution = CONVOLUTIONS[len(shape)]
    layers: list[nn.Module] = []
    wider = MIN_CHANNELS
    while min(sides) >= SMALL:
        layers += [convolution(channels, wider, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
        channels, wider = wider, min(2 * wider, MAX_CHANNELS)
        sides = [side // 2 for side in sides]
    return layers, channels * math.prod(sides)
