"""Stopping early, and going back to the best epoch."""

import torch
from skorch.callbacks import Callback

from skdim.training import EarlyStopping
from tests.training.helpers import BATCH, Events, Scripted, make_net, make_rows, train


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
