"""What is given wrongly is refused in words, before any training; what is odd but right works."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import Callback

from skdim.bounds import BOUNDS
from tests.estimators.small import (
    BOTH,
    CHANNELS_FIRST,
    CHANNELS_LAST,
    IMAGES,
    SIDE,
    VECTORS,
    D,
    N,
    draw,
    features,
    make,
)

vectors_and_images = pytest.mark.parametrize("kind", BOTH)
fit_and_transform = pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score"])


@pytest.fixture(scope="module")
def fitted():
    return {kind: make().fit(X) for kind, X in BOTH.items()}


def ready(fitted, method, kind="vectors"):
    """Give an unfitted transformer where the method fits, else the fitted one."""
    return make() if "fit" in method else fitted[kind]


# --- The numbers and the kind of X ---


@fit_and_transform
@vectors_and_images
@pytest.mark.parametrize(
    ("bad", "named"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
)
def test_nan_and_infinity_are_refused(fitted, kind, method, bad, named):
    X = BOTH[kind].copy()
    X.flat[3] = bad
    with pytest.raises(ValueError, match=f"Input X contains {named}"):
        getattr(ready(fitted, method, kind), method)(X)


@fit_and_transform
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, np.ndarray.tolist, torch.tensor])
def test_numbers_beyond_float32_are_refused_without_a_runtime_warning(
    fitted, container, sign, method
):
    X = VECTORS.copy()
    X[2, 3] = sign * 1e300
    with pytest.raises(ValueError, match=r"infinity or a value too large for dtype\('float32'\)"):
        getattr(ready(fitted, method), method)(container(X))


@pytest.mark.parametrize("method", ["fit", "transform"])
def test_an_image_with_a_number_beyond_float32_is_refused(fitted, method):
    X = IMAGES.copy()
    X[2, 3, 4] = 1e300
    with pytest.raises(ValueError, match=r"infinity or a value too large for dtype\('float32'\)"):
        getattr(ready(fitted, method, "images"), method)(X)


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    ("X", "error", "said"),
    [
        (VECTORS + 1j, ValueError, "Complex data not supported"),
        (IMAGES + 1j, ValueError, "Complex data not supported"),
        (np.full((N, D), "a"), ValueError, "could not convert string to float"),
        ([["a", "b"], ["c", "d"]], ValueError, "could not convert string to float"),
        (np.full((N, D), "NaT", "M8[s]"), TypeError, "X holds dates or times"),
        (pd.DataFrame(np.zeros((N, D), "M8[s]")), TypeError, "X holds dates or times"),
        (list(IMAGES.astype("m8[s]")), TypeError, "X holds dates or times"),
        (len, TypeError, "X is of type builtin_function_or_method. It must be an array"),
        (np, TypeError, "X is of type module. It must be an array"),
        (object(), TypeError, "X is of type object. It must be an array"),
        ("rows", TypeError, "X is of type str. It must be an array"),
        ({"column": [1.0, 2.0]}, TypeError, "X is of type dict. It must be an array"),
        ({1.0, 2.0}, TypeError, "X is of type set. It must be an array"),
        (iter([[1.0], [2.0]]), TypeError, "X is of type list_iterator. It must be an array"),
        (None, TypeError, "X is of type NoneType. It must be an array"),
        ([{"a": 1}, {"a": 2}], TypeError, "not 'dict'"),
        ([[None, 1.0], [2.0, 3.0]], ValueError, "Input X contains NaN"),
        ([[1.0, 2.0], [3.0]], ValueError, r"different shapes: \(2,\) and \(1,\)"),
        ([[1.0, 2.0], 3.0], ValueError, r"different shapes: \(2,\) and a single number"),
        ([[1.0, [2.0, 3.0]], [1.0, 2.0]], ValueError, "inhomogeneous shape"),
        ([IMAGES[0], IMAGES[1, :5]], ValueError, r"different shapes: \(8, 8\) and \(5, 8\)"),
    ],
)
def test_what_holds_no_rows_of_numbers_is_refused(fitted, method, X, error, said):
    with pytest.raises(error, match=said):
        getattr(ready(fitted, method), method)(X)


@pytest.mark.parametrize("method", ["fit", "transform"])
@pytest.mark.parametrize(
    "container",
    [
        scipy.sparse.csr_array,
        scipy.sparse.csc_matrix,
        scipy.sparse.coo_array,
        lambda X: torch.tensor(X).to_sparse(),
    ],
)
def test_sparse_is_refused_by_its_name(fitted, method, container):
    with pytest.raises(TypeError, match=r"(?i)sparse.*dense"):
        getattr(ready(fitted, method), method)(container(VECTORS))


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (VECTORS[:0], r"0 sample\(s\) \(shape=\(0, 6\)\) while a minimum of 2 is required"),
        (IMAGES[:0], r"0 sample\(s\) \(shape=\(0, 64\)\) while a minimum of 2 is required"),
        (VECTORS[:, :0], r"0 feature\(s\) \(shape=\(20, 0\)\) while a minimum of 1 is required"),
        (IMAGES[:, :0], r"0 feature\(s\) \(shape=\(20, 0\)\) while a minimum of 1 is required"),
        (VECTORS[:1], r"1 sample\(s\) \(shape=\(1, 6\)\) while a minimum of 2 is required"),
        (IMAGES[:1], r"1 sample\(s\) \(shape=\(1, 64\)\) while a minimum of 2 is required"),
        (VECTORS[0], "Expected 2D array, got 1D array instead"),
        ([], "Expected 2D array, got 1D array instead"),
        (np.array(3.0), "Expected 2D array, got scalar array instead"),
        (IMAGES[:, None, None], r"X has shape \(20, 1, 1, 8, 8\). Five axes are read as"),
        (IMAGES[:, None, None, None], r"X has shape \(20, 1, .*8\). Expected \(n, features\)"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_too_little_or_too_many_axes_are_refused_at_fit(method, X, said):
    with pytest.raises(ValueError, match=said):
        getattr(make(), method)(X)


@vectors_and_images
def test_nothing_to_transform_is_refused(fitted, kind):
    with pytest.raises(ValueError, match=r"0 sample\(s\) .* while a minimum of 1 is required"):
        fitted[kind].transform(BOTH[kind][:0])


def test_a_single_sample_is_transformed_but_not_scored(fitted):
    assert fitted["vectors"].transform(VECTORS[:1]).shape == (1, 4)
    with pytest.raises(ValueError, match=r"1 sample\(s\) .* while a minimum of 2 is required"):
        fitted["vectors"].score(VECTORS[:1])


# --- The shape of images ---


def test_an_image_shape_of_other_size_than_the_rows_shows_both_numbers():
    with pytest.raises(ValueError, match=r"image_shape=\(3, 4\) has 12 pixels, .* 6 features"):
        make(image_shape=(3, 4)).fit(VECTORS)


def test_an_image_shape_of_other_size_than_the_images_shows_both_shapes():
    with pytest.raises(ValueError, match=r"image_shape=\(1, 9, 9\) contradicts .* \(8, 8\)"):
        make(image_shape=(1, 9, 9)).fit(IMAGES)


def test_channels_last_is_inferred():
    np.testing.assert_array_equal(features(CHANNELS_LAST), features(CHANNELS_FIRST))


@pytest.mark.parametrize(
    ("X", "image_shape"), [(CHANNELS_LAST, (3, SIDE, SIDE)), (CHANNELS_FIRST, (SIDE, SIDE, 3))]
)
def test_an_image_shape_with_its_axes_in_another_order_suggests_transposing(X, image_shape):
    said = re.escape(f"image_shape={image_shape} contradicts the samples of X, which have shape ")
    with pytest.raises(ValueError, match=said + re.escape(f"{X.shape[1:]}") + ".* transpose X"):
        make(image_shape=image_shape).fit(X)


def test_other_axes_than_those_fitted_suggest_transposing():
    model = make().fit(CHANNELS_FIRST)
    with pytest.raises(ValueError, match=r"\(8, 8, 3\), .* fitted on .* \(3, 8, 8\). Transpose X"):
        model.transform(CHANNELS_LAST)


@pytest.mark.parametrize("sample", [(9, 9, 9), (3, 9, 3), (8, 9, 10)])
@pytest.mark.parametrize("flat", [False, True])
def test_only_images_that_can_be_read_in_two_ways_are_refused(sample, flat):
    X = draw.normal(size=(N, np.prod(sample)) if flat else (N, *sample))
    with pytest.raises(ValueError, match=r"\(C, H, W\) or \(H, W, C\)\. Set channel_axis=1 "):
        make(image_shape=sample if flat else None).fit(X)


@pytest.mark.parametrize(("channel_axis", "read"), [(1, (8, 9, 10)), (-1, (10, 8, 9))])
def test_channel_axis_says_how_to_read_an_ambiguous_image(channel_axis, read):
    X = draw.normal(size=(N, 8, 9, 10))
    assert make(channel_axis=channel_axis).fit(X).image_shape_ == read


@pytest.mark.parametrize("encoder", ["auto", "dcgan"])
@pytest.mark.parametrize("sample", [(3, 3), (3, 16, 7), (7, 16, 3)])
def test_images_too_small_for_the_encoder_are_refused_with_the_least_size(encoder, sample):
    with pytest.raises(
        ValueError, match=r"images \(C, H, W\) of at least 8x8 pixels, but .* shape"
    ):
        make(encoder=encoder).fit(draw.normal(size=(N, *sample)))


def test_an_encoder_of_the_other_kind_is_refused():
    with pytest.raises(ValueError, match=r"'dcgan' encodes images .* have shape \(6,\)"):
        make(encoder="dcgan").fit(VECTORS)
    with pytest.raises(ValueError, match=r"'mlp' encodes vectors, but .* shape \(1, 8, 8\)"):
        make(encoder="mlp").fit(IMAGES)


@pytest.mark.parametrize("method", ["transform", "score", "encode", "partial_fit"])
@pytest.mark.parametrize(
    ("kind", "X", "said"),
    [
        ("vectors", VECTORS[:, :5], "X has 5 features, but DeepInfoMax.* is expecting 6 features"),
        ("images", VECTORS, "X has 6 features, but DeepInfoMax.* is expecting 64 features"),
        ("images", IMAGES[:, 1:], r"shape \(7, 8\), but .* shape \(1, 8, 8\)"),
        ("images", IMAGES.reshape(N, 4, 16), r"shape \(4, 16\), but .* shape \(1, 8, 8\)"),
        ("vectors", VECTORS.reshape(N, 2, 3), r"shape \(2, 3\), but .* fitted on .* shape \(6,\)"),
    ],
)
def test_another_size_than_that_fitted_is_refused_and_changes_nothing(
    fitted, method, kind, X, said
):
    before = fitted[kind].transform(BOTH[kind])
    with pytest.raises(ValueError, match=said):
        getattr(fitted[kind], method)(X)
    np.testing.assert_array_equal(fitted[kind].transform(BOTH[kind]), before)


# --- Odd data that must work ---


@pytest.mark.parametrize(
    "X", [np.ones((N, D)), np.full((N, SIDE, SIDE), 7, np.uint8), np.zeros((N, D))]
)
def test_equal_samples_train_to_finite_features_and_warn_of_zero_variance(X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        given = make().fit(X).transform(X)
    first = caught[0]
    assert first.category is ConvergenceWarning
    assert "All samples of X are equal: zero variance" in str(first.message)
    assert first.filename == __file__
    assert {w.category for w in caught} == {ConvergenceWarning}
    assert np.isfinite(given).all()


def test_a_constant_column_is_no_reason_to_warn():
    assert np.isfinite(features(np.c_[VECTORS, np.full(N, 3.0)])).all()


@pytest.mark.parametrize("n_features", [1, D])
@pytest.mark.parametrize("n_components", [1, D, 3 * D])
def test_any_number_of_components_works_with_any_number_of_features(n_features, n_components):
    given = features(VECTORS[:, :n_features], n_components=n_components)
    assert given.shape == (N, n_components)
    assert np.isfinite(given).all()


@pytest.mark.parametrize("bound", BOUNDS)
def test_duplicate_rows_give_a_finite_loss(bound):
    X = np.repeat(VECTORS[:2], N // 2, axis=0)
    model = make(bound=bound, max_epochs=3).fit(X)
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.transform(X)).all()


class Watch(Callback):
    """Write down which rows each batch holds."""

    def __init__(self, batches):
        self.batches = batches

    def on_batch_begin(self, net, batch, **kwargs):
        self.batches.append(batch.index.tolist())


@vectors_and_images
@pytest.mark.parametrize(("n", "batch_size"), [(2, 64), (2, 2), (3, 2), (17, 8), (9, 64), (5, 4)])
def test_every_row_is_used_and_none_stands_alone(kind, n, batch_size):
    batches = []
    model = make(batch_size=batch_size, callbacks=[Watch(batches)]).fit(BOTH[kind][:n])
    assert sorted(np.concatenate(batches)) == list(range(n))
    assert min(map(len, batches)) >= 2
    assert np.isfinite(model.transform(BOTH[kind][:n])).all()


@vectors_and_images
@pytest.mark.parametrize("scale", [1e6, 1e-12])
def test_huge_and_tiny_values_give_finite_features(kind, scale):
    X = BOTH[kind] * scale
    assert np.isfinite(features(X)).all()


@pytest.mark.parametrize("exponent", [20, -40])
def test_the_unit_of_the_data_does_not_matter(exponent):
    # Powers of two scale floats without rounding.
    X = VECTORS.astype(np.float32)
    np.testing.assert_array_equal(features(X * np.float32(2.0**exponent)), features(X))


def test_values_far_from_zero_give_finite_features():
    assert np.isfinite(features(VECTORS + 1e6)).all()


# --- Before fit ---


@pytest.mark.parametrize("method", ["transform", "encode", "score"])
def test_nothing_can_be_asked_before_fit(method):
    with pytest.raises(NotFittedError, match=r"not fitted yet. Call 'fit'"):
        getattr(make(), method)(VECTORS)


def test_there_are_no_names_of_features_before_fit():
    with pytest.raises(NotFittedError, match=r"not fitted yet. Call 'fit'"):
        make().get_feature_names_out()
