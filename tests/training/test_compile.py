"""Compiled steps: the same terms as without."""

import pickle
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxTransformer, EncoderTransformer
from skdim.critics import DotCritic
from skdim.estimators.loading import TRANSFORMERS
from skdim.objectives import AAE, VAE, AbstractObjective, BiGAN
from skdim.priors import PRIORS
from skdim.views import VIEWS, Augment

# Said by torch of what its own compiler does.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]

IMAGES = np.random.default_rng(0).integers(0, 256, (22, 8, 8), dtype=np.uint8)
COLOURS = np.random.default_rng(0).integers(0, 256, (16, 3, 8, 8), dtype=np.uint8)
SIGNALS = np.random.default_rng(0).normal(size=(16, 2, 32)).astype(np.float32)
VECTORS = np.random.default_rng(0).normal(size=(24, 9)).astype(np.float32)
PENALISED = {"prior_weight": 0.5, "prior": replace(PRIORS["uniform"], gradient_penalty=1.0)}
COORDINATES = {"coordinate_weight": 0.5, "relative_coordinate_weight": 0.5}
SAMPLING = partial(DotCritic, samples=2, activation_penalty=0.1)


def make(**settings):
    return DeepInfoMaxTransformer(
        4, **{"max_epochs": 2, "batch_size": 8, "device": "cpu", "random_state": 0} | settings
    )


@pytest.fixture
def captured(monkeypatch):
    """Capture the graphs and run them as they are: what needs no compiler of C++."""
    calls = []
    original = torch.compile

    def compile_as_is(part, *, dynamic, mode):
        calls.append((part.__name__, dynamic, mode))
        return original(part, dynamic=dynamic, backend="eager")

    monkeypatch.setattr(torch, "compile", compile_as_is)
    yield calls
    torch.compiler.reset()


@pytest.fixture
def whole_graphs(monkeypatch):
    """Capture graphs, and raise an error where one breaks; return the arguments of all steps."""
    steps = []
    original = torch.compile

    def compile_whole(part, *, dynamic, mode):
        whole = original(part, dynamic=dynamic, backend="eager", fullgraph=True)
        return lambda *given: steps.append(given) or whole(*given)

    monkeypatch.setattr(torch, "compile", compile_whole)
    yield steps
    torch.compiler.reset()


class Noise(AbstractObjective):
    """Codes that do not follow noise."""

    def terms(self, looks, batch):
        code = looks[0].code
        noise = torch.randn(code.shape, generator=batch.generator)
        order = torch.randperm(len(code), generator=batch.generator)
        return {"noise": (code * noise[order]).mean()}


class Flat(torch.nn.Module):
    """A small encoder of images."""

    def __init__(self, input_shape, n_components):
        super().__init__()
        self.to_map = torch.nn.Conv2d(input_shape[0], 4, 4, stride=4)
        self.to_code = torch.nn.LazyLinear(n_components)

    def forward(self, x):
        local = self.to_map(x).relu()
        return local, self.to_code(local.flatten(1))


