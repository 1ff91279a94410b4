"""Critics score pairs of a code and a local feature; a discriminator scores single codes.

A critic is two projections and a join. Samples are projected once; the join is computed for each
pair, block by block (:mod:`skdim.pairs`).
"""

from collections.abc import Callable
from functools import partial

from skdim.critics.abstract import AbstractCritic, takes_map
from skdim.critics.concat import ConcatCritic
from skdim.critics.discriminators import Discriminator, JointDiscriminator, keras_discriminator
from skdim.critics.dot import DotCritic
from skdim.critics.gaussian import GaussianCritic
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
