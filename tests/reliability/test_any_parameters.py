"""Whatever is allowed as parameters survives clone, save, load and pickle."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone

import skdim
from skdim.bounds import BOUNDS
from skdim.encoders import LAYERS
from skdim.estimators.build import OPTIMIZERS
from skdim.priors import PRIORS
from skdim.training import SCHEDULES
from skdim.views import VIEWS

ROWS = np.random.default_rng(0).normal(size=(16, 5)).astype(np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8), np.uint8)
NEW = {"rows": ROWS[::-1].copy(), "images": IMAGES[::-1].copy()}

weights = st.sampled_from([0.0, 0.5, 1.0])

COMMON = {
    "n_components": st.integers(1, 6),
    "output": st.sampled_from(LAYERS),
    "global_weight": weights,
    "local_weight": st.sampled_from([0.5, 1.0]),
    "prior_weight": weights,
    "bound": st.sampled_from(sorted(BOUNDS)),
    "critic": st.sampled_from(["dot", "concat", {"local": "concat"}]),
    "critic_units": st.integers(2, 9),
    "negatives": st.sampled_from(["all", "shift", 2]),
    "prior": st.sampled_from(sorted(PRIORS)),
    "batch_size": st.integers(2, 20),
    "learning_rate": st.floats(1e-6, 1e-3),
    "optimizer": st.sampled_from(sorted(OPTIMIZERS)),
    "schedule": st.sampled_from(sorted(SCHEDULES)),
    "early_stopping": st.booleans(),
    "n_iter_no_change": st.integers(1, 20),
    "tol": st.floats(0, 1),
    "warm_start": st.booleans(),
    "random_state": st.integers(0, 2**32 - 1),
    "device": st.sampled_from(["cpu", torch.device("cpu")]),
    "verbose": st.just(0),
}
ROWS_ONLY = {"encoder": st.sampled_from(["auto", "mlp"]), "view": st.sampled_from(["auto", None])}
IMAGES_ONLY = {
    "encoder": st.sampled_from(["auto", "patch_network"]),
    # "stretch" and "distort" are views of signals.
    "view": st.sampled_from(["auto", None, *sorted(VIEWS.keys() - {"stretch", "distort"})]),
}

# What the closed form looks at; weights of its two terms beside them.
CLOSED = {
    name: COMMON[name]
    for name in ("n_components", "output", "warm_start", "random_state", "device")
} | {
    "encoder": st.sampled_from(["auto", "columns"]),
    "max_epochs": st.sampled_from(["auto", 0]),
    "global_weight": st.sampled_from(["auto", 0.5]),
    "local_weight": st.sampled_from(["auto", 0.5]),
    "bound": st.just("auto"),
    "critic": st.sampled_from(["auto", "gaussian"]),
    "view": st.sampled_from(["auto", None]),
}


@pytest.mark.filterwarnings("ignore:The codes of:sklearn.exceptions.ConvergenceWarning")
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.one_of(
        st.tuples(st.just("rows"), st.fixed_dictionaries(COMMON | ROWS_ONLY)),
        st.tuples(st.just("images"), st.fixed_dictionaries(COMMON | IMAGES_ONLY)),
    )
)
def test_any_parameters_survive_clone_save_load_and_pickle(tmp_path, chosen):
    kind, parameters = chosen
    X, new = {"rows": ROWS, "images": IMAGES}[kind], NEW[kind]
    model = clone(skdim.DeepInfoMaxTransformer(max_epochs=1, **parameters)).fit(X)
    assert_survives(model, new, tmp_path / "model.skdim")


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.fixed_dictionaries(CLOSED))
def test_any_closed_form_survives_clone_save_load_and_pickle(tmp_path, parameters):
    model = clone(skdim.DeepInfoMaxTransformer(**parameters)).fit(ROWS)
    assert model.solver_ == "closed form"
    assert_survives(model, NEW["rows"], tmp_path / "model.skdim")


def assert_survives(model, new, path):
    model.save(path)
    for copied in (skdim.load(path), pickle.loads(pickle.dumps(model))):
        assert copied.get_params() == model.get_params()
        assert copied.solver_ == model.solver_
        np.testing.assert_array_equal(copied.transform(new), model.transform(new))
        assert copied.score(new) == model.score(new)
        again = clone(copied)
        assert again.get_params() == model.get_params()
        assert not hasattr(again, "net_")
