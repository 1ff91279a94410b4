"""Encoders: what is kept of a training."""

from collections.abc import Callable

from torch import nn

from skdim.encoders.adapter import Adaptable, UserEncoder, check_features
from skdim.encoders.dcgan import DCGANEncoder
from skdim.encoders.features import LAYERS, Features
from skdim.encoders.mlp import MLPEncoder
from skdim.encoders.patches import PatchEncoder

__all__ = [
    "ENCODERS",
    "LAYERS",
    "Adaptable",
    "DCGANEncoder",
    "Features",
    "MLPEncoder",
    "PatchEncoder",
    "UserEncoder",
    "check_features",
]

ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLPEncoder,
    "patches": PatchEncoder,
    "dcgan": DCGANEncoder,
}
