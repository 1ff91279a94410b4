"""The transformer with its default ``max_epochs="auto"``: computed in closed form."""

import copy
import pickle
from functools import cache, partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback

import skdim
from skdim import DeepInfoMaxTransformer
from skdim.closed_form import Sums, rotation, solve
from skdim.encoders import (
    ENCODERS,
    AbstractStem,
    ColumnEncoder,
    KernelEncoder,
    LinearEncoder,
    PatchEncoder,
)
from skdim.estimators.fitting import auto_epochs
from skdim.inputs import ArraySamples
from skdim.objectives import GaussianInformation, Information
from skdim.training import closed_form
from skdim.views import Augment, Identity, Stretch
from tests.conftest import global_random_states
from tests.estimators.helpers import weights_of

N = 80


def make_samples(seed, n=N, side=8):
    """Draw mixtures of six smooth patterns, with noise."""
    fixed, draws = np.random.default_rng(99), np.random.default_rng(seed)
    patterns = fixed.normal(size=(6, side, side))
    for axis in (1, 2):
        patterns = (patterns + np.roll(patterns, 1, axis)) / 2**0.5
    noise = 0.3 * draws.normal(size=(n, side, side))
    return np.einsum("nk,kij->nij", draws.normal(size=(n, 6)), patterns) + noise


def arranged(images):
    return {
        "images": images,
        "vectors": images.reshape(len(images), -1)[:, :10],
        "signals": images.reshape(len(images), 2, 32),
    }


TRAINING, NEW = arranged(make_samples(0)), arranged(make_samples(1))
each_kind = pytest.mark.parametrize("kind", TRAINING)


def make(kind="images", **params):
    encoder = {"encoder": "kernels"} if kind == "signals" else {}
    return DeepInfoMaxTransformer(**{"n_components": 4, "random_state": 0} | encoder | params)


@cache
def fitted(kind):
    """Fit with all other defaults once; tests take copies where they change something."""
    return make(kind).fit(TRAINING[kind])


def directions_of(dim, X):
    return dim.encode(X, "hidden").double().numpy() @ dim.directions_


class NarrowPatchEncoder(PatchEncoder):
    def __init__(self, input_shape, n_components):
        super().__init__(input_shape, n_components, n_filters=8, n_second=8, hidden_units=64)


class NarrowKernelEncoder(KernelEncoder):
    def __init__(self, input_shape, n_components):
        super().__init__(input_shape, n_components, n_kernels=64)


class NarrowColumnEncoder(ColumnEncoder):
    def __init__(self, input_shape, n_components):
        super().__init__(input_shape, n_components, n_random=118)


