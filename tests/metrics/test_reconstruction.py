"""Structural similarity with scales that fit, and a decoder that is trained on frozen codes."""

import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.preprocessing import FunctionTransformer
from sklearn.random_projection import GaussianRandomProjection
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.inputs import ArraySamples, Layout
from skdim.metrics import reconstruction_quality
from skdim.metrics.reconstruction import (
    find_mean_and_scale,
    find_scales,
    multi_scale_similarity,
    train_decoder,
)

torchmetrics_image = pytest.importorskip("torchmetrics.functional.image")

DIGITS = load_digits().images  # Of 0 to 16.
X, X_TEST = DIGITS[:300], DIGITS[400:500]

identity = FunctionTransformer()
constant = FunctionTransformer(lambda X: np.zeros((len(X), 3)))
noise = FunctionTransformer(lambda X: np.random.default_rng(len(X)).normal(size=(len(X), 3)))


def images(n=5, channels=1, side=16, seed=0):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [6, 7, 8, 16, 28, 32, 64])
def test_an_image_is_like_itself(channels, side):
    x = images(3, channels, side)

    assert multi_scale_similarity(x, x) == pytest.approx(1, abs=1e-6)
    assert multi_scale_similarity(images(3, channels, side, seed=1), x) < 0.5


SCALES = {
    (3, 2): (6, 8, 9),
    (5, 2): (10, 13),
    (7, 2): (14, 16),
    (9, 2): (18, 21),
    (11, 2): (22, 32, 43),
    (11, 3): (44, 98),
    (11, 4): (99, 175),
    (11, 5): (176, 999),
}


@pytest.mark.parametrize(
    ("side", "kernel_size", "n_scales"),
    [(side, *scales) for scales, sides in SCALES.items() for side in sides],
)
def test_scales_fit_the_image(side, kernel_size, n_scales):
    found, sigma, weights = find_scales(side, side + 5)

    assert (found, len(weights)) == (kernel_size, n_scales)
    assert sum(weights) == pytest.approx(1)
    assert side // 2 ** (n_scales - 1) >= kernel_size
    # torchmetrics takes the width of a Gaussian window from its standard deviation alone.
    assert int(3.5 * sigma + 0.5) * 2 + 1 == kernel_size


@pytest.mark.parametrize("side", [6, 22, 44, 99, 176])
def test_torchmetrics_takes_all_scales_that_are_found(side):
    x = images(1, 1, side)

    assert multi_scale_similarity(x, x) == pytest.approx(1, abs=1e-6)


def test_large_images_are_scored_as_published():
    """From 176 pixels on, all is the library's own default: five scales, published weights."""
    x, truth = images(2, 3, 180), images(2, 3, 180, seed=1).mul(0.3).add(0.3)
    mixed = 0.7 * truth + 0.3 * x

    published = torchmetrics_image.multiscale_structural_similarity_index_measure(
        mixed, truth, data_range=1.0
    )

    assert multi_scale_similarity(mixed, truth) == pytest.approx(float(published), rel=1e-4)


def test_mean_is_over_images_however_many():
    x, truth = images(260, 1, 8), images(260, 1, 8, seed=1)

    one_by_one = [multi_scale_similarity(x[i : i + 1], truth[i : i + 1]) for i in range(260)]

    assert multi_scale_similarity(x, truth) == pytest.approx(np.mean(one_by_one), rel=1e-5)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match=r"5 x 9 pixels are too small .* must be at least 6"):
        find_scales(5, 9)


@pytest.mark.parametrize("code", [constant, noise], ids=["constant", "noise"])
def test_a_code_that_tells_nothing_gives_what_the_mean_image_gives(code):
    """Under squared error no decoder of such a code does better than the mean image."""
    score = reconstruction_quality(code, X, X_TEST, max_epochs=3, random_state=0)

    mean = torch.from_numpy(X.mean(axis=0)).float().expand(len(X_TEST), 1, 8, 8) / 16
    expected = multi_scale_similarity(mean, torch.from_numpy(X_TEST).float()[:, None] / 16)
    assert score == pytest.approx(expected, abs=0.03)


def test_codes_that_tell_more_score_higher():
    flat, flat_test = X[:200].reshape(200, -1), X_TEST.reshape(len(X_TEST), -1)
    four = GaussianRandomProjection(4, random_state=0).fit(flat)
    coders = [constant, four, identity]

    scores = [
        reconstruction_quality(
            coder, flat, flat_test, image_shape=(8, 8), max_epochs=10, random_state=0
        )
        for coder in coders
    ]

    assert scores[0] < scores[1] - 0.02
    assert scores[1] < scores[2] - 0.02
    assert scores[2] > 0.8


