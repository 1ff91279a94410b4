"""Decoders: from codes back to samples, to train an encoder by or to see what a code holds."""

from skdim.decoders.choice import make_decoder
from skdim.decoders.conv1d import Conv1dDecoder
from skdim.decoders.dcgan import DCGANDecoder
from skdim.decoders.mlp import MLPDecoder

__all__ = ["Conv1dDecoder", "DCGANDecoder", "MLPDecoder", "make_decoder"]
