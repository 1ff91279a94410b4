"""Information about labels, against closed forms."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from sklearn.naive_bayes import GaussianNB

from skdim.information import InformationEstimate, UntrustedEstimateWarning, mutual_information
from skdim.information.discrete import entropy
from skdim.information.neighbours import class_information


def blobs(n, d=8, n_classes=10, seed=0):
    """Draw codes around centres, with labels and the information of each row."""
    centres = 0.9 * np.random.default_rng(1234).standard_normal((n_classes, d))
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, n_classes, n)
    codes = centres[labels] + draws.standard_normal((n, d))
    densities = -np.square(codes[:, None] - centres).sum(axis=2) / 2
    own = densities[np.arange(n), labels]
    return codes, labels, own - logsumexp(densities, axis=1) + math.log(n_classes)


def estimate(x, z, **settings):
    found = mutual_information(x, z, random_state=0, **settings)
    assert isinstance(found, InformationEstimate)
    return found


def test_information_of_a_code_about_a_label():
    codes, labels, truth = blobs(2000)

    found = estimate(codes, labels)

    assert found == pytest.approx(truth.mean(), rel=0.05)
    assert found.method_ == "classifier"
    assert found.ceiling == pytest.approx(math.log(10), rel=0.01)
    assert np.corrcoef(found.pointwise_, truth)[0, 1] > 0.9
    assert found.pointwise_.mean() == pytest.approx(float(found))


@pytest.mark.parametrize(
    "form",
    [
        lambda labels: labels[:, None],
        lambda labels: labels.astype(str),
        lambda labels: pd.Series(labels).map("class {}".format).astype("category"),
        lambda labels: labels.astype(object),
        lambda labels: np.eye(10)[labels],
    ],
)
def test_forms_of_labels_and_order_of_variables_change_little(form):
    codes, labels, _ = blobs(400)

    found = estimate(codes, labels)

    assert estimate(codes, form(labels)) == pytest.approx(float(found), abs=0.01)
    assert estimate(form(labels), codes) == pytest.approx(float(found), abs=0.01)


def test_numbers_are_discrete_if_the_mask_says_so():
    codes, labels, _ = blobs(400)

    assert estimate(codes, labels.astype(float), discrete=(False, True)) == estimate(codes, labels)
    assert estimate(labels.astype(float), codes, discrete=[True]) == estimate(codes, labels)


def test_labels_beside_numbers_are_used():
    draws = np.random.default_rng(0)
    group, noise = draws.integers(0, 4, 1000), draws.standard_normal(1000)
    mixed = np.column_stack([noise, group])

    found = estimate(mixed, group >= 2, discrete=[False, True])

    assert found == pytest.approx(math.log(2), abs=0.03)
    frame = pd.DataFrame({"noise": noise, "group": np.array(list("abcd"))[group]})
    assert estimate(frame, group >= 2) == pytest.approx(float(found), abs=1e-3)


def test_counts_are_corrected_for_their_bias():
    """Relative frequencies alone show 0.04 nats between independent labels."""
    found = []
    for seed in range(20):
        x, z = np.random.default_rng(seed).integers(0, 10, (2, 1000))
        found.append(mutual_information(x, z, random_state=0))

    assert np.mean(found) < 0.01
    assert found[0].method_ == "counts"


def test_a_label_has_its_entropy_about_itself():
    labels = np.random.default_rng(0).integers(0, 4, 1000)

    found = estimate(labels, labels)

    assert found == pytest.approx(math.log(4), abs=0.01)
    assert found == found.ceiling


def test_entropy_of_few_rows_is_nearly_unbiased():
    found = [entropy(np.random.default_rng(seed).integers(0, 20, 60)) for seed in range(200)]

    assert np.mean(found) == pytest.approx(math.log(20), abs=0.02)


def test_neighbours_find_what_no_line_separates():
    x = np.random.default_rng(0).standard_normal((2000, 2))
    labels = x[:, 0] * x[:, 1] > 0

    found = estimate(x, labels)

    assert found.method_ == "neighbours"
    assert found == pytest.approx(math.log(2), abs=0.08)
    assert class_information(x, labels.astype(int)).mean() == pytest.approx(float(found), abs=0.03)


def test_a_classifier_of_ones_own_is_used():
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, 2000)
    x = draws.standard_normal((2000, 6)) * (1 + labels[:, None])

    assert estimate(x, labels) < 0.02
    assert estimate(x, labels, classifier=GaussianNB()) > 0.3


def test_independent_labels_have_no_information():
    draws = np.random.default_rng(0)

    assert estimate(draws.standard_normal((500, 5)), draws.integers(0, 3, 500)) < 0.02


def test_values_of_few_rows_are_warned_of():
    draws = np.random.default_rng(0)
    x, z = draws.standard_normal((100, 3)), [f"row {i // 4}" for i in range(100)]

    with pytest.warns(UntrustedEstimateWarning, match="25 distinct values in 100 rows") as caught:
        found = mutual_information(x, z, random_state=0)

    assert found.warnings_ == [str(caught[0].message)]


@pytest.mark.parametrize("constant", [["a"] * 30, [True] * 30])
def test_a_constant_label_has_no_information(constant):
    assert mutual_information(np.arange(30.0), constant) == 0


def test_labels_of_one_row_each_have_no_information_and_warn():
    with pytest.warns(UntrustedEstimateWarning, match="30 distinct values"):
        assert mutual_information(np.arange(30.0), [str(i) for i in range(30)]) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"discrete": "x"}, "discrete='x' is not valid"),
        ({"discrete": [True, False]}, "does not match the 1 columns of x"),
        ({"discrete": [3]}, "does not match the 1 columns of x"),
    ],
)
def test_wrong_masks_raise(settings, message):
    with pytest.raises(ValueError, match=message):
        mutual_information(np.arange(30.0), np.arange(30.0), **settings)


def test_missing_labels_raise():
    with pytest.raises(ValueError, match="z has no value in 1 of 30 rows"):
        mutual_information(np.arange(30.0), ["a", None, *"b" * 28])


def test_the_ceiling_is_at_most_the_logarithm_of_the_number_of_classes():
    labels = np.arange(60) % 3
    estimate = mutual_information(labels, labels, random_state=0)
    assert estimate <= estimate.ceiling <= np.log(3) + 1e-12


def test_a_classifier_that_finds_nothing_counts_for_nothing():
    """The correction of the entropy would be added to no gain at all."""
    found = []
    for seed in range(40):
        draws = np.random.default_rng(seed)
        codes, labels = draws.standard_normal((40, 8)), draws.integers(0, 4, 40)
        found.append(mutual_information(codes, labels, random_state=0))
    assert np.mean(found) < 0.01


@pytest.mark.parametrize("n_values", [2, 5])
def test_intervals_of_independent_labels_include_zero(n_values):
    """Pointwise values of labels that depend on nothing hardly vary; their frequencies do."""
    false = 0
    for seed in range(40):
        draws = np.random.default_rng(seed)
        codes, labels = draws.standard_normal((200, 4)), draws.integers(0, n_values, 200)
        found = mutual_information(codes, labels, random_state=0, classifier=GaussianNB())
        other = mutual_information(draws.integers(0, 4, 200), labels, random_state=0)
        false += (found.interval(0.9)[0] > 0) + (other.interval(0.9)[0] > 0)
    assert false <= 4
