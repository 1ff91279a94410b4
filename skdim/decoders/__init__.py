"""Decoders: networks that map codes to samples."""

from torch import nn

from skdim.decoders.convolutional import MIN_SIDE, Conv1dDecoder, DCGANDecoder
from skdim.decoders.mlp import MLPDecoder

__all__ = ["Conv1dDecoder", "DCGANDecoder", "MLPDecoder", "make_decoder"]


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
        Maps codes (n, n_components) to samples (n, *output_shape), by transposed convolutions for
        images and signals with sides of at least 8, else by a multilayer perceptron.

    Examples
    --------
    >>> import torch
    >>> make_decoder((3, 28, 31), 16)(torch.zeros(2, 16)).shape
    torch.Size([2, 3, 28, 31])
    """
    _, *sides = output_shape
    if not sides or min(sides) < MIN_SIDE:
        return MLPDecoder(output_shape, n_components)
    return {1: Conv1dDecoder, 2: DCGANDecoder}.get(len(sides), MLPDecoder)(
        output_shape, n_components
    )
