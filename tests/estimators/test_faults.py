"""What goes wrong in training is said, and leaves nothing behind that looks fitted."""

import copy
import gc
import multiprocessing
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import cycle, product
from threading import Barrier

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import (
    BatchScoring,
    Callback,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    InputShapeSetter,
    LRScheduler,
    PassthroughScoring,
    ProgressBar,
)
from torch import nn

from skdim import DeepInfoMaxTransformer, EncoderTransformer
from skdim.bounds import BOUNDS
from skdim.objectives import Autoencoder

pytestmark = pytest.mark.faults

N, D, SIDE, BATCH = 24, 6, 8, 8

draw = np.random.default_rng(0)
VECTORS = draw.normal(size=(N, D))
IMAGES = draw.normal(size=(N, SIDE, SIDE))
DIGITS = load_digits()
BOTH = {"vectors": VECTORS, "images": IMAGES}
# The least images of the encoder that neither pads nor strides.

vectors_and_images = pytest.mark.parametrize("kind", BOTH)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

EVENTS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_batch_begin",
    "on_grad_computed",
    "on_batch_end",
    "on_epoch_end",
    "on_train_end",
]


def make(**params):
    given = {"n_components": 4, "max_epochs": 3, "batch_size": BATCH, "random_state": 0}
    return DeepInfoMaxTransformer(**given | params)


class At(Callback):
    """Do something at an event, from the given epoch on."""

    def __init__(self, event, action, epoch=0):
        self.event = event
        self.action = action
        self.epoch = epoch

    def notify(self, method_name, net, **kwargs):
        if method_name == self.event and len(net.history) >= self.epoch:
            self.action(net)


for each in EVENTS:

    def pass_on(self, net, *args, event=each, **kwargs):
        self.notify(event, net)

    setattr(At, each, pass_on)


def raising(error):
    def action(net):
        raise error

    return action


def filling(value):
    """Spoil one weight of the encoder's last layer."""

    def action(net):
        with torch.no_grad():
            list(net.module_.parameters())[-1][0] = value

    return action


def weights_of(model):
    return {name: weight.clone() for name, weight in model.encoder_.state_dict().items()}


