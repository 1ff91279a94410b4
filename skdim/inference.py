"""Features of samples, encoded in chunks of a fixed size."""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from skdim.encoders import layer_of
from skdim.inputs import Samples

__all__ = ["chunk_size", "encode_rows", "features_of", "filled_up"]

CHUNK = 64
# On accelerators, which small chunks leave idle.
LARGE_CHUNK = 256
# Rows after which features are copied from an accelerator, which waits for it.
COPIED_ROWS = 4096

# Seed of what reading a data set draws.
SEED = 0


@torch.no_grad()
def encode_rows(module: nn.Module, rows: Samples, *layers: str) -> Iterator[tuple[Tensor, ...]]:
    """Encode samples in chunks of one size, the last one padded with copies of the last row.

    Rounding depends on the number of rows: so the features of a row do not depend on the others.

    Parameters
    ----------
    module : Module
        Maps samples to Features, in evaluation mode.
    rows : Samples
    *layers : str
        Of :data:`~skdim.encoders.LAYERS`.

    Yields
    ------
    tuple of Tensor of shape (at most ``chunk_size(rows.device)``, ...)
        One for each layer.
    """
    size = chunk_size(rows.device)
    generator = Generator(device=rows.device).manual_seed(SEED)
    with closing(rows.read(rows.chunks(size), generator)) as chunks:
        for x in chunks:
            features = module(filled_up(x, size))
            yield tuple(layer_of(features, layer)[: len(x)] for layer in layers)


def features_of(module: nn.Module, rows: Samples, layer: str) -> NDArray[np.float32]:
    """Encode samples to an array (n, d), maps flattened, which accelerators are waited for rarely.

    Parameters
    ----------
    module : Module
        Maps samples to Features, in evaluation mode.
    rows : Samples
        At least one.
    layer : str
        One of :data:`~skdim.encoders.LAYERS`.
    """
    size = chunk_size(rows.device)
    together = 1 if rows.device.type == "cpu" else COPIED_ROWS // size
    chunks = (features for (features,) in encode_rows(module, rows, layer))
    features, start = None, 0
    while waiting := list(islice(chunks, together)):
        copied = torch.cat(waiting).flatten(1).cpu().numpy()
        if features is None:
            features = np.empty((len(rows), copied.shape[1]), np.float32)
        features[start : start + len(copied)] = copied
        start += len(copied)
    assert features is not None
    return features


def filled_up(x: Tensor, size: int) -> Tensor:
    """Return rows (n, ...) with copies of the last one up to a size, on which rounding depends."""
    return x.index_select(0, torch.arange(size, device=x.device).clamp(max=len(x) - 1))


def chunk_size(device: torch.device) -> int:
    """Return the number of rows that are encoded at once."""
    return CHUNK if device.type == "cpu" else LARGE_CHUNK
