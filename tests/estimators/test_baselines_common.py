"""Every objective, a user's own too, keeps scikit-learn's contract and ours."""

import pickle
from itertools import cycle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skdim.objectives import (
    AAE,
    AMDIM,
    CPC,
    NAT,
    VAE,
    Autoencoder,
    BiGAN,
)
from skdim.training import steps
from tests.estimators.helpers import plain_parameters, trained_by
from tests.estimators.own_objectives import Alignment, Decoding
from tests.estimators.test_common import FURTHER_CHECKS, varying_checks

BASELINES = [
    AAE,
    AMDIM,
    Autoencoder,
    BiGAN,
    CPC,
    NAT,
    VAE,
    # As users write theirs.
    Alignment,
    Decoding,
]

every_baseline = pytest.mark.parametrize("baseline", BASELINES, ids=lambda each: each.__name__)

N = 24
DRAWS = np.random.default_rng(0)
SAMPLES = {
    "images": DRAWS.integers(0, 256, (N, 16, 16), dtype=np.uint8),
    "vectors": DRAWS.normal(size=(N, 9)).astype(np.float32),
    "signals": DRAWS.normal(size=(N, 2, 32)).astype(np.float32),
}
ENCODERS = {"signals": "conv1d"}
every_kind = pytest.mark.parametrize("kind", SAMPLES)


def small(baseline, kind="vectors", **parameters):
    """Train briefly: what is checked does not need good features."""
    settings = {"max_epochs": 1, "batch_size": 12, "random_state": 0, "device": "cpu"}
    return trained_by(baseline, 8, encoder=ENCODERS.get(kind, "auto"), **settings | parameters)


# One without partial_fit and score, and one of a user's.
@parametrize_with_checks([small(baseline) for baseline in (NAT, Alignment)])
def test_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@varying_checks(
    [small(baseline) for baseline in (AAE, AMDIM, Autoencoder, BiGAN, CPC, VAE, Decoding)]
)
def test_keeps_what_depends_on_the_objective(estimator, check):
    check(estimator)


# Some of these checks fit on a table with names and transform an array, or the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("check", FURTHER_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract_of_a_transformer(check):
    check("EncoderTransformer", small(NAT))


LAYER_OF = {"images": "conv", "vectors": "hidden", "signals": "local"}


@every_kind
@every_baseline
@pytest.mark.usefixtures("global_random_state_untouched")
def test_codes_and_layers_follow_from_the_seed_and_each_sample_alone(baseline, kind):
    X = SAMPLES[kind]
    fitted = small(baseline, kind).fit(X)
    codes = fitted.transform(X)
    output = LAYER_OF[kind]
    again = small(baseline, kind, output=output).fit(X)
    other = small(baseline, kind, random_state=1).fit_transform(X)

    assert codes.shape == (N, 8)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()
    np.testing.assert_array_equal(codes, again.encode(X, "code"))
    assert not np.array_equal(codes, other)
    # A row depends on its own sample only.
    np.testing.assert_array_equal(fitted.transform(X[7:9]), codes[7:9])
    np.testing.assert_array_equal(fitted.transform(X[::-1]), codes[::-1])
    # A pickle gives the same codes.
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), codes)
    # Every layer can be had.
    layers = {layer: fitted.encode(X[:5], layer) for layer in ("code", "hidden", "conv", "local")}
    assert all(len(features) == 5 and features.isfinite().all() for features in layers.values())
    np.testing.assert_array_equal(again.transform(X[:5]), layers[output].flatten(1))


@every_baseline
def test_training_goes_on_from_where_it_was(baseline):
    X = SAMPLES["vectors"]
    fitted = small(baseline, warm_start=True).fit(X)
    before = fitted.transform(X)
    fitted.fit(X)

    assert fitted.n_iter_ == 2
    assert len(fitted.loss_curve_) == 2
    assert not np.array_equal(fitted.transform(X), before)


@every_baseline
def test_clones_and_pipelines(baseline):
    X, y = SAMPLES["vectors"], np.arange(N) % 2
    estimator = small(baseline)
    copied = clone(estimator)
    pipe = make_pipeline(copied, LogisticRegression()).fit(X, y)

    assert plain_parameters(copied) == plain_parameters(estimator)
    assert pipe.predict(X).shape == (N,)
    assert next(iter(pipe[:-1].get_feature_names_out())) == "encodertransformer0"


@every_baseline
def test_codes_are_trained(baseline):
    X = SAMPLES["images"]
    idle = small(baseline, learning_rate=1e-12).fit(X).transform(X)
    trained = small(baseline, learning_rate=1e-3, max_epochs=2).fit(X).transform(X)

    assert not np.allclose(trained, idle, atol=1e-3)


@pytest.mark.parametrize(
    ("baseline", "kind"),
    list(zip(BASELINES, cycle(SAMPLES), strict=False)),
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_trains_in_bfloat16(baseline, kind, monkeypatch):
    # A processor that can only imitate bfloat16 computes the same numbers.
    monkeypatch.setattr(steps, "has_bfloat16", lambda device: True)
    X = SAMPLES[kind]
    fitted = small(baseline, kind, precision="bfloat16").fit(X)

    assert all(np.isfinite(values).all() for values in fitted.history_.values())
    assert fitted.transform(X).dtype == np.float32
