"""Pickle, joblib, cloudpickle, deepcopy, skops: the same codes, about as large as the weights."""

import copy
import io
import pickle
import subprocess
import sys
import warnings
from functools import cache, partial
from itertools import cycle
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest
import skops.io
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

import skdim
from skdim.critics import ConcatCritic
from skdim.priors import PRIORS
from skdim.saving import VersionWarning, versions
from skdim.views import Augment
from tests.estimators.helpers import KINDS, plain_parameters, weights_of

ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), np.uint8)
Y = np.arange(40) % 2


def make(kind="DeepInfoMaxTransformer", **settings):
    defaults = {"n_components": 4, "max_epochs": 1, "batch_size": 16, "random_state": 0}
    return KINDS[kind](**defaults | {"device": "cpu"} | settings)


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def through_skops(model):
    return skops.io.loads(skops.io.dumps(model), trusted=untrusted_types(model))


def untrusted_types(model):
    return skops.io.get_untrusted_types(data=skops.io.dumps(model))


COPIES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "oldest pickle": lambda model: pickle.loads(pickle.dumps(model, protocol=2)),
    "cloudpickle": lambda model: pickle.loads(cloudpickle.dumps(model)),
    "joblib": through_joblib,
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "skops": through_skops,
}


@cache
def fitted_of(kind):
    """Fit once; tests only read."""
    return make(kind).fit(ROWS)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_copy_of_every_transformer_is_the_same(kind, copied):
    model = fitted_of(kind)

    twin = copied(model)

    np.testing.assert_array_equal(twin.transform(ROWS), model.transform(ROWS))
    assert weights_of(twin) == weights_of(model)
    assert vars(twin).keys() == vars(model).keys()
    assert plain_parameters(twin) == plain_parameters(model)
    assert twin.history_ == model.history_
    if kind != "NAT":
        assert twin.score(ROWS) == model.score(ROWS)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copies_of_images_go_on_as_the_original_does(copied):
    model = make(warm_start=True).fit(IMAGES)
    twin = copied(model)
    kept = weights_of(model)

    twin.fit(IMAGES)

    assert weights_of(model) == kept
    assert weights_of(model.fit(IMAGES)) == weights_of(twin)


def test_a_copy_that_is_not_fitted_is_not_fitted():
    for copied in COPIES.values():
        twin = copied(make(n_components=9))
        assert twin.n_components == 9
        assert not hasattr(twin, "net_")


def test_a_module_of_ones_own_is_pickled_as_it_is():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 4)
            self.scale = torch.tensor(3.0)  # In no state dict: only a whole pickle has it.

        def forward(self, x):
            code = self.layer(x)
            return code[:, :, None] * self.scale, code

    own = Own()
    model = make(encoder=own).fit(ROWS)
    own.scale = torch.tensor(0.0)

    twin = pickle.loads(cloudpickle.dumps(model))

    np.testing.assert_array_equal(twin.transform(ROWS), model.transform(ROWS))
    assert twin.score(ROWS) == model.score(ROWS)


@pytest.mark.parametrize(("kind", "X"), list(zip(KINDS, cycle([ROWS, IMAGES]), strict=False)))
def test_a_pickle_is_about_as_large_as_the_weights(kind, X):
    model = make(kind).fit(X)
    n_bytes = sum(map(len, weights_of(model).values()))

    assert n_bytes < len(pickle.dumps(model)) < n_bytes + 20_000
    model.set_params(warm_start=True).fit(X)
    # The state of Adam: two numbers a weight.
    assert 2.5 * n_bytes < len(pickle.dumps(model)) < 3.1 * n_bytes + 30_000 or kind in (
        "NAT",  # Its points are not trained.
    )


# ---------------------------------------------------------------------------------------------
# Versions


@pytest.mark.parametrize("package", ["skdim", "scikit-learn", "torch", "numpy"])
def test_another_version_warns_and_names_both(package, monkeypatch):
    model = make().fit(ROWS)
    state = model.__getstate__()
    now = state["_versions"][package]
    state["_versions"] = state["_versions"] | {package: "0.0.1"}
    twin = make()

    with pytest.warns(VersionWarning, match=rf"{package} 0\.0\.1 \(here: {now}") as caught:
        twin.__setstate__(state)

    assert issubclass(VersionWarning, UserWarning)
    assert len(caught) == 1
    np.testing.assert_array_equal(twin.transform(ROWS), model.transform(ROWS))


