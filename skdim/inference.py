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

# Rows that are encoded at once on the CPU, and on accelerators, which need more to be busy.
CHUNK = 64
LARGE_CHUNK = 256
# Rows after which features are copied from an accelerator, which waits for it.
COPIED_ROWS = 4096

# Seed of draws while reading a data set.
SEED = 0


@torch.no_grad()
def encode_rows(module: nn.Module, rows: Samples, *layers: str) -> Iterator[tuple[Tensor, ...]]:
    """Encode samples in chunks of one size, the last one padded with copies of the last row.

    Since rounding depends on the number of rows, this makes features independent of other rows.

    Yield a tuple of the ``layers`` of each chunk, (at most ``chunk_size(rows.device)``, ...), as
    the module, in evaluation mode, returns them in Features.
    """
    size = chunk_size(rows.device)
    generator = Generator(device=rows.device).manual_seed(SEED)
    with closing(rows.read(rows.chunks(size), generator)) as chunks:
        for x in chunks:
            features = module(pad_rows(x, size))
            yield tuple(layer_of(features, layer)[: len(x)] for layer in layers)


def features_of(module: nn.Module, rows: Samples, layer: str) -> NDArray[np.float32]:
    """Encode samples to an array (n, d), maps flattened, with few waits for accelerators.

    There must be at least one sample; ``module`` and ``layer`` are as in ``encode_rows``.
    """
    size = chunk_size(rows.device)
    n_chunks = 1 if rows.device.type == "cpu" else COPIED_ROWS // size
    chunks = (features for (features,) in encode_rows(module, rows, layer))
    features, start = None, 0
    while encoded := list(islice(chunks, n_chunks)):
        copied = torch.cat(encoded).flatten(1).cpu().numpy()
        if features is None:
            features = np.empty((len(rows), copied.shape[1]), np.float32)
        features[start : start + len(copied)] = copied
        start += len(copied)
    assert features is not None
    return features


def pad_rows(x: Tensor, size: int) -> Tensor:
    """Pad rows (n, ...) to a size with copies of the last one."""
    return x.index_select(0, torch.arange(size, device=x.device).clamp(max=len(x) - 1))


def chunk_size(device: torch.device) -> int:
    """Return the number of rows that are encoded at once on a device."""
    return CHUNK if device.type == "cpu" else LARGE_CHUNK
