"""Presets are the trainings that they name: the tutorial's terms, written out plainly, are ours."""

import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.nn.functional import conv2d, linear, softplus

from benchmarks.tutorial_loop import Encoder, Loss, TutorialLoop, shapes
from skdim import DeepInfoMaxTransformer, presets
from skdim.encoders import Features
from skdim.objectives import Batch
from skdim.presets import pytorch_tutorial
from tests.objectives.helpers import build_infomax

N = 4
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 3, 13, 14), np.uint8)


def normals(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def make_features(side):
    """What the tutorial's encoder gives, but drawn."""
    local, code = normals(N, 128, side, side, seed=1).relu(), normals(N, 64, seed=2)
    conv = normals(N, 8, 2, 2, seed=3)
    return Features(local.requires_grad_(), conv, conv.flatten(1), code.requires_grad_())


def make_objective(features):
    settings = pytorch_tutorial()
    weights = {name: settings[name] for name in settings if name.endswith("_weight")}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_infomax(
            features,
            **weights,
            bound=settings["bound"],
            critic=settings["critic"],
            negatives=settings["negatives"],
            prior=settings["prior"],
        ).double()


def terms_of(objective, features):
    index = torch.arange(N)
    batch = Batch(normals(N, 1), index, -torch.ones(N), torch.Generator().manual_seed(0))
    return objective([features], batch)


# ---------------------------------------------------------------------------------------------
# The tutorial, written out


def undivided(critic, first):
    """Weights of the first layer on both inputs side by side."""
    halves = {"code": critic.from_code.weight, "local": critic.from_local.weight}
    return torch.cat([halves[name] for name in (first, *halves.keys() - {first})], dim=1)


def local_scores(critic, code, local):
    """Tile the code over the map, put both side by side, and convolve 1x1."""
    tiled = code[:, :, None, None].expand(-1, -1, *local.shape[2:])
    x = torch.cat([local, tiled], dim=1)
    x = conv2d(x, undivided(critic, "local")[:, :, None, None], critic.from_code.bias).relu()
    x = conv2d(x, critic.hidden[0].weight[:, :, None, None], critic.hidden[0].bias).relu()
    return conv2d(x, critic.last.weight[:, :, None, None], critic.last.bias)


def global_scores(critic, code, local):
    """Convolve the map, flatten it, and put it behind the code."""
    conv0, _, conv1, _ = critic.summarise
    x = conv2d(conv2d(local, conv0.weight, conv0.bias).relu(), conv1.weight, conv1.bias)
    x = torch.cat([code, x.flatten(1)], dim=1)
    x = linear(x, undivided(critic.compare, "code"), critic.compare.from_code.bias).relu()
    return critic.compare.last(critic.compare.hidden[0](x).relu())


def published_term(scores, critic, features):
    false = torch.cat([features.local[1:], features.local[:1]])
    of_true = softplus(-scores(critic, features.code, features.local)).mean()
    return of_true + softplus(scores(critic, features.code, false)).mean()


@pytest.mark.parametrize("side", [7, 12])
def test_terms_of_the_tutorial_are_those_of_the_preset(side):
    """Less the constant 2 ln 2 of the bound; gradients too."""
    features = make_features(side)
    objective = make_objective(features)
    of_local, of_global, _ = objective
    terms = terms_of(objective, features)
    published = {
        "local": (1.0, published_term(local_scores, of_local.critic, features)),
        "global": (0.5, published_term(global_scores, of_global.critic, features)),
    }

    for name, (weight, term) in published.items():
        expected = weight * (term - 2 * math.log(2))
        assert terms[name].item() == pytest.approx(expected.item(), abs=1e-12)
        given = [features.code, features.local, *objective.parameters()]
        gradients, right = (
            torch.autograd.grad(each, given, allow_unused=True) for each in (terms[name], expected)
        )
        assert [g is None for g in gradients] == [g is None for g in right]
        for found, correct in zip(gradients, right, strict=True):
            if correct is not None:
                torch.testing.assert_close(found, correct, rtol=1e-9, atol=1e-13)


# ---------------------------------------------------------------------------------------------
# The preset


def test_preset_is_new_at_every_call():
    once, again = pytorch_tutorial(), pytorch_tutorial()

    assert once == again
    assert once is not again
    assert once["critic"] is not again["critic"]
    assert presets.pytorch_tutorial is pytorch_tutorial


def test_preset_passes_clone_and_get_params():
    dim = DeepInfoMaxTransformer(**pytorch_tutorial(), random_state=0)
    params = dim.get_params()

    assert pytorch_tutorial().items() <= params.items()
    assert clone(dim).get_params() == params


def test_preset_fits_small_images():
    dim = DeepInfoMaxTransformer(**pytorch_tutorial(), max_epochs=2, random_state=0).fit(IMAGES)
    codes = dim.transform(IMAGES)

    assert codes.shape == (10, 64)
    assert list(dim.history_)[:4] == ["local", "global", "prior", "discriminator"]
    # Two bounds that start near nothing known, and a discriminator that cannot tell yet.
    assert dim.history_["local"][0] == pytest.approx(0, abs=0.3)
    assert dim.history_["global"][0] == pytest.approx(0, abs=0.3)
    assert dim.history_["discriminator"][0] == pytest.approx(2 * math.log(2), abs=0.3)
    assert np.array_equal(pickle.loads(pickle.dumps(dim)).transform(IMAGES), codes)


def test_map_critic_serves_the_global_term_only():
    settings = pytorch_tutorial() | {"critic": "map"}
    with pytest.raises(ValueError, match=r"critic='map'.*\{'global': 'map'\}"):
        DeepInfoMaxTransformer(**settings).fit(IMAGES)

    alone = DeepInfoMaxTransformer(**settings | {"local_weight": 0, "max_epochs": 1}).fit(IMAGES)
    assert alone.transform(IMAGES).shape == (10, 64)


@pytest.mark.parametrize("encoder", ["patches", "patch_network", "dcgan"])
def test_map_critic_says_which_maps_it_needs(encoder):
    settings = pytorch_tutorial() | {"encoder": encoder}

    with pytest.raises(ValueError, match=r"critic='map'.*at least 5x5.*'valid_cnn'"):
        DeepInfoMaxTransformer(**settings).fit(IMAGES)


# ---------------------------------------------------------------------------------------------
# The tutorial's own loop, which the benchmark compares with


def test_shapes_that_the_tutorial_prints():
    assert shapes() == {
        "code": (1, 64),
        "local map": (1, 128, 26, 26),
        "global critic": (1, 1),
        "local critic": (1, 1, 26, 26),
        "discriminator": (1, 1),
    }


def test_loop_of_the_benchmark_computes_the_terms_of_the_preset():
    features = make_features(26)
    objective = make_objective(features)
    of_local, of_global, matching = objective
    loss = Loss().double()
    copy_weights(of_local.critic, of_global.critic, matching.discriminator, into=loss)
    expected = loss(features.code, features.local)
    found = terms_of(objective, features)

    assert found["local"].item() == pytest.approx(expected["local"].item() - 2 * math.log(2))
    assert found["global"].item() == pytest.approx(expected["global"].item() - math.log(2))


@torch.no_grad()
def copy_weights(local, whole, discriminator, into):
    """Give the tutorial's critics and discriminator the weights of ours."""
    theirs, compare = into.global_critic, whole.compare
    for mine, layer in (
        (whole.summarise[0], theirs.conv0),
        (whole.summarise[2], theirs.conv1),
        (compare.hidden[0], theirs.linear1),
        (compare.last, theirs.linear2),
        (local.hidden[0], into.local_critic.conv1),
        (local.last, into.local_critic.conv2),
        *zip(discriminator.network[::2], into.discriminator.children(), strict=True),
    ):
        layer.weight.copy_(mine.weight.reshape(layer.weight.shape))
        layer.bias.copy_(mine.bias)
    theirs.linear0.weight.copy_(undivided(compare, "code"))
    theirs.linear0.bias.copy_(compare.from_code.bias)
    into.local_critic.conv0.weight.copy_(undivided(local, "local")[:, :, None, None])
    into.local_critic.conv0.bias.copy_(local.from_code.bias)


@pytest.mark.usefixtures("global_random_state_untouched")
def test_loop_of_the_benchmark_trains_in_steps_and_in_epochs():
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), np.uint8)
    with torch.random.fork_rng():
        loop = TutorialLoop(images, batch=2)
        before = loop.encoder.conv0.weight.detach().clone()
        assert loop.steps(1) > 0
        encoder = loop.epoch()

    assert len(loop.losses) == 1 + 1  # What does not fill a batch is dropped.
    assert np.isfinite(loop.losses).all()
    assert isinstance(encoder, Encoder)
    assert not encoder.training
    assert not torch.equal(encoder.conv0.weight, before)


def test_loop_of_the_benchmark_refuses_other_images():
    with pytest.raises(ValueError, match=r"uint8 images \(n, 3, 32, 32\) are needed, at least 64"):
        TutorialLoop(IMAGES)


def test_weights_of_the_tutorial_cannot_be_changed():
    with pytest.raises(TypeError):
        presets.KERAS_WEIGHTS["local"] = (9, 9, 9)
