"""How a training is scored, written down, and gone on with."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from skorch.callbacks import Callback

from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS
from skdim.estimators.fitting import auto_epochs
from skdim.pairs import split_own
from tests.estimators.helpers import weights_of

# Six columns that come from two: there is something to learn.
DRAWS = np.random.default_rng(0)
ROWS = (DRAWS.normal(size=(90, 2)) @ DRAWS.normal(size=(2, 6))).astype(np.float32)


def brief(**parameters):
    defaults = {
        "n_components": 4,
        "max_epochs": 2,
        "batch_size": 32,
        "learning_rate": 1e-3,
        "random_state": 0,
    }
    return DeepInfoMaxTransformer(**defaults | parameters)


# ---------------------------------------------------------------------------------------------
# Score


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("term", ["local", "global"])
def test_score_is_the_bound_of_the_trained_term_on_samples_as_they_are(bound, term):
    weights = {"global_weight": 0.0, "local_weight": 0.0} | {f"{term}_weight": 3.0}
    dim = brief(bound=bound, batch_size=90, **weights).fit(ROWS)
    (information,) = dim.net_.criterion_
    with torch.no_grad():
        features = dim.encoder_(torch.from_numpy(ROWS))
        layer = features.local if term == "local" else features.conv.flatten(1)
        expected = BOUNDS[bound](*split_own(information.critic(features.code, layer), 0))

    assert isinstance(dim.score(ROWS), float)
    assert dim.score(ROWS) == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    ("weights", "others"),
    [((0, 1, 0), (0, 7, 0)), ((0, 1, 0), (0.5, 1, 0)), ((0, 1, 0), (0, 1, 0.1)),
     ((0.5, 1, 0.1), (1, 2, 0.2)), ((1, 0, 0), (3, 0, 0))],
    ids=str,
)  # fmt: skip
def test_score_of_the_same_networks_is_the_same_whatever_the_weights(weights, others):
    """Nothing moves at a rate of 1e-30, so that both trainings end with the first weights."""

    def score(global_weight, local_weight, prior_weight):
        still = {"max_epochs": 1, "optimizer": "sgd", "learning_rate": 1e-30}
        terms = {
            "global_weight": global_weight,
            "local_weight": local_weight,
            "prior_weight": prior_weight,
        }
        return brief(**still, **terms).fit(ROWS).score(ROWS)

    assert score(*weights) == score(*others)


@pytest.mark.parametrize("negatives", ["all", 2])
def test_score_is_the_same_each_time(negatives):
    dim = brief(negatives=negatives).fit(ROWS)

    assert len({dim.score(ROWS) for _ in range(3)}) == 1


def test_every_sample_is_scored_beside_equally_many_others():
    dim = brief(batch_size=32).fit(ROWS)
    one, other = dim.score(ROWS[:32]), dim.score(ROWS[1:33])

    assert dim.score(ROWS[:33]) == pytest.approx((one + other) / 2, rel=1e-6)


def test_score_tells_related_columns_from_shuffled_ones():
    dim = brief(max_epochs=30).fit(ROWS)
    shuffled = np.random.default_rng(1).permuted(ROWS, axis=0)

    assert dim.score(ROWS) > brief(max_epochs=1).fit(ROWS).score(ROWS)
    assert dim.score(ROWS) > dim.score(shuffled) + 0.1


# ---------------------------------------------------------------------------------------------
# History


@pytest.mark.parametrize(
    ("weights", "terms"),
    [
        ((0, 1, 0), ["local"]),
        ((1, 0, 0), ["global"]),
        ((0.5, 1, 0.1), ["local", "global", "prior", "discriminator"]),
    ],
    ids=str,
)
def test_history_has_every_term_once_an_epoch_and_the_loss_is_their_sum(weights, terms):
    global_weight, local_weight, prior_weight = weights
    dim = brief(
        global_weight=global_weight,
        local_weight=local_weight,
        prior_weight=prior_weight,
        max_epochs=3,
    ).fit(ROWS)
    history = dim.history_

    assert set(history) == {*terms, "loss", "spread", "learning_rate", "seconds"}
    assert {len(values) for values in history.values()} == {3}
    assert all(type(value) is float for values in history.values() for value in values)
    np.testing.assert_allclose(np.sum([history[t] for t in terms], axis=0), history["loss"], 1e-5)
    assert dim.loss_curve_ == history["loss"]
    assert dim.n_iter_ == 3
    assert min(history["seconds"]) > 0


def test_loss_falls_where_there_is_something_to_learn():
    curve = brief(max_epochs=30).fit(ROWS).loss_curve_

    assert np.mean(curve[-5:]) < np.mean(curve[:5]) - 0.1
    assert pearsonr(range(30), curve).statistic < -0.5


def test_spread_is_that_of_the_codes():
    """In one batch and standing still, all but the batch statistics are as in transform."""
    dim = brief(max_epochs=1, batch_size=90, optimizer="sgd", learning_rate=1e-30).fit(ROWS)
    with torch.no_grad():
        codes = dim.encoder_.train()(torch.from_numpy(ROWS)).code

    assert dim.history_["spread"] == pytest.approx([codes.std(dim=0).mean().item()], rel=1e-5)


def test_learning_rate_follows_the_schedule():
    rates = {
        schedule: brief(schedule=schedule, max_epochs=10).fit(ROWS).history_["learning_rate"]
        for schedule in ("constant", "cosine", "one_cycle")
    }

    assert rates["constant"] == [1e-3] * 10
    assert rates["cosine"] == sorted(rates["cosine"], reverse=True)
    assert max(rates["one_cycle"]) <= 1e-3
    for schedule in ("cosine", "one_cycle"):
        assert 0 < rates[schedule][-1] < 1e-4


class Trained(Callback):
    """Note the numbers of the samples of each batch."""

    def __init__(self):
        self.seen = {True: [], False: []}

    def on_batch_end(self, net, batch, training, **kwargs):
        self.seen[training] += batch.index.tolist()


def test_held_out_samples_are_not_trained_on():
    noted = Trained()
    dim = brief(validation_fraction=0.2, max_epochs=3, callbacks=[noted]).fit(ROWS)
    held_out = noted.seen[False][:18]

    assert len(dim.history_["validation_score"]) == 3
    assert noted.seen[False] == held_out * 3
    assert sorted(noted.seen[True]) == sorted([*set(range(90)) - set(held_out)] * 3)


@pytest.mark.parametrize(
    ("n_samples", "n_epochs"), [(2, 100), (64, 100), (1_200, 24), (10_000, 8), (50_000, 4)]
)
def test_few_samples_are_passed_more_often(n_samples, n_epochs):
    assert auto_epochs(n_samples) == n_epochs


@pytest.mark.parametrize("n_samples", [2, 3, 31, 32, 33, 65, 90])
def test_every_sample_is_used_once_an_epoch(n_samples):
    seen = []

    def note(x, generator):
        seen.append(x)
        return (x,)

    brief(max_epochs=1, view=note).fit(ROWS[:n_samples])
    batches = seen[1:]  # The first is a trial on two samples.

    assert min(map(len, batches)) >= 2
    assert max(map(len, batches)) <= 32
    met = np.unique(torch.cat(batches).numpy(), axis=0)
    np.testing.assert_array_equal(met, np.unique(ROWS[:n_samples], axis=0))
    assert sum(map(len, batches)) == n_samples


def test_held_out_samples_are_scored_each_epoch():
    dim = brief(validation_fraction=0.2, max_epochs=3).fit(ROWS)

    assert len(dim.history_["validation_score"]) == 3
    assert dim.n_iter_ == 3


def test_early_stopping_says_which_epoch_was_best():
    dim = brief(early_stopping=True, max_epochs=60, n_iter_no_change=3, tol=0.0).fit(ROWS)
    scores = dim.history_["validation_score"]

    assert dim.n_iter_ == 1 + np.argmax(scores)
    assert len(scores) == min(60, dim.n_iter_ + 3)


def test_early_stopping_goes_back_to_the_best_epoch():
    parameters = {"validation_fraction": 0.1, "schedule": "constant", "learning_rate": 0.01}
    dim = brief(early_stopping=True, max_epochs=60, n_iter_no_change=3, **parameters).fit(ROWS)
    no_further = brief(max_epochs=dim.n_iter_, **parameters).fit(ROWS)

    assert len(dim.loss_curve_) > dim.n_iter_
    assert weights_of(dim) == weights_of(no_further)


# ---------------------------------------------------------------------------------------------
# Going on


def test_first_partial_fit_is_a_fit_of_one_epoch():
    dim = brief(negatives=2).partial_fit(ROWS)
    once = brief(negatives=2, max_epochs=1, schedule="constant").fit(ROWS)

    assert weights_of(dim) == weights_of(once)
    assert dim.n_iter_ == len(dim.loss_curve_) == 1


def test_partial_fit_goes_on_as_warm_start_does():
    dim = brief(negatives=2).partial_fit(ROWS).partial_fit(ROWS)
    warm = brief(negatives=2, max_epochs=1, schedule="constant", warm_start=True)
    warm.fit(ROWS).fit(ROWS)

    assert weights_of(dim) == weights_of(warm)
    assert dim.loss_curve_ == warm.loss_curve_
    assert dim.n_iter_ == len(dim.loss_curve_) == 2


def test_partial_fit_keeps_the_first_standardisation():
    dim = brief().partial_fit(ROWS)
    before = {k: v.clone() for k, v in dim.encoder_[0].state_dict().items()}
    weights = weights_of(dim)
    dim.partial_fit(5 * ROWS[:20] + 3)

    assert weights_of(dim) != weights
    for name, value in dim.encoder_[0].state_dict().items():
        assert torch.equal(value, before[name]), name


def test_partial_fit_goes_on_after_fit():
    dim = brief().fit(ROWS)
    first = dim.loss_curve_
    dim.partial_fit(ROWS)

    assert dim.n_iter_ == 3
    assert dim.loss_curve_[:2] == first


def test_partial_fit_takes_new_settings_of_the_training():
    dim = brief().partial_fit(ROWS).set_params(learning_rate=1e-4).partial_fit(ROWS)

    assert dim.history_["learning_rate"] == [1e-3, 1e-4]


def test_partial_fit_learns():
    dim = brief()
    for _ in range(30):
        dim.partial_fit(ROWS)

    assert dim.loss_curve_[-1] < dim.loss_curve_[0] - 0.1


def test_fit_starts_anew_without_warm_start():
    dim = brief().fit(ROWS)
    first, curve = weights_of(dim), dim.loss_curve_

    assert weights_of(dim.partial_fit(ROWS)) != first
    assert weights_of(dim.fit(ROWS)) == first
    assert dim.loss_curve_ == curve
    assert dim.n_iter_ == 2


def test_warm_start_goes_on_from_the_last_fit():
    cold, warm = brief().fit(ROWS), brief(warm_start=True).fit(ROWS)
    assert weights_of(warm) == weights_of(cold)

    warm.fit(ROWS)
    assert warm.n_iter_ == len(warm.loss_curve_) == 4
    assert warm.loss_curve_[:2] == cold.loss_curve_
    assert weights_of(warm) != weights_of(cold)


def test_fit_without_warm_start_lets_the_optimizer_go():
    assert brief().fit(ROWS).net_.optimizer_ is None
    assert brief(warm_start=True).fit(ROWS).net_.optimizer_.state
    assert brief().partial_fit(ROWS).net_.optimizer_.state


def test_new_columns_are_refused_when_going_on():
    dim = brief(warm_start=True).fit(ROWS)

    for go_on in (dim.fit, dim.partial_fit):
        with pytest.raises(ValueError, match="X has 5 features, but DeepInfoMaxTransformer"):
            go_on(ROWS[:, :5])
    assert dim.n_iter_ == 2
