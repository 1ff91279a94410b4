"""What is given wrongly is refused in words, before any training; what is odd but right works."""

import inspect
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import Callback
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS
from skdim.critics import DotCritic
from skdim.encoders import Features

N, D, SIDE = 20, 6, 8

draw = np.random.default_rng(0)
VECTORS = draw.normal(size=(N, D))
IMAGES = draw.normal(size=(N, SIDE, SIDE))
CHANNELS_FIRST = draw.normal(size=(N, 3, SIDE, SIDE))
CHANNELS_LAST = np.moveaxis(CHANNELS_FIRST, 1, -1)
BOTH = {"vectors": VECTORS, "images": IMAGES}

vectors_and_images = pytest.mark.parametrize("kind", BOTH)
fit_and_transform = pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score"])


def make(**params):
    given = {"n_components": 4, "max_epochs": 1, "batch_size": 8, "random_state": 0}
    return DeepInfoMaxTransformer(**given | params)


def features(X, **params):
    return make(**params).fit(X).transform(X)


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
        (IMAGES[:, None, None], r"X has shape \(20, 1, 1, 8, 8\). Expected \(n, features\)"),
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
    with pytest.raises(ValueError, match=r"\(C, H, W\) and as \(H, W, C\). .* channel_axis=1 "):
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
        ("images", IMAGES[:, 1:], "X has 56 features, but DeepInfoMax.* is expecting 64 features"),
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
        given = features(X)
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


# --- Parameters ---

NAN, INF = float("nan"), float("inf")
ARRAYS = [[1, 2], np.array([1, 2]), np.array(1)]
NO_INT = [-1, 0, 1.5, "x", NAN, INF, None, True, 1j, *ARRAYS]
NO_FLOAT = [-1, "x", NAN, INF, -INF, None, True, 1j, *ARRAYS]
NO_BOOL = [-1, 0, 1, 1.0, "x", NAN, INF, None, *ARRAYS]
NO_NAME = [-1, 0, 1, "x", "", NAN, INF, True, *ARRAYS]

WRONG = {
    "n_components": NO_INT,
    "image_shape": [
        *[-1, 0, "x", NAN, INF, True, np.array([8, 8])],
        *[(), (8,), (8, 0), [-8, 8], (8, 8.0), (8, True), (8, "x"), (1, 1, 8, 8)],
    ],
    "channel_axis": [0, 2, -2, 1.0, "x", NAN, INF, True, *ARRAYS],
    "encoder": [*NO_NAME, None],
    "output": [*NO_NAME, None],
    "global_weight": NO_FLOAT,
    "local_weight": NO_FLOAT,
    "prior_weight": NO_FLOAT,
    "coordinate_weight": NO_FLOAT,
    "relative_coordinate_weight": NO_FLOAT,
    "classifier_weight": NO_FLOAT,
    "classifier_layer": [*NO_NAME, None],
    "bound": [*NO_NAME, None, len],
    "critic": [*NO_NAME, None, {"local": "x"}, {"else": "dot"}, nn.Linear(2, 2)],
    "critic_units": NO_INT,
    "negatives": NO_INT,
    "prior": [*NO_NAME, None, len],
    "view": NO_NAME,
    "max_epochs": NO_INT,
    "batch_size": [*NO_INT, 1],
    "learning_rate": [*NO_FLOAT, 0, 0.0],
    "optimizer": [*NO_NAME, None],
    "schedule": [*NO_NAME, None, len],
    "validation_fraction": [-1, 0, 1, 1.5, "x", NAN, INF, True, *ARRAYS],
    "early_stopping": NO_BOOL,
    "n_iter_no_change": NO_INT,
    "tol": NO_FLOAT,
    "warm_start": NO_BOOL,
    "random_state": [-1, 2**32, 1.5, "x", NAN, INF, True, np.random.default_rng(0), *ARRAYS],
    "device": [-1, 0, NAN, INF, None, True, *ARRAYS],
    "precision": [*NO_NAME, None, "float64", "half"],
    "compile": [-1, 0, 1.5, "x", NAN, INF, None, *ARRAYS],
    "callbacks": [-1, 0, "x", NAN, True, [1], ["x"], [None], [("name", 1)], [(1, 2, 3)], len],
    "verbose": [-1, 1.5, "x", NAN, INF, None, *ARRAYS],
    "checkpoint_dir": [-1, 0, 1.5, NAN, True, len, *ARRAYS],
    "checkpoint_every": NO_INT,
}


