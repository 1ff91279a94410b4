"""A critic trained alone, on draws of known information, finds how much there is."""

import pytest
import torch
from torch import nn

from skdim.bounds import BOUNDS
from skdim.information import CorrelatedNormals
from skdim.pairs import bound_of_pairs

DIMS = 2
STEPS, BATCH = 200, 128
HELD_OUT_BATCHES, HELD_OUT_BATCH = 10, 512


def dot(x, y):
    return x @ y.mT


def make_critic(seed):
    """Make two networks whose outputs are compared by a dot product."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.ModuleList(
            nn.Sequential(
                nn.Linear(DIMS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16)
            )
            for _ in "xy"
        )


def estimate(bound, critic, sampler, n, generator):
    """Evaluate a bound on fresh draws, each x against its own y and those of all others."""
    projections = (
        project(drawn)[:, None]
        for project, drawn in zip(critic, sampler.draw(n, generator), strict=True)
    )
    return bound_of_pairs(bound, dot, *projections)


def learn(name, information, seed):
    """Train a critic on fresh draws, and evaluate it on others."""
    sampler = CorrelatedNormals.from_information(information, DIMS)
    generator, critic = torch.Generator().manual_seed(seed), make_critic(seed)
    optimizer = torch.optim.Adam(critic.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (-estimate(BOUNDS[name], critic, sampler, BATCH, generator)).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        held_out = [
            estimate(BOUNDS[name], critic, sampler, HELD_OUT_BATCH, generator)
            for _ in range(HELD_OUT_BATCHES)
        ]
    return torch.stack(held_out).mean().item()


# The log of the batch, the ceiling of InfoNCE, is 4.9 nats in training, 6.2 held out: no limit.
@pytest.mark.parametrize(("name", "information"), [("dv", 0.5), ("kl", 1.0), ("infonce", 2.0)])
def test_critic_trained_alone_recovers_the_information(name, information):
    assert learn(name, information, seed=0) == pytest.approx(information, rel=0.1)
