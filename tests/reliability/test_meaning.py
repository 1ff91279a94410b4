"""What features must mean: the same whatever carries them, and worth having."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdim import DeepInfoMaxTransformer
from skdim.encoders import MLPEncoder

SIZE = 16
GROUPS = 8
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(0).normal(size=(90, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(rows):
    return DeepInfoMaxTransformer(4, max_epochs=1, random_state=0).fit(rows)


@given(batch_size=st.integers(2, 200))
def test_transform_does_not_hang_on_the_batch_size(fitted, rows, batch_size):
    codes = fitted.transform(rows)
    before = fitted.batch_size
    try:
        fitted.set_params(batch_size=batch_size)
        np.testing.assert_array_equal(fitted.transform(rows), codes)
    finally:
        fitted.set_params(batch_size=before)


def draw_factors(n, seed):
    """Draw groups of columns that share a weak factor; one has a strong factor of its own."""
    draws = np.random.default_rng(seed)
    shared, own = draws.normal(size=(2, n, 1))
    X = 0.3 * shared[:, :, None] + 0.5 * draws.normal(size=(n, GROUPS, 4))
    X[:, 0] += 3 * own
    return X.reshape(n, -1).astype(np.float32), np.hstack([shared, own])


def test_local_information_is_in_what_places_share_and_global_in_what_is_strong():
    X, factors = draw_factors(500, seed=0)
    X_test, factors_test = draw_factors(500, seed=1)

    def held_out_r2(**weights):
        encoder = partial(MLPEncoder, n_groups=GROUPS)
        dim = DeepInfoMaxTransformer(1, encoder=encoder, max_epochs=8, random_state=0, **weights)
        probe = LinearRegression().fit(dim.fit_transform(X), factors)
        found = probe.predict(dim.transform(X_test))
        return r2_score(factors_test, found, multioutput="raw_values")

    shared, own = held_out_r2(local_weight=1.0)
    assert shared > 0.75
    assert own < 0.05
    shared, own = held_out_r2(global_weight=1.0, local_weight=0.0)
    assert shared < 0.2
    assert own > 0.75


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_codes_of_digits_beat_components_and_random_weights():
    images, y = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8)
    accuracies = {"codes": [], "components": [], "random": []}
    for seed in SEEDS:
        X, X_test, y_fit, y_test = train_test_split(images, y, train_size=1200, random_state=seed)
        flat, flat_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
        trained = DeepInfoMaxTransformer(SIZE, random_state=seed).fit(X)
        # A rate of next to nothing leaves the weights as drawn.
        drawn = DeepInfoMaxTransformer(
            SIZE, learning_rate=1e-12, max_epochs=1, view=None, random_state=seed
        ).fit(X)
        components = PCA(SIZE, random_state=seed).fit(flat)
        for name, of, of_test in (
            ("codes", trained.transform(X), trained.transform(X_test)),
            ("random", drawn.transform(X), drawn.transform(X_test)),
            ("components", components.transform(flat), components.transform(flat_test)),
        ):
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
            accuracies[name].append(probe.fit(of, y_fit).score(of_test, y_test))

    means = {name: np.mean(values) for name, values in accuracies.items()}
    assert means["codes"] > means["components"] + 0.01
    assert means["codes"] > means["random"] + 0.1
