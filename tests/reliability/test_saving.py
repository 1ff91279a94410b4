"""save and load: what comes back is what was saved, and what was there is never lost."""

import errno
import os
import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.base import clone
from torch import nn

import skdim
from skdim import estimators
from skdim.bounds import BOUNDS
from skdim.critics import CRITICS, ConcatCritic, Discriminator, DotCritic
from skdim.encoders import ENCODERS, Features, HookedEncoder, MLPEncoder, PatchEncoder
from skdim.estimators.build import OPTIMIZERS
from skdim.estimators.loading import TRANSFORMERS
from skdim.priors import PRIORS
from skdim.saving import decode, encode
from skdim.training import SCHEDULES
from skdim.views import VIEWS, Augment, Occlude
from tests.estimators.helpers import KINDS as EVERY_KIND
from tests.estimators.helpers import plain_parameters, weights_of
from tests.saving.reading import read_container

ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), np.uint8)
COLOURS = np.random.default_rng(0).integers(0, 256, (8, 3, 64, 64), np.uint8)
SIGNALS = np.random.default_rng(0).normal(size=(24, 2, 64)).astype(np.float32)
Y = np.array(["a", "b"] * 20)


def make(kind="DeepInfoMaxTransformer", **settings):
    defaults = {"n_components": 4, "max_epochs": 1, "batch_size": 16, "random_state": 0}
    return EVERY_KIND[kind](**defaults | {"device": "cpu"} | settings)


class Own(nn.Module):
    """An encoder of a user's own."""

    def __init__(self):
        super().__init__()
        self.local, self.code = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        local = self.local(x).relu()
        return Features(local[:, :, None], local[:, :, None], local, self.code(local))


def make_own(input_shape, n_components):
    return Own()


def saved_and_loaded(model, path, **given):
    model.save(path)
    return skdim.load(path, **given)


def assert_same(loaded, model, X, *, score=True):
    assert type(loaded) is type(model)
    assert vars(loaded).keys() == vars(model).keys()
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    assert weights_of(loaded) == weights_of(model)
    assert loaded.history_ == model.history_
    assert loaded.n_iter_ == model.n_iter_
    if score:
        assert loaded.score(X) == model.score(X)


# ---------------------------------------------------------------------------------------------
# What comes back


@pytest.mark.parametrize("X", [ROWS, IMAGES], ids=["rows", "images"])
@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_transformer_comes_back_with_its_codes_and_its_score(kind, X, tmp_path):
    model = make(kind).fit(X)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    assert_same(loaded, model, X, score=kind != "NAT")
    assert plain_parameters(clone(loaded)) == plain_parameters(clone(model))
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(loaded)).transform(X), model.transform(X)
    )


def test_every_public_transformer_can_be_loaded():
    public = {name for name in estimators.__all__ if name.endswith("Transformer")}

    assert public == TRANSFORMERS.keys()


KINDS = {
    **dict.fromkeys(("mlp", "columns"), ROWS),
    **dict.fromkeys(("conv1d", "kernels"), SIGNALS),
    **dict.fromkeys(("patches", "patch_network"), IMAGES),
}
LARGE = [name for name in ENCODERS if "alexnet" in name or "resnet" in name or "valid" in name]


@pytest.mark.parametrize(
    "encoder",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in ENCODERS],
)
def test_every_encoder_comes_back(encoder, tmp_path):
    X = KINDS.get(encoder, COLOURS)
    if encoder in ("dcgan", "alexnet", "stride5_cnn", "valid_cnn"):
        X = COLOURS[:, :, :32, :32]
    elif encoder.startswith("folded_resnet"):
        X = COLOURS[:, :, :16, :16]  # Their hidden layers grow with the crops.
    critic = {"global": "map"} if encoder == "valid_cnn" else "dot"
    model = make(encoder=encoder, view=None, global_weight=0.1, critic=critic).fit(X)
    is_linear = encoder in ("patches", "columns", "kernels")
    assert model.solver_ == ("closed form then gradients" if is_linear else "gradients")

    assert_same(saved_and_loaded(model, tmp_path / "model.skdim"), model, X)


