"""Features of samples, encoded in chunks of a fixed size."""

from collections.abc import Iterator
from contextlib import closing

import torch
from torch import Generator, Tensor, nn

from skdim.encoders import layer_of
from skdim.inputs import Samples

__all__ = ["encode_rows"]

CHUNK = 64

# Seed of what reading a data set draws.
SEED = 0


@torch.no_grad()
def encode_rows(module: nn.Module, rows: Samples, layer: str) -> Iterator[Tensor]:
    """Encode samples in chunks of one size, the last one padded with copies of the last row.

    Rounding depends on the number of rows: so the features of a row do not depend on the others.

    Parameters
    ----------
    module : Module
        Maps samples to Features, in evaluation mode.
    rows : Samples
    layer : str
        One of :data:`~skdim.encoders.LAYERS`.

    Yields
    ------
    Tensor of shape (at most 64, ...)
    """
    padding = torch.arange(CHUNK, device=rows.device)
    generator = Generator(device=rows.device).manual_seed(SEED)
    with closing(rows.read(rows.chunks(CHUNK), generator)) as chunks:
        for x in chunks:
            features = module(x.index_select(0, padding.clamp(max=len(x) - 1)))
            yield layer_of(features, layer)[: len(x)]
