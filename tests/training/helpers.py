"""What the tests of the loop share: rows, nets ready to train, a scripted objective."""

import numpy as np
import torch
from hypothesis import settings
from skorch.callbacks import Callback
from torch import nn

from skdim.encoders import MLPEncoder
from skdim.inputs import ArraySamples, Layout, Standardise, channel_statistics
from skdim.objectives import AbstractCriterion
from skdim.training import EncoderNet
from skdim.views import Identity
from tests.objectives.helpers import build_infomax

patient = settings(deadline=None)  # The machine may be busy.
N, FEATURES, BATCH = 20, 9, 8


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_rows(n=N, features=FEATURES, seed=0):
    table = np.random.default_rng(seed).normal(size=(n, features)).astype(np.float32)
    return ArraySamples(table, Layout((features,)))


def make_infomax(encoder, features, **kwargs):
    with torch.no_grad():
        sizes = encoder.eval()(torch.zeros(2, features))
    settings = {"global_weight": 0.5, "local_weight": 1.0, "prior_weight": 0.1}
    return build_infomax(sizes, **settings | kwargs, bound="jsd", critic_units=8)


def make_net(rows, objective=None, *, n_components=4, callbacks=(), view=None, **kwargs):
    """Make a net that is ready to train."""
    settings = {
        "optimizer": torch.optim.SGD,
        "lr": 0.01,
        "batch_size": BATCH,
        "schedule": "constant",
    } | kwargs
    schedule, weights = settings.pop("schedule"), settings.pop("weights", {})
    features = rows.layout.n_features
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = MLPEncoder((features,), n_components, n_groups=3, local_units=8, hidden_units=16)
        objective = objective or make_infomax(encoder, features, **weights)
    standardise = Standardise(*channel_statistics(rows))
    net = EncoderNet(
        nn.Sequential(standardise, encoder),
        objective,
        view=view or Identity(),
        device="cpu",
        callbacks=None,
        verbose=0,
        **settings,
    ).initialize()
    planned = {name: settings[name] for name in ("batch_size", "lr")}
    net.plan(list(callbacks), {"schedule": schedule, **planned})
    return net


def train(net, rows, held_out=None, *, epochs=2, seed=1):
    net.train(rows, held_out, epochs=epochs, generator=seeded(seed))
    return net


class Events(Callback):
    """Write down all events."""

    def __init__(self):
        self.seen = []
        self.named = []

    def notify(self, method, net, **kwargs):
        self.seen.append((method, kwargs))

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen.append(("on_grad_computed", kwargs))
        self.named.append([(name, weight.grad) for name, weight in named_parameters])


class Scripted(AbstractCriterion):
    """A weight that grows by the learning rate each step, a term and a score made of it."""

    def __init__(self, term=lambda w: -w, score=lambda w: w):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.term, self.worth = term, score

    def forward(self, looks, batch):
        return {"scripted": self.term(self.weight)}

    def score(self, features, batch):
        return self.worth(self.weight.detach())
