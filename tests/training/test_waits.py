"""Nothing waits for the device inside an epoch."""

from collections import Counter

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from tests.training.helpers import BATCH, make_net, make_rows, train

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
    rows.preloaded = torch.from_numpy(rows.array)
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
