"""OnlineProbe: it looks, and changes nothing."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.metrics import OnlineProbe
from skdim.metrics.arrays import hold_out
from skdim.metrics.online import evaluating
from tests.estimators.helpers import weights_of

DIGITS = load_digits()
IMAGES, Y = DIGITS.images[:120], DIGITS.target[:120]
ROWS = IMAGES.reshape(120, -1)


def make_dim(*callbacks, **kwargs):
    settings = {"max_epochs": 2, "random_state": 0, "device": "cpu"} | kwargs
    return DeepInfoMaxTransformer(8, callbacks=list(callbacks), **settings)


class Drawing(KNeighborsClassifier):
    """A classifier that draws from all global generators."""

    def fit(self, X, y):
        np.random.rand(3)  # noqa: NPY002
        torch.rand(3)
        return super().fit(X, y)


class WithDropout(nn.Module):
    """An encoder that draws from torch's global generator when it trains."""

    def __init__(self, shape, n_components):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.code = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(512, n_components))

    def forward(self, x):
        local = self.conv(x)
        return local, self.code(local)


@pytest.mark.parametrize("encoder", ["auto", WithDropout])
def test_training_is_the_same_to_the_last_bit(encoder, global_random_state_untouched):
    probe = OnlineProbe(IMAGES, Y, classifier=Drawing(3))

    with_probe = make_dim(probe, encoder=encoder).fit(IMAGES)
    without = make_dim(encoder=encoder).fit(IMAGES)

    assert weights_of(with_probe) == weights_of(without)
    assert with_probe.loss_curve_ == without.loss_curve_
    assert len(with_probe.history_["probe_code"]) == 2
    assert not any(weight.requires_grad is False for weight in with_probe.encoder_.parameters())


@pytest.mark.parametrize("layer", ["code", "conv"])
def test_last_accuracy_is_that_of_the_fitted_transformer(layer):
    """So the probe reads samples as the transformer does, in evaluation mode."""
    probe = OnlineProbe(IMAGES, Y, DIGITS.images[200:300], DIGITS.target[200:300], layer=layer)

    dim = make_dim(probe, output=layer).fit(IMAGES)

    by_hand = make_pipeline(StandardScaler(), RidgeClassifier()).fit(dim.transform(IMAGES), Y)
    expected = by_hand.score(dim.transform(DIGITS.images[200:300]), DIGITS.target[200:300])
    assert dim.history_[f"probe_{layer}"][-1] == expected > 0.5


@pytest.mark.parametrize("layout", ["channels first", "channels last", "flat"])
def test_images_are_read_as_the_transformer_reads_them(layout):
    colour = np.random.default_rng(0).integers(256, size=(60, 3, 8, 8)).astype(np.uint8)
    y = np.arange(60) % 3
    colour[:, 0, :4] = 80 * y[:, None, None]
    X, settings = {
        "channels first": (colour, {}),
        "channels last": (colour.transpose(0, 2, 3, 1), {}),
        "flat": (colour.reshape(60, -1), {"image_shape": (3, 8, 8)}),
    }[layout]

    dim = make_dim(OnlineProbe(X, y, X, y), view=None, **settings).fit(X)

    by_hand = make_pipeline(StandardScaler(), RidgeClassifier()).fit(dim.transform(X), y)
    assert dim.history_["probe_code"][-1] == by_hand.score(dim.transform(X), y)


def test_a_quarter_is_held_out_where_no_test_data_are_given():
    dim = make_dim(OnlineProbe(ROWS, Y, random_state=3)).fit(ROWS)

    kept, held = hold_out(Y, 0.25, 3)
    codes = dim.transform(ROWS)
    by_hand = make_pipeline(StandardScaler(), RidgeClassifier()).fit(codes[kept], Y[kept])
    assert dim.history_["probe_code"][-1] == by_hand.score(codes[held], Y[held])


def test_two_probes_have_two_columns_and_words_are_labels():
    words = np.array(["even", "odd"])[Y % 2]
    probes = [
        OnlineProbe(ROWS, words),
        OnlineProbe(ROWS, words, classifier=DummyClassifier(), name="chance"),
    ]

    history = make_dim(*probes).fit(ROWS).history_

    assert history["probe_code"][-1] > history["chance"][-1]
    assert history["chance"][0] == pytest.approx(0.5, abs=0.1)


def test_it_stands_beside_early_stopping_and_partial_fit():
    dim = make_dim(OnlineProbe(ROWS, Y), early_stopping=True, max_epochs=3).fit(ROWS)
    assert len(dim.history_["probe_code"]) == len(dim.loss_curve_)

    dim.partial_fit(ROWS)
    assert len(dim.history_["probe_code"]) == len(dim.loss_curve_)


def test_it_is_cloned_and_pickled_with_its_transformer():
    dim = make_dim(OnlineProbe(ROWS, Y)).fit(ROWS)

    copies = [clone(dim), pickle.loads(pickle.dumps(dim))]

    for copy in copies:
        assert copy.fit(ROWS).history_["probe_code"] == dim.history_["probe_code"]


def test_nothing_that_was_read_is_kept():
    probe = OnlineProbe(ROWS, Y)
    before = dict(vars(probe))

    make_dim(probe).fit(ROWS)

    assert dict(vars(probe)) == before


def test_each_part_of_a_module_goes_back_to_its_own_mode():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()).train()
    module[0].eval()

    with evaluating(module):
        assert not any(part.training for part in module.modules())

    assert [part.training for part in module.modules()] == [True, False, True]


WRONG = [
    ({"layer": "colour"}, r"layer='colour' is not a valid layer\. Allowed are"),
    ({"y": Y[:-1]}, "X has 120 and y has 119 samples"),
    ({"y": np.zeros(120)}, "single class"),
    ({"X_test": IMAGES}, "y_test is missing"),
    ({"X_test": IMAGES, "y_test": Y[:5]}, "X_test has 120 and y_test has 5"),
    ({"X_test": IMAGES, "y_test": Y + 1}, r"y_test contains \[10\], which y does not"),
    ({"X": IMAGES[:, :4]}, r"samples of shape \(4, 8\)"),
    ({"X": IMAGES.reshape(120, 64)[:, :60]}, "X of OnlineProbe has 60 features"),
]


@pytest.mark.parametrize(("change", "text"), WRONG, ids=lambda value: str(value)[:30])
def test_errors_come_before_the_first_epoch(change, text):
    dim = make_dim(OnlineProbe(**({"X": IMAGES, "y": Y} | change)))

    with pytest.raises(ValueError, match=text):
        dim.fit(IMAGES)

    assert not hasattr(dim, "net_")


@pytest.mark.parametrize("name", ["validation_score", "loss", "epoch", "probe_code"])
def test_names_in_the_history_of_the_training_are_refused(name):
    """Early stopping would else look at the probe."""
    first, named = OnlineProbe(ROWS, Y), OnlineProbe(ROWS, Y, name=name)

    with pytest.raises(ValueError, match=f"name='{name}' is taken"):
        make_dim(first, named, validation_fraction=0.25).fit(ROWS)
