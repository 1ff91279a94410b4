"""Encoders: the networks that map samples to codes.

They raise a ValueError for an ``input_shape`` other than their docstrings allow.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from skdim.encoders.adapter import Adaptable, UserEncoder, check_features, takes_signals
from skdim.encoders.alexnet import AlexNetEncoder
from skdim.encoders.columns import ColumnEncoder
from skdim.encoders.context import ContextEncoder
from skdim.encoders.conv1d import Conv1dEncoder
from skdim.encoders.dcgan import DCGANEncoder
from skdim.encoders.folded import (
    FoldedAlexNetEncoder,
    FoldedAlexNetMultiEncoder,
    FoldedResNetEncoder,
)
from skdim.encoders.hooked import HookedEncoder
from skdim.encoders.kernels import KernelEncoder
from skdim.encoders.layers import LAYERS, Features, layer_of
from skdim.encoders.linear import AbstractStem, Basis, LinearEncoder
from skdim.encoders.mlp import MLPEncoder
from skdim.encoders.patch_network import PatchNetworkEncoder
from skdim.encoders.patches import PatchEncoder
from skdim.encoders.resnet import RESNET34, ResNetEncoder
from skdim.encoders.tutorials import Stride5CNNEncoder, ValidCNNEncoder

__all__ = [
    "ENCODERS",
    "LAYERS",
    "AbstractStem",
    "Adaptable",
    "AlexNetEncoder",
    "Basis",
    "ColumnEncoder",
    "ContextEncoder",
    "Conv1dEncoder",
    "DCGANEncoder",
    "Features",
    "FoldedAlexNetEncoder",
    "FoldedAlexNetMultiEncoder",
    "FoldedResNetEncoder",
    "HookedEncoder",
    "KernelEncoder",
    "LinearEncoder",
    "MLPEncoder",
    "PatchEncoder",
    "PatchNetworkEncoder",
    "ResNetEncoder",
    "Stride5CNNEncoder",
    "UserEncoder",
    "ValidCNNEncoder",
    "check_features",
    "layer_of",
    "takes_signals",
]

ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "mlp": MLPEncoder,
    "patches": PatchEncoder,
    "patch_network": PatchNetworkEncoder,
    "columns": ColumnEncoder,
    "kernels": KernelEncoder,
    "dcgan": DCGANEncoder,
    "alexnet": AlexNetEncoder,
    "resnet19": ResNetEncoder,
    "resnet34": partial(ResNetEncoder, blocks=RESNET34),
    "folded_alexnet": FoldedAlexNetEncoder,
    "folded_alexnet_multi": FoldedAlexNetMultiEncoder,
    "folded_resnet19": FoldedResNetEncoder,
    "folded_resnet34": partial(FoldedResNetEncoder, blocks=RESNET34),
    "stride5_cnn": Stride5CNNEncoder,
    "conv1d": Conv1dEncoder,
    "valid_cnn": ValidCNNEncoder,
}