def assert_unfitted(model):
    assert set(vars(model)) == set(model.get_params(deep=False))
    for method in ("transform", "score", "encode"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(VECTORS)


class OwnError(Exception):
    """Nothing that anybody else catches."""


# --- Divergence ---


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_loss_that_is_lost_in_an_epoch_is_an_error_that_says_which_and_what_to_do(epoch, value):
    model = make(callbacks=[At("on_epoch_begin", filling(value), epoch)], learning_rate=0.005)
    said = rf"diverged in epoch {epoch}: .* learning rate of 0.005. Lower learning_rate"
    with pytest.raises(FloatingPointError, match=said):
        model.fit(VECTORS)
    assert_unfitted(model)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_the_very_last_step_spoils_is_found_too(method, value):
    model = make(max_epochs=1, batch_size=N, callbacks=[At("on_batch_end", filling(value))])
    with pytest.raises(FloatingPointError, match="diverged in epoch 1: largest code = "):
        getattr(model, method)(VECTORS)
    assert_unfitted(model)


def test_a_held_out_score_that_is_lost_is_an_error():
    class Brittle(nn.Module):
        """Fail on new samples only."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, 4)
            self.trained = False

        def forward(self, x):
            self.trained = self.trained or self.training
            spoilt = self.trained and not self.training
            code = self.linear(x) * (np.nan if spoilt else 1)
            return code, code

    model = make(encoder=Brittle(), validation_fraction=0.25)
    with pytest.raises(FloatingPointError, match="diverged in epoch 1: validation_score = nan"):
        model.fit(VECTORS)
    assert_unfitted(model)


# A linear encoder, a fixed first layer, batch normalisation throughout, vectors.
ENCODERS = ["patches", "patch_network", "dcgan", "mlp"]


@pytest.mark.parametrize(
    ("encoder", "batch_size", "bound"),
    [(*each, bound) for each, bound in zip(product(ENCODERS, [N, BATCH]), cycle(BOUNDS))],
)
def test_a_learning_rate_of_a_million_is_detected_even_in_a_single_step(encoder, batch_size, bound):
    params = {"encoder": encoder, "bound": bound, "batch_size": batch_size, "max_epochs": 1}
    model = make(learning_rate=1e6, **params)
    with pytest.raises(FloatingPointError, match=r"diverged in epoch 1: .* rate of 1e\+06. Lower"):
        model.fit(VECTORS if encoder == "mlp" else IMAGES)
    assert_unfitted(model)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize(
    "params", [{}, {"global_weight": 1}, {"prior_weight": 1, "local_weight": 0}]
)
def test_a_learning_rate_of_a_million_is_detected_for_every_optimizer_and_term(optimizer, params):
    model = make(optimizer=optimizer, learning_rate=1e6, **params)
    with pytest.raises(FloatingPointError, match=r"diverged in epoch \d: .* rate of 1e\+06. Lower"):
        model.fit(VECTORS)
    assert_unfitted(model)


def test_a_module_that_fails_in_training_only_is_found():
    class Brittle(nn.Module):
        """Fail with batch statistics only."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, 4)

        def forward(self, x):
            code = self.linear(x) / (0 if self.training else 1)
            return code, code

    with pytest.raises(FloatingPointError, match="diverged in epoch 1: local = nan"):
        make(encoder=Brittle()).fit(VECTORS)


# --- Ctrl-C, and errors of the user's own ---

ERRORS = pytest.mark.parametrize("error", [KeyboardInterrupt, OwnError, StopIteration])


@ERRORS
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_error_in_a_callback_comes_through_and_leaves_nothing(method, event, error):
    model = make(callbacks=[At(event, raising(error("mine")))])
    with pytest.raises(error, match="mine"):
        getattr(model, method)(VECTORS)
    assert_unfitted(model)


@ERRORS
def test_an_error_while_the_encoder_is_built_comes_through_and_leaves_nothing(error):
    def build(input_shape, n_components):
        raise error("mine")

    model = make(encoder=build)
    with pytest.raises(error, match="mine"):
        model.fit(VECTORS)
    assert_unfitted(model)


@ERRORS
def test_an_error_in_the_encoder_comes_through_and_leaves_nothing(error):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(D, 4)

        def forward(self, x):
            if self.training:
                raise error("mine")
            return self.linear(x), self.linear(x)

    model = make(encoder=Net())
    with pytest.raises(error, match="mine"):
        model.fit(VECTORS)
    assert_unfitted(model)


def count_and_interrupt(net):
    COUNTED.append(net)
    raise KeyboardInterrupt


COUNTED = []


def test_a_grid_search_stops_at_ctrl_c_instead_of_going_on():
    COUNTED.clear()
    search = GridSearchCV(
        make(callbacks=[At("on_batch_end", count_and_interrupt)]),
        {"local_weight": [0.5, 1.0]},
        cv=2,
    )
    with pytest.raises(KeyboardInterrupt):
        search.fit(VECTORS)
    assert len(COUNTED) == 1
    assert not hasattr(search, "best_estimator_")


@pytest.mark.parametrize(
    ("spoilt", "error"),
    [
        ({"callbacks": [At("on_batch_end", raising(OwnError()))]}, OwnError),
        ({"callbacks": [At("on_epoch_end", raising(KeyboardInterrupt()), 2)]}, KeyboardInterrupt),
        ({"callbacks": [At("on_epoch_begin", filling(np.nan), 2)]}, FloatingPointError),
        ({"learning_rate": 1e6}, FloatingPointError),
        ({"image_shape": (5, 5)}, ValueError),
        ({"device": "cuda:99"}, ValueError),
        ({"validation_fraction": 0.01}, ValueError),
        ({"local_weight": 0}, ValueError),
        ({"encoder": nn.Linear(D + 1, 2)}, ValueError),
    ],
)
def test_a_refit_that_fails_leaves_the_fitted_one_unfitted(spoilt, error):
    model = make().fit(VECTORS).set_params(**spoilt)
    with pytest.raises(error):
        model.fit(VECTORS)
    assert_unfitted(model)


@pytest.mark.parametrize("X", [np.full((N, D), np.nan), VECTORS[:1], VECTORS[0]])
def test_a_refit_on_bad_data_leaves_the_fitted_one_unfitted(X):
    model = make().fit(VECTORS)
    with pytest.raises(ValueError, match=r"Input X|minimum of 2|Expected 2D"):
        model.fit(X)
    assert_unfitted(model)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("event", ["on_train_begin", "on_batch_end", "on_epoch_end"])
def test_ctrl_c_keeps_what_a_warm_start_had_and_learnt(method, event):
    model = make(warm_start=True).fit(VECTORS)
    first = weights_of(model)
    model.set_params(callbacks=[At(event, raising(KeyboardInterrupt()), epoch=3)])

    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(VECTORS)

    assert np.isfinite(model.transform(VECTORS)).all()
    assert np.isfinite(model.score(VECTORS))
    assert not model.encoder_.training
    same = all(torch.equal(first[name], weight) for name, weight in weights_of(model).items())
    assert same == (event == "on_train_begin")


def test_after_ctrl_c_the_history_holds_the_whole_epochs_and_training_can_go_on():
    model = make(warm_start=True).fit(VECTORS)
    model.set_params(callbacks=[At("on_batch_end", raising(KeyboardInterrupt()), epoch=5)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(VECTORS)
    assert model.n_iter_ == len(model.loss_curve_) == 4

    model.set_params(callbacks=None).fit(VECTORS)
    assert model.n_iter_ == len(model.loss_curve_) == 7
    assert np.isfinite(model.loss_curve_).all()


def test_the_first_fit_of_a_warm_start_has_nothing_to_keep():
    model = make(warm_start=True, callbacks=[At("on_epoch_end", raising(KeyboardInterrupt()), 2)])
    with pytest.raises(KeyboardInterrupt):
        model.fit(VECTORS)
    assert_unfitted(model)


@pytest.mark.parametrize("error", [OwnError, FloatingPointError])
def test_a_warm_start_that_fails_is_unfitted(error):
    model = make(warm_start=True).fit(VECTORS)
    action = filling(np.nan) if error is FloatingPointError else raising(error())
    model.set_params(callbacks=[At("on_batch_begin", action)])
    with pytest.raises(error):
        model.fit(VECTORS)
    assert_unfitted(model)


def test_bad_data_does_not_cost_the_weights_of_a_warm_start():
    model = make(warm_start=True).fit(VECTORS)
    before = model.transform(VECTORS)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((N, D), np.nan))
    np.testing.assert_array_equal(model.transform(VECTORS), before)


# --- Stopping ---


class Keep(Callback):
    """Keep a copy of the weights of every epoch; from one epoch on, hold all codes equal."""

    def __init__(self, equal_from):
        self.equal_from = equal_from
        self.epochs = []

    def on_batch_end(self, net, **kwargs):
        if len(net.history) >= self.equal_from:
            with torch.no_grad():
                net.module_[1].to_code.weight.zero_()

    def on_epoch_end(self, net, **kwargs):
        self.epochs.append(copy.deepcopy(net.module_.state_dict()))


@vectors_and_images
def test_early_stopping_goes_back_to_the_weights_of_the_best_epoch(kind):
    keep = Keep(equal_from=5)
    model = make(
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=2,
        tol=0,
        max_epochs=20,
        callbacks=[keep],
    ).fit({"vectors": DIGITS.data, "images": DIGITS.images}[kind][:48])

    # Warnings are errors: that the last epochs collapsed is no matter of the kept one.
    scores = model.history_["validation_score"]
    assert model.n_iter_ == np.argmax(scores) + 1 < 5
    assert len(scores) == model.n_iter_ + 2 < 20
    states = [weights_of(model), keep.epochs[model.n_iter_ - 1], keep.epochs[-1]]
    kept, best, last = ([weight.tolist() for weight in state.values()] for state in states)
    assert kept == best
    assert kept != last


def test_growth_below_the_tolerance_stops():
    model = make(early_stopping=True, validation_fraction=0.25, n_iter_no_change=1, tol=100.0)
    model.set_params(max_epochs=9).fit(VECTORS)
    assert (model.n_iter_, len(model.loss_curve_)) == (1, 2)


def test_less_than_no_epochs_are_refused():
    with pytest.raises(ValueError, match=r"'max_epochs' parameter .* an int >= 0 .* Got -1 inst"):
        make(max_epochs=-1).fit(VECTORS)


@pytest.mark.parametrize("params", [{"encoder": "mlp"}, {"bound": "dv"}, {"prior_weight": 0.1}])
def test_no_epochs_are_refused_where_gradients_are_needed(params):
    model = make(max_epochs=0, **params)
    with pytest.raises(ValueError, match=r"max_epochs=0 .* Give at least one epoch"):
        model.fit(VECTORS)
    assert_unfitted(model)


class Patience(EarlyStopping):
    """One's own, by inheritance."""


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        (EarlyStopping(), r"EarlyStopping \(see early_stopping\)"),
        (("stop", EarlyStopping()), "EarlyStopping"),
        (EarlyStopping, "EarlyStopping"),
        (Patience(), "EarlyStopping"),
        (LRScheduler(), r"LRScheduler \(see schedule\)"),
        (EpochScoring("r2"), r"ScoringBase \(see validation_fraction\)"),
        (BatchScoring("r2"), "ScoringBase"),
        (PassthroughScoring("loss"), r"PassthroughScoring \(see validation_fraction\)"),
        (InputShapeSetter(), r"InputShapeSetter \(see encoder\)"),
        (ProgressBar(), r"ProgressBar \(see verbose\)"),
    ],
)
def test_callbacks_of_skorch_without_effect_are_refused_with_what_to_use_instead(callback, said):
    # EarlyStopping stops by KeyboardInterrupt, which must stay Ctrl-C.
    with pytest.raises(ValueError, match=f"without those that have no effect here: .*{said}"):
        make(callbacks=[callback]).fit(VECTORS)


