"""What every encoder of the table keeps to, at the least sizes that it takes."""

import copy
import pickle
import re
from functools import cache, partial
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import Generator

from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS
from skdim.encoders import (
    ENCODERS,
    LAYERS,
    Features,
    LinearEncoder,
    UserEncoder,
    check_features,
    layer_of,
)
from skdim.encoders.adapter import Adaptable
from skdim.objectives import Batch
from tests.encoders.helpers import adapt, draw, on_paper, seeded
from tests.objectives.helpers import build_infomax

# Shapes of samples, and narrow layers where the encoder's own are wide.
NARROW = {"hidden_units": 16}
TINY = {
    "mlp": ((12,), NARROW),
    "patches": ((1, 8, 9), NARROW | {"n_filters": 16, "n_second": 8, "local_units": 8}),
    "patch_network": ((1, 8, 9), NARROW | {"n_filters": 8}),
    "columns": ((12,), NARROW | {"n_random": 20}),
    "kernels": ((2, 8), NARROW | {"n_kernels": 18}),
    "dcgan": ((2, 9, 8), NARROW),
    "valid_cnn": ((1, 13, 14), {}),
    "alexnet": ((1, 15, 17), NARROW),
    "resnet19": ((2, 8, 10), NARROW),
    "resnet34": ((1, 9, 8), NARROW),
    "folded_alexnet": ((1, 32, 33), NARROW),
    "folded_alexnet_multi": ((1, 33, 32), {}),
    "folded_resnet19": ((1, 12, 16), NARROW),
    "folded_resnet34": ((1, 12, 13), NARROW),
    "stride5_cnn": ((1, 12, 16), NARROW),
    "conv1d": ((2, 19), NARROW),
}
N = 6
every_encoder = pytest.mark.parametrize("name", sorted(ENCODERS))


def test_the_table_is_whole():
    assert set(TINY) == set(ENCODERS)


@pytest.mark.parametrize("layer", LAYERS)
def test_several_globals_are_averaged_and_maps_are_not(layer):
    features = Features(*(draw(N, 3, *grid) for grid in ((4,), (2, 2), (5,), (2, 3))))
    taken = getattr(features, layer)

    expected = taken.mean(dim=(2, 3)) if layer == "code" else taken
    torch.testing.assert_close(layer_of(features, layer), expected)


def samples(name):
    return draw(N, *TINY[name][0])


@cache
def made(name):
    """Make an encoder once; tests take copies."""
    sample, kwargs = TINY[name]
    encoder = seeded(ENCODERS[name], sample, 5, **kwargs)
    if isinstance(encoder, Adaptable):
        seeded(adapt, encoder, samples(name))
    return encoder


def make(name):
    return copy.deepcopy(made(name))


@every_encoder
def test_features_fit_each_other_and_are_finite(name):
    for encoder in (make(name), make(name).eval()):
        features = seeded(encoder, samples(name))
        check_features(features, N, name)

        assert features.local.ndim >= 3
        assert features.hidden.ndim == 2
        assert layer_of(features, "code").shape == (N, 5)


@every_encoder
def test_every_weight_moves_the_code_or_local_features_beside_it(name):
    """Local features lie on the way to the code, but for linear encoders."""
    encoder = make(name)
    features = seeded(encoder, samples(name))
    moved_by = [features.code]
    if isinstance(encoder, LinearEncoder):
        moved_by.append(features.local)
    torch.stack([(layer * draw(*layer.shape)).sum() for layer in moved_by]).sum().backward()
    moved = {n: float(w.grad.abs().max()) for n, w in encoder.named_parameters()}

    assert all(gradient > 0 for gradient in moved.values())
    # A bias whose layer's output is normalised once more may be cancelled there, but for rounding.
    assert not [n for n, gradient in moved.items() if "bias" not in n and gradient < 1e-6]


@every_encoder
def test_features_depend_on_no_neighbour(name):
    encoder, x = make(name).eval(), samples(name)
    others = torch.cat([x[:1], draw(N - 1, *x.shape[1:], seed=9)])
    features, beside = encoder(x), encoder(others)

    for layer in LAYERS:
        values = getattr(features, layer)
        torch.testing.assert_close(getattr(beside, layer)[0], values[0])
        assert not torch.allclose(values[0], values[1])