NAMED = {
    "critic": {name: {"global": name} for name in CRITICS if name not in ("gaussian", "map")},
    "prior": {name: name for name in PRIORS},
    "view": {name: name for name in VIEWS},
    "bound": {name: name for name in BOUNDS},
    "optimizer": {name: name for name in OPTIMIZERS},
    "schedule": {name: name for name in SCHEDULES},
}


@pytest.mark.parametrize("number", range(max(map(len, NAMED.values()))))
def test_every_part_with_a_name_comes_back(number, tmp_path):
    """Each part at least once, several parts at a time."""
    weights = {"global_weight": 0.5, "local_weight": 0.5, "prior_weight": 0.1}
    given = {"critic_units": {"global": 8, "local": 8}, **weights}
    given |= {name: list(parts.values())[number % len(parts)] for name, parts in NAMED.items()}
    X = IMAGES
    if given["view"] in ("stretch", "distort"):
        X, given["encoder"] = SIGNALS, "conv1d"
    model = make(**given).fit(X)

    assert_same(saved_and_loaded(model, tmp_path / "model.skdim"), model, X)


SMALL_PATCHES = partial(PatchEncoder, n_filters=4, n_second=4, hidden_units=8)


@pytest.mark.parametrize("weights", [{}, {"local_weight": 1.0, "global_weight": 0.5}])
@pytest.mark.parametrize(
    ("X", "encoder"), [(ROWS, "columns"), (SIGNALS, "kernels"), (IMAGES, SMALL_PATCHES)]
)
def test_a_closed_form_comes_back(X, encoder, weights, tmp_path):
    model = skdim.DeepInfoMaxTransformer(4, encoder=encoder, random_state=0, **weights).fit(X)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    assert_same(loaded, model, X)
    assert loaded.solver_ == "closed form"
    np.testing.assert_array_equal(loaded.canonical_correlations_, model.canonical_correlations_)
    np.testing.assert_array_equal(loaded.directions_, model.directions_)


@pytest.mark.parametrize("encoder", ["columns", "auto"])
def test_a_closed_form_of_columns_that_do_not_vary_comes_back(encoder, tmp_path):
    X = ROWS.copy()
    X[:, 2] = 7.0
    model = skdim.DeepInfoMaxTransformer(4, encoder=encoder, random_state=0).fit(X)

    assert_same(saved_and_loaded(model, tmp_path / "model.skdim"), model, X)


@pytest.mark.parametrize(
    "settings",
    [
        {"prior_weight": 0.1, "prior": "sphere"},
        {"prior_weight": 0.1, "prior": replace(PRIORS["normal"], gradient_penalty=1.0)},
        {"prior": replace(PRIORS["uniform"], discriminator=partial(Discriminator, units=(8,)))},
        {"critic": "concat", "critic_units": 8, "negatives": 2, "bound": "jsd"},
        {"critic": {"local": partial(ConcatCritic, units=8)}, "global_weight": 0.5},
        {"critic": DotCritic},
        {"encoder": partial(MLPEncoder, n_groups=3)},
        {"coordinate_weight": 0.1, "relative_coordinate_weight": 0.1},
        {"optimizer": torch.optim.RMSprop},
        {"optimizer": partial(torch.optim.SGD, momentum=0.5), "learning_rate": 0.01},
        {"early_stopping": True, "max_epochs": 4, "n_iter_no_change": 1},
        {"output": "local", "device": torch.device("cpu")},
        {"schedule": "constant", "warm_start": True, "tol": 0},
    ],
    ids=lambda settings: "-".join(settings),
)
def test_parameters_come_back_as_they_were(settings, tmp_path):
    model = make(**settings).fit(ROWS)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    assert_same(loaded, model, ROWS)
    assert repr(loaded.get_params()) == repr(model.get_params())


def test_numbers_of_numpy_come_back_as_those_of_python(tmp_path):
    model = make(n_components=np.int64(3), learning_rate=np.float32(0.5), warm_start=np.True_)
    model.fit(ROWS)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    assert_same(loaded, model, ROWS)
    assert loaded.get_params() == model.get_params()
    assert type(loaded.n_components) is int