def test_every_parameter_of_the_constructor_is_tried():
    assert list(WRONG) == list(inspect.signature(DeepInfoMaxTransformer).parameters)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_parameter_is_refused_by_its_name_at_fit_and_not_before(name, value):
    model = make(**{name: value})
    assert model.get_params()[name] is value
    said = rf"'{name}' parameter of DeepInfoMaxTransformer must be .+\. Got "
    with pytest.raises(ValueError, match=said + f"{re.escape(repr(value))} instead"):
        model.fit(VECTORS)
    with pytest.raises(ValueError, match=said):
        model.partial_fit(VECTORS)


IMAGE_ROWS = IMAGES.reshape(N, -1)


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("n_components", 5, np.int64),
        ("n_components", 5, np.uint8),
        ("channel_axis", 1, np.int64),
        ("global_weight", 0.5, np.float32),
        ("global_weight", 1, np.int64),
        ("local_weight", 0.5, np.float64),
        ("local_weight", 0.5, np.float16),
        ("prior_weight", 0.5, np.float32),
        ("bound", "jsd", np.str_),
        ("critic_units", 8, np.int32),
        ("negatives", 2, np.int64),
        ("max_epochs", 2, np.int64),
        ("batch_size", 5, np.int64),
        ("learning_rate", 0.5**10, np.float32),
        ("learning_rate", 0.5**10, np.float64),
        ("validation_fraction", 0.25, np.float32),
        ("early_stopping", True, np.bool_),
        ("n_iter_no_change", 1, np.int64),
        ("tol", 0.5, np.float32),
        ("warm_start", True, np.bool_),
        ("random_state", 3, np.uint32),
        ("verbose", 0, np.int64),
        ("verbose", False, np.bool_),
    ],
)
def test_numpy_scalars_do_what_plain_numbers_do(name, value, kind):
    plain, scalar = make(**{name: value}), make(**{name: kind(value)})
    np.testing.assert_array_equal(
        scalar.fit(VECTORS).transform(VECTORS), plain.fit(VECTORS).transform(VECTORS)
    )
    assert list(scalar.history_) == list(plain.history_)


def test_numpy_scalars_do_as_sides_of_an_image():
    scalars = tuple(np.array([SIDE, SIDE]))
    np.testing.assert_array_equal(
        features(IMAGE_ROWS, image_shape=scalars), features(IMAGE_ROWS, image_shape=(SIDE, SIDE))
    )


def test_no_term_at_all_is_refused():
    said = r"global_weight, local_weight, prior_weight, .* and classifier_weight are all 0"
    with pytest.raises(ValueError, match=said):
        make(global_weight=0, local_weight=0.0, prior_weight=0).fit(VECTORS)


@pytest.mark.parametrize("device", ["cuda:99", torch.device("cuda:99"), "meta"])
def test_a_device_that_is_not_there_is_refused_without_a_fallback(device):
    with pytest.raises(ValueError, match=f"device={re.escape(repr(device))} cannot be used here"):
        make(device=device).fit(VECTORS)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_cuda_is_refused_without_a_fallback():
    with pytest.raises(ValueError, match=r"device='cuda' .* sees 0 CUDA devices. Use device='auto"):
        make(device="cuda").fit(VECTORS)


@pytest.mark.parametrize("device", ["x", "cuda:x", "", "cpu:cpu"])
def test_a_name_that_is_no_device_is_refused(device):
    with pytest.raises(ValueError, match=f"device={device!r} is no device. Use 'auto', 'cpu'"):
        make(device=device).fit(VECTORS)


@pytest.mark.parametrize(
    ("n", "params", "said"),
    [
        (N, {"validation_fraction": 0.01}, r"0.01 of 20 samples holds out 0. At least 2"),
        (N, {"validation_fraction": 0.99}, r"0.99 of 20 samples holds out 20. At least 2"),
        (5, {"early_stopping": True}, r"validation_fraction=0.1 of 5 samples holds out 0"),
        (
            N,
            {"early_stopping": True, "local_weight": 0, "prior_weight": 1},
            "need a term that measures information. Give local_weight or global_weight",
        ),
    ],
)
def test_holding_out_what_cannot_be_scored_is_refused(n, params, said):
    with pytest.raises(ValueError, match=said):
        make(**params).fit(VECTORS[:n])


def test_a_score_without_a_term_that_measures_is_refused():
    model = make(local_weight=0, prior_weight=1).fit(VECTORS)
    with pytest.raises(ValueError, match=r"has no score: .* Give local_weight or global_weight"):
        model.score(VECTORS)


def test_augmenting_vectors_is_refused():
    with pytest.raises(ValueError, match=r"'augment' is a view of images, but .* 6 features"):
        make(view="augment").fit(VECTORS)


