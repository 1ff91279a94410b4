"""Accelerators of any kind: results are those of the CPU, and no step waits for the device.

The device is a stand-in (``tests/standin.py``), in a process of its own.
"""

import multiprocessing
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.utils import backend_registration

import skdim.objectives
from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer, EncoderTransformer
from skdim.displays import InformationMapDisplay, TermsDisplay
from tests import standin

pytestmark = pytest.mark.skipif(
    not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch registers no device from Python",
)

RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(40, 6)).astype(np.float32)
SIGNALS = RNG.normal(size=(24, 2, 64)).cumsum(axis=2).astype(np.float32)
IMAGES = RNG.integers(0, 256, (40, 1, 12, 12), dtype=np.uint8)
LARGE = RNG.integers(0, 256, (12, 3, 32, 32), dtype=np.uint8)


@pytest.fixture(scope="module")
def process():
    """Give a process that has the device; exceptions come back from it."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, standin.install) as pool:
        yield lambda check, *args: pool.submit(check, *args).result()


class Waits(Callback):
    """Count what waits for the device between the first and the last batch of each epoch."""

    def __init__(self):
        self.inside = 0

    def on_batch_begin(self, net, training=False, **kwargs):
        self.before = standin.WAITS.total()

    def on_batch_end(self, net, training=False, **kwargs):
        self.inside += training and standin.WAITS.total() - self.before


def fit(device, X, objective=None, **settings):
    """Fit a small transformer, and count the waits in its steps."""
    waits = Waits()
    settings = {"batch_size": 10, "random_state": 0, "device": device, "max_epochs": 1} | settings
    if settings["max_epochs"]:
        settings["callbacks"] = [waits]
    make = DeepInfoMaxTransformer if objective is None else EncoderTransformer
    settings |= {} if objective is None else {"objective": objective}
    return make(4, **settings).fit(X), waits.inside


def check_fit(X, objective, settings, waits_expected=0):
    """Compare fit, transform and score with the CPU's."""
    objective = None if objective is None else getattr(skdim.objectives, objective)()
    (model, waits), (expected, _) = (
        fit(device, X, objective, **settings) for device in ("standin", "cpu")
    )
    assert model.device_.type == "standin"
    assert waits == waits_expected
    found, codes = model.transform(X), expected.transform(X)
    np.testing.assert_allclose(found, codes, rtol=1e-3, atol=1e-3 * abs(codes).max())
    if hasattr(model, "score"):
        assert model.score(X) == pytest.approx(expected.score(X), abs=1e-3)


@pytest.mark.parametrize("objective", ["Autoencoder", "VAE", "AAE", "AMDIM", "BiGAN", "InfoMax"])
def test_every_objective_trains_without_a_wait_as_on_the_cpu(process, objective):
    process(check_fit, VECTORS, objective, {"encoder": "mlp", "max_epochs": 2})


def test_predictive_coding_trains_without_a_wait_as_on_the_cpu(process):
    process(check_fit, VECTORS, "CPC", {"encoder": "mlp"})


def test_noise_as_targets_waits_for_the_assignment_only(process):
    # Four steps, each of which copies distances to the CPU and the assignment back.
    process(check_fit, VECTORS, "NAT", {"encoder": "mlp"}, 4 * 2)


@pytest.mark.parametrize(
    ("encoder", "X"),
    [
        ("mlp", VECTORS),
        ("columns", VECTORS),
        ("conv1d", SIGNALS),
        ("kernels", SIGNALS),
        ("patch_network", IMAGES),
        ("dcgan", LARGE),
    ],
)
def test_every_kind_of_encoder_trains_without_a_wait_as_on_the_cpu(process, encoder, X):
    process(check_fit, X, None, {"encoder": encoder, "bound": "jsd"})


@pytest.mark.parametrize(
    "settings",
    [
        {"bound": "jsd", "critic": "concat", "global_weight": 0.5, "local_weight": 1.0},
        {"critic": "encode_and_dot", "negatives": "shift"},
        {"bound": "kl", "negatives": 3},
        {"prior_weight": 0.1, "prior": "uniform"},
        {"prior_weight": 0.1, "prior": "normal"},
        {"prior_weight": 0.1, "prior": "sphere"},
        {"coordinate_weight": 1.0, "relative_coordinate_weight": 1.0},
        {"early_stopping": True, "validation_fraction": 0.3},
    ],
    ids=str,
)
def test_every_term_trains_without_a_wait_as_on_the_cpu(process, settings):
    process(check_fit, VECTORS, None, {"encoder": "mlp"} | settings)


@pytest.mark.parametrize("view", ["occlude", "augment"])
def test_views_are_drawn_without_a_wait_as_on_the_cpu(process, view):
    process(check_fit, IMAGES, None, {"encoder": "patch_network", "view": view})


@pytest.mark.parametrize("X", [VECTORS, IMAGES, SIGNALS], ids=["vectors", "images", "signals"])
def test_the_closed_form_is_that_of_the_cpu(process, X):
    encoder = "kernels" if X is SIGNALS else "auto"
    process(check_fit, X, None, {"encoder": encoder, "max_epochs": "auto"})