@pytest.mark.parametrize("callback", [GradientNormClipping(1e-3), Freezer("*bias")])
def test_callbacks_of_skorch_that_act_are_welcome(callback):
    plain = make().fit(VECTORS).transform(VECTORS)
    assert not np.array_equal(make(callbacks=[callback]).fit(VECTORS).transform(VECTORS), plain)


# --- Memory ---


def test_running_out_of_memory_suggests_a_smaller_batch_and_lets_the_memory_go():
    nets = []

    def run_out(net):
        nets.append(weakref.ref(net.module_))
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    model = make(callbacks=[At("on_grad_computed", run_out)])
    said = rf"ran out of memory at batch_size={BATCH}. Try a smaller batch_size.* 2.00 GiB"
    with pytest.raises(torch.OutOfMemoryError, match=said):
        model.fit(VECTORS)
    assert_unfitted(model)
    gc.collect()
    assert [net() for net in nets] == [None]


@needs_cuda
@pytest.mark.gpu
def test_running_out_of_cuda_memory_suggests_a_smaller_batch_and_lets_the_memory_go():
    def run_out(net):
        torch.empty(2**50, dtype=torch.uint8, device="cuda")

    gc.collect()
    before = torch.cuda.memory_allocated()
    model = make(device="cuda", callbacks=[At("on_grad_computed", run_out)])
    with pytest.raises(torch.OutOfMemoryError, match="Try a smaller batch_size"):
        model.fit(IMAGES)
    assert_unfitted(model)
    gc.collect()
    assert torch.cuda.memory_allocated() == before


