"""probe_scores: the right protocol, the right classifiers, and errors that help."""

import builtins
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.metrics import PROBES, probe_scores
from skdim.metrics.arrays import hold_out
from skdim.metrics.probes import GRIDS, Grid, NetworkProbe, mlp_network, tutorial_network

COLUMNS = ["layer", "probe", "accuracy", "spread", "setting", "converged", "seconds"]

pixels = FunctionTransformer()


def blobs(n, seed=0, distance=4.0):
    """Three classes around the corners of a triangle, and two columns of noise."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    X = rng.normal(size=(n, 4))
    X[:, 0] += distance * np.cos(2 * np.pi * y / 3)
    X[:, 1] += distance * np.sin(2 * np.pi * y / 3)
    return X.astype(np.float32), y


def probe(name, distance=4.0, seed=0, **kwargs):
    train, test = blobs(120, distance=distance), blobs(300, seed=1, distance=distance)
    settings = {"n_seeds": 2, "max_epochs": 40, "random_state": seed} | kwargs
    return probe_scores(pixels, *train, *test, ["code"], [name], **settings)


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_tells_well_separated_classes_apart(name, global_random_state_untouched):
    table = probe(name)

    assert list(table.columns) == COLUMNS
    assert table.accuracy[0] > 0.95
    assert table.converged[0] or name not in GRIDS


@pytest.mark.parametrize("name", PROBES)
def test_no_probe_beats_chance_on_labels_that_are_drawn(name):
    y = np.random.default_rng(2).integers(2, size=600)
    X, X_test = blobs(300)[0], blobs(300, seed=1)[0]

    table = probe_scores(
        pixels, X, y[:300], X_test, y[300:], ["code"], [name], n_seeds=1, random_state=0
    )

    assert abs(table.accuracy[0] - 0.5) < 4 * np.sqrt(0.25 / 300)


@pytest.mark.parametrize("name", ["mlp", "tutorial", "svm"])
def test_scores_follow_from_the_seed(name):
    one, again, other = (
        probe(name, 1.0, seed, n_seeds=1, max_epochs=10).drop(columns="seconds")
        for seed in (0, 0, 1)
    )

    assert one.equals(again)
    assert not one.equals(other)


@pytest.mark.parametrize("name", ["linear", "knn", "mlp"])
def test_test_labels_choose_nothing(name):
    """The paper tuned on the test set."""
    X, y = blobs(120, distance=1.0)
    X_test, y_test = blobs(300, seed=1, distance=1.0)
    wrong = (y_test + 1) % 3

    honest, fooled = (
        probe_scores(
            pixels, X, y, X_test, labels, ["code"], [name], n_seeds=2, max_epochs=20, random_state=0
        )
        for labels in (y_test, wrong)
    )

    assert honest.setting[0] == fooled.setting[0]
    assert honest.accuracy[0] > fooled.accuracy[0]


def test_linear_probe_is_the_best_of_its_settings_on_the_held_out_part():
    X, y = blobs(120, distance=1.0)
    X_test, y_test = blobs(300, seed=1, distance=1.0)
    table = probe_scores(
        pixels, X, y, X_test, y_test, ["code"], ["linear"], n_seeds=1, random_state=3
    )
    seed = int(np.random.RandomState(3).randint(np.iinfo(np.int32).max))
    kept, held = hold_out(y, 0.1, int(np.random.SeedSequence(seed).generate_state(1)[0]))
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000)).fit(
            X[kept], y[kept]
        )
        for C in GRIDS["linear"].settings(len(kept))
    ]

    best = models[np.argmax([model.score(X[held], y[held]) for model in models])]

    assert table.accuracy[0] == best.score(X_test, y_test)
    assert table.setting[0] == f"C={best[-1].C:.2g}"
    assert np.isnan(table.spread[0])


def test_mean_and_spread_are_over_seeds():
    train, test = blobs(120, distance=1.0), blobs(300, seed=1, distance=1.0)

    table = probe_scores(pixels, *train, *test, ["code"], ["knn"], n_seeds=3, random_state=0)

    assert table.setting[0].count(",") == 2
    assert 0 < table.spread[0] < 0.1


def test_layers_of_a_transformer_are_probed_and_nothing_of_it_is_changed(
    global_random_state_untouched,
):
    X, y = load_digits(return_X_y=True)
    images = X.reshape(-1, 8, 8)
    dim = DeepInfoMaxTransformer(8, max_epochs=1, random_state=0).fit(images[:150])
    before = {name: value.clone() for name, value in dim.encoder_.state_dict().items()}

    table = probe_scores(
        dim, images[:150], y[:150], images[150:300], y[150:300], probes=["knn"], random_state=0
    )

    assert table.layer.tolist() == ["code", "hidden", "conv"]
    assert table.accuracy.min() > 0.5
    after = dim.encoder_.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    conv = dim.encode(images[:300], "conv").flatten(1).numpy()
    by_hand = probe_scores(
        pixels, conv[:150], y[:150], conv[150:], y[150:300], ["code"], ["knn"], random_state=0
    )
    assert by_hand.accuracy[0] == table.accuracy[2]


def test_labels_may_be_words():
    X, y = blobs(120)
    X_test, y_test = blobs(300, seed=1)
    words = np.array(["ant", "bee", "cow"])

    settings = {"n_seeds": 1, "max_epochs": 3, "random_state": 0}
    for name in ("knn", "mlp"):
        numbered, worded = (
            probe_scores(pixels, X, a, X_test, b, "code", name, **settings)
            for a, b in ((y, y_test), (words[y].tolist(), words[y_test].tolist()))
        )
        assert worded.accuracy[0] == numbered.accuracy[0]


def test_without_pandas_rows_are_dicts(monkeypatch):
    """scikit-learn itself looks for a pandas that is loaded, so only its import is taken away."""
    given = builtins.__import__

    def without_pandas(name, *args, **kwargs):
        if name == "pandas":
            raise ImportError
        return given(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pandas)

    rows = probe("knn")

    assert [list(row) for row in rows] == [COLUMNS]


def test_more_neighbours_than_samples_are_not_tried():
    X, y = blobs(12)

    table = probe_scores(pixels, X, y, X, y, ["code"], ["knn"], random_state=0)

    assert all(int(k) <= 9 for k in table.setting[0].removeprefix("k=").split(","))


def test_a_search_may_end_where_the_held_out_accuracy_falls(monkeypatch):
    tried = []

    class Scripted(LogisticRegression):
        def score(self, X, y):
            return {1: 0.5, 2: 0.7, 3: 0.7, 4: 0.6}.get(self.C, 0.9)

    def make(value, seed):
        tried.append(value)
        return Scripted(C=value)

    n = 120 - 12  # to train on
    grid = Grid("C", tuple(n * value for value in (1, 2, 3, 4, 5)), make, ends_at_fall=True)
    monkeypatch.setitem(GRIDS, "linear", grid)

    table = probe("linear", n_seeds=1)

    assert tried == [1, 2, 3, 4]
    assert table.setting[0] == "C=2"


def test_the_table_says_what_has_not_converged(monkeypatch):
    class Noisy(LogisticRegression):
        def fit(self, X, y):
            warnings.warn("something else", UserWarning, stacklevel=1)
            return super().fit(X, y)

    monkeypatch.setitem(
        GRIDS, "linear", Grid("C", (1.0,), lambda value, seed: Noisy(C=value, max_iter=1))
    )

    with pytest.warns(UserWarning, match="something else") as caught:
        table = probe("linear")

    assert not table.converged[0]
    assert {str(one.message) for one in caught} == {"something else"}
    assert not any(issubclass(one.category, ConvergenceWarning) for one in caught)


def test_a_network_has_converged_unless_it_was_still_learning():
    assert probe("mlp", distance=1.0, n_seeds=1, max_epochs=100).converged[0]
    assert not probe("mlp", distance=1.0, max_epochs=3).converged[0]


@pytest.mark.parametrize(("n_features", "count"), [(4096, 821_610), (1024, 207_210), (64, 15_210)])
def test_mlp_has_as_many_weights_as_the_paper_s_probe(n_features, count):
    network = mlp_network(n_features, 10)

    assert sum(weight.numel() for weight in network.parameters()) == count
    assert network[1].p == 0.1


def test_tutorial_network_has_the_tutorial_s_widths():
    sizes = [
        part.out_features for part in tutorial_network(64, 10) if hasattr(part, "out_features")
    ]

    assert sizes == [15, 10, 10]


@pytest.mark.parametrize("network", [mlp_network, tutorial_network])
def test_softmax_is_taken_once(network):
    X, y = blobs(60)
    with torch.random.fork_rng():
        classifier = NetworkProbe(network, (X, y), 1, torch.device("cpu")).fit(X, y)

    with torch.no_grad():
        logits = classifier.network_.eval()(torch.from_numpy(X))

    probabilities = torch.from_numpy(classifier.predict_proba(X))
    torch.testing.assert_close(probabilities, logits.softmax(dim=1))
    # Of what a softmax has given already, another one could not make so small a loss.
    sure = nn.functional.one_hot(torch.from_numpy(y)) * 20.0
    classifier.network_ = nn.Identity()
    assert classifier.loss(sure, torch.from_numpy(y)) < 1e-6


def test_networks_go_back_to_their_best_epoch():
    X, y = blobs(150, distance=1.0)
    held_out = X[100:], y[100:]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = NetworkProbe(mlp_network, held_out, 80, torch.device("cpu"))
        classifier.fit(X[:100], y[:100])

    scores = classifier.scores_

    assert classifier.best_epoch_ == len(scores) - 10
    best = scores[classifier.best_epoch_ - 1]
    assert best > max(scores) - 2e-3
    assert -log_loss(y[100:], classifier.predict_proba(X[100:])) == pytest.approx(best, rel=1e-5)
    assert best != scores[-1]


def test_ctrl_c_ends_a_probe():
    class CtrlC(nn.Linear):
        def forward(self, x):
            if not self.training:
                raise KeyboardInterrupt
            return super().forward(x)

    X, y = blobs(60)

    with pytest.raises(KeyboardInterrupt):
        NetworkProbe(CtrlC, (X, y), 3, torch.device("cpu")).fit(X, y)


def test_held_out_part_is_stratified():
    labels = np.repeat([0, 1, 2], [60, 30, 10])

    kept, held = hold_out(labels, 0.1, seed=0)

    assert np.bincount(labels[held]).tolist() == [6, 3, 1]
    assert sorted([*kept, *held]) == list(range(100))


def test_held_out_part_holds_a_sample_of_each_class():
    labels = np.arange(20) % 5

    kept, held = hold_out(labels, 0.01, seed=0)

    assert sorted(labels[held]) == [0, 1, 2, 3, 4]
    assert len(kept) == 15


WRONG = [
    (
        {"layers": ["colour"]},
        "'colour' is not a valid layer. Allowed are local, conv, hidden",
    ),
    ({"layers": []}, "at least one is needed. Allowed are"),
    ({"layers": ["code", "conv"]}, 'FunctionTransformer has only the layer .*layers=."code"'),
    (
        {"probes": ["tree"]},
        "'tree' is not a valid probe. Allowed are linear, svm, knn, mlp",
    ),
    ({"probes": []}, "at least one is needed. Allowed are"),
    ({"y": np.zeros(30)}, r"single class, \[0.0\]. At least two classes"),
    ({"y": np.arange(29)}, "X has 30 and y has 29 samples"),
    ({"y_test": np.arange(29)}, "X_test has 30 and y_test has 29 samples"),
    ({"y_test": np.full(30, 7)}, r"y_test contains \[7\], which y does not"),
    ({"y": np.r_[5, np.arange(29) % 3]}, "1 of the rarest"),
    ({"y": np.arange(30)}, "30 classes"),
    ({"n_seeds": 0}, "n_seeds=0. It must be an integer"),
    ({"max_epochs": 1.5}, "max_epochs=1.5"),
    ({"validation_fraction": 1.0}, "validation_fraction=1.0. It must be between 0 and 1"),
]


@pytest.mark.parametrize(("change", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_errors_say_what_was_given_and_what_is_allowed(change, text):
    X, y = blobs(30)
    arguments = {"X": X, "y": y, "X_test": X, "y_test": y, "layers": ["code"]} | change

    with pytest.raises(ValueError, match=text):
        probe_scores(pixels, **arguments, random_state=0)


def test_what_gives_no_features_is_refused():
    X, y = blobs(30)

    with pytest.raises(TypeError, match=r"type int\. It must be a fitted transformer"):
        probe_scores(3, X, y, X, y)
