"""The loop: events, history, one training after the other, two players."""

import math
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest, norm, uniform
from sklearn.datasets import load_digits
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.encoders import LAYERS, Features
from skdim.objectives import AbstractCriterion
from skdim.priors import PRIORS
from skdim.training import SCHEDULES
from tests.training.helpers import BATCH, Events, Scripted, make_net, make_rows, train


def test_history_has_the_mean_of_every_term_each_epoch():
    rows = make_rows()
    net = train(make_net(rows), rows, make_rows(6, seed=3), epochs=3)
    terms = {"local", "global", "prior", "discriminator"}
    recorded = {"loss", "spread", "learning_rate", "seconds", "validation_score"}

    assert len(net.history) == 3
    assert net.history[:, "epoch"] == [1, 2, 3]
    for epoch in net.history:
        assert set(epoch) == terms | recorded | {"epoch", "batches"}
        assert all(np.isfinite(epoch[name]) for name in terms | recorded)
        assert epoch["loss"] == pytest.approx(sum(epoch[name] for name in terms), rel=1e-5)
        assert epoch["seconds"] > 0
        assert epoch["spread"] > 0


class CountsSamples(AbstractCriterion):
    """A term, and a score, that is the number of samples in the batch."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("factor", torch.ones(()))

    def forward(self, looks, batch):
        return {"size": self.factor * len(batch.index) + self.weight - self.weight.detach()}

    def score(self, features, batch):
        return torch.tensor(float(len(batch.index)))


def test_means_weigh_batches_by_their_sizes():
    rows, held_out = make_rows(11), make_rows(5)
    net = train(make_net(rows, CountsSamples(), batch_size=5), rows, held_out, epochs=1)

    assert net.history[-1, "size"] == pytest.approx((4 * 4 + 4 * 4 + 3 * 3) / 11)
    assert net.history[-1, "validation_score"] == 5
    assert net.score_rows(rows, 0) == pytest.approx((4 * 4 + 4 * 4 + 3 * 3) / 11)


class ComparesSamples(CountsSamples):
    compares_samples = True


@pytest.mark.parametrize("n", [3, 5, 6, 11, 25])
def test_samples_that_are_compared_are_scored_beside_equally_many(n):
    rows = make_rows(25)
    net = train(make_net(rows, ComparesSamples(), batch_size=5), rows, epochs=1)

    assert net.score_rows(rows.part(np.arange(n)), 0) == min(n, 5)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_every_layer_of_the_encoder_must_be_finite(layer, value):
    rows = make_rows()
    net = train(make_net(rows), rows, epochs=1)
    net.check_encoder(rows)
    features = {name: torch.ones(4, 2) for name in LAYERS}
    features[layer][1, 1] = value
    net.module_.forward = lambda x: Features(**features)

    with pytest.raises(FloatingPointError, match=r"diverged in epoch 1: largest code = (nan|inf)"):
        net.check_encoder(rows)


@pytest.mark.parametrize(("n_summed", "diverged"), [(1, True), (1000, True), (2000, False)])
def test_terms_that_are_sums_may_be_larger(n_summed, diverged):
    objective = CountsSamples()
    objective.n_summed = n_summed
    with torch.no_grad():
        objective.factor.fill_(2.5e8)
    rows = make_rows(6)
    net = make_net(rows, objective, batch_size=6)

    with pytest.raises(FloatingPointError, match=r"size = 1\.5e") if diverged else nullcontext():
        train(net, rows, None, epochs=1)


for event in ("train_begin", "train_end", "epoch_begin", "epoch_end", "batch_begin", "batch_end"):
    setattr(
        Events,
        f"on_{event}",
        lambda self, net, *args, method=f"on_{event}", **kwargs: self.notify(method, net, **kwargs),
    )


def test_callbacks_receive_their_events():
    rows, held_out, events = make_rows(12), make_rows(6), Events()
    train(make_net(rows, callbacks=[events], batch_size=6), rows, held_out, epochs=2)
    a_step = ["on_batch_begin", "on_grad_computed", "on_batch_end"]
    an_epoch = ["on_epoch_begin", *a_step, *a_step, "on_batch_begin", "on_batch_end"]

    assert [name for name, _ in events.seen] == [
        "on_train_begin",
        *[*an_epoch, "on_epoch_end"] * 2,
        "on_train_end",
    ]
    for name, what in events.seen:
        if name.startswith("on_epoch"):
            assert what["dataset_train"] is rows
            assert what["dataset_valid"] is held_out
        if name == "on_grad_computed":
            assert what["training"] is True
            assert len(what["batch"].index) == 6
        if name == "on_batch_end" and what["training"]:
            assert isinstance(what["loss"], torch.Tensor)
            assert not what["loss"].requires_grad
        if name == "on_batch_end" and not what["training"]:
            assert set(what) == {"batch", "training", "validation_score"}


def test_every_callback_sees_all_gradients():
    rows, first, second = make_rows(), Events(), Events()
    net = train(make_net(rows, callbacks=[first, second]), rows, epochs=1)
    names = [name for name, _ in net.get_all_learnable_params()]

    for events in (first, second):
        assert [[name for name, _ in named] for named in events.named] == [names] * 3
        assert all(grad is not None for named in events.named for _, grad in named)
    assert any("discriminator" in name for name in names)


def weights_of(net):
    weights = [*net.module_.parameters(), *net.criterion_.parameters()]
    return torch.cat([weight.detach().flatten() for weight in weights])


@pytest.mark.parametrize("threshold", [0.05, 0.5])
def test_gradients_can_be_clipped_by_skorch(threshold):
    # One step of SGD at a learning rate of 1 goes as far as the gradient is long.
    rows = make_rows(BATCH)
    clipping = GradientNormClipping(threshold)
    far, near = (make_net(rows, callbacks=c, lr=1.0) for c in ([], [Events(), clipping]))
    start = weights_of(far)
    lengths = [
        (weights_of(train(net, rows, epochs=1)) - start).norm().item() for net in (far, near)
    ]

    assert lengths[0] > 0.5
    assert lengths[1] == pytest.approx(threshold, rel=1e-4)


def test_planning_sets_what_may_differ_and_lets_callbacks_go():
    rows, events = make_rows(), Events()
    net = train(make_net(rows, callbacks=[events]), rows, epochs=1)
    net.clear_callbacks()
    n_seen = len(events.seen)
    net.plan([], {"schedule": "cosine", "batch_size": 5, "lr": 0.5, "verbose": 0})
    train(net, rows, epochs=1)

    assert len(events.seen) == n_seen
    assert len(net.history) == 2
    assert net.history[-1, "learning_rate"] == pytest.approx(0.5 * SCHEDULES["cosine"](3 / 4))


@pytest.mark.usefixtures("global_random_state_untouched")
def test_training_repeats_itself_for_the_same_seed():
    rows = make_rows()
    once, again, other = (weights_of(train(make_net(rows), rows, seed=s)) for s in (1, 1, 2))

    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_training_lowers_the_local_term():
    rows = make_rows(60)
    net = make_net(rows, optimizer=torch.optim.Adam, weights={"prior_weight": 0.0})
    curve = train(net, rows, epochs=15).history[:, "local"]

    assert curve[-1] < curve[0] - 0.2


def test_net_is_left_in_evaluation_mode_without_data_or_generator():
    rows = make_rows()
    net = train(make_net(rows), rows, make_rows(5))

    assert not net.module_.training
    assert not net.criterion_.training
    assert not hasattr(net, "held_out")
    assert not hasattr(net, "generator")


class Modes(Callback):
    """Note the mode of all modules, and whether a batch changed a buffer."""

    def __init__(self):
        self.noted = []

    def on_batch_begin(self, net, **kwargs):
        self.before = self.buffers(net)

    def on_batch_end(self, net, training, **kwargs):
        modules = [*net.module_.modules(), *net.criterion_.modules()]
        (mode,) = {module.training for module in modules}
        after = self.buffers(net)
        moved = any(not torch.equal(one, two) for one, two in zip(self.before, after, strict=True))
        self.noted.append((training, mode, moved))

    def buffers(self, net):
        parts = [*net.module_.buffers(), *net.criterion_.buffers()]
        return [buffer.clone() for buffer in parts]


def test_held_out_samples_are_scored_in_evaluation_mode_and_move_no_buffer():
    rows, modes = make_rows(16), Modes()
    net = make_net(rows, callbacks=[modes])
    net.module_[1].register_module("norm", nn.BatchNorm1d(9))
    net.module_[1].register_forward_pre_hook(lambda module, given: (module.norm(given[0]),))
    train(net, rows, make_rows(6), epochs=2)

    assert modes.noted == [(True, True, True), (True, True, True), (False, False, False)] * 2


def test_all_looks_are_encoded_in_one_pass_and_scores_see_no_view():
    rows, passes = make_rows(), []

    def view(x, generator):
        return x, x + 1, x + 2

    net = make_net(rows, view=view)
    net.module_.register_forward_hook(lambda m, given, out: passes.append(len(given[0])))
    train(net, rows, make_rows(6), epochs=1)

    assert passes[:4] == [21, 21, 18, 6]


@pytest.mark.parametrize("seed", [0, 7])
def test_scores_of_rows_are_the_same_for_the_same_seed(seed):
    rows = make_rows()
    net = train(make_net(rows), rows)
    for information in net.criterion_:
        information.negatives = 2

    assert net.score_rows(rows, seed) == net.score_rows(rows, seed)
    assert net.score_rows(rows, seed) != net.score_rows(rows, seed + 1)


def test_rows_have_no_score_where_nothing_measures_information():
    rows = make_rows()
    net = make_net(rows, weights={"local_weight": 0.0, "global_weight": 0.0})

    assert net.score_rows(rows, 0) is None


@pytest.mark.parametrize(
    ("term", "text"),
    [
        (lambda w: -w * torch.inf, "scripted = nan"),
        (lambda w: torch.inf - w, "scripted = inf"),
        (lambda w: 2e6 - w, r"scripted = 2e\+06"),
    ],
    ids=["nan", "infinity", "too large"],
)
def test_divergence_is_told_and_stops_the_training(term, text):
    rows = make_rows()
    net = make_net(rows, Scripted(term), lr=0.25)

    with pytest.raises(FloatingPointError, match=rf"diverged in epoch 1: {text}") as raised:
        train(net, rows, epochs=5)
    assert "at a learning rate of 0.25. Lower learning_rate" in str(raised.value)
    assert len(net.history) == 1


class Interrupts(Callback):
    def on_batch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_interruption_is_let_through():
    rows = make_rows()
    net = make_net(rows, callbacks=[Interrupts()])

    with pytest.raises(KeyboardInterrupt):
        train(net, rows, make_rows(5))
    assert not hasattr(net, "held_out")
    assert not net.module_.training


def laws(size):
    """The distribution of a coordinate of squashed codes, for each prior."""
    half = (size - 1) / 2
    return {"uniform": uniform, "normal": norm, "sphere": beta(half, half, loc=-1, scale=2)}


def distance_to_prior(prior_weight, prior=PRIORS["uniform"], name="uniform", size=8, seed=0):
    """Kolmogorov-Smirnov distance of squashed codes to a prior, mean over coordinates.

    Of the paper's DIM(L): the Jensen-Shannon bound beside a prior of weight 0.1.
    """
    digits = load_digits().data
    model = DeepInfoMaxTransformer(
        size,
        encoder="mlp",
        view=None,
        bound="jsd",
        prior_weight=prior_weight,
        prior=prior,
        critic_units=64,
        batch_size=128,
        max_epochs=25,
        random_state=seed,
    )
    squashed = prior.squash(torch.from_numpy(model.fit_transform(digits)).double()).numpy()
    law = laws(size)[name]
    return np.mean([kstest(coordinate, law.cdf).statistic for coordinate in squashed.T])


@pytest.mark.slow
def test_prior_term_makes_squashed_codes_uniform():
    assert distance_to_prior(0.1) <= 0.5 * distance_to_prior(0.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", PRIORS)
def test_codes_follow_every_prior_at_the_weight_of_the_guide(name):
    assert distance_to_prior(0.1, PRIORS[name], name, size=16, seed=1) <= 0.12


@pytest.mark.slow
def test_gradient_penalty_steadies_high_weights_of_the_prior():
    penalised = replace(PRIORS["uniform"], gradient_penalty=0.1)

    assert distance_to_prior(1.0, penalised) <= 0.5 * distance_to_prior(1.0)
