"""Features of samples: exact, in chunks of one fixed size."""

from collections.abc import Iterator
from contextlib import closing

import torch
from torch import Generator, Tensor, nn

from skdim.encoders import layer_of
from skdim.inputs import Samples

__all__ = ["encode_rows"]

CHUNK = 64

# Of what reading a data set draws: its features are the same each time.
SEED = 0


@torch.no_grad()
def encode_rows(module: nn.Module, rows: Samples, layer: str) -> Iterator[Tensor]:
    """Encode samples chunk by chunk.

    Matrix products may round differently for different numbers of rows. All chunks have the
    same number, the last one padded with copies of the last row, so that the features of a row
    depend on no other row and on no way of cutting up the data.

    Parameters
    ----------
    module : Module
        Samples to Features, in evaluation mode.
    rows : Samples
    layer : str
        A name in :data:`~skdim.encoders.LAYERS`.

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
