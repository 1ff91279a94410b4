"""Every preset is a dict of its own that trains, and names the training that it says."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone

import skdim
from skdim import DeepInfoMaxTransformer, presets
from skdim.critics import ConcatCritic, DotCritic
from skdim.estimators.build import OPTIMIZERS
from skdim.objectives.infomax import find_critics
from skdim.priors import PRIORS

SMALL = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), np.uint8)
GREY = np.random.default_rng(0).integers(0, 256, (8, 28, 28), np.uint8)
LARGE = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 36), np.uint8)
EVERY = {
    **{
        f"dim_local {bound}": partial(presets.dim_local, bound)
        for bound in ("infonce", "jsd", "dv")
    },
    "dim_global": presets.dim_global,
    "dim_local_global": presets.dim_local_global,
    "reference_cifar10": presets.reference_cifar10,
    "reference_stl10": presets.reference_stl10,
    "pytorch_tutorial": presets.pytorch_tutorial,
    **{f"keras {name}": partial(presets.keras_tutorial, name) for name in presets.KERAS_WEIGHTS},
}
IMAGES = {"reference_stl10": LARGE} | {name: GREY for name in EVERY if name.startswith("keras")}

every_preset = pytest.mark.parametrize("name", EVERY)


def test_all_presets_are_tested():
    functions = {name for name in presets.__all__ if callable(getattr(presets, name))}
    called = {getattr(make, "func", make).__name__ for make in EVERY.values()}

    assert called == functions


@every_preset
def test_preset_is_a_new_dict_at_every_call_that_copies_and_pickles_alike(name):
    once, again = EVERY[name](), EVERY[name]()

    assert once == again
    assert once is not again
    assert copy.deepcopy(once) == once
    assert pickle.loads(pickle.dumps(once)) == once


def settings_of(name):
    """The widest critics are too slow for a test of all presets; their sizes are tested below."""
    small = {"critic_units": 8} if "encode_and_dot" in str(EVERY[name]()["critic"]) else {}
    return EVERY[name]() | small | {"max_epochs": 1, "batch_size": 4, "random_state": 0}


@every_preset
def test_preset_passes_clone_and_get_params(name):
    dim = DeepInfoMaxTransformer(**EVERY[name](), random_state=0)

    assert EVERY[name]().items() <= dim.get_params().items()
    assert clone(dim).get_params() == dim.get_params()


@every_preset
def test_preset_trains_and_is_loaded_from_a_file(name, tmp_path):
    images, settings = IMAGES.get(name, SMALL)[:4], settings_of(name)
    dim = DeepInfoMaxTransformer(**settings).fit(images)
    terms = [
        term
        for term, weight in (
            ("local", "local_weight"), ("global", "global_weight"), ("prior", "prior_weight")
        )
        if settings[weight]
    ]  # fmt: skip

    assert [term for term in dim.history_ if term in ("local", "global", "prior")] == terms
    assert np.isfinite(dim.history_["loss"]).all()
    codes = dim.transform(images)
    assert codes.shape == (len(images), settings["n_components"])
    again = pickle.loads(pickle.dumps(dim))
    np.testing.assert_array_equal(again.transform(images), codes)

    dim.save(tmp_path / "preset.skdim")
    loaded = skdim.load(tmp_path / "preset.skdim")
    np.testing.assert_array_equal(loaded.transform(images), codes)
    assert loaded.get_params() == dim.get_params()


# ---------------------------------------------------------------------------------------------
# What each of them says


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("dim_local jsd", (0.0, 1.0, 0.1)),
        ("dim_global", (1.0, 0.0, 1.0)),
        ("dim_local_global", (0.5, 0.1, 0.1)),
        ("reference_cifar10", (0.0, 1.0, 0.0)),
        ("reference_stl10", (0.0, 1.0, 0.0)),
        ("pytorch_tutorial", (0.5, 1.0, 0.1)),
        ("keras global", (1.0, 0.0, 1.0)),
        ("keras local", (0.0, 1.0, 0.1)),
        ("keras mixed", (0.6, 0.4, 0.0)),
        ("keras mixed with prior", (0.6, 0.4, 0.2)),
    ],
)
def test_weights_are_those_of_the_source(name, weights):
    settings = EVERY[name]()

    assert tuple(settings[f"{term}_weight"] for term in ("global", "local", "prior")) == weights


@pytest.mark.parametrize(
    ("name", "units"),
    [("dim_local dv", 2048), ("reference_cifar10", 2048), ("reference_stl10", 1024)],
)
def test_dot_critics_have_the_units_of_the_source(name, units):
    """The paper's heads on a code of 64 and a map of 128: 9.20 million parameters."""
    settings = EVERY[name]()
    critic = find_critics(settings["critic"], settings.get("critic_units", "auto"))["local"](
        64, 128
    )

    assert isinstance(critic, DotCritic)
    assert critic.units == units
    assert critic.local_projection.network is not None
    n_parameters = sum(weight.numel() for weight in critic.parameters())
    assert round(n_parameters / 1e6, 2) == {2048: 9.20, 1024: 2.50}[units]


def test_global_critic_of_the_paper_is_the_concatenating_one():
    dim = DeepInfoMaxTransformer(**presets.dim_global() | {"max_epochs": 1}).fit(SMALL)
    of_global, matching = dim.net_.criterion_

    assert isinstance(of_global.critic, ConcatCritic)
    assert of_global.critic.from_code.out_features == 512
    assert matching.prior.gradient_penalty == 1.0
    assert matching.weight == 1.0


@pytest.mark.parametrize("name", ["dim_local jsd", "dim_global", "reference_stl10"])
def test_optimizer_has_the_betas_of_the_reference(name):
    optimizer = OPTIMIZERS[EVERY[name]()["optimizer"]](
        [torch.nn.Parameter(torch.zeros(1))], lr=1e-4
    )

    assert type(optimizer) is torch.optim.Adam
    assert optimizer.defaults["betas"] == (0.5, 0.999)


def test_prior_of_the_paper_is_the_uniform_one_with_a_penalty():
    prior = presets.dim_local()["prior"]

    assert prior.gradient_penalty == 1.0
    assert (prior.squash, prior.sample) == (PRIORS["uniform"].squash, PRIORS["uniform"].sample)