# --- Threads and processes ---


class Dropping(nn.Module):
    """A module of one's own that draws from torch's global generator."""

    def __init__(self):
        super().__init__()
        self.local = nn.Linear(D, 8)
        self.drop = nn.Dropout(0.5)
        self.code = nn.Linear(8, 4)

    def forward(self, x):
        local = self.drop(self.local(x))
        return local, self.code(local)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("vectors", {}),
        ("vectors", {"global_weight": 1.0, "prior_weight": 1.0, "negatives": 2}),
        ("images", {}),
        ("vectors", {"encoder": Dropping()}),
        ("vectors", {"encoder": lambda input_shape, n_components: Dropping()}),
    ],
)
def test_fits_in_threads_equal_fits_in_turn(kind, params):
    X = BOTH[kind]

    def fit(seed):
        return make(random_state=seed, **params).fit(X).transform(X)

    in_turn = [fit(seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(fit, range(2)))
    np.testing.assert_array_equal(at_once, in_turn)


def test_fits_that_take_turns_batch_by_batch_equal_fits_in_turn():
    def fit(seed, callbacks=()):
        params = {"prior_weight": 1.0, "negatives": 2, "callbacks": list(callbacks)}
        return make(random_state=seed, **params).fit(VECTORS).transform(VECTORS)

    barrier = Barrier(2, timeout=60)
    meeting = [At("on_batch_end", lambda net: barrier.wait())]
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(fit, [0, 1], [meeting, meeting]))
    np.testing.assert_array_equal(at_once, [fit(0), fit(1)])