@every_encoder
def test_samples_are_not_written_to(name):
    x = samples(name)
    before = x.clone()
    make(name)(x)

    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("name", "bound"), list(zip(sorted(ENCODERS), cycle(sorted(BOUNDS)), strict=False))
)
def test_terms_of_every_bound_are_finite_and_move_every_weight(name, bound):
    encoder, x = make(name), samples(name)
    features = seeded(encoder, x)
    objective = seeded(
        build_infomax,
        features,
        global_weight=0.5,
        local_weight=1.0,
        prior_weight=0.1,
        bound=bound,
        critic_units=8,
    )
    batch = Batch(x, torch.arange(N), torch.full((N,), -1), Generator().manual_seed(0))
    terms = objective([features], batch)
    torch.stack(list(terms.values())).sum().backward()

    assert set(terms) == {"local", "global", "prior", "discriminator"}
    assert all(torch.isfinite(term) for term in terms.values())
    for weight in (*encoder.parameters(), *objective.parameters()):
        assert torch.isfinite(weight.grad).all()
    # Of the critics, a bound may leave a bias alone: InfoNCE does not see what a code adds to all.
    assert all(weight.grad.abs().max() > 0 for weight in encoder.parameters())


# ---------------------------------------------------------------------------------------------
# In the transformer


@pytest.fixture
def fitted(name, monkeypatch):
    """Fit a transformer by the encoder's name, its layers narrow, encoding in small chunks."""
    monkeypatch.setattr("skdim.inference.CHUNK", 4)
    _, kwargs = TINY[name]
    narrow = partial(ENCODERS[name], **kwargs)
    dim = DeepInfoMaxTransformer(
        5, encoder=narrow, channel_axis=1, view=None, max_epochs=1, batch_size=3, random_state=0
    )
    return dim.fit(samples(name).numpy())


@every_encoder
def test_fitted_transformers_are_exact_and_can_be_cloned_and_pickled(name, fitted):
    X = samples(name).numpy()
    codes = fitted.transform(X)

    assert codes.shape == (N, 5)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()
    assert np.isfinite(fitted.loss_curve_).all()
    # A row's code is its own, to the last bit.
    assert np.array_equal(fitted.transform(X[4:]), codes[4:])
    assert np.array_equal(fitted.transform(X[::-1])[::-1], codes)
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), codes)
    assert np.array_equal(clone(fitted).fit(X).transform(X), codes)
    # It stands in the net as it is.
    assert not isinstance(fitted.encoder_[1], UserEncoder)


@every_encoder
def test_names_are_allowed(name):
    sample, _ = TINY[name]
    too_small = np.zeros((4, *sample[:-1], 1), np.float32)
    dim = DeepInfoMaxTransformer(5, encoder=name, channel_axis=1, max_epochs=1, random_state=0)

    if name in ("mlp", "columns"):
        assert dim.fit_transform(samples(name).numpy()).shape == (N, 5)
    else:
        with pytest.raises(ValueError, match=rf"encoder='{name}' encodes .* of at least"):
            dim.fit(too_small + draw(*too_small.shape).numpy())


# ---------------------------------------------------------------------------------------------
# What the guide says of them

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "inputs.rst"
ROW = re.compile(r'^``"(\w+)"`` +([\dx]+) +([\dx]+) +([\dx]+) +([\d.]+) +([\d.]+)$', re.MULTILINE)


def test_table_of_costs_in_the_guide():
    rows = {name: cells for name, *cells in ROW.findall(GUIDE.read_text())}

    assert set(rows) == set(ENCODERS)
    for name, (sample, local, conv, parameters, multiplications) in rows.items():
        shape = tuple(map(int, sample.split("x")))
        layers, n_parameters, n_multiplications = on_paper(name, shape)
        assert ["x".join(map(str, layer)) for layer in layers[:2]] == [local, conv], name
        assert f"{n_parameters / 1e6:.1f}" == parameters, name
        assert f"{n_multiplications / 1e6:.1f}" == multiplications, name
