"""Encoders: what is kept of a training."""

from collections.abc import Callable

from torch import nn

from skdim.encoders.adapter import Adaptable, UserEncoder, check_features
from skdim.encoders.dcgan import DCGANEncoder
from skdim.encoders.features import LAYERS, Features
from skdim.encoders.mlp import MLPEncoder

__all__ = [
    "ENCODERS",
    "LAYERS",
    "Adaptable",
    "DCGANEncoder",
    "Features",
    "MLPEncoder",
    "UserEncoder",
    "check_features",
]

ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLPEncoder,
    "dcgan": DCGANEncoder,
}
