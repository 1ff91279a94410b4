"""The loop: batches, schedules, events, books, early stopping; and that it never waits."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import kstest
from sklearn.datasets import load_digits
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS
from skdim.critics import DotCritic
from skdim.encoders import MLPEncoder
from skdim.inputs import Layout, Rows, Standardise, channel_statistics
from skdim.objectives import AbstractObjective, infomax
from skdim.priors import PRIORS
from skdim.training import SCHEDULES, Batches, EarlyStopping, EncoderNet
from skdim.views import Identity

patient = settings(deadline=None)  # The machine may be busy.
N, FEATURES, BATCH = 20, 9, 8


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_rows(n=N, features=FEATURES, seed=0):
    table = np.random.default_rng(seed).normal(size=(n, features)).astype(np.float32)
    return Rows(table, Layout((features,)))


def make_infomax(encoder, features, **kwargs):
    with torch.no_grad():
        sizes = encoder.eval()(torch.zeros(2, features))
    settings = {"global_weight": 0.5, "local_weight": 1.0, "prior_weight": 0.1}
    return infomax(
        sizes,
        **settings | kwargs,
        bound=BOUNDS["jsd"],
        critics={"local": partial(DotCritic, units=8), "global": partial(DotCritic, units=8)},
        negatives="all",
        prior=PRIORS["uniform"],
    )


def make_net(rows, objective=None, *, n_components=4, callbacks=(), view=None, **kwargs):
    """Make a net that is ready to train."""
    settings = {
        "optimizer": torch.optim.SGD,
        "lr": 0.01,
        "batch_size": BATCH,
        "schedule": "constant",
    } | kwargs
    schedule, weights = settings.pop("schedule"), settings.pop("weights", {})
    features = rows.layout.n_features
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = MLPEncoder((features,), n_components, n_groups=3, local_units=8, hidden_units=16)
        objective = objective or make_infomax(encoder, features, **weights)
    standardise = Standardise(*channel_statistics(rows.array, rows.layout))
    net = EncoderNet(
        nn.Sequential(standardise, encoder),
        objective,
        view=view or Identity(),
        device="cpu",
        callbacks=None,
        verbose=0,
        **settings,
    ).initialize()
    net.plan(schedule, list(callbacks), {name: settings[name] for name in ("batch_size", "lr")})
    return net


def train(net, rows, held_out=None, *, epochs=2, seed=1):
    net.train(rows, held_out, epochs=epochs, generator=seeded(seed))
    return net


# ---------------------------------------------------------------------------------------------
# Batches


def batches_of(n, batch_size, *, shuffle=True, seed=0):
    return Batches(make_rows(n, 2), batch_size, seeded(seed), shuffle=shuffle)


@patient
@given(n=st.integers(1, 130), batch_size=st.integers(2, 40), shuffle=st.booleans())
def test_every_row_comes_once_and_none_alone(n, batch_size, shuffle):
    batches = batches_of(n, batch_size, shuffle=shuffle)
    given_out = list(batches)
    index = torch.cat([batch.index for batch in given_out])
    sizes = [len(batch.x) for batch in given_out]

    assert sorted(index.tolist()) == list(range(n))
    assert len(given_out) == len(batches)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(n, 2)
    # An odd number of samples cannot come in twos.
    assert max(sizes) <= batch_size + (batch_size == 2 and n % 2)


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [
        (64, 64, [64]),
        (65, 64, [33, 32]),
        (129, 64, [43, 43, 43]),
        (16, 5, [4, 4, 4, 4]),
        (11, 5, [4, 4, 3]),
        (3, 2, [3]),
        (2, 64, [2]),
        (1, 64, [1]),
    ],
)
def test_sizes_of_batches(n, batch_size, sizes):
    assert [len(batch.x) for batch in batches_of(n, batch_size)] == sizes


def test_batches_hold_the_samples_of_their_index():
    rows = make_rows().part(np.array([4, 9, 2, 17, 11]))
    rows.labels[9] = 3
    for batch in Batches(rows, 2, seeded(), shuffle=True):
        assert np.array_equal(batch.x, rows.array[batch.index.numpy()])
        assert batch.y.tolist() == [3 if i == 9 else -1 for i in batch.index]


def order_of(batches):
    return torch.cat([batch.index for batch in batches]).tolist()


@pytest.mark.usefixtures("global_random_state_untouched")
def test_order_is_drawn_anew_each_time_from_the_generator():
    batches, again = batches_of(50, 8), batches_of(50, 8)
    first, second = order_of(batches), order_of(batches)

    assert first != second
    assert (first, second) == (order_of(again), order_of(again))
    assert first != order_of(batches_of(50, 8, seed=1))


def test_order_stays_without_shuffling():
    assert order_of(batches_of(50, 8, shuffle=False)) == list(range(50))


# ---------------------------------------------------------------------------------------------
# Schedules


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("constant", {0.0: 1, 0.3: 1, 1.0: 1}),
        ("cosine", {0.0: 1, 0.25: 0.5 + 0.125**0.5, 0.5: 0.5, 1.0: 0}),
        ("one_cycle", {0.0: 0.04, 0.05: 0.52, 0.1: 1, 0.55: 0.5, 1.0: 0}),
    ],
)
def test_schedules_pass_through_their_points(name, at):
    found = {progress: SCHEDULES[name](progress) for progress in at}

    assert found == pytest.approx(at, abs=1e-12)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_schedules_never_leave_the_unit_interval_nor_jump(name):
    factors = np.array([SCHEDULES[name](progress) for progress in np.linspace(0, 1, 1001)])

    assert factors.min() >= 0
    assert factors.max() <= 1
    assert np.abs(np.diff(factors)).max() < 0.011


class RatesSeen(Callback):
    def on_train_begin(self, net, **kwargs):
        self.rates = []

    def on_grad_computed(self, net, **kwargs):
        self.rates.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_learning_rate_follows_the_schedule_step_by_step(name):
    seen, rows = RatesSeen(), make_rows()
    net = train(make_net(rows, callbacks=[seen], schedule=name, lr=0.02), rows, epochs=4)
    expected = [0.02 * SCHEDULES[name](step / 12) for step in range(12)]

    assert seen.rates == pytest.approx(expected)
    assert net.history[:, "learning_rate"] == pytest.approx(expected[2::3])


# ---------------------------------------------------------------------------------------------
# Nothing waits for the device


READS = ("item", "tolist", "cpu", "numpy", "nonzero", "__array__")
CASTS = ("__bool__", "__float__", "__int__", "__index__")


class Waits(Callback):
    """Count, epoch by epoch, how often a number is read back from the device."""

    def __init__(self, patch):
        self.now, self.epochs = Counter(), []
        for name in READS + CASTS:
            patch.setattr(torch.Tensor, name, self.counting(name, getattr(torch.Tensor, name)))

    def counting(self, name, original):
        def counted(tensor, *args, **kwargs):
            self.now[name] += 1
            return original(tensor, *args, **kwargs)

        return counted

    def on_epoch_begin(self, net, **kwargs):
        self.now.clear()

    def on_epoch_end(self, net, **kwargs):
        self.epochs.append(dict(self.now))


def held_on_device(rows):
    """Index rows as on a device: the CPU holds none of its own accord."""
    rows.held = torch.from_numpy(rows.array)
    return rows


@pytest.mark.parametrize("name", ["item", "tolist", "cpu", "numpy", *CASTS[:3]])
def test_waits_are_counted(monkeypatch, name):
    waits = Waits(monkeypatch)
    getattr(torch.ones(()), name)()

    assert waits.now[name] == 1


@pytest.mark.parametrize("n", [BATCH, 5 * BATCH])
def test_numbers_are_read_once_an_epoch_however_many_batches(monkeypatch, n):
    # Adam itself reads its count of steps, which is on the CPU; plain SGD reads nothing.
    rows = held_on_device(make_rows(n))
    waits = Waits(monkeypatch)
    train(make_net(rows, callbacks=[waits]), rows, epochs=3)

    assert waits.epochs == [{"tolist": 1}] * 3


def test_numbers_are_read_once_more_an_epoch_where_rows_are_held_out(monkeypatch):
    rows = held_on_device(make_rows(5 * BATCH))
    part, held_out = rows.part(np.arange(24)), rows.part(np.arange(24, 40))
    waits = Waits(monkeypatch)
    train(make_net(rows, callbacks=[waits]), part, held_out, epochs=3)

    assert waits.epochs == [{"tolist": 2}] * 3


# ---------------------------------------------------------------------------------------------
# Books and events


def test_history_has_the_mean_of_every_term_each_epoch():
    rows = make_rows()
    net = train(make_net(rows), rows, make_rows(6, seed=3), epochs=3)
    terms = {"local", "global", "prior", "discriminator"}
    books = {"loss", "spread", "learning_rate", "seconds", "validation_score"}

    assert len(net.history) == 3
    assert net.history[:, "epoch"] == [1, 2, 3]
    for epoch in net.history:
        assert set(epoch) == terms | books | {"epoch", "batches"}
        assert all(np.isfinite(epoch[name]) for name in terms | books)
        assert epoch["loss"] == pytest.approx(sum(epoch[name] for name in terms), rel=1e-5)
        assert epoch["seconds"] > 0
        assert epoch["spread"] > 0


class CountsSamples(AbstractObjective):
    """A term, and a score, that is the number of samples in the batch."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, looks, batch):
        return {"size": len(batch.index) + self.weight - self.weight.detach()}

    def score(self, features, batch):
        return torch.tensor(float(len(batch.index)))


