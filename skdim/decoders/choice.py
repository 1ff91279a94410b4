"""Which decoder fits samples of a shape."""

from torch import nn

from skdim.decoders.conv1d import Conv1dDecoder
from skdim.decoders.dcgan import DCGANDecoder
from skdim.decoders.layers import LEAST_SIDE
from skdim.decoders.mlp import MLPDecoder

__all__ = ["make_decoder"]


def make_decoder(output_shape: tuple[int, ...], n_components: int) -> nn.Module:
    """Build a decoder of standardised samples.

    Parameters
    ----------
    output_shape : tuple of int
        Of one sample: ``(C, H, W)``, ``(C, L)`` or ``(n_features,)``.
    n_components : int
        Size of a code.

    Returns
    -------
    Module
        Codes (n, n_components) to samples (n, *output_shape): transposed convolutions for images
        and signals whose sides are all at least 8, else a multilayer perceptron.

    Examples
    --------
    >>> import torch
    >>> make_decoder((3, 28, 31), 16)(torch.zeros(2, 16)).shape
    torch.Size([2, 3, 28, 31])
    """
    _, *sides = output_shape
    if not sides or min(sides) < LEAST_SIDE:
        return MLPDecoder(output_shape, n_components)
    return {1: Conv1dDecoder, 2: DCGANDecoder}.get(len(sides), MLPDecoder)(
        output_shape, n_components
    )