@pytest.mark.parametrize("view", ["occlude", Augment(flip=True, shift=0.1), Occlude()], ids=repr)
def test_views_come_back(view, tmp_path):
    model = make(view=view).fit(IMAGES)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    assert_same(loaded, model, IMAGES)
    assert loaded.view == view


def test_a_random_state_goes_on_where_it_stood(tmp_path):
    model = make(random_state=np.random.RandomState(5)).fit(ROWS)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    np.testing.assert_array_equal(loaded.fit_transform(ROWS), model.fit_transform(ROWS))


def test_a_random_state_of_another_kind_is_given_again(tmp_path):
    state = np.random.RandomState(np.random.PCG64(3))
    make(random_state=state).fit(ROWS).save(tmp_path / "model.skdim")

    with pytest.raises(ValueError, match=r"your own random_state\."):
        skdim.load(tmp_path / "model.skdim")
    assert skdim.load(tmp_path / "model.skdim", random_state=state).random_state is state


def test_weights_that_numpy_does_not_have_come_back(tmp_path):
    encoder = Own()
    encoder.register_buffer("short", torch.arange(3).bfloat16())
    model = make(encoder=encoder).fit(ROWS)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim", encoder=encoder)

    np.testing.assert_array_equal(loaded.transform(ROWS), model.transform(ROWS))
    assert loaded.encoder_[1].module.short.tolist() == [0, 1, 2]


@pytest.mark.parametrize("labels", [Y, np.arange(40) % 3 - 1, np.arange(40) % 2 == 0])
def test_classes_come_back(labels, tmp_path):
    model = make(classifier_weight=0.5).fit(ROWS, labels)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    assert_same(loaded, model, ROWS)
    np.testing.assert_array_equal(loaded.classes_, model.classes_)
    assert loaded.classes_.dtype == model.classes_.dtype


def test_names_of_columns_come_back(tmp_path):
    frame = pd.DataFrame(ROWS, columns=list("abcdef"))
    model = make().fit(frame)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    np.testing.assert_array_equal(loaded.transform(frame), model.transform(frame))
    assert loaded.feature_names_in_.tolist() == list("abcdef")
    with pytest.raises(ValueError, match="feature names"):
        loaded.transform(frame[list("bacdef")])


def test_signals_and_channels_that_come_last_come_back(tmp_path):
    for X, settings in [
        (SIGNALS, {"encoder": "conv1d", "channel_axis": 1}),
        (np.moveaxis(COLOURS, 1, -1)[:, :8, :8], {"channel_axis": -1}),
        (IMAGES.reshape(24, -1), {"image_shape": (8, 8)}),
    ]:
        model = make(**settings).fit(X)
        assert_same(saved_and_loaded(model, tmp_path / "model.skdim"), model, X)


def test_the_net_comes_back_as_it_was_fitted_whatever_was_set_since(tmp_path):
    model = make().fit(ROWS)
    codes = model.transform(ROWS)
    model.set_params(n_components=9, encoder="patches", output="hidden", batch_size=3)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")

    assert_same(loaded, model, ROWS)
    np.testing.assert_array_equal(loaded.transform(ROWS), codes)
    assert loaded.get_params() == model.get_params()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(ROWS), codes)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_training_goes_on_from_the_weights(method, tmp_path):
    model = make(warm_start=True, optimizer="sgd", learning_rate=1e-9, schedule="constant")
    model.fit(ROWS)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim")
    getattr(loaded, method)(ROWS)

    np.testing.assert_allclose(loaded.transform(ROWS), model.transform(ROWS), atol=0.3)
    assert len(loaded.history_["loss"]) == 2
    assert loaded.history_["loss"][0] == model.history_["loss"][0]


def test_a_file_says_what_made_it_and_holds_no_samples(tmp_path):
    model = make(warm_start=True).fit(ROWS)
    path = tmp_path / "model.skdim"
    model.save(path)

    header, tensors = read_container(path)

    assert header["class"] == "DeepInfoMaxTransformer"
    assert header["versions"].keys() == {"skdim", "scikit-learn", "torch", "numpy"}
    assert header["format"] == 5
    n_bytes = sum(map(len, weights_of(model).values()))
    assert n_bytes == sum(values.nbytes for values in tensors.values())
    assert n_bytes < path.stat().st_size < n_bytes + 20_000


