"""Schedules of the learning rate."""

import numpy as np
import pytest
from skorch.callbacks import Callback

from skdim.training import SCHEDULES
from tests.training.helpers import make_net, make_rows, train


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