def test_means_weigh_batches_by_their_sizes():
    rows, held_out = make_rows(11), make_rows(5)
    net = train(make_net(rows, CountsSamples(), batch_size=5), rows, held_out, epochs=1)

    assert net.history[-1, "size"] == pytest.approx((4 * 4 + 4 * 4 + 3 * 3) / 11)
    assert net.history[-1, "validation_score"] == 5
    assert net.score_rows(rows, 0) == pytest.approx((4 * 4 + 4 * 4 + 3 * 3) / 11)


class Events(Callback):
    """Write down all events."""

    def __init__(self):
        self.seen = []
        self.named = []

    def notify(self, method, net, **kwargs):
        self.seen.append((method, kwargs))

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen.append(("on_grad_computed", kwargs))
        self.named.append([(name, weight.grad) for name, weight in named_parameters])


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
    net.plan("cosine", [], {"batch_size": 5, "lr": 0.5, "verbose": 0})
    train(net, rows, epochs=1)

    assert len(events.seen) == n_seen
    assert len(net.history) == 2
    assert net.history[-1, "learning_rate"] == pytest.approx(0.5 * SCHEDULES["cosine"](3 / 4))


# ---------------------------------------------------------------------------------------------
# One training


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


class Scripted(AbstractObjective):
    """A weight that grows by the learning rate each step, a term and a score made of it."""

    def __init__(self, term=lambda w: -w, score=lambda w: w):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.term, self.worth = term, score

    def forward(self, looks, batch):
        return {"scripted": self.term(self.weight)}

    def score(self, features, batch):
        return self.worth(self.weight.detach())


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