@pytest.mark.parametrize(
    ("view", "given"),
    [
        (lambda x, generator: x, r"a tensor of shape \(2, 6\)"),
        (lambda x, generator: None, "an object of type NoneType"),
        (lambda x, generator: (), "a tuple of 0"),
        (lambda x, generator: (x[:, :2],), r"a tuple of 1: a tensor of shape \(2, 2\)"),
        (lambda x, generator: (x, x.numpy()), r"a tuple of 2: .* type ndarray"),
    ],
)
def test_a_view_that_gives_no_looks_is_refused_in_words(view, given):
    with pytest.raises(ValueError, match=f"view=.* gave {given}.* must give a tuple of tensors"):
        make(view=view).fit(VECTORS)


# --- Modules of one's own ---


class Net(nn.Module):
    def __init__(self, outcome):
        super().__init__()
        self.linear = nn.Linear(D, 4)
        self.outcome = outcome

    def forward(self, x):
        return self.outcome(self.linear(x))


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [
        (lambda h: h, TypeError, r"gave a tensor of shape \(2, 4\). It must give"),
        (lambda h: None, TypeError, "gave an object of type NoneType. It must give"),
        (lambda h: {"code": h}, TypeError, "gave an object of type dict. It must give"),
        (lambda h: h.numpy(), TypeError, "gave an object of type ndarray. It must give"),
        (lambda h: (h, h, h), TypeError, "gave a tuple of 3: .* It must give"),
        (lambda h: (h, h.numpy()), TypeError, "gave a tuple of 2: .* ndarray. It must give"),
        (lambda h: (h[:1], h), ValueError, r"'local' of shape \(1, 4\) for 2 samples"),
        (lambda h: (h[:, :0], h), ValueError, r"'local' of shape \(2, 0\) .* not be empty"),
        (lambda h: (h, h[:, 0]), ValueError, r"'code' of shape \(2,\) for 2 samples"),
        (lambda h: (h.mean(), h), ValueError, r"'local' of shape \(\) for 2 samples"),
        (lambda h: (h, h.mean(0)), ValueError, r"'code' of shape \(4,\) for 2 samples"),
        (lambda h: Features(h, h[0], h, h), ValueError, r"'conv' of shape \(4,\) for 2 samples"),
        (lambda h: (h * NAN, h), ValueError, "'local' with numbers that are not finite"),
        (lambda h: (h, h / 0), ValueError, "'code' with numbers that are not finite"),
        (lambda h: (h.long(), h), ValueError, "'local' with numbers that are not finite floats"),
        (lambda h: h @ h, ValueError, r"failed on two samples of shape \(6,\): mat1 and mat2"),
    ],
)
def test_a_module_that_gives_no_features_is_refused_by_its_name(outcome, error, said):
    with pytest.raises(error, match=f"The encoder Net (gave )?{said}"):
        make(encoder=Net(outcome)).fit(VECTORS)


def test_a_module_for_other_samples_is_refused_by_its_name():
    with pytest.raises(ValueError, match=r"The encoder Linear failed on two samples of shape \(6,"):
        make(encoder=nn.Linear(D + 1, 3)).fit(VECTORS)


@pytest.mark.parametrize("made", [3, None, nn.Linear])
def test_a_callable_that_makes_no_module_is_refused(made):
    with pytest.raises(
        TypeError, match=r"encoder=.* gave an object of type \w+. It must give a to"
    ):
        make(encoder=lambda input_shape, n_components: made).fit(VECTORS)


@pytest.mark.parametrize("term", ["local", "global"])
def test_a_critic_of_other_sizes_is_refused(term):
    model = make(critic={term: DotCritic(3, 5, 4)}, local_weight=1, global_weight=1)
    said = rf"The critic DotCritic of the {term} term cannot score codes of shape \(\d+,\)"

    with pytest.raises(ValueError, match=said):
        model.fit(VECTORS)


def test_an_optimizer_that_wants_a_closure_is_refused():
    with pytest.raises(ValueError, match="optimizer=LBFGS computes the loss of each batch several"):
        make(optimizer=torch.optim.LBFGS).fit(VECTORS)


def test_a_callable_that_makes_no_critic_is_refused():
    with pytest.raises(TypeError, match=r"critic=.* gave an object of type Linear. It must give a"):
        make(critic=lambda code_features, local_features: nn.Linear(2, 2)).fit(VECTORS)


# --- Before fit ---


@pytest.mark.parametrize("method", ["transform", "encode", "score"])
def test_nothing_can_be_asked_before_fit(method):
    with pytest.raises(NotFittedError, match=r"not fitted yet. Call 'fit'"):
        getattr(make(), method)(VECTORS)


def test_there_are_no_names_of_features_before_fit():
    with pytest.raises(NotFittedError, match=r"not fitted yet. Call 'fit'"):
        make().get_feature_names_out()
