"""Accuracy against labels: the same rows for all features, other ones in each draw."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier

from skdim.displays import LabelEfficiencyDisplay

DIGITS = load_digits()
X, Y = DIGITS.data[:400], DIGITS.target[:400]


class Noting(ClassifierMixin, BaseEstimator):
    """Note the rows that are fitted and scored, by their first feature."""

    fitted, scored = [], []

    def fit(self, X, y):
        self.fitted.append((X[:, 0].astype(int), y))
        self.classes_ = np.unique(y)
        return self

    def score(self, X, y):
        self.scored.append(X[:, 0].astype(int))
        return 0.5


@pytest.fixture
def noted():
    Noting.fitted.clear()
    Noting.scored.clear()
    numbers = np.arange(400.0)[:, None]
    LabelEfficiencyDisplay.from_features(
        {"a": numbers, "b": np.hstack([numbers, numbers])},
        Y,
        counts=[10, 60],
        n_draws=3,
        classifier=Noting(),
        random_state=0,
    )
    return Noting


def test_rows_are_the_same_for_all_features_and_others_in_each_draw(noted, pyplot):
    rows = [rows.tolist() for rows, _ in noted.fitted]
    assert rows[:6] == rows[6:]
    assert len({tuple(each) for each in rows[:6]}) == 6
    assert [len(each) for each in rows[:6]] == [10, 60] * 3


def test_more_labels_contain_the_fewer_and_all_classes(noted, pyplot):
    rows = [rows.tolist() for rows, _ in noted.fitted]
    for few, many in zip(rows[::2], rows[1::2], strict=True):
        assert many[: len(few)] == few
    assert all(len(np.unique(y)) == 10 for _, y in noted.fitted)


def test_rows_that_are_scored_are_never_fitted(noted, pyplot):
    for (fitted, _), scored in zip(noted.fitted, noted.scored, strict=True):
        assert len(scored) == 200
        assert not set(fitted) & set(scored)


def test_curves_have_the_mean_and_the_standard_error_of_the_draws(pyplot):
    accuracies = np.array([[0.2, 0.5], [0.4, 0.9], [0.6, 0.7]])
    display = LabelEfficiencyDisplay([10, 100], {"a": accuracies}).plot()
    line, _, (bars,) = display.bars_["a"]
    assert np.allclose(line.get_xydata(), [[10, 0.4], [100, 0.7]])
    halves = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
    assert np.allclose(halves, accuracies.std(axis=0, ddof=1) / np.sqrt(3))
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["10", "100"]


def test_accuracy_of_pixels_grows_with_labels_and_that_of_a_constant_does_not(pyplot):
    given = {"pixels": X, "constant": np.zeros((400, 1))}
    display = LabelEfficiencyDisplay.from_features(given, Y, counts=[20, 150], random_state=0)
    pixels, constant = (display.accuracies[name].mean(axis=0) for name in given)
    assert pixels[1] > pixels[0] + 0.1
    assert abs(constant - 0.1).max() < 0.05


def test_counts_are_those_that_there_are_rows_for(pyplot):
    display = LabelEfficiencyDisplay.from_features(
        {"pixels": X}, Y, classifier=DummyClassifier(), random_state=0
    )
    assert display.counts.tolist() == [20, 50, 100, 200]


@pytest.mark.parametrize("counts", [[5], [300], [], [10.5], "10"])
def test_counts_that_cannot_be_drawn_are_refused(counts, pyplot):
    with pytest.raises(ValueError, match=r"must be integers from 10, .* to 200"):
        LabelEfficiencyDisplay.from_features({"pixels": X}, Y, counts=counts)


def test_features_and_accuracies_must_match(pyplot):
    with pytest.raises(ValueError, match=r"400 rows each.*few \(3, 64\)"):
        LabelEfficiencyDisplay.from_features({"few": X[:3]}, Y)
    with pytest.raises(ValueError, match="Got none"):
        LabelEfficiencyDisplay.from_features({}, Y)
    with pytest.raises(ValueError, match="2 counts"):
        LabelEfficiencyDisplay([1, 2], {"a": [[0.5]]})


@pytest.mark.parametrize("n_draws", [0, 1.5])
def test_a_number_of_draws_is_a_positive_integer(n_draws, pyplot):
    with pytest.raises(ValueError, match=r"n_draws=.*integer of at least 1"):
        LabelEfficiencyDisplay.from_features({"pixels": X}, Y, n_draws=n_draws)


def test_of_few_rows_all_are_labelled(pyplot):
    display = LabelEfficiencyDisplay.from_features(
        {"pixels": X[:30]}, Y[:30] % 2, classifier=DummyClassifier(), random_state=0
    )
    assert display.counts.tolist() == [15]


def test_counts_are_integers_of_the_display(pyplot):
    counts = np.array([20, 50], dtype=np.int8)
    display = LabelEfficiencyDisplay.from_features(
        {"pixels": X}, Y, counts=counts, classifier=DummyClassifier(), random_state=0
    )
    assert display.counts.dtype == np.intp
