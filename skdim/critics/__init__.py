"""Critics score pairs of a code and a local feature; a discriminator scores one code.

A critic is two projections and a join. Each sample is projected once; only the join is done a
pair, so that :mod:`skdim.pairs` can score all pairs of a batch block by block.
"""

from collections.abc import Callable
from functools import partial

from skdim.critics.abstract import AbstractCritic, takes_map
from skdim.critics.concat import ConcatCritic
from skdim.critics.discriminator import Discriminator, keras_discriminator
from skdim.critics.dot import DotCritic
from skdim.critics.gaussian import GaussianCritic
from skdim.critics.joint import JointDiscriminator
from skdim.critics.map import MapCritic

__all__ = [
    "CRITICS",
    "AbstractCritic",
    "ConcatCritic",
    "Discriminator",
    "DotCritic",
    "GaussianCritic",
    "JointDiscriminator",
    "MapCritic",
    "keras_discriminator",
    "takes_map",
]

CRITICS: dict[str, Callable[..., AbstractCritic]] = {
    "dot": DotCritic,
    "encode_and_dot": partial(DotCritic, units=2048, network=True),
    "concat": ConcatCritic,
    "map": MapCritic,
    "gaussian": GaussianCritic,
}