def test_the_file_is_read_by_safetensors_alone(tmp_path):
    model = make().fit(ROWS)
    model.save(tmp_path / "model.skdim")

    tensors = load_file(tmp_path / "model.skdim")

    own = model.encoder_.state_dict()
    assert {f"module.{name}" for name in own} <= tensors.keys()
    assert all(torch.equal(own[name], tensors[f"module.{name}"]) for name in own)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_what_was_fitted_on_an_accelerator_loads_on_the_cpu(tmp_path):
    model = make(device="cuda").fit(ROWS)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim", device="cpu")

    assert loaded.device_.type == "cpu"
    np.testing.assert_allclose(loaded.transform(ROWS), model.transform(ROWS), atol=1e-3)


def test_an_accelerator_that_is_not_here_is_replaced_by_the_cpu_with_a_warning(tmp_path):
    model = make().fit(ROWS)
    model.set_params(device="cuda:99").save(tmp_path / "model.skdim")

    with pytest.warns(UserWarning, match=r"cuda:99.*now on the CPU"):
        loaded = skdim.load(tmp_path / "model.skdim")

    assert loaded.device_.type == "cpu"
    np.testing.assert_array_equal(loaded.transform(ROWS), model.transform(ROWS))
    assert skdim.load(tmp_path / "model.skdim", device="cpu").device == "cpu"


# ---------------------------------------------------------------------------------------------
# What is given again


@pytest.mark.parametrize("own", [Own(), make_own], ids=["module", "callable"])
def test_a_module_of_ones_own_is_given_again(own, tmp_path):
    model = make(encoder=own).fit(ROWS)
    model.save(tmp_path / "model.skdim")

    with pytest.raises(ValueError, match=r"not contain your own encoder.*encoder=\.\.\."):
        skdim.load(tmp_path / "model.skdim")
    assert_same(skdim.load(tmp_path / "model.skdim", encoder=own), model, ROWS)


def test_a_hooked_backbone_is_given_again(tmp_path):
    backbone = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    encoder = partial(HookedEncoder, backbone=backbone, local="1")
    model = make(encoder=encoder).fit(IMAGES)

    loaded = saved_and_loaded(model, tmp_path / "model.skdim", encoder=encoder)

    assert_same(loaded, model, IMAGES)


def test_all_that_is_missing_is_listed_and_what_is_not_wanted_is_refused(tmp_path):
    def view(x, generator):
        return (x,)

    path = tmp_path / "model.skdim"
    make(encoder=Own(), view=view).fit(ROWS).save(path)

    with pytest.raises(ValueError, match=r"encoder and view\. .*encoder=\.\.\., view=\.\.\."):
        skdim.load(path)
    with pytest.raises(ValueError, match="batch_size is stored in the file"):
        skdim.load(path, encoder=Own(), view=view, batch_size=3)
    with pytest.raises(ValueError, match="'view' parameter"):
        skdim.load(path, encoder=Own(), view="nonsense")


def test_another_module_than_the_fitted_one_is_refused_with_what_differs(tmp_path):
    class Wider(Own):
        def __init__(self):
            super().__init__()
            self.code = nn.Linear(8, 5)
            self.more = nn.Linear(1, 1)

    make(encoder=Own()).fit(ROWS).save(tmp_path / "model.skdim")

    with pytest.raises(ValueError, match=r"code\.weight is float32 of.*more\.\w+ is missing"):
        skdim.load(tmp_path / "model.skdim", encoder=Wider())


def test_an_own_module_that_is_no_longer_a_parameter_is_given_again(tmp_path):
    model = make(encoder=Own()).fit(ROWS)
    model.set_params(encoder="mlp").save(tmp_path / "model.skdim")

    loaded = skdim.load(tmp_path / "model.skdim", encoder=Own())

    assert loaded.encoder == "mlp"
    np.testing.assert_array_equal(loaded.transform(ROWS), model.transform(ROWS))


