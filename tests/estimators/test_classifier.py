"""DeepInfoMaxClassifier: contract, few labels, fine-tuning, files."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize as scipy_minimize
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_classifiers_classes, parametrize_with_checks
from threadpoolctl import threadpool_info, threadpool_limits
from torch.utils.data import TensorDataset

import skdim
from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer, EncoderTransformer
from skdim.estimators.finetuning import FineTuner, best_epoch
from skdim.estimators.heads import (
    Head,
    Unlabelled,
    choose_head,
    fit_head,
    minimise,
    shrunken_frequencies,
    stratified_split,
)
from skdim.inputs import Stream
from skdim.objectives import VAE

DIGITS = load_digits()
ORDER = np.random.default_rng(0).permutation(1797)
IMAGES, CLASSES = DIGITS.images[ORDER].astype(np.float32), DIGITS.target[ORDER]
SMALL = DeepInfoMaxTransformer(8, random_state=0)
N = 200  # Rows that fixtures are fitted on.


def few(n, total=N):
    """Return labels of the first ``n`` of ``total`` rows."""
    return np.where(np.arange(total) < n, CLASSES[:total], -1)


def accuracy(head, x, y):
    """Return the share of rows whose class is the most probable one."""
    return (head.logits(x).argmax(dim=1) == y).float().mean().item()


@pytest.fixture(scope="module")
def digits():
    """Fit a representation of some digits."""
    return DeepInfoMaxTransformer(64, random_state=0).fit(IMAGES[:N])


@pytest.fixture(scope="module")
def fitted(digits):
    """Fit a classifier with 40 labels."""
    return DeepInfoMaxClassifier.from_transformer(digits, random_state=0).fit(IMAGES[:N], few(40))


MINUS_ONE = "-1 marks rows without a label, as in sklearn.semi_supervised"


@parametrize_with_checks(
    [DeepInfoMaxClassifier(SMALL, C=0.1, self_training=True, random_state=0)],
    expected_failed_checks=lambda _: {"check_classifiers_classes": MINUS_ONE},
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_it_keeps_the_contract_of_semi_supervised_classifiers_on_classes():
    check_classifiers_classes("SelfTrainingClassifier", DeepInfoMaxClassifier(SMALL, C=0.1))


def test_thirty_labels_of_digits_beat_logistic_regression_of_pixels_and_of_the_features():
    y, X_test, y_test = few(30, 300), IMAGES[300:800], CLASSES[300:800]
    ours = DeepInfoMaxClassifier(random_state=0).fit(IMAGES[:300], y)
    score = ours.score(X_test, y_test)
    assert ours.self_training_
    for features in (lambda X: X.reshape(len(X), -1), ours.transformer_.transform):
        plain = LogisticRegression(max_iter=1000).fit(features(IMAGES[:30]), y[:30])
        assert score > 0.03 + plain.score(features(X_test), y_test)


def test_the_head_of_labels_alone_is_logistic_regression_of_scikit_learn(digits):
    x = torch.as_tensor(digits.transform(IMAGES[:200]))
    x = (x - x.mean(dim=0)) / x.std(dim=0)
    head = fit_head(x, torch.as_tensor(CLASSES[:200]), 10, 0.1)
    theirs = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(x.numpy(), CLASSES[:200])
    np.testing.assert_allclose(head.weight, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(
        head.logits(x).softmax(dim=1), theirs.predict_proba(x.numpy()), atol=2e-3
    )


def test_rows_count_by_the_sum_of_their_targets():
    draws = np.random.default_rng(0)
    x, y, weight = draws.normal(size=(120, 4)), np.arange(120) % 3, draws.uniform(size=120)
    x += 0.5 * y[:, None]
    targets = torch.as_tensor(weight[:, None] * np.eye(3)[y])
    zeros = Head(torch.zeros(3, 4).double(), torch.zeros(3).double())
    head = minimise(torch.as_tensor(x), targets, 0.1, zeros)
    theirs = LogisticRegression(C=0.1, tol=1e-8).fit(x, y, sample_weight=weight)
    np.testing.assert_allclose(head.weight, theirs.coef_, atol=2e-3)
    np.testing.assert_allclose(
        head.logits(torch.as_tensor(x)).softmax(dim=1), theirs.predict_proba(x), atol=2e-3
    )


def test_the_solver_has_one_thread_of_each_library(monkeypatch):
    threads = [torch.get_num_threads()]

    def solver(*given, **more):
        threads.extend(library["num_threads"] for library in threadpool_info())
        return scipy_minimize(*given, **more)

    monkeypatch.setattr("skdim.estimators.heads.scipy_minimize", solver)
    with threadpool_limits(2):
        fit_head(torch.eye(4), torch.arange(4) % 2, 2, 1.0)
    assert set(threads[1:]) == {1}
    assert torch.get_num_threads() == threads[0]


def test_rows_without_a_label_do_not_count_without_self_training(digits):
    def coefficients(n_rows):
        frozen = DeepInfoMaxClassifier.from_transformer(
            digits, self_training=False, C=0.1, random_state=0
        )
        return frozen.fit(IMAGES[:n_rows], few(60, n_rows)).predict_proba(IMAGES[600:700])

    # The standardisation sees all rows, and the penalty sees the standardisation.
    np.testing.assert_allclose(coefficients(400), coefficients(600), atol=0.05)


def test_self_training_is_left_where_cross_validation_is_better_without():
    # Two classes of labelled rows, which would divide unlabelled rows of the first and a third one.
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(20) % 2
    x = torch.randn(20, 2, generator=draw) * 0.3
    x[:, 0] += 2.0 * y - 1
    same = x.repeat(10, 1)
    shifted = same - torch.tensor([2.0, 0.0])
    others = [Unlabelled.of(rows, torch.cat([x, rows])) for rows in (shifted, same)]
    choices = [
        choose_head(x, y, 2, strength=1.0, self_training=None, unlabelled=rows, seed=0)[1]
        for rows in (*others, None)
    ]
    assert choices == [False, True, False]
    alone, together = fit_head(x, y, 2, 1.0), fit_head(x, y, 2, 1.0, others[0])
    assert accuracy(together, x, y) < accuracy(alone, x, y)


def test_a_chosen_penalty_is_weaker_where_rows_without_a_label_weigh_more_than_labelled_ones():
    def chosen(n, **settings):
        # Features that say nothing of the classes: all strengths are equal, and the first is taken.
        x, y = torch.zeros(n, 2), torch.arange(n) % 2
        rows = Unlabelled.of(torch.zeros(40, 2), torch.arange(n + 40.0)[:, None])
        given = {"strength": None, "self_training": True, "unlabelled": rows} | settings
        return choose_head(x, y, 2, seed=0, **given)

    assert chosen(20) == (0.03, True)
    assert chosen(20, self_training=None) == (0.03, True)
    assert chosen(20, self_training=False) == (0.001, False)
    assert chosen(20, unlabelled=None) == (0.001, True)
    assert chosen(20, strength=0.01, self_training=None) == (0.01, True)
    # Rows without a label have the weight of 30 rows a class.
    assert chosen(60) == (0.001, True)


def test_frequencies_shrink_towards_equal_ones_as_far_as_chance_explains_them():
    def shrunken(*counts):
        return shrunken_frequencies(torch.tensor(counts, dtype=torch.float64)).tolist()

    assert shrunken(3, 7, 5, 4, 6) == pytest.approx(5 * [0.2])
    # (1 - 0.82) / 19 of the variance 0.32 are chance.
    share = (1 - 0.82) / 19 / 0.32
    assert shrunken(18, 2) == pytest.approx([0.9 - 0.4 * share, 0.1 + 0.4 * share])
    assert shrunken(9000, 1000) == pytest.approx([0.9, 0.1], abs=1e-4)
    assert shrunken(1, 1) == [0.5, 0.5]


def test_thirty_labels_uneven_by_chance_are_enough_for_four_of_five_digits(digits):
    scores = []
    for seed in range(3):
        known = np.random.default_rng(seed).permutation(N)[:30]
        y = np.full(N, -1)
        y[known] = CLASSES[known]
        classifier = DeepInfoMaxClassifier.from_transformer(digits, C=0.03, random_state=0)
        scores.append(classifier.fit(IMAGES[:N], y).score(IMAGES[N:], CLASSES[N:]))
    assert np.mean(scores) > 0.8


def test_rows_whose_features_say_nothing_get_the_class_of_their_neighbours():
    # Two clusters of codes, one label in each; each row has a feature of its own.
    cluster = torch.arange(24) % 2
    codes = 10.0 * cluster[:, None] + 0.1 * torch.arange(24)[:, None] / 24
    x = torch.eye(24)
    unlabelled = Unlabelled.of(x[2:], codes)
    head = fit_head(x[:2], cluster[:2], 2, 1.0, unlabelled)
    assert accuracy(head, x[2:], cluster[2:]) == 1
    assert accuracy(fit_head(x[:2], cluster[:2], 2, 1.0), x[2:], cluster[2:]) == 0.5


def test_labels_spread_to_neighbours_as_the_linear_system_says(digits):
    rows = torch.as_tensor(digits.transform(IMAGES[:60]))
    y = torch.as_tensor(np.where(np.arange(20) < 15, CLASSES[:20], -1))
    unlabelled = Unlabelled.of(rows[20:], rows)
    distances = torch.cdist(rows.double(), rows.double()).fill_diagonal_(torch.inf)
    near = torch.zeros(60, 60, dtype=torch.float64)
    near.scatter_(1, distances.topk(5, largest=False).indices, 1.0)
    near = torch.maximum(near, near.T)
    near /= (near.sum(dim=0) * near.sum(dim=1, keepdim=True)).sqrt()
    start = torch.zeros(60, 10, dtype=torch.float64)
    start[range(15), y[:15]] = 1
    start /= start.sum(dim=0).clamp(min=1)
    spread = torch.linalg.solve(torch.eye(60) - 0.9 * near, 0.1 * start)[20:] + 1e-9
    expected = (spread / spread.sum(dim=1, keepdim=True)).clamp(min=1e-6).log()
    np.testing.assert_allclose(unlabelled.spread(y, 10), expected, atol=0.01)


def test_the_rows_held_out_have_all_classes_if_there_are_enough():
    y = torch.arange(100) % 10
    train, held_out = stratified_split(y, 0.2, seed=0)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(100))
    assert torch.equal(y[held_out].sort().values, torch.arange(10).repeat_interleave(2))
    assert len(stratified_split(torch.tensor([0, 1, 2, 2, 2]), 0.2, seed=0)[1]) == 1


def test_a_fitted_transformer_is_neither_fitted_again_nor_changed(digits, fitted):
    assert fitted.transformer_ is digits
    assert clone(fitted).set_params(C=0.1).fit(IMAGES[:N], few(40)).transformer_ is digits
    with pytest.raises(NotFittedError):
        DeepInfoMaxClassifier.from_transformer(DeepInfoMaxTransformer())
    with pytest.raises(NotFittedError):
        DeepInfoMaxClassifier(FrozenEstimator(DeepInfoMaxTransformer())).fit(IMAGES, CLASSES)


@pytest.mark.parametrize("kind", ["strings", "data set", "stream", "table"])
def test_labels_and_samples_of_other_types_give_the_same(digits, fitted, kind):
    X, y = IMAGES[:N], few(40)
    if kind == "strings":
        y = np.array([f"c{label}" if label >= 0 else -1 for label in y], object)
    elif kind == "table":
        X = pd.DataFrame(X.reshape(N, 64), columns=[f"p{i}" for i in range(64)])
        digits = DeepInfoMaxTransformer(64, image_shape=(8, 8), random_state=0).fit(X)
    else:
        X = TensorDataset(torch.as_tensor(X)[:, None])
        X = Stream(X) if kind == "stream" else X
    other = DeepInfoMaxClassifier.from_transformer(digits, random_state=0).fit(X, y)
    tested = X if kind == "table" else IMAGES[:N]
    np.testing.assert_allclose(
        other.predict_proba(tested), fitted.predict_proba(IMAGES[:N]), atol=1e-4
    )
    if kind == "strings":
        assert other.predict(tested)[0].startswith("c")


def test_any_objective_and_its_parameters_can_be_searched():
    vae = EncoderTransformer(8, objective=VAE(), max_epochs=1, random_state=0)
    grid = {"C": [0.01, 1.0], "transformer__objective__beta": [1.0, 4.0]}
    search = GridSearchCV(DeepInfoMaxClassifier(vae, random_state=0), grid, cv=2)
    search.fit(IMAGES[:60], CLASSES[:60] % 2)
    assert search.best_params_["C"] in (0.01, 1.0)


def hidden_class(n, seed=0):
    """Return rows whose class shows in the one of 12 columns that varies least."""
    draw = np.random.default_rng(seed)
    y = draw.integers(2, size=n)
    X = draw.normal(size=(n, 12)).astype(np.float32)
    X[:, :6] = X[:, :1] + 0.1 * X[:, :6]
    X[:, 11] = np.abs(X[:, 10]) + 0.4 * y
    return X, y


@pytest.fixture(scope="module")
def tuned():
    """Fine-tune a network whose two numbers do not tell the class."""
    X, y = hidden_class(600)
    network = DeepInfoMaxTransformer(2, encoder="mlp", max_epochs=2, random_state=0).fit(X)
    before = network.transform(X)
    classifier = DeepInfoMaxClassifier.from_transformer(
        network, fine_tune=True, layer_decay=1.0, learning_rate=3e-3, random_state=0
    )
    return network, before, classifier.fit(X, y)


def test_fine_tuning_finds_what_the_representation_left_out(tuned):
    network, before, classifier = tuned
    X, y = hidden_class(1000, seed=1)
    frozen = DeepInfoMaxClassifier.from_transformer(network, random_state=0)
    frozen.fit(*hidden_class(600))
    assert classifier.n_iter_ > 0
    assert classifier.score(X, y) > 0.1 + frozen.score(X, y)
    np.testing.assert_array_equal(network.transform(hidden_class(600)[0]), before)
    assert classifier.transformer_.solver_ == "gradients then labels"


def test_an_epoch_is_chosen_if_its_gain_is_more_than_the_standard_error():
    # The standard errors of 0.8 and 0.9 on 100 samples are 0.04 and 0.03: that of the gain is 0.05.
    assert best_epoch([0.8, 0.84, 0.9, 0.86], 100) == 2
    assert best_epoch([0.8, 0.84, 0.84], 100) == 0
    assert best_epoch([0.8, 0.9], 25) == 0
    assert best_epoch([1.0, 1.0], 25) == 0


def test_lower_layers_are_trained_at_lower_rates():
    X, y = hidden_class(200)
    network = DeepInfoMaxTransformer(2, encoder="mlp", max_epochs=1, random_state=0).fit(X)
    tuner = FineTuner(
        network,
        *(torch.zeros(2), torch.ones(2)),
        learning_rate=1e-3,
        decay=0.1,
        batch_size=200,
        seed=0,
    )
    head = Head(torch.eye(2), torch.zeros(2))
    trained, _ = tuner.train(head, network.read_samples(X), torch.as_tensor(y), 1)
    # One step of Adam moves each weight by the rate.
    changes = [
        (after - before).abs().max().item()
        for after, before in zip(trained.parameters(), network.encoder_.parameters(), strict=True)
    ]
    rates = [group["lr"] for group in tuner.groups(network.encoder_)]
    assert rates == pytest.approx([1e-4 * 0.1**k for k in range(len(rates))])
    assert changes[-1] == pytest.approx(1e-4, rel=0.05)
    assert changes[0] < 0.2 * changes[-1]


def test_fine_tuning_that_does_not_help_leaves_the_encoder_as_it_was(digits):
    classifier = DeepInfoMaxClassifier.from_transformer(
        digits, fine_tune=True, max_epochs=2, learning_rate=1e-9, random_state=0
    ).fit(IMAGES[:N], few(100))
    assert classifier.n_iter_ == 0
    assert len(classifier.validation_scores_) == 3
    assert classifier.transformer_ is digits


@pytest.mark.parametrize("which", ["fitted", "tuned"])
def test_pickles_and_files_predict_the_same(request, tmp_path, which):
    value = request.getfixturevalue(which)
    classifier, X = (
        (value, IMAGES[N : N + 100]) if which == "fitted" else (value[2], hidden_class(50)[0])
    )
    classifier.save(tmp_path / "classifier.skdim")
    loaded = skdim.load(tmp_path / "classifier.skdim")
    for again in (pickle.loads(pickle.dumps(classifier)), loaded):
        np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
        np.testing.assert_array_equal(again.predict(X), classifier.predict(X))
    assert loaded.get_params(deep=False).keys() == classifier.get_params(deep=False).keys()
    assert loaded.fine_tune == classifier.fine_tune
    assert loaded.validation_scores_ == classifier.validation_scores_
    # A loaded classifier is saved again.
    loaded.save(tmp_path / "again.skdim")
    assert (tmp_path / "again.skdim").read_bytes() == (tmp_path / "classifier.skdim").read_bytes()


def test_a_failed_fit_leaves_nothing_that_looks_fitted(digits):
    classifier = DeepInfoMaxClassifier.from_transformer(digits, random_state=0)
    classifier.fit(IMAGES[:100], CLASSES[:100])
    with pytest.raises(ValueError, match=r"1 class\(es\) in 3 labelled rows"):
        classifier.fit(IMAGES[:100], np.where(np.arange(100) < 3, 7, -1))
    with pytest.raises(NotFittedError):
        classifier.predict(IMAGES)
    with pytest.raises(ValueError, match="must be an EncoderTransformer or a FrozenEstimator"):
        DeepInfoMaxClassifier(LogisticRegression()).fit(IMAGES, CLASSES)


def test_onnx_gives_the_probabilities(tmp_path):
    X, y = hidden_class(100)
    fitted = DeepInfoMaxClassifier(
        DeepInfoMaxTransformer(2, encoder="mlp", max_epochs=1, random_state=0), C=0.1
    ).fit(X, y)
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    fitted.to_onnx(tmp_path / "classifier.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "classifier.onnx")
    samples = fitted.transformer_.read_samples(X).float().numpy()
    (probabilities,) = session.run(["probabilities"], {"samples": samples})
    np.testing.assert_allclose(probabilities, fitted.predict_proba(X), atol=1e-4)


def test_an_attribute_of_the_user_makes_no_classifier_look_fitted():
    model = DeepInfoMaxClassifier()
    model.note_ = "of the user"
    with pytest.raises(NotFittedError):
        model.predict(IMAGES[:2])
