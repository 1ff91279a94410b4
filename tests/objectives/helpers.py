"""What the tests of objectives share: draws, features as if encoded, batches."""

import torch
from torch import nn

from skdim.encoders import Features
from skdim.objectives import Batch, InfoMax, Setting


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normals(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=seeded(seed), dtype=dtype)


def made(make, *args, seed=0, **kwargs):
    """Make a module whose first weights are drawn from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return make(*args, **kwargs)


def make_batch(n, y=None, seed=5):
    """A batch whose samples are known by their number only."""
    classes = torch.full((n,), -1) if y is None else torch.as_tensor(y)
    return Batch(torch.zeros(n, 1), torch.arange(n), classes, seeded(seed))


def build_infomax(sizes, looks=((0, 0),), **parameters):
    """Build the terms of Deep InfoMax for features of these sizes, in single precision."""
    layers = (sizes.local, sizes.conv, sizes.hidden, sizes.code)
    sizes = Features(*(layer.detach().float() for layer in layers))
    setting = Setting(sizes, looks, nn.Identity(), nn.Identity(), (1,), len(sizes.code))
    return InfoMax(**parameters).build(setting)


def make_features(local, code):
    return Features(local, local, code.flatten(1), code)