# ---------------------------------------------------------------------------------------------
# What cannot be saved


def test_a_class_of_ones_own_says_what_to_do():
    class Mine(skdim.DeepInfoMaxTransformer):
        pass

    with pytest.raises(ValueError, match=r"Mine is a class of .* Use pickle"):
        Mine(4, max_epochs=1).fit(ROWS).save("never.skdim")


def test_what_is_not_fitted_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        make().save(tmp_path / "model.skdim")

    assert not list(tmp_path.iterdir())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    model = make().fit(ROWS)
    next(model.net_.criterion_.parameters()).data[0] = float("nan")

    with pytest.raises(ValueError, match=r"NaN or infinity: criterion\."):
        model.save(tmp_path / "model.skdim")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.uint16, torch.float8_e4m3fn])
def test_weights_of_a_type_that_files_do_not_hold_are_named(dtype, tmp_path):
    encoder = Own()
    encoder.register_buffer("rare", torch.zeros(3).to(dtype))
    model = make(encoder=encoder).fit(ROWS)

    with pytest.raises(ValueError, match=r"cannot be saved: module\.1\.module\.rare .*pickles"):
        model.save(tmp_path / "model.skdim")


# ---------------------------------------------------------------------------------------------
# What was there


@pytest.fixture
def old(tmp_path):
    """A file that is there already, and a transformer to replace it."""
    make(random_state=1).fit(ROWS).save(tmp_path / "model.skdim")
    return tmp_path / "model.skdim", make().fit(ROWS)


def test_a_file_is_replaced(old):
    path, model = old
    model.save(path)

    np.testing.assert_array_equal(skdim.load(path).transform(ROWS), model.transform(ROWS))
    assert [found.name for found in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_costs_nothing(old, step, monkeypatch):
    path, model = old
    before = path.read_bytes()

    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="No space left"):
        model.save(path)

    assert path.read_bytes() == before
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_folders_are_refused(tmp_path):
    model = make().fit(ROWS)

    with pytest.raises(IsADirectoryError):
        model.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "nowhere" / "model.skdim")
    with pytest.raises(OSError, match="directory"):
        skdim.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        skdim.load(tmp_path / "nothing.skdim")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_may_only_be_read_is_an_os_error(old):
    path, model = old
    path.parent.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            model.save(path)
    finally:
        path.parent.chmod(0o700)
    skdim.load(path)


def test_what_a_link_leads_to_is_written(old):
    path, model = old
    link = path.with_name("link.skdim")
    link.symlink_to(path)
    model.save(link)

    assert link.is_symlink()
    np.testing.assert_array_equal(skdim.load(path).transform(ROWS), model.transform(ROWS))


def test_loading_moves_no_global_random_state(old, global_random_state_untouched):
    path, _ = old
    skdim.load(path)


# ---------------------------------------------------------------------------------------------
# Values in JSON


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -0.0, 1e-320, "x", (1, (2, "a")), [1, [2.5]], {"a": (1,), 2: None}, ()],
    ids=repr,
)
def test_plain_values_come_back(value):
    assert repr(decode(encode(value))) == repr(value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_come_back(value):
    assert repr(decode(encode(value))) == repr(float(value))


def test_a_position_outside_a_random_state_is_refused():
    encoded = encode(np.random.RandomState(0))
    encoded["random_state"]["state"] = {"key": [1] * 1000, "pos": 900}

    with pytest.raises(ValueError, match="position 900 is outside the state"):
        decode(encoded)


def test_an_array_of_strings_holds_strings_only():
    decoded = decode({"array": {"dtype": "<U1", "values": ["a", None]}})

    assert decoded.tolist() == ["a", "None"]
    assert decoded.dtype.kind == "U"


@pytest.mark.parametrize("value", [object(), len, lambda x: x, 1j, {1}, b"x", nn.ReLU(), os])
def test_all_else_has_no_form(value):
    with pytest.raises(TypeError, match="cannot be encoded"):
        encode(value)