def test_decoded_images_are_clipped_to_the_range_of_the_data(monkeypatch):
    compared = []

    def note(*images):
        compared.extend(images)
        return multi_scale_similarity(*images)

    monkeypatch.setattr("skdim.metrics.reconstruction.multi_scale_similarity", note)
    # Of black and white images, a decoder goes beyond both.
    black_and_white = (X > 7) * 1.0
    train, test = black_and_white[:200], black_and_white[200:]
    reconstruction_quality(identity, train, test, max_epochs=3, random_state=0)
    decoded = compared[0]

    assert 0 < (decoded == 0).float().mean() < 0.9
    assert (decoded.min(), decoded.max()) == (0, 1)


def test_normalisation_of_the_decoder_has_statistics_of_its_final_weights():
    rows = ArraySamples(X.reshape(300, 64).astype(np.float32), Layout((1, 8, 8)))
    codes = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    decoder = nn.Sequential(
        nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 64), nn.Unflatten(1, (1, 8, 8))
    )
    train_decoder(decoder, codes, rows, *find_mean_and_scale(rows), max_epochs=2, seed=0)

    torch.testing.assert_close(decoder[1].running_mean, decoder[0](codes).mean(dim=0).detach())


def test_scores_follow_from_the_seed(global_random_state_untouched):
    scores = [
        reconstruction_quality(identity, X[:100], X_TEST[:50], max_epochs=2, random_state=seed)
        for seed in (0, 0, 1)
    ]

    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("kind", ["grey", "channels first", "channels last"])
def test_layouts_of_one_image_score_alike(kind):
    grey = (X * 15).astype(np.uint8)
    colour = np.stack([grey, 255 - grey, grey // 2], axis=1)
    data = {"grey": grey, "channels first": colour, "channels last": colour.transpose(0, 2, 3, 1)}
    first = reconstruction_quality(
        FunctionTransformer(lambda X: X.reshape(len(X), -1)[:, :5]),
        data[kind],
        data[kind][:50],
        max_epochs=2,
        random_state=0,
    )

    assert 0 < first < 1


def test_the_transformer_s_own_layout_and_layer_are_taken():
    flat = X[:100].reshape(100, -1)
    dim = DeepInfoMaxTransformer(4, image_shape=(8, 8), max_epochs=1, random_state=0).fit(flat)

    code, conv = (
        reconstruction_quality(dim, flat, flat, layer=layer, max_epochs=3, random_state=0)
        for layer in ("code", "conv")
    )

    assert 0 < code < conv < 1


def test_bytes_have_the_range_of_bytes_and_floats_that_of_the_data():
    grey = (X[:100] * 15).astype(np.uint8)
    settings = {"max_epochs": 2, "random_state": 0}
    bytes_ = reconstruction_quality(identity, grey, grey[:50], **settings)
    floats = grey.astype(np.float32)

    assert bytes_ == pytest.approx(
        reconstruction_quality(identity, floats, floats[:50], data_range=(0, 255), **settings),
        abs=1e-3,
    )
    assert reconstruction_quality(identity, floats, floats[:50], **settings) == pytest.approx(
        reconstruction_quality(identity, floats, floats[:50], data_range=(0, 240), **settings)
    )


def test_scores_do_not_depend_on_the_units_of_pixels():
    settings = {"max_epochs": 2, "random_state": 0}

    one, other = (
        reconstruction_quality(identity, images_, images_[:50], **settings)
        for images_ in (X[:100], X[:100] / 8 - 1)
    )

    assert one == pytest.approx(other, abs=1e-3)


WRONG = [
    ({"layer": "colour"}, r"'colour' is not a valid layer\. Allowed are"),
    ({"layer": "conv"}, r"has only the layer that transform returns"),
    ({"max_epochs": 0}, r"max_epochs=0\. It must"),
    ({"X": X.reshape(300, 64)}, r"X has shape \(300, 64\)\. Structural similarity needs images"),
    (
        {"X_test": X[:, :7]},
        r"shape \(8, 8\), X_test of shape .* \(1, 7, 8\)|have the same shape",
    ),
    ({"X": X[:, :4], "X_test": X[:, :4]}, r"4 x 8 pixels are too small"),
    ({"data_range": (0, 8)}, r"data_range=\(0, 8\), but the pixels of X are between 0 and 16"),
    ({"X": np.zeros((9, 8, 8)), "X_test": X}, r"data_range=\(0.0, 0.0\)"),
]


@pytest.mark.parametrize(("change", "text"), WRONG, ids=lambda value: str(value)[:30])
def test_errors_say_what_was_given_and_what_is_allowed(change, text):
    with pytest.raises(ValueError, match=text):
        reconstruction_quality(identity, **({"X": X, "X_test": X_TEST} | change))


def test_without_torchmetrics_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", None)

    with pytest.raises(ImportError, match=r"pip install 'scikit-deepinfomax\[metrics\]'"):
        multi_scale_similarity(images(), images())