def test_a_fit_inside_the_encoder_of_a_fit_does_not_hang():
    def build(input_shape, n_components):
        inner = make(max_epochs=1, encoder=Dropping()).fit(VECTORS)
        net = Dropping()
        net.load_state_dict(inner.encoder_[1].module.state_dict())
        return net

    assert np.isfinite(make(encoder=build).fit(VECTORS).transform(VECTORS)).all()


def fit_on_cuda(queue):
    try:
        make(device="cuda").fit(VECTORS)
        queue.put("fitted")
    except Exception as error:  # a test reads it
        queue.put(f"{type(error).__name__}: {error}")


@needs_cuda
@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fit_in_a_forked_process_names_the_way_out():
    torch.zeros(1, device="cuda")
    forking = multiprocessing.get_context("fork")
    queue = forking.Queue()
    process = forking.Process(target=fit_on_cuda, args=(queue,))
    process.start()
    said = queue.get(timeout=60)
    process.join(60)
    assert said.startswith("ValueError: device='cuda' cannot be used here: Cannot re-initialize")
    assert "spawn" in said


# --- Collapse ---


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_a_warning_names_the_line_of_the_user(method):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(make(), method)(np.ones_like(VECTORS))

    assert "All samples of X are equal" in str(caught[0].message)
    assert {warning.filename for warning in caught} == {__file__}


def test_a_collapse_shows_in_the_history_and_warns_where_fit_was_called():
    def shrink(net):
        with torch.no_grad():
            net.module_[1].to_code.weight.mul_(1e-2)

    model = make(callbacks=[At("on_epoch_begin", shrink)], learning_rate=1e-9)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(VECTORS)

    assert [w.category for w in caught] == [ConvergenceWarning]
    assert "codes of DeepInfoMaxTransformer have collapsed" in str(caught[0].message)
    assert "history_['spread']" in str(caught[0].message)
    assert caught[0].filename == __file__
    spread = np.array(model.history_["spread"])
    assert (spread[1:] < spread[:-1] / 50).all()
    assert spread[-1] < 1e-5


class Blind(nn.Module):
    """Give codes that vary, and a map that says nothing of the sample."""

    def __init__(self, shape, n_components):
        super().__init__()
        self.to_code = nn.Linear(*shape, n_components)

    def forward(self, x):
        return torch.ones(len(x), 2, 3), self.to_code(x)


@pytest.mark.parametrize("n_epochs", [1, 3])
@pytest.mark.parametrize("weights", [{"local_weight": 2.0}, {"global_weight": 0.5}], ids=str)
def test_a_bound_that_stays_at_zero_warns(weights, n_epochs):
    blind = make(encoder=Blind, max_epochs=n_epochs, **weights)
    warns = pytest.warns(ConvergenceWarning, match="learnt nothing: the bound .* stayed at 0")
    # One or two epochs say nothing.
    with warns if n_epochs > 2 else nullcontext():
        blind.fit(VECTORS)


def test_other_terms_at_zero_do_not_warn():
    EncoderTransformer(2, objective=Autoencoder(), max_epochs=5, random_state=0).fit(
        np.eye(8)[np.arange(80) % 8]
    )


def test_codes_that_vary_do_not_warn():
    assert make().fit(VECTORS).history_["spread"][-1] > 1e-3
