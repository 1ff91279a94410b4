"""The Keras tutorial's terms, written out plainly, are those of the preset."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from skdim import DeepInfoMaxTransformer
from skdim.encoders import Stride5CNNEncoder
from skdim.objectives import Batch
from skdim.presets import KERAS_WEIGHTS, keras_tutorial
from tests.objectives.helpers import build_infomax

N = 4


def normals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def made(make, *args, **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(*args, **kwargs).double()


def make_objective(features, weights):
    settings = keras_tutorial(weights)
    return made(
        build_infomax,
        features,
        **{name: value for name, value in settings.items() if name.endswith("_weight")},
        bound=settings["bound"],
        critic=settings["critic"],
        critic_units=settings["critic_units"],
        negatives=settings["negatives"],
        prior=settings["prior"],
    )


def dense(critic, first):
    """The critic as layers on both inputs side by side, the one named first in front."""
    halves = {"code": critic.from_code.weight, "local": critic.from_local.weight}
    weight = torch.cat([halves[name] for name in (first, *halves.keys() - {first})], dim=1)

    def score(x):
        x = (x @ weight.T + critic.from_code.bias).relu()
        for layer in critic.hidden:
            x = layer(x).relu()
        return critic.last(x)

    return score


def local_scores(critic, code, local):
    """Copy the code to each location, put it behind the map's channels, and ask everywhere."""
    at_locations = local.movedim(1, -1)
    tiled = code[:, None, None, :].expand(*at_locations.shape[:3], -1)
    return dense(critic, "local")(torch.cat([at_locations, tiled], dim=-1))


def global_scores(critic, code, local):
    return dense(critic, "local")(torch.cat([local.flatten(1), code], dim=-1))


def published_term(scores, critic, features):
    false = torch.cat([features.local[1:], features.local[:1]])
    of_true = softplus(-scores(critic, features.code, features.local)).mean()
    return of_true + softplus(scores(critic, features.code, false)).mean()


@pytest.mark.parametrize("weights", KERAS_WEIGHTS)
def test_terms_of_the_tutorial_are_those_of_the_preset(weights):
    """Less the constant 2 ln 2 of the bound; gradients too."""
    encoder = made(Stride5CNNEncoder, (1, 28, 28), 32)
    features = encoder(normals(N, 1, 28, 28, seed=1))
    objective = make_objective(features, weights)
    batch = Batch(normals(N, 1), torch.arange(N), -torch.ones(N), torch.Generator().manual_seed(0))
    terms = objective([features], batch)
    scores = {"local": local_scores, "global": global_scores}
    informing = {term.name: term for term in objective if hasattr(term, "critic")}
    weight_of = dict(zip(("global", "local"), KERAS_WEIGHTS[weights][:2], strict=True))

    assert set(informing) == {name for name, weight in weight_of.items() if weight}
    for name, term in informing.items():
        found = published_term(scores[name], term.critic, features)
        expected = weight_of[name] * (found - 2 * math.log(2))
        assert terms[name].item() == pytest.approx(expected.item(), abs=1e-12)
        given = [*encoder.parameters(), *term.critic.parameters()]
        gradients, right = (
            torch.autograd.grad(each, given, retain_graph=True, allow_unused=True)
            for each in (terms[name], expected)
        )
        for mine, theirs in zip(gradients, right, strict=True):
            if theirs is not None:
                torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-13)


def test_networks_are_those_of_the_tutorial():
    objective = make_objective(
        made(Stride5CNNEncoder, (1, 28, 28), 32)(normals(2, 1, 28, 28)), "mixed with prior"
    )
    of_local, of_global, matching = objective
    widths = {
        name: [critic.from_code.out_features, *(layer.out_features for layer in critic.hidden)]
        for name, critic in (("local", of_local.critic), ("global", of_global.critic))
    }

    assert widths == {"local": [128, 64, 32, 16], "global": [128, 16]}
    assert of_local.critic.from_local.in_features == 256
    assert of_global.critic.from_local.in_features == 256 * 5 * 5
    layers = [m for m in matching.discriminator.modules() if isinstance(m, nn.Linear)]
    assert [(m.out_features, m.bias is not None) for m in layers] == [
        (32, False), (200, False), (1, True)
    ]  # fmt: skip
    assert sum(isinstance(m, nn.BatchNorm1d) for m in matching.discriminator.modules()) == 2


def test_terms_start_where_nothing_is_known():
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28), np.uint8)
    settings = keras_tutorial("mixed with prior") | {"max_epochs": 1}
    dim = DeepInfoMaxTransformer(**settings, random_state=0).fit(images)

    assert dim.history_["local"][0] == pytest.approx(0, abs=0.1)
    assert dim.history_["global"][0] == pytest.approx(0, abs=0.1)
    assert dim.history_["discriminator"][0] == pytest.approx(2 * math.log(2), abs=0.4)


def test_other_weightings_are_refused():
    with pytest.raises(ValueError, match=r"weights='all' is not valid.*'mixed with prior'"):
        keras_tutorial("all")