# ---------------------------------------------------------------------------------------------
# Early stopping


def stop_early(score, *, patience=3, tol=0.0, epochs=20, seconds=()):
    """Train with a scripted score; the weight then counts the epochs behind it."""
    stopping, rows = EarlyStopping(patience, tol), make_rows(BATCH)
    net = make_net(rows, Scripted(score=score), callbacks=[*seconds, stopping], lr=1.0)
    return train(net, rows, make_rows(5), epochs=epochs), stopping


def test_stopping_early_goes_back_to_the_best_weights():
    net, stopping = stop_early(lambda w: -((w - 6) ** 2))

    assert net.criterion_.weight.item() == 6
    assert stopping.best_epoch_ == 6
    assert len(net.history) == 6 + 3
    assert net.history[:, "validation_score"] == [-((w - 6) ** 2) for w in range(1, 10)]


def test_best_weights_are_kept_where_the_last_epoch_comes_first():
    net, stopping = stop_early(lambda w: -((w - 6) ** 2), patience=50, epochs=8)

    assert len(net.history) == 8
    assert net.criterion_.weight.item() == stopping.best_epoch_ == 6


def test_growth_goes_on_to_the_end():
    net, stopping = stop_early(lambda w: w, epochs=7)

    assert net.criterion_.weight.item() == stopping.best_epoch_ == len(net.history) == 7


def test_growth_within_the_tolerance_does_not_count():
    net, stopping = stop_early(lambda w: 0.01 * w, patience=2, tol=0.05)

    # Counted from the best so far, slow growth does count in the end.
    assert stopping.best_epoch_ == 1
    assert len(net.history) == 3
    slower, patiently = stop_early(lambda w: 0.01 * w, patience=6, tol=0.055, epochs=13)
    assert patiently.best_epoch_ == 13
    assert len(slower.history) == 13


def test_weights_and_buffers_of_the_encoder_go_back_too():
    states = {}

    class Copies(Callback):
        def on_epoch_end(self, net, **kwargs):
            state = net.module_.state_dict()
            states[len(net.history)] = {name: value.clone() for name, value in state.items()}

    net, _ = stop_early(lambda w: -((w - 2) ** 2), seconds=[Copies()])
    final = net.module_.state_dict()

    assert all(torch.equal(final[name], states[2][name]) for name in final)
    assert not all(torch.equal(final[name], states[3][name]) for name in final)


def test_other_callbacks_hear_the_end_of_a_training_stopped_early():
    events = Events()
    stop_early(lambda w: -w, seconds=[events])

    assert events.seen[-1][0] == "on_train_end"


def test_early_stopping_forgets_earlier_trainings():
    stopping, rows = EarlyStopping(2, 0.0), make_rows(BATCH)
    net = make_net(rows, Scripted(score=lambda w: -abs(w - 3)), callbacks=[stopping], lr=1.0)
    train(net, rows, make_rows(5), epochs=4)
    assert net.criterion_.weight.item() == 3
    train(net, rows, make_rows(5), epochs=1)

    # Worse than the best of the first training, but all that the second has.
    assert net.criterion_.weight.item() == 4
    assert stopping.best_state_ is None


# ---------------------------------------------------------------------------------------------
# Two players


def distance_to_uniform(prior_weight):
    """Kolmogorov-Smirnov distance of squashed codes to uniform, mean over coordinates.

    Of the paper's DIM(L): the Jensen-Shannon bound beside a prior of weight 0.1.
    """
    digits = load_digits().data
    model = DeepInfoMaxTransformer(
        8,
        encoder="mlp",
        view=None,
        bound="jsd",
        prior_weight=prior_weight,
        critic_units=64,
        batch_size=128,
        max_epochs=25,
        random_state=0,
    )
    squashed = expit(model.fit_transform(digits).astype(np.float64))
    return np.mean([kstest(coordinate, "uniform").statistic for coordinate in squashed.T])


def test_prior_term_makes_squashed_codes_uniform():
    assert distance_to_uniform(0.1) <= 0.5 * distance_to_uniform(0.0)
