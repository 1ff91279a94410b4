"""A small encoder, features as if encoded, and Deep InfoMax on them."""

import numpy as np
import torch
from torch import nn

from skdim.encoders import Features
from skdim.objectives import Batch
from tests.objectives.helpers import build_infomax, made, seeded

N, INPUTS, LOCAL, CODE = 6, 10, 4, 3
BOTH_WAYS = ((0, 1), (1, 0))


def normals(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed))


class Encoder(nn.Module):
    """A small encoder in two parts, so that it can be seen which one a term moves."""

    def __init__(self, code_grid=(), local_grid=(5,)):
        super().__init__()
        self.code_grid, self.local_grid = code_grid, local_grid
        n_local = LOCAL * int(np.prod(local_grid))
        self.to_local = nn.Linear(INPUTS, n_local)
        self.to_code = nn.Linear(n_local, CODE * int(np.prod(code_grid)))

    def forward(self, x):
        flat = self.to_local(x).tanh()
        local = flat.reshape(len(x), LOCAL, *self.local_grid)
        code = self.to_code(flat).reshape(len(x), CODE, *self.code_grid)
        return Features(local, local, flat, code)


def make_batch(seed=5):
    return Batch(normals(N, INPUTS), torch.arange(N), torch.full((N,), -1), seeded(seed))


def look_at(encoder, n_looks=1):
    return [encoder(normals(N, INPUTS, seed=look)) for look in range(n_looks)]


def leaves(n_looks=1, code_grid=(), dtype=torch.float64):
    """Features that no encoder gave, and that keep their own gradients."""
    shapes = (N, LOCAL, 2, 2), (N, LOCAL, 3), (N, 7), (N, CODE, *code_grid)
    return [
        Features(
            *(
                normals(*shape, seed=10 * look + i).to(dtype).requires_grad_()
                for i, shape in enumerate(shapes)
            )
        )
        for look in range(n_looks)
    ]


def make_objective(global_weight=0.0, local_weight=0.0, prior_weight=0.0, sizes=None, **kwargs):
    return made(
        build_infomax,
        made(Encoder)(normals(2, INPUTS)) if sizes is None else sizes,
        global_weight=global_weight,
        local_weight=local_weight,
        prior_weight=prior_weight,
        **kwargs,
    )
