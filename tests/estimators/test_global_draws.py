"""Whatever a part draws from the global generators: the fit repeats, and the user's states stay."""

import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skdim import DeepInfoMaxTransformer, EncoderTransformer
from skdim.encoders import MLPEncoder
from skdim.objectives import VAE
from skdim.training import StopTraining
from tests.estimators.helpers import weights_of
from tests.inputs.datasets import images

ROWS = images(60, (6,))


def draw():
    """Draw from the global generators of Python, NumPy and torch."""
    return random.random() + np.random.rand() + torch.rand(()).item()  # noqa: NPY002


def noisy_view(x, generator):
    return (x + draw() + torch.randn_like(x), x * draw())


class DrawingEncoder(nn.Module):
    """Draws in evaluation mode, too."""

    def __init__(self):
        super().__init__()
        self.wrapped = MLPEncoder((6,), 4)

    def forward(self, x):
        return self.wrapped(x + draw())


class Drawing(Callback):
    def on_batch_end(self, net, **kwargs):
        net.history.record("drawn", draw())


def build_encoder(input_shape, n_components):
    return DrawingEncoder()


PARTS = {
    "view": {"encoder": "mlp", "view": noisy_view},
    "view in closed form": {"view": noisy_view, "max_epochs": "auto"},
    "view held out": {"encoder": "mlp", "view": noisy_view, "validation_fraction": 0.2},
    "encoder": {"encoder": build_encoder},
    "callback": {"encoder": "mlp", "callbacks": [Drawing()]},
}
each_part = pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)


def make(kind=DeepInfoMaxTransformer, **params):
    given = {"n_components": 4, "max_epochs": 2, "random_state": 0}
    if params.get("max_epochs") != "auto":
        given["batch_size"] = 16
    return kind(**given | params)


@each_part
@pytest.mark.usefixtures("global_random_state_untouched")
def test_global_states_stay_as_they_were(parts):
    dim = make(**parts).fit(ROWS)
    dim.partial_fit(ROWS).transform(ROWS)
    dim.encode(ROWS)
    dim.score(ROWS)


@each_part
def test_fits_codes_and_scores_repeat(parts):
    first, again = (make(**parts).fit(ROWS) for _ in range(2))

    assert weights_of(again) == weights_of(first)
    columns = [{k: v for k, v in dim.history_.items() if k != "seconds"} for dim in (first, again)]
    assert columns[0] == columns[1]
    np.testing.assert_array_equal(again.transform(ROWS), first.transform(ROWS))
    assert again.score(ROWS) == first.score(ROWS)


@pytest.mark.usefixtures("global_random_state_untouched")
def test_other_objectives_are_guarded_too():
    first, again = (
        make(EncoderTransformer, objective=VAE(), view=noisy_view).fit(ROWS) for _ in range(2)
    )

    assert weights_of(again) == weights_of(first)


@pytest.mark.usefixtures("global_random_state_untouched")
def test_an_error_leaves_the_global_states_as_they_were():
    def view(x, generator):
        if draw() > 1.5:
            raise ZeroDivisionError
        return (x,)

    with pytest.raises(ZeroDivisionError):
        make(encoder="mlp", view=view, max_epochs=100).fit(ROWS)


class Meeting(Callback):
    def __init__(self, barrier):
        self.barrier = barrier

    def on_batch_end(self, net, **kwargs):
        self.barrier.wait()


@pytest.mark.faults
@pytest.mark.usefixtures("global_random_state_untouched")
def test_fits_in_threads_that_take_turns_by_batches_draw_as_fits_in_turn():
    def fit(seed, callbacks=()):
        dim = make(encoder="mlp", view=noisy_view, random_state=seed, callbacks=list(callbacks))
        return weights_of(dim.fit(ROWS))

    meeting = [Meeting(Barrier(2, timeout=60))]
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(fit, [0, 1], [meeting, meeting]))

    assert at_once == [fit(0), fit(1)]


@pytest.mark.faults
def test_a_transform_in_another_thread_does_not_wait_for_the_end_of_a_fit():
    fitted, begun, encoded = make(encoder="mlp").fit(ROWS), Event(), []

    class Watch(Callback):
        def on_batch_end(self, net, **kwargs):
            begun.set()

        def on_epoch_end(self, net, **kwargs):
            if encoded:
                raise StopTraining

        def on_train_end(self, net, **kwargs):
            encoded.append("end of the fit")

    def encode():
        begun.wait(60)
        fitted.transform(ROWS)
        encoded.append("transform")

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(encode)
        make(encoder="mlp", max_epochs=300, callbacks=[Watch()]).fit(ROWS)
        waiting.result()

    assert encoded == ["transform", "end of the fit"]
