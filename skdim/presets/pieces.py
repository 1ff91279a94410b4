"""What presets are made of.

Functions and not partials: they have a name, equal themselves when a dict is copied or an estimator
cloned, and can be pickled.
"""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from skdim.critics import AbstractCritic, ConcatCritic, Discriminator, DotCritic
from skdim.priors import PRIORS, Prior

__all__ = [
    "encode_and_dot",
    "encode_and_dot_1024",
    "keras_discriminator",
    "keras_global_critic",
    "keras_local_critic",
    "keras_prior",
    "mirrored",
    "penalised_prior",
    "reference_adam",
]


def encode_and_dot(code_features: int, local_features: int) -> AbstractCritic:
    """Build the paper's dot critic: 2048 units, a network beside each linear projection."""
    return DotCritic(code_features, local_features, 2048, network=True)


def encode_and_dot_1024(code_features: int, local_features: int) -> AbstractCritic:
    """Build the paper's dot critic with half the units, as its comparison with CPC has it."""
    return DotCritic(code_features, local_features, 1024, network=True)


def reference_adam(params: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Build Adam with the betas of DCGAN, which the reference code takes for everything."""
    return torch.optim.Adam(params, lr=lr, betas=(0.5, 0.999), fused=True)


def penalised_prior() -> Prior:
    """Return the uniform prior with the reference's gradient penalty."""
    return replace(PRIORS["uniform"], gradient_penalty=1.0)


def mirrored(x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
    """Return one view of each image, half of them mirrored left to right."""
    drawn = torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device)
    return (torch.where(drawn < 0.5, x.flip(-1), x),)


def keras_local_critic(code_features: int, local_features: int) -> AbstractCritic:
    """Build the Keras tutorial's local critic: 128-64-32-16-1, as 1x1 convolutions."""
    return ConcatCritic(code_features, local_features, (128, 64, 32, 16))


def keras_global_critic(code_features: int, map_features: int) -> AbstractCritic:
    """Build the Keras tutorial's global critic: 128-16-1 on the flattened map and the code."""
    return ConcatCritic(code_features, map_features, (128, 16))


def keras_discriminator(code_features: int) -> nn.Module:
    """Build the Keras tutorial's discriminator: 32-200-1, hidden layers normalised."""
    return Discriminator(code_features, (32, 200), batch_norm=True)


def keras_prior() -> Prior:
    """Return the uniform prior with the Keras tutorial's discriminator."""
    return replace(PRIORS["uniform"], discriminator=keras_discriminator)