def test_the_same_versions_say_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.loads(pickle.dumps(make().fit(ROWS)))


def test_versions_are_those_installed():
    assert versions()["skdim"] == skdim.__version__
    assert torch.__version__.startswith(versions()["torch"])
    assert "+" not in versions()["torch"]


# ---------------------------------------------------------------------------------------------
# From an accelerator


def test_what_was_fitted_on_an_accelerator_comes_back_without_one():
    model = make(device="auto").fit(ROWS)
    state = model.__getstate__()
    # As on a machine that had one.
    state["_packed"]["device"] = "cuda:63"
    twin = make()

    twin.__setstate__(state)

    assert twin.device_ == torch.device("cpu")
    np.testing.assert_array_equal(twin.transform(ROWS), model.transform(ROWS))


def test_a_named_accelerator_that_is_not_here_warns():
    model = make().fit(ROWS).set_params(device="cuda:63")
    state = model.__getstate__()
    state["_packed"]["device"] = "cuda:63"
    twin = make()

    with pytest.warns(UserWarning, match=r"cuda:63.*now on the CPU"):
        twin.__setstate__(state)
    assert twin.device_ == torch.device("cpu")


def test_no_tensor_is_in_a_pickle():
    names = set()

    class Listing(pickle.Unpickler):
        def find_class(self, module, name):
            names.add(module.split(".")[0])
            return super().find_class(module, name)

    Listing(io.BytesIO(pickle.dumps(make(warm_start=True).fit(ROWS)))).load()

    assert not names & {"torch", "skorch"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_a_pickle_of_cuda_loads_where_it_is_hidden(schedule, tmp_path):
    model = make(device="auto", schedule=schedule, warm_start=True).fit(ROWS)
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    np.save(tmp_path / "rows.npy", ROWS)
    command = (
        "import os; os.environ['CUDA_VISIBLE_DEVICES'] = ''\n"
        "import pathlib, pickle, sys, numpy as np\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "model = pickle.loads((folder / 'model.pkl').read_bytes())\n"
        "assert model.device_.type == 'cpu'\n"
        "np.save(folder / 'codes.npy', model.transform(np.load(folder / 'rows.npy')))\n"
    )
    subprocess.run(
        [sys.executable, "-c", command, tmp_path], cwd=Path(__file__).parents[2], check=True
    )

    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), model.transform(ROWS), atol=1e-3)


# ---------------------------------------------------------------------------------------------
# skops


def test_skops_asks_to_trust_our_own_types_only():
    pipe = make_pipeline(make(), StandardScaler(), LogisticRegression()).fit(ROWS, Y)

    assert untrusted_types(pipe) == [
        "skdim.estimators.build.Built",
        "skdim.estimators.deep_infomax.DeepInfoMaxTransformer",
        "skdim.inputs.layout.Layout",
    ]
    twin = through_skops(pipe)
    np.testing.assert_array_equal(twin.predict_proba(ROWS), pipe.predict_proba(ROWS))


@pytest.mark.parametrize(
    ("settings", "more"),
    [
        ({"view": Augment(flip=True)}, set()),
        ({"prior_weight": 0.1, "prior": PRIORS["normal"]}, set()),
        ({"critic": ConcatCritic}, set()),
        ({"warm_start": True, "optimizer": "sgd"}, set()),
        ({"random_state": np.random.RandomState(0)}, set()),
        ({"critic": partial(ConcatCritic, units=8)}, {"functools.partial"}),
    ],
    ids=["view", "prior", "critic", "warm start", "random state", "partial"],
)
def test_skops_knows_our_own_parts(settings, more):
    X = IMAGES if "view" in settings else ROWS
    model = make(**settings).fit(X)

    foreign = {name for name in untrusted_types(model) if not name.startswith("skdim.")}

    assert foreign == more
    np.testing.assert_array_equal(through_skops(model).transform(X), model.transform(X))