@pytest.mark.parametrize(
    ("X", "settings"),
    [
        (VECTORS, {"global_weight": 0.5, "bound": "dv", "negatives": 3} | PENALISED),
        pytest.param(
            VECTORS,
            {"critic": "concat", "critic_units": 8, "negatives": "shift"} | COORDINATES,
            marks=pytest.mark.slow,
        ),
        (VECTORS, {"critic": SAMPLING, "bound": "jsd"}),
        pytest.param(IMAGES, {"encoder": "dcgan", "prior_weight": 0.1}, marks=pytest.mark.slow),
        pytest.param(IMAGES, {"encoder": "patch_network"}, marks=pytest.mark.slow),
    ],
)
def test_captured_steps_give_what_plain_steps_give(captured, X, settings):
    plain = make(**settings).fit(X)
    assert not captured
    compiled = make(compile=True, **settings).fit(X)

    assert captured == [("replay", False, "default")]
    assert compiled.history_["loss"] == pytest.approx(plain.history_["loss"], rel=1e-5)
    np.testing.assert_allclose(compiled.transform(X), plain.transform(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"critic": SAMPLING, "bound": "dv", "negatives": "shift"},
        {"objective": AAE()},
        {"objective": Noise()},
        *(
            pytest.param(settings, marks=pytest.mark.slow)
            for settings in (
                {"prior_weight": 0.1, "prior": "uniform", "global_weight": 0.5, "bound": "kl"},
                {"negatives": 3, "bound": "jsd"},
                COORDINATES,
                {"objective": VAE()},
                PENALISED,
                {"objective": BiGAN(gradient_penalty=0.0), "encoder": "mlp"},
            )
        ),
    ],
)
def test_a_step_that_draws_is_one_graph_and_draws_as_a_plain_step(whole_graphs, settings):
    kind = EncoderTransformer if "objective" in settings else DeepInfoMaxTransformer
    settings = {"max_epochs": 2, "batch_size": 8, "device": "cpu", "random_state": 0} | settings
    plain, whole = (kind(4, compile=c, **settings).fit(VECTORS) for c in (False, True))

    assert whole.history_["loss"] == pytest.approx(plain.history_["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("X", "view"),
    [
        pytest.param(COLOURS, VIEWS["mirror"], id="mirror"),
        *(
            pytest.param(X, view, id=name, marks=pytest.mark.slow)
            for name, X, view in (
                ("amdim", COLOURS, Augment.amdim()),
                ("crops", COLOURS, Augment.crops(colours=True)),
                ("occlude", COLOURS, VIEWS["occlude"]),
                ("given looks", np.stack([COLOURS, COLOURS[::-1]], axis=1), VIEWS["augment"]),
                ("stretch", SIGNALS, VIEWS["stretch"]),
                ("distort", SIGNALS, VIEWS["distort"]),
            )
        ),
    ],
)
def test_a_view_of_ours_is_in_the_graph_and_draws_as_outside(whole_graphs, X, view):
    settings = {"encoder": "conv1d", "channel_axis": 1} if X is SIGNALS else {"encoder": Flat}
    plain, whole = (make(compile=c, view=view, **settings).fit(X) for c in (False, True))

    assert {looks for _, _, looks in whole_graphs} == {None}
    assert whole.history_["loss"] == pytest.approx(plain.history_["loss"], rel=1e-5)


def test_a_view_of_the_user_is_applied_before_a_compiled_step(whole_graphs):
    def halved_at_random(x, generator):
        # NumPy's generator cannot be traced.
        return (x * float(np.random.default_rng(generator.initial_seed() % 9).random()), x)

    plain, whole = (make(compile=c, view=halved_at_random).fit(VECTORS) for c in (False, True))

    assert all(len(looks) == 2 for _, _, looks in whole_graphs)
    assert whole.history_["loss"] == pytest.approx(plain.history_["loss"], rel=1e-5)


def test_what_is_fitted_holds_nothing_compiled(captured):
    model = make(compile=True, warm_start=True).fit(VECTORS)
    again = pickle.loads(pickle.dumps(model))

    assert captured
    assert type(model.encoder_) is torch.nn.Sequential
    np.testing.assert_array_equal(again.transform(VECTORS), model.transform(VECTORS))
    again.fit(VECTORS)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_compiled_steps_give_what_plain_steps_give():
    X = VECTORS[:16]
    try:
        plain, compiled = (make(compile=c).fit(X) for c in (False, True))
    finally:
        torch.compiler.reset()

    assert compiled.history_["loss"] == pytest.approx(plain.history_["loss"], rel=1e-4)


def test_a_failure_to_compile_is_told(monkeypatch):
    def fails(graph, inputs):
        raise OSError("no such compiler")

    monkeypatch.setattr(torch, "compile", partial(compile_with, torch.compile, fails))
    model = make(compile=True)
    with pytest.raises(RuntimeError, match=r"compile=True failed(?s:.*)no such compiler"):
        model.fit(VECTORS)

    assert not hasattr(model, "net_")
    torch.compiler.reset()


def compile_with(original, backend, part, *, dynamic, mode):
    return original(part, dynamic=dynamic, backend=backend)


BASELINES = [kind for kind in TRANSFORMERS.values() if kind is not DeepInfoMaxTransformer]


@pytest.mark.parametrize("baseline", BASELINES)
def test_the_baselines_give_the_same_terms_compiled(baseline, captured):
    settings = {"max_epochs": 1, "batch_size": 8, "device": "cpu", "random_state": 0}
    plain, compiled = (
        baseline(4, compile=mode, **settings).fit(VECTORS).loss_curve_ for mode in (False, True)
    )

    np.testing.assert_allclose(compiled, plain, rtol=1e-4)
    assert captured
