"""Objectives as a user writes them: one without weights, one with a network of its own."""

import math
from typing import ClassVar

from torch import nn

from skdim.objectives import AbstractCriterion, AbstractObjective
from skdim.parameters import real


class Alignment(AbstractObjective):
    """Codes of one sample together, codes of different samples apart."""

    rules: ClassVar = {"temperature": real(0, low_open=True)}

    def __init__(self, temperature=0.5):
        self.temperature = temperature

    def terms(self, looks, batch):
        first, last = (nn.functional.normalize(look.code, dim=1) for look in (looks[0], looks[-1]))
        scores = first @ last.mT / self.temperature
        return {"alignment": -scores.log_softmax(dim=1).diagonal().mean()}

    def score(self, features, batch):
        return features.code.std(dim=0).mean().clamp(max=1.0)


class LinearDecoder(AbstractCriterion):
    def __init__(self, setting, weight):
        super().__init__()
        self.standardise = setting.standardise
        self.decode = nn.Linear(setting.sizes.code.shape[1], math.prod(setting.shape))
        self.weight = weight

    def error(self, features, batch):
        wanted = self.standardise(batch.x.float()).flatten(1)
        return (self.decode(features.code).float() - wanted).square().mean()

    def forward(self, looks, batch):
        return {"error": self.weight * sum(self.error(look, batch) for look in looks)}

    def score(self, features, batch):
        return -self.error(features, batch)


class Decoding(AbstractObjective):
    """A linear decoder of the code."""

    def __init__(self, weight=1.0):
        self.weight = weight

    def build(self, setting):
        return LinearDecoder(setting, self.weight)
