"""What the tests of encoders share."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from skdim.encoders import ENCODERS, LAYERS


def seeded(make, *args, **kwargs):
    """Make a module with weights that are the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(*args, **kwargs)


def adapt(encoder, x):
    """Adapt an encoder to samples at once."""
    reduce = getattr(encoder, "reduce", None)
    encoder.adapt(x if reduce is None else reduce(x, len(x)))


def draw(*shape, seed=1):
    """Draw normal numbers that are the same each time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def sizes(features):
    """Give the shapes of the layers of one sample."""
    return tuple(tuple(getattr(features, layer).shape[1:]) for layer in LAYERS)


def on_paper(make, sample, n_components=64, **kwargs):
    """Give layer shapes, parameters and multiplications an image; nothing is computed."""
    make = ENCODERS[make] if isinstance(make, str) else make
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        encoder = make(sample, n_components, **kwargs).eval()
        features = encoder(torch.empty(1, *sample))
    n_parameters = sum(weight.numel() for weight in encoder.parameters())
    return sizes(features), n_parameters, counter.get_total_flops() // 2


def pixels_seen(encoder, sample, layer, row, column):
    """Say which rows and columns of an image move one location of a layer.

    Returns
    -------
    ((first row, last row), (first column, last column))
    """
    x = draw(1, *sample).requires_grad_()
    getattr(encoder.eval()(x), layer)[0, :, row, column].sum().backward()
    moved = x.grad[0].abs().sum(0) > 0
    return tuple(
        (int(seen[0]), int(seen[-1])) for seen in (moved.any(1).nonzero(), moved.any(0).nonzero())
    )
