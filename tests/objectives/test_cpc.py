"""Predictive coding: what is predicted was not seen, and the bound is the one it says it is."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from skdim.encoders import ENCODERS, ContextEncoder, Features
from skdim.encoders.adapter import Adaptable
from skdim.objectives import ContextPrediction
from skdim.objectives.cpc import predictable_rows
from tests.encoders.helpers import adapt
from tests.objectives.helpers import made, make_batch, normals

N, LOCAL, CODE = 5, 4, 3

SHAPES = {
    "mlp": (12,),
    "patch_network": (1, 16, 16),
    "folded_resnet19": (1, 16, 12),
    "folded_alexnet": (1, 32, 40),
    "folded_alexnet_multi": (1, 32, 32),
    "conv1d": (2, 32),
}


def context_of(name, shape, n_components=CODE):
    def build():
        base = ENCODERS[name](shape, n_components)
        if isinstance(base, Adaptable):
            adapt(base, normals(40, *shape, dtype=torch.float32))
        local = base.eval()(normals(2, *shape, dtype=torch.float32)).local
        return ContextEncoder(base, tuple(local.shape[1:]), n_components, context_units=8)

    return made(build)


def features_of(rows=4, columns=(3,), seed=0):
    local = normals(N, LOCAL, rows, *columns, seed=seed, dtype=torch.float32)
    code = normals(N, CODE, rows, *columns, seed=seed + 1, dtype=torch.float32)
    return Features(local, code, code.flatten(1), code)


# ---------------------------------------------------------------------------------------------
# What is predicted was not seen


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_a_context_has_seen_no_pixel_of_what_it_predicts(name):
    """On other samples than those by which the rows were found."""
    shape = SHAPES[name]
    encoder = context_of(name, shape).eval()
    rows = predictable_rows(encoder, shape)
    assert rows

    for r, t in rows:
        x = normals(3, *shape, seed=7, dtype=torch.float32).requires_grad_()
        features = encoder(x)
        (of_context,) = torch.autograd.grad(features.code[:, :, r].sum(), x, retain_graph=True)
        (of_target,) = torch.autograd.grad(features.local[:, :, t].square().sum(), x)
        if x.ndim > 2:
            of_context, of_target = (g.abs().sum(dim=1) for g in (of_context, of_target))
        predicted = of_target != 0
        assert predicted.any()
        assert of_context.any()
        assert not of_context[predicted].any()


def test_every_pair_of_rows_without_a_common_pixel_is_found():
    """Groups of columns share none; crops overlap by half; so many of them at most."""
    assert predictable_rows(context_of("mlp", (8,)), (8,), n_predicted=8) == [
        (r, t) for r in range(8) for t in range(r + 1, 8)
    ]
    crops = context_of("folded_resnet19", (1, 24, 12))
    assert predictable_rows(crops, (1, 24, 12)) == [
        (r, t) for r in range(5) for t in range(r + 2, 5)
    ]
    assert predictable_rows(crops, (1, 24, 12), n_predicted=1) == [(0, 2), (1, 3), (2, 4)]


def test_looking_leaves_the_encoder_as_it_was():
    encoder = context_of("mlp", (6,)).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    predictable_rows(encoder, (6,))

    assert encoder.training
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert all(weight.grad is None for weight in encoder.parameters())


def test_an_encoder_that_sees_all_everywhere_leaves_nothing():
    encoder = context_of("dcgan", (1, 8, 8))

    assert predictable_rows(encoder, (1, 8, 8)) == []


# ---------------------------------------------------------------------------------------------
# The term


@pytest.mark.parametrize("columns", [(), (3,), (2, 3)])
def test_the_term_is_minus_the_bound_place_by_place(columns):
    rows = [(0, 2), (0, 3), (1, 3)]
    term = made(ContextPrediction, rows, CODE, LOCAL, units=6)
    features = features_of(columns=columns)
    losses = []
    for r, t in rows:
        critic = term.critics[str(t - r)]
        codes = critic.project_code(features.code[:, :, r]).flatten(0, 1)
        locations = critic.project_local(features.local[:, :, t]).flatten(0, 1)
        scores = codes @ locations.T
        k = N * math.prod(columns)
        losses.append(cross_entropy(scores, torch.arange(k)) - math.log(k))
    expected = torch.stack(losses).mean()

    assert term([features], make_batch(N))["prediction"].item() == pytest.approx(
        expected.item(), abs=1e-6
    )
    assert term.score(features, make_batch(N)).item() == pytest.approx(-expected.item(), abs=1e-6)


def test_blocks_give_the_same_value_and_gradient(monkeypatch):
    term = made(ContextPrediction, [(0, 2), (1, 3)], CODE, LOCAL, units=6)
    values, gradients = [], []
    for most in (2**24, 1):
        monkeypatch.setattr("skdim.objectives.cpc.MAX_FLOATS", most)
        term.zero_grad()
        value = term([features_of()], make_batch(N))["prediction"]
        value.backward()
        values.append(value.detach())
        gradients.append([weight.grad for weight in term.parameters()])

    torch.testing.assert_close(*values)
    torch.testing.assert_close(*gradients)


def test_each_look_is_predicted_from_itself():
    term = made(ContextPrediction, [(0, 1)], CODE, LOCAL, units=6)
    looks = [features_of(seed=seed) for seed in (0, 10)]
    alone = [term([look], make_batch(N))["prediction"] for look in looks]
    both = term(looks, make_batch(N))["prediction"]

    assert both.item() == pytest.approx(torch.stack(alone).mean().item())


def test_each_distance_has_a_critic_and_all_are_moved():
    term = made(ContextPrediction, [(0, 1), (0, 2), (1, 2)], CODE, LOCAL, units=6)
    features = features_of()
    term([features], make_batch(N))["prediction"].backward()
    # What a code adds to all of its candidates is not seen by InfoNCE.
    moved = {name for name, weight in term.named_parameters() if weight.grad.abs().max() > 1e-7}

    assert sorted(term.critics) == ["1", "2"]
    assert {name for name, _ in term.named_parameters()} - moved <= {
        f"critics.{d}.local_projection.norm.bias" for d in (1, 2)
    }


def test_the_bound_is_at_most_the_log_of_the_candidates_and_nothing_on_noise():
    term = made(ContextPrediction, [(0, 1)], CODE, CODE, units=64)
    optimizer = torch.optim.Adam(term.parameters(), lr=1e-2)

    def draw(seed, dependent):
        code = normals(64, CODE, 2, 1, seed=seed, dtype=torch.float32)
        local = code.flip(2) if dependent else normals(64, CODE, 2, 1, seed=seed + 1000)
        return Features(local.float(), code, code.flatten(1), code)

    for seed in range(150):
        optimizer.zero_grad()
        term([draw(seed, True)], make_batch(64))["prediction"].backward()
        optimizer.step()
    with torch.no_grad():
        told, noise = (term.score(draw(9999, known), make_batch(64)).item() for known in (1, 0))

    assert 2.0 < told <= math.log(64)
    assert noise < 0.1


# ---------------------------------------------------------------------------------------------
# In time, a signal whose future depends on its past is told


class Plain(nn.Module):
    def forward(self, x):
        return Features(x, x, x.flatten(1), x.flatten(1))


def test_maps_without_places_are_refused():
    with pytest.raises(ValueError, match="without a grid"):
        ContextEncoder(Plain(), (4,), 3)