@pytest.fixture(scope="module", autouse=True)
def narrow():
    """Make stems narrow: an eigenproblem of the true sizes takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENCODERS, "patches", NarrowPatchEncoder)
        patch.setitem(ENCODERS, "kernels", NarrowKernelEncoder)
        patch.setitem(ENCODERS, "columns", NarrowColumnEncoder)
        patch.setattr("skdim.encoders.patches.DRAWN", 2000)
        yield


@torch.no_grad()
def sums_of(dim, X):
    """Sum over all samples at once, without a view, with the stem and the basis of a fit."""
    standardise, encoder = dim.net_.module_
    conv = encoder.features(standardise(dim.read_samples(X)))
    basis = dim.net_.look_sums.basis
    code, cells = [encoder.whole(conv, basis)], [encoder.cells(conv, basis)]
    return {"global": Sums.of(code, code, [(0, 0)]), "local": Sums.of(code, cells, [(0, 0)])}


def count_of(dim):
    """Return the number of pairs of looks that were summed for the only term."""
    (sums,) = dim.net_.look_sums.sums.values()
    return sums.count.item()


# ---------------------------------------------------------------------------------------------
# What a fit leaves


def test_the_ridge_is_larger_the_fewer_images_there_are():
    dim = make().partial_fit(TRAINING["images"][:60]).partial_fit(TRAINING["images"][60:])
    encoder, known = dim.encoder_[1], dim.net_.look_sums
    n_directions = len(encoder.correlations)
    found, smaller = (
        solve(known.sums, {"global": 1.0}, 4, n_directions, encoder.ridge(n)).correlations
        for n in (N, 10 * N)
    )

    torch.testing.assert_close(encoder.correlations[: len(found)], found.float())
    assert found.sum() < smaller.sum()


@each_kind
def test_the_closed_form_is_the_default_and_counts_as_one_epoch(kind):
    dim = fitted(kind)

    assert dim.max_epochs == "auto"
    assert dim.solver_ == "closed form"
    assert dim.n_iter_ == 1
    assert set(dim.history_) == {"global", "loss", "spread", "learning_rate", "seconds"}
    assert dim.history_["learning_rate"] == [0.0]
    assert dim.history_["loss"] == dim.history_["global"] == dim.loss_curve_
    assert dim.history_["global"][0] < 0
    assert dim.history_["spread"][0] > 0
    assert dim.net_.optimizer_ is None


def test_encoder_and_view_follow_the_kind_of_samples():
    encoders = {kind: type(fitted(kind).encoder_[1]) for kind in TRAINING}
    views = {kind: fitted(kind).net_.view for kind in TRAINING}

    assert issubclass(encoders["images"], PatchEncoder)
    assert issubclass(encoders["vectors"], ColumnEncoder)
    assert issubclass(encoders["signals"], KernelEncoder)
    assert views["images"] == Augment.crops(colours=False)
    assert views == {"images": views["images"], "vectors": Identity(), "signals": Stretch()}


@each_kind
def test_canonical_correlations_decrease_and_are_below_one(kind):
    correlations = fitted(kind).canonical_correlations_

    assert correlations.ndim == 1
    assert (correlations >= 0).all()
    assert (correlations < 1).all()
    assert (np.diff(correlations) <= 0).all()
    assert correlations[0] > 0.5


@each_kind
def test_the_code_is_the_rotated_leading_directions_of_hidden(kind):
    dim = fitted(kind)
    directions = directions_of(dim, NEW[kind])
    scale = np.abs(directions[:, :4]).max()

    assert_allclose(dim.directions_.T @ dim.directions_, np.eye(len(dim.directions_)), atol=1e-9)
    expected = directions[:, :4] @ rotation(4).numpy()
    assert_allclose(dim.transform(NEW[kind]), expected, atol=1e-5 * scale)


@each_kind
def test_directions_are_scaled_by_the_ratio_of_signal_to_noise(kind):
    """So the variance over samples falls from each direction to the next, but for sampling."""
    dim = make(kind, view=None).fit(TRAINING[kind])
    correlations = dim.canonical_correlations_
    variances = directions_of(dim, TRAINING[kind])[:, :4].var(axis=0)

    # The ridge takes a part of it.
    assert (variances < correlations[:4] / (1 - correlations[:4])).all()
    assert (variances > 0.5 * correlations[:4] / (1 - correlations[:4])).all()


@each_kind
def test_codes_have_mean_zero_without_a_view(kind):
    dim = make(kind, view=None).fit(TRAINING[kind])
    codes = dim.transform(TRAINING[kind])

    assert_allclose(codes.mean(0) / codes.std(0), 0, atol=1e-4)


@each_kind
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)], ids=str)
def test_weights_choose_what_the_code_is_compared_with(kind, weights):
    local, whole = weights
    names = [name for name, weight in zip(("local", "global"), weights, strict=True) if weight]
    dim = make(kind, local_weight=local, global_weight=whole).fit(TRAINING[kind])
    terms = {name: dim.history_[name][0] for name in names}

    assert set(dim.history_) == {*names, "loss", "spread", "learning_rate", "seconds"}
    assert all(term < 0 for term in terms.values())
    assert dim.loss_curve_[0] == pytest.approx(sum(terms.values()))
    assert np.isfinite(dim.transform(NEW[kind])).all()
    assert np.isfinite(dim.score(NEW[kind]))
    correlations = dim.canonical_correlations_
    assert (np.diff(correlations) <= 0).all()


@each_kind
def test_local_features_of_a_fit_add_up_to_its_directions(kind):
    dim = fitted(kind)
    local = dim.encode(NEW[kind], "local").double()
    directions = directions_of(dim, NEW[kind])[:, : local.shape[1]]

    found = local.flatten(2).sum(dim=2).numpy()
    assert_allclose(found, directions, atol=1e-4 * np.abs(directions).max())


@each_kind
def test_a_weight_for_cells_alone_solves_the_local_term(kind):
    dim = make(kind, local_weight=1).fit(TRAINING[kind])

    assert set(dim.history_) == {"local", "loss", "spread", "learning_rate", "seconds"}
    assert dim.solver_ == "closed form"
    assert dim.history_["loss"] == dim.history_["local"] == dim.loss_curve_


def test_a_smaller_code_is_the_same_directions_cut_earlier():
    """So the stem does not depend on the size of the code, and needs no other fit."""
    small, large = (make("vectors", n_components=n).fit(TRAINING["vectors"]) for n in (3, 5))
    expected = directions_of(large, NEW["vectors"])[:, :3] @ rotation(3).numpy()

    assert_allclose(small.transform(NEW["vectors"]), expected, atol=1e-5 * np.abs(expected).max())


def test_vectors_that_are_all_equal_give_a_code_of_zeros():
    with pytest.warns(ConvergenceWarning) as record:
        dim = make("vectors").fit(np.ones((9, 6)))

    said = " ".join(str(warning.message) for warning in record)
    assert "All samples of X are equal" in said
    assert "have collapsed" in said
    assert_array_equal(dim.transform(np.zeros((2, 6))), np.zeros((2, 4)))


def test_colour_images_and_their_mirror_images_have_the_same_code():
    X = np.random.default_rng(0).normal(size=(30, 3, 8, 9))
    dim = make().fit(X)
    codes = dim.transform(X)

    assert dim.net_.view == Augment.crops(colours=True)
    assert_allclose(dim.transform(X[..., ::-1]), codes, atol=1e-3 * np.abs(codes).max())


def test_terms_are_weighted_information():
    for name in ("local", "global"):
        weights = [
            {f"{name}_weight": w} | ({"local_weight": 0} if name == "global" else {})
            for w in (1.0, 2.5)
        ]
        one, other = (make("vectors", **w).fit(TRAINING["vectors"]) for w in weights)

        assert other.history_[name][0] == pytest.approx(2.5 * one.history_[name][0])
        assert_array_equal(other.transform(NEW["vectors"]), one.transform(NEW["vectors"]))


# ---------------------------------------------------------------------------------------------
# The score


def test_new_images_score_lower_than_the_few_that_a_large_code_was_fitted_to():
    dim = make("images", n_components=64).fit(TRAINING["images"])

    assert dim.score(NEW["images"]) < dim.score(TRAINING["images"])


def test_patterns_score_higher_than_noise_on_new_signals():
    draws = np.random.default_rng(0)
    noise = make("signals").fit(draws.normal(size=(N, 2, 32)))
    on_noise = noise.score(draws.normal(size=(N, 2, 32)))

    assert fitted("signals").score(NEW["signals"]) > on_noise


@each_kind
def test_without_a_view_the_score_does_not_depend_on_the_batch_size(kind):
    dim = copy.deepcopy(make(kind, view=None).fit(TRAINING[kind]))
    scores = []
    for size in (7, 16, 64, 200):
        dim.net_.batch_size = size
        scores.append(dim.score(NEW[kind]))

    assert_allclose(scores, scores[0], rtol=1e-5)


@pytest.mark.parametrize("kind", ["images", "signals"])
def test_with_a_view_the_score_does_not_depend_on_the_batch_size(kind):
    dim = copy.deepcopy(fitted(kind))
    scores = []
    for size in (7, 40, N):
        dim.net_.batch_size = size
        scores.append(dim.score(NEW[kind]))

    assert_allclose(scores, scores[0], rtol=1e-4)


@each_kind
def test_the_score_repeats(kind):
    assert fitted(kind).score(NEW[kind]) == fitted(kind).score(NEW[kind])


@each_kind
def test_a_share_of_the_samples_is_scored_only(kind):
    dim = make(kind, validation_fraction=0.25, warm_start=True).fit(TRAINING[kind])
    n_pairs = {"images": 6, "signals": 6, "vectors": 1}[kind]

    assert len(dim.history_["validation_score"]) == 1
    assert np.isfinite(dim.history_["validation_score"][0])
    assert count_of(dim) == 0.75 * N * n_pairs


def test_early_stopping_holds_out_a_tenth():
    dim = make("vectors", early_stopping=True, warm_start=True).fit(TRAINING["vectors"])

    assert dim.n_iter_ == 1
    assert len(dim.history_["validation_score"]) == 1
    assert count_of(dim) == 0.9 * N


def test_large_samples_are_encoded_in_smaller_chunks_with_the_same_result(monkeypatch):
    codes = make("images", view=None).fit(TRAINING["images"]).transform(NEW["images"])
    sizes, read = [], ArraySamples.read

    def noted(self, batches, generator):
        sizes.append(max(map(len, batches)))
        return read(self, batches, generator)

    monkeypatch.setattr("skdim.training.closed_form.NUMBERS", 7 * TRAINING["images"][0].size)
    monkeypatch.setattr(ArraySamples, "read", noted)
    again = make("images", view=None).fit(TRAINING["images"])
    assert 7 in sizes
    np.testing.assert_allclose(again.transform(NEW["images"]), codes, atol=2e-3)


# ---------------------------------------------------------------------------------------------
# Exactness


@each_kind
def test_rows_are_encoded_each_by_itself(kind, monkeypatch):
    monkeypatch.setattr("skdim.inference.CHUNK", 32)
    dim, X = fitted(kind), NEW[kind]
    codes = dim.transform(X)

    assert_array_equal(dim.transform(X[50:]), codes[50:])
    assert_array_equal(dim.transform(X[7:8])[0], codes[7])
    assert_array_equal(dim.transform(X[::-1])[::-1], codes)


@each_kind
def test_the_same_seed_gives_the_same_bits(kind):
    before = global_random_states()
    again, other = (make(kind, random_state=seed).fit(TRAINING[kind]) for seed in (0, 1))

    assert global_random_states() == before
    assert weights_of(again) == weights_of(fitted(kind))
    assert weights_of(other) != weights_of(fitted(kind))


@each_kind
def test_global_random_states_are_untouched(kind):
    before = global_random_states()
    dim = make(kind, warm_start=True).partial_fit(TRAINING[kind][:40])
    dim.fit(TRAINING[kind])
    dim.transform(NEW[kind])
    dim.score(NEW[kind])

    assert global_random_states() == before


def test_no_epochs_are_the_same_as_auto():
    none = make("vectors", max_epochs=0).fit(TRAINING["vectors"])

    assert weights_of(none) == weights_of(fitted("vectors"))
    assert none.solver_ == "closed form"


@each_kind
def test_copies_pickles_and_files_encode_and_score_alike(kind, tmp_path):
    dim = fitted(kind)
    dim.save(tmp_path / "model.skdim")
    for other in (
        copy.deepcopy(dim),
        pickle.loads(pickle.dumps(dim)),
        skdim.load(tmp_path / "model.skdim"),
    ):
        assert_array_equal(other.transform(NEW[kind]), dim.transform(NEW[kind]))
        assert other.score(NEW[kind]) == dim.score(NEW[kind])
        assert other.solver_ == "closed form"
        assert_array_equal(other.canonical_correlations_, dim.canonical_correlations_)
        assert_array_equal(other.directions_, dim.directions_)
        assert other.history_ == dim.history_


@pytest.mark.parametrize("n", [2, 3, 5])
@each_kind
def test_a_few_samples_give_finite_codes(kind, n):
    dim = make(kind).fit(TRAINING[kind][:n])

    assert np.isfinite(dim.transform(NEW[kind])).all()
    assert np.isfinite(dim.score(NEW[kind]))


def test_more_components_than_there_are_directions_are_finite():
    dim = make("vectors", n_components=120).fit(TRAINING["vectors"][:20])
    codes = dim.transform(NEW["vectors"])

    assert codes.shape == (N, 120)
    assert np.isfinite(codes).all()
    assert len(dim.canonical_correlations_) == 128


# ---------------------------------------------------------------------------------------------
# More samples, and more training


@each_kind
@pytest.mark.parametrize("names", [["local"], ["global"], ["local", "global"]], ids=str)
def test_parts_add_up_to_the_sums_over_all_samples(kind, names):
    X = TRAINING[kind]
    weights = {f"{name}_weight": float(name in names) for name in ("local", "global")}
    dim = make(kind, view=None, **weights)
    for part in (X[:40], X[40:55], X[55:]):
        dim.partial_fit(part)
    sums, expected_sums = dim.net_.look_sums.sums, sums_of(dim, X)

    assert dim.n_iter_ == 3
    assert dim.solver_ == "closed form"
    assert dim.history_["learning_rate"] == [0.0] * 3
    assert set(sums) == set(names)
    for term in names:
        found, expected = sums[term], expected_sums[term]
        assert found.count == expected.count == N
        for name in ("code_first", "code_second", "layer_second", "cross"):
            one, other = getattr(found, name), getattr(expected, name)
            # Of all axes; a sum of centred features is nothing but rounding.
            largest = other.abs().max() if name != "code_first" else N
            assert_allclose(one, other, atol=1e-5 * largest, err_msg=name)


def test_the_order_of_later_parts_does_not_matter():
    X = TRAINING["vectors"]
    dims = []
    for order in ((1, 2), (2, 1)):
        dim = make("vectors").partial_fit(X[:40])
        for k in order:
            dim.partial_fit(X[20 + 20 * k : 40 + 20 * k])
        dims.append(dim)
    one, other = (dim.canonical_correlations_ for dim in dims)

    assert_allclose(one, other, atol=1e-6)


def test_a_first_part_is_the_same_as_a_fit():
    one = make("vectors").partial_fit(TRAINING["vectors"])

    assert weights_of(one) == weights_of(fitted("vectors"))
    assert one.history_ == fitted("vectors").history_ | {"seconds": one.history_["seconds"]}


def test_a_warm_start_adds_the_samples_to_those_that_it_knows():
    X = TRAINING["vectors"]
    dim = make("vectors", warm_start=True).fit(X)
    once = dim.canonical_correlations_
    dim.fit(X)

    assert dim.n_iter_ == 2
    assert dim.solver_ == "closed form"
    assert count_of(dim) == 2 * N
    # The same samples twice say the same as once.
    assert_allclose(dim.canonical_correlations_, once, atol=1e-9)


def test_samples_are_added_after_a_fit():
    X = TRAINING["vectors"]
    dim = make("vectors").fit(X).partial_fit(X)

    assert count_of(dim) == 2 * N
    assert dim.solver_ == "closed form"


@pytest.mark.parametrize("how", ["file", "pickle"])
def test_nothing_is_added_to_sums_that_were_not_kept(how, tmp_path):
    dim = make("vectors").fit(TRAINING["vectors"])
    if how == "file":
        dim.save(tmp_path / "model.skdim")
        dim = skdim.load(tmp_path / "model.skdim")
    elif how == "pickle":
        dim = pickle.loads(pickle.dumps(dim))
    codes = dim.transform(NEW["vectors"])

    with pytest.raises(
        ValueError, match=r"neither in copies .* Fit all samples again, .*; or train by"
    ):
        dim.partial_fit(TRAINING["vectors"])
    assert_array_equal(dim.transform(NEW["vectors"]), codes)
    assert dim.n_iter_ == 1


def test_gradients_go_on_from_the_closed_form():
    X = TRAINING["signals"]
    dim = make("signals", warm_start=True).fit(X)
    codes = dim.transform(X)
    dim.set_params(max_epochs=2, learning_rate=1e-5).fit(X)

    assert dim.n_iter_ == 3
    assert dim.history_["learning_rate"][0] == 0
    assert all(rate > 0 for rate in dim.history_["learning_rate"][1:])
    assert dim.solver_ == "closed form then gradients"
    moved = np.abs(dim.transform(X) - codes).max()
    assert 0 < moved < 0.05 * np.abs(codes).max()
    with pytest.raises(AttributeError, match="only after a fit in closed form alone"):
        dim.canonical_correlations_  # noqa: B018


@pytest.mark.parametrize("max_epochs", ["auto", 0])
@pytest.mark.parametrize("first", ["auto", 1])
def test_the_closed_form_cannot_be_solved_again_after_gradients(first, max_epochs):
    X = TRAINING["vectors"]
    dim = make("vectors", encoder="columns", max_epochs=first, warm_start=True).fit(X)
    if first == "auto":
        dim.set_params(max_epochs=1).fit(X)
    codes, solver, n_epochs = dim.transform(X), dim.solver_, dim.n_iter_
    assert solver == "closed form then gradients"

    with pytest.raises(
        ValueError, match=r"cannot be computed with more samples.*trained by gradients"
    ):
        dim.set_params(max_epochs=max_epochs).fit(X)
    assert_array_equal(dim.transform(X), codes)
    assert dim.solver_ == solver
    assert dim.n_iter_ == n_epochs
    dim.set_params(max_epochs=1).fit(X)
    assert dim.solver_ == solver
    assert dim.n_iter_ == n_epochs + 1


# ---------------------------------------------------------------------------------------------
# Which solver


SMALL = TRAINING["images"][:30]


def test_epochs_that_are_asked_for_are_of_gradients():
    dim = make(max_epochs=2).fit(SMALL)

    assert dim.solver_ == "gradients"
    assert dim.n_iter_ == 2
    assert not isinstance(dim.encoder_[1], LinearEncoder)
    assert all(rate > 0 for rate in dim.history_["learning_rate"])
    with pytest.raises(AttributeError, match="only after a fit in closed form alone"):
        dim.directions_  # noqa: B018


@pytest.mark.parametrize("critic", ["auto", "gaussian"])
def test_a_linear_encoder_begins_with_the_closed_form(critic):
    dim = make(encoder="patches", max_epochs=1, critic=critic).fit(SMALL)
    (term,) = dim.net_.criterion_

    assert dim.solver_ == "closed form then gradients"
    assert dim.n_iter_ == 1
    assert dim.history_["learning_rate"][0] > 0
    assert type(term) is (GaussianInformation if critic == "gaussian" else Information)
    with pytest.raises(AttributeError, match="only after a fit in closed form alone"):
        dim.canonical_correlations_  # noqa: B018


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_what_was_refused_is_not_fitted(how):
    dim = make(max_epochs=0, encoder="dcgan")

    with pytest.raises(ValueError, match="does not support encoder"):
        getattr(dim, how)(SMALL)
    assert not dim.__sklearn_is_fitted__()


def test_a_warm_start_that_is_not_valid_keeps_the_solver_and_its_attributes():
    dim = make(encoder="patches", warm_start=True).fit(SMALL)
    dim.set_params(max_epochs=1, validation_fraction=0.001)

    with pytest.raises(ValueError, match="holds out 0"):
        dim.fit(SMALL)
    assert dim.solver_ == "closed form"
    assert len(dim.canonical_correlations_) == len(dim.directions_)


UNSOLVABLE = [
    {"prior_weight": 1.0},
    {"coordinate_weight": 0.5},
    {"bound": "jsd"},
    {"bound": "infonce"},
    {"critic": "dot"},
    {"critic_units": 32},
    {"negatives": "shift"},
    {"encoder": "dcgan"},
]


@pytest.mark.parametrize("params", UNSOLVABLE, ids=str)
def test_what_has_no_closed_form_is_refused_by_name_without_epochs(params):
    ((name, value),) = params.items()

    with pytest.raises(ValueError, match=rf"max_epochs=0 .* does not support {name}={value!r}"):
        make(max_epochs=0, **params).fit(SMALL)


@pytest.mark.parametrize("params", [{"prior_weight": 1.0}, {"bound": "jsd"}, {"encoder": "mlp"}])
def test_what_has_no_closed_form_is_trained_by_gradients_for_a_number_of_epochs(
    params, monkeypatch
):
    monkeypatch.setattr("skdim.estimators.fitting.MAX_EPOCHS", 3)
    dim = make("vectors", n_components=2, **params).fit(TRAINING["vectors"][:16])

    assert dim.solver_ == "gradients"
    assert dim.n_iter_ == auto_epochs(16) == 3


IDLE = [
    {"learning_rate": 0.1},
    {"batch_size": 16},
    {"optimizer": "sgd"},
    {"schedule": "constant"},
]


# Said by torch of what its own compiler does.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("params", [*IDLE, {"compile": True}], ids=str)
def test_parameters_that_have_no_effect_are_named_in_a_warning(params):
    ((name, value),) = params.items()

    with pytest.warns(UserWarning, match=rf"^{name}={value!r} had no effect") as record:
        dim = make("vectors", **params).fit(TRAINING["vectors"])
    assert len([warning for warning in record if warning.category is UserWarning]) == 1
    assert weights_of(dim) == weights_of(fitted("vectors"))


def test_the_closed_form_compiles_nothing(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda part, **how: calls.append(part) or part)
    with pytest.warns(UserWarning, match=r"^compile=True had no effect"):
        make("vectors", compile=True).fit(TRAINING["vectors"])

    assert not calls


def test_all_parameters_that_have_no_effect_are_in_one_warning():
    with pytest.warns(UserWarning, match=r"^batch_size=16, learning_rate=0\.1 had no effect"):
        make("vectors", batch_size=16, learning_rate=0.1).fit(TRAINING["vectors"])


# ---------------------------------------------------------------------------------------------
# Callbacks and checkpoints


class Seen(Callback):
    """Write down what happened, and what the history held then."""

    def __init__(self):
        self.events = []

    def on_train_begin(self, net, **kwargs):
        self.events.append(("train begins", len(net.history)))

    def on_epoch_begin(self, net, **kwargs):
        self.events.append(("epoch begins", len(net.history)))

    def on_epoch_end(self, net, **kwargs):
        self.events.append(("epoch ends", net.history[-1]["loss"]))

    def on_train_end(self, net, **kwargs):
        self.events.append(("train ends", len(net.history)))


def test_callbacks_see_one_epoch():
    seen = Seen()
    dim = make("vectors", callbacks=[seen]).fit(TRAINING["vectors"])

    assert seen.events == [
        ("train begins", 0),
        ("epoch begins", 1),
        ("epoch ends", dim.loss_curve_[0]),
        ("train ends", 1),
    ]


@each_kind
def test_a_second_fit_takes_up_the_checkpoint(kind, tmp_path, monkeypatch):
    without = weights_of(fitted(kind))
    dim = make(kind, checkpoint_dir=tmp_path).fit(TRAINING[kind])
    assert list(tmp_path.iterdir())

    def fail(*args, **kwargs):
        raise AssertionError("it was solved again")

    monkeypatch.setattr("skdim.training.net.solve_for", fail)
    again = make(kind, checkpoint_dir=tmp_path).fit(TRAINING[kind])

    assert weights_of(again) == weights_of(dim) == without
    assert again.history_ == dim.history_
    assert again.solver_ == "closed form"
    assert again.score(NEW[kind]) == dim.score(NEW[kind])


def test_verbose_prints_a_line(capsys):
    make("vectors", verbose=1).fit(TRAINING["vectors"])

    assert len([line for line in capsys.readouterr().out.splitlines() if "0.0" in line]) == 1


@pytest.mark.parametrize("n_drawn", [5, 20])
def test_images_of_which_most_are_blank_are_encoded(n_drawn):
    images = np.zeros((200, 8, 8), np.float32)
    images[:n_drawn] = load_digits().images[:n_drawn]
    wide = DeepInfoMaxTransformer(8, encoder=PatchEncoder, random_state=0)
    codes = wide.fit_transform(images)
    assert np.isfinite(codes).all()
    assert len(np.unique(codes.round(4), axis=0)) == n_drawn + 1


# ---------------------------------------------------------------------------------------------
# Expanded features


class Columns(AbstractStem):
    """Vectors as they are."""

    def __init__(self, n_features):
        super().__init__()
        self.out_shape = (n_features, 1)

    def adapt(self, x):
        pass

    def forward(self, x):
        return x[:, :, None]


class PlainEncoder(LinearEncoder):
    def __init__(self, input_shape, n_components, **kwargs):
        super().__init__(Columns(*input_shape), n_components, **kwargs)


def test_expanded_features_tell_what_directions_tell_together():
    """The class is the sign of a product, of which each direction alone says nothing."""
    X = np.random.default_rng(0).normal(size=(600, 6)) * np.array([5, 5, 1, 1, 1, 1])
    y = X[:, 0] * X[:, 1] > 0
    scores = {}
    for n_expanded in (0, 64):
        encoder = partial(PlainEncoder, n_expanded=n_expanded)
        dim = make(encoder=encoder, max_epochs=0, output="hidden").fit(X)
        head = LogisticRegression(C=1.0, max_iter=1000).fit(dim.transform(X[:300]), y[:300])
        scores[n_expanded] = head.score(dim.transform(X[300:]), y[300:])

    assert scores[0] < 0.6
    assert scores[64] > 0.85


def test_expanded_features_are_set_from_looks_at_a_part_of_the_samples(monkeypatch):
    monkeypatch.setattr("skdim.training.closed_form.EXPANSION_ROWS", 10)
    calls = []
    original = closed_form.sum_looks

    def watched(module, view, rows, *args):
        calls.append(len(rows))
        return original(module, view, rows, *args)

    monkeypatch.setattr(closed_form, "sum_looks", watched)
    monkeypatch.setattr("skdim.training.net.sum_looks", watched)
    make().fit(TRAINING["images"])

    assert calls == [10, N]