def check_auto():
    make = partial(DeepInfoMaxTransformer, 2, random_state=0)
    assert make().fit(VECTORS).device_.type == "standin"
    with (
        standin.lacking_everything(),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        assert make().fit(VECTORS).device_.type == "cpu"
    assert [str(w.message) for w in caught] == [
        "device='auto' uses the CPU: torch finds the accelerator 'standin', but it cannot be "
        "used: uniform_ is not implemented for standin."
    ]


def test_auto_is_the_accelerator_if_it_works_and_else_the_cpu_with_a_warning(process):
    process(check_auto)


def check_generators():
    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(6, 3)

        def forward(self, x):
            drawn = torch.rand_like(x)
            return (x * drawn)[:, :, None], self.layer(x * drawn)

    torch.rand(3, device="standin")
    before = standin.Backend.default.get_state().tolist()
    codes = [
        DeepInfoMaxTransformer(
            3, encoder=lambda shape, n: Noisy(), device="standin", max_epochs=2, random_state=0
        )
        .fit(VECTORS)
        .net_.module_[1]
        .module.layer.weight.tolist()
        for _ in range(2)
    ]
    assert codes[0] == codes[1]
    assert standin.Backend.default.get_state().tolist() == before


def test_draws_of_a_layer_repeat_and_leave_the_generator_of_the_device_as_it_was(process):
    process(check_generators)


def check_resumed(folder):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    settings = {"encoder": "mlp", "max_epochs": 4, "prior_weight": 0.1}
    whole, _ = fit("standin", VECTORS, **settings)
    model = DeepInfoMaxTransformer(
        4, batch_size=10, random_state=0, device="standin", checkpoint_dir=folder, **settings
    )
    with pytest.raises(KeyboardInterrupt):
        model.set_params(callbacks=[Stop()]).fit(VECTORS)
    resumed = model.set_params(callbacks=[]).fit(VECTORS)
    np.testing.assert_array_equal(resumed.transform(VECTORS), whole.transform(VECTORS))


def test_a_resumed_training_gives_the_bits_of_an_uninterrupted_one(process, tmp_path):
    process(check_resumed, tmp_path)


def check_files(path):
    model = fit("standin", VECTORS)[0].set_params(callbacks=None)
    codes = model.transform(VECTORS)
    model.save(path)
    for loaded in (skdim.load(path), pickle.loads(pickle.dumps(model))):
        assert loaded.device_.type == "standin"
        np.testing.assert_array_equal(loaded.transform(VECTORS), codes)
    return pickle.dumps(model), codes


def test_files_and_pickles_are_read_there_and_where_there_is_no_such_device(process, tmp_path):
    pickled, codes = process(check_files, tmp_path / "model.skdim")
    with pytest.warns(UserWarning, match="device='standin'"):
        loaded = [skdim.load(tmp_path / "model.skdim"), pickle.loads(pickled)]
    for model in loaded:
        assert model.device_.type == "cpu"
        np.testing.assert_allclose(model.transform(VECTORS), codes, rtol=1e-4, atol=1e-5)


def check_memory():
    model, _ = fit("standin", VECTORS)
    held = standin.WAITS.total()
    fit("standin", VECTORS)
    held = standin.WAITS.total() - held
    standin.FREE[0] = 2 * VECTORS.nbytes - 1
    try:
        read = standin.WAITS.total()
        streamed, _ = fit("standin", VECTORS)
        read = standin.WAITS.total() - read
    finally:
        standin.FREE[0] = 2**40
    assert read > held
    np.testing.assert_array_equal(streamed.transform(VECTORS), model.transform(VECTORS))


def test_samples_larger_than_half_the_free_memory_are_read_by_batches(process):
    process(check_memory)


def check_copies():
    model, _ = fit("standin", VECTORS)
    many = np.repeat(VECTORS, 20, axis=0)
    standin.WAITS.clear()
    model.transform(many)
    features = standin.WAITS["copy"]
    standin.WAITS.clear()
    model.transform(many[:10])
    return features, standin.WAITS["copy"]


def test_features_of_many_chunks_are_copied_at_once(process):
    many, few = process(check_copies)
    # Each of the four chunks is copied to the device; their features come back together.
    assert many == few + 3


def check_classifier():
    y = np.where(np.arange(40) < 20, np.arange(40) % 2, -1)
    guessed = [
        DeepInfoMaxClassifier(
            transformer=DeepInfoMaxTransformer(4, device=device, random_state=0), random_state=0
        )
        .fit(VECTORS, y)
        .predict_proba(VECTORS)
        for device in ("standin", "cpu")
    ]
    np.testing.assert_allclose(*guessed, atol=1e-3)
    model, _ = fit("standin", IMAGES, encoder="patch_network")
    TermsDisplay.from_estimator(model)
    InformationMapDisplay.from_estimator(model, IMAGES[:3])


def test_the_classifier_and_the_displays_take_what_was_fitted_there(process):
    process(check_classifier)
