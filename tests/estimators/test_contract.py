"""What the transformer promises beyond scikit-learn's own checks."""

import copy
import io
import pickle
from functools import cache

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_html_repr
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.critics import DotCritic
from skdim.encoders import LAYERS
from tests.estimators.helpers import weights_of

DRAWS = np.random.default_rng(0)
# More than two of the chunks in which transform encodes. Whole numbers fit every type of number.
ROWS = DRAWS.integers(0, 100, (150, 6)).astype(np.float32)
IMAGES = DRAWS.integers(0, 100, (40, 3, 8, 8)).astype(np.float32)
GREY = IMAGES[:, 0]
NAMES = [f"column {i}" for i in range(6)]
# All that draws at random during a training.
RANDOM_PARTS = {
    "batch_size": 8,
    "negatives": 2,
    "global_weight": 0.5,
    "prior_weight": 0.1,
    "view": "augment",
}

patient = settings(deadline=None, max_examples=10)
rows_and_images = pytest.mark.parametrize("X", [ROWS, IMAGES], ids=["rows", "images"])


def brief(**parameters):
    defaults = {"n_components": 4, "max_epochs": 2, "batch_size": 32, "random_state": 0}
    return DeepInfoMaxTransformer(**defaults | parameters)


def snapshot(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def assert_same_state(module, state):
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, state[name]), name


class HalvesEncoder(nn.Module):
    """Two halves of a row as local features, and a code of both."""

    def __init__(self):
        super().__init__()
        self.to_local = nn.Linear(3, 5)
        self.to_code = nn.Linear(10, 4)

    def forward(self, x):
        local = self.to_local(x.reshape(len(x), 2, 3)).relu()
        return local.mT, self.to_code(local.flatten(1))


# ---------------------------------------------------------------------------------------------
# Parameters


def test_clone_of_a_fitted_one_is_unfitted_with_equal_parameters():
    fitted = brief(bound="jsd").fit(ROWS)
    cloned = clone(fitted)

    assert cloned.get_params() == fitted.get_params()
    assert not [name for name in vars(cloned) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        cloned.transform(ROWS)


def test_modules_given_as_parameters_are_not_trained():
    encoder, critic = HalvesEncoder(), DotCritic(4, 5, units=8)
    before = snapshot(encoder), snapshot(critic)
    dim = brief(encoder=encoder, critic=critic).fit(ROWS)

    assert dim.encoder is encoder
    assert_same_state(encoder, before[0])
    assert_same_state(critic, before[1])
    trained = dict(dim.encoder_.named_parameters())
    assert not any(torch.equal(w, v) for w in trained.values() for v in before[0].values())
    assert_same_state(clone(dim).encoder, before[0])


def test_set_params_after_fit_changes_nothing_before_the_next_fit():
    dim = brief().fit(ROWS)
    before = dim.transform(ROWS), dim.score(ROWS), dim.encode(ROWS), dim.get_feature_names_out()
    dim.set_params(
        n_components=3, output="hidden", local_weight=5.0, bound="dv", negatives="shift",
        batch_size=7, image_shape=(2, 3), random_state=1,
    )  # fmt: skip
    after = dim.transform(ROWS), dim.score(ROWS), dim.encode(ROWS), dim.get_feature_names_out()

    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)

    changed = dim.set_params(image_shape=None, output="code").fit(ROWS)
    assert changed.transform(ROWS).shape == (150, 3)


@pytest.mark.parametrize("parameters", [{}, {"max_epochs": 7, "bound": "dv"}])
def test_representations_work_before_and_after_fit(parameters):
    dim = DeepInfoMaxTransformer(**parameters)
    for name, value in parameters.items():
        assert f"{name}={value!r}" in repr(dim)
    before = estimator_html_repr(dim)
    after = estimator_html_repr(brief(**parameters | {"max_epochs": 1}).fit(ROWS))

    assert "DeepInfoMaxTransformer" in before
    assert "Not fitted" in before
    assert "Not fitted" not in after


# ---------------------------------------------------------------------------------------------
# Randomness


def test_two_fits_with_one_seed_are_equal_to_the_bit():
    dim, X = brief(**RANDOM_PARTS), IMAGES[:16]
    first = weights_of(dim.fit(X)), dim.transform(X)
    again = weights_of(dim.fit(X)), dim.transform(X)
    other = weights_of(brief(**RANDOM_PARTS).fit(X))

    assert first[0] == again[0] == other
    np.testing.assert_array_equal(first[1], again[1])


def test_another_seed_gives_other_weights():
    assert weights_of(brief().fit(ROWS)) != weights_of(brief(random_state=1).fit(ROWS))


def test_a_random_state_instance_moves_on_with_each_fit():
    dim = brief(random_state=np.random.RandomState(0))
    first, second = dim.fit_transform(ROWS), dim.fit_transform(ROWS)
    replayed = brief(random_state=np.random.RandomState(0)).fit_transform(ROWS)

    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, replayed)


def test_no_seed_differs_from_fit_to_fit():
    dim = brief(random_state=None)

    assert not np.array_equal(dim.fit_transform(ROWS), dim.fit_transform(ROWS))


# Without a seed, three epochs may by chance learn nothing.
@pytest.mark.filterwarnings("ignore:.*learnt nothing:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.usefixtures("global_random_state_untouched")
@pytest.mark.parametrize(
    ("random_state", "parts"),
    [(0, {}), (None, {"encoder": HalvesEncoder()})],
    ids=["own", "foreign"],
)
def test_global_random_states_stay_as_they_were(random_state, parts):
    dim = brief(random_state=random_state, negatives=2, prior_weight=0.1, **parts)
    dim.fit(ROWS).partial_fit(ROWS)
    dim.fit_transform(ROWS)
    dim.encode(ROWS)
    dim.score(ROWS)


def test_global_random_states_do_not_matter():
    dim = brief(negatives=2, prior_weight=0.1)
    torch.manual_seed(1)
    first = weights_of(dim.fit(ROWS))
    torch.manual_seed(2)

    assert weights_of(dim.fit(ROWS)) == first


# ---------------------------------------------------------------------------------------------
# Input


@pytest.mark.parametrize(
    ("given", "parameters"),
    [
        (IMAGES.reshape(40, -1), {"image_shape": (3, 8, 8)}),
        (list(IMAGES), {}),
        (IMAGES.tolist(), {}),
        (torch.from_numpy(IMAGES), {}),
        (torch.from_numpy(IMAGES).to(torch.uint8), {"channel_axis": 1}),
        (IMAGES.transpose(0, 2, 3, 1), {}),
        (np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)), {"channel_axis": -1}),
        (IMAGES.transpose(0, 2, 3, 1).reshape(40, -1), {"image_shape": (8, 8, 3)}),
    ],
    ids=["flat", "list", "nested lists", "tensor", "uint8 tensor", "channels last view",
         "channels last", "flat channels last"],
)  # fmt: skip
def test_one_set_of_images_in_any_form_gives_one_result(given, parameters):
    dim = brief(**parameters, max_epochs=1).fit(given)
    codes, score = codes_and_score(IMAGES.tobytes(), IMAGES.shape)

    assert dim.image_shape_ == (3, 8, 8)
    assert dim.n_features_in_ == 192
    np.testing.assert_array_equal(dim.transform(given), codes)
    assert dim.score(given) == score


def test_grey_images_need_no_channel():
    forms = [GREY, GREY[:, None], GREY[..., None]]
    fitted = [brief(max_epochs=1).fit(form) for form in forms]
    flat = brief(max_epochs=1, image_shape=(8, 8)).fit(GREY.reshape(40, -1))
    codes = [dim.transform(form) for dim in [*fitted, flat] for form in forms]

    for other in codes[1:]:
        np.testing.assert_array_equal(other, codes[0])


DTYPES = [bool, np.uint8, np.int8, np.uint16, np.int32, np.int64, np.float16, np.float32,
          np.float64, ">f4", ">i2"]  # fmt: skip
LAYOUTS = {
    "fortran": np.asfortranarray,
    "rows backwards": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "columns backwards": lambda X: np.ascontiguousarray(X[..., ::-1])[..., ::-1],
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "part of a wider array": lambda X: np.repeat(X, 2, axis=-1)[..., ::2],
    "float64 fortran": lambda X: np.asfortranarray(X.astype(np.float64)),
    "bytes": lambda X: np.asfortranarray(X.astype(np.uint8)),
}


@cache
def codes_and_score(content, shape):
    """Fit on float32 of any layout once."""
    X = np.frombuffer(content, np.float32).reshape(shape)
    dim = brief(max_epochs=1).fit(X)
    return dim.transform(X), dim.score(X)


def assert_read_as_float32(given):
    given = given[:40]
    before = given.copy()
    codes, score = codes_and_score(np.ascontiguousarray(given, np.float32).tobytes(), given.shape)
    dim = brief(max_epochs=1).fit(given)

    np.testing.assert_array_equal(dim.transform(given), codes)
    assert dim.transform(given).dtype == np.float32
    assert dim.score(given) == score
    np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_type_of_number_is_read_as_float32(dtype):
    assert_read_as_float32(ROWS.astype(dtype))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float16, np.float64, ">i2"], ids=str)
def test_images_of_any_type_of_number_are_read_as_float32(dtype):
    assert_read_as_float32(IMAGES.astype(dtype))


@rows_and_images
@pytest.mark.parametrize("lay_out", LAYOUTS.values(), ids=LAYOUTS)
def test_layout_in_memory_does_not_matter(X, lay_out):
    assert_read_as_float32(lay_out(X))


@pytest.mark.parametrize(("X", "mode"), [(ROWS, "r"), (IMAGES, "r+"), (ROWS, "c")], ids=str)
def test_memory_maps_are_read_and_not_written(X, mode, tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X)
    before = path.read_bytes()
    assert_read_as_float32(np.load(path, mmap_mode=mode))

    assert path.read_bytes() == before


def test_read_only_input_is_welcome():
    X = ROWS.copy()
    X.setflags(write=False)
    assert_read_as_float32(X)


# ---------------------------------------------------------------------------------------------
# Tables


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_tables_are_read_by_name(library):
    table = library.DataFrame(dict(zip(NAMES, ROWS.T, strict=True)))
    dim = brief().fit(table)

    assert dim.feature_names_in_.tolist() == NAMES
    np.testing.assert_array_equal(dim.transform(table), brief().fit_transform(ROWS))
    for method in (dim.transform, dim.encode, dim.score, dim.partial_fit):
        with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
            method(table[NAMES[::-1]])


def test_pandas_output_keeps_the_index():
    table = pd.DataFrame(ROWS, columns=NAMES, index=[f"row {i}" for i in range(len(ROWS))])
    dim = brief().fit(table)
    codes = dim.transform(table)
    framed = dim.set_output(transform="pandas").transform(table)

    assert framed.columns.tolist() == [f"deepinfomaxtransformer{i}" for i in range(4)]
    assert framed.index.equals(table.index)
    assert set(framed.dtypes) == {np.dtype(np.float32)}
    np.testing.assert_array_equal(framed.to_numpy(), codes)


def test_polars_output_names_its_columns():
    framed = brief().set_output(transform="polars").fit_transform(ROWS)

    assert framed.columns == [f"deepinfomaxtransformer{i}" for i in range(4)]
    np.testing.assert_array_equal(framed.to_numpy(), brief().fit_transform(ROWS))


# ---------------------------------------------------------------------------------------------
# Copies


@pytest.mark.parametrize("parameters", [{}, {"optimizer": "sgd", "prior_weight": 0.1}])
@rows_and_images
def test_a_pickle_holds_each_weight_once_and_no_data(X, parameters):
    dim = brief(**parameters).fit(X)
    n_bytes = sum(map(len, weights_of(dim).values()))

    assert n_bytes < len(pickle.dumps(dim)) < n_bytes + 60_000


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize(
    "copied", [lambda dim: pickle.loads(pickle.dumps(dim)), copy.deepcopy, through_joblib],
    ids=["pickle", "deepcopy", "joblib"],
)  # fmt: skip
def test_a_copy_is_the_same_and_goes_on_alike(copied):
    dim = brief(warm_start=True, negatives=2, critic={"local": "concat"}, critic_units=8)
    dim.fit(ROWS)
    twin = copied(dim)

    np.testing.assert_array_equal(twin.transform(ROWS), dim.transform(ROWS))
    assert twin.score(ROWS) == dim.score(ROWS)
    assert twin.history_ == dim.history_
    kept = weights_of(dim)
    went_on = weights_of(twin.fit(ROWS))
    assert weights_of(dim) == kept
    assert weights_of(dim.fit(ROWS)) == went_on


# ---------------------------------------------------------------------------------------------
# Features


@pytest.fixture(scope="module", params=["rows", "images"])
def fitted(request):
    """A transformer, samples it was not fitted on, and their features."""
    X = {"rows": ROWS, "images": np.repeat(IMAGES, 4, axis=0)}[request.param]
    new = np.random.default_rng(1).permuted(X, axis=0)[:150]
    dim = brief(max_epochs=1).fit(X)
    return dim, new, dim.transform(new)


@patient
@given(order=st.permutations(range(150)))
def test_transform_follows_the_order_of_the_rows(fitted, order):
    dim, X, features = fitted
    np.testing.assert_array_equal(dim.transform(X[order]), features[order])


@patient
@given(cuts=st.lists(st.integers(1, 149), unique=True, max_size=9).map(sorted))
def test_transform_does_not_depend_on_how_the_rows_are_cut(fitted, cuts):
    dim, X, features = fitted
    chunks = [dim.transform(part) for part in np.split(X, cuts)]
    np.testing.assert_array_equal(np.concatenate(chunks), features)


@patient
@given(chosen=st.lists(st.integers(0, 149), min_size=1, max_size=200))
def test_features_of_a_row_do_not_depend_on_its_neighbours(fitted, chosen):
    dim, X, features = fitted
    np.testing.assert_array_equal(dim.transform(X[chosen]), features[chosen])


def test_transform_changes_no_statistics(fitted):
    dim, X, features = fitted
    before = weights_of(dim)
    for _ in range(3):
        dim.transform(X + 50)
        dim.score(X + 50)

    assert weights_of(dim) == before
    np.testing.assert_array_equal(dim.transform(X), features)


@rows_and_images
@pytest.mark.parametrize("output", LAYERS)
def test_each_layer_can_be_given(X, output):
    X = X[:80]
    code = brief(max_epochs=1).fit(X)
    dim = brief(max_epochs=1, output=output).fit(X)
    encoded, features = dim.encode(X), dim.transform(X)

    assert weights_of(dim) == weights_of(code)
    assert encoded.device == dim.device_
    assert (encoded.ndim > 2) == (output in {"local", "conv"})
    np.testing.assert_array_equal(features, encoded.flatten(1).numpy())
    np.testing.assert_array_equal(encoded, code.encode(X, output))
    assert features.shape == (len(X), len(dim.get_feature_names_out()))
    assert features.flags.c_contiguous
    with torch.no_grad():
        direct = getattr(dim.encoder_(torch.from_numpy(X)), output)
    torch.testing.assert_close(encoded, direct)


def test_several_layers_are_encoded_at_once_as_one_by_one():
    dim = brief(max_epochs=1).fit(ROWS)
    layers = dim.encode_layers(ROWS, *LAYERS)
    for name, features in zip(LAYERS, layers, strict=True):
        np.testing.assert_array_equal(features, dim.encode(ROWS, name))
    with pytest.raises(ValueError, match=r"output=array.* is not a layer"):
        dim.encode(ROWS, np.array(["code", "hidden"]))
    with pytest.raises(ValueError, match="output='depth' is not a layer"):
        dim.encode_layers(ROWS, "code", "depth")


def test_an_error_about_complex_numbers_does_not_contain_them():
    with pytest.raises(ValueError, match="Complex data not supported") as caught:
        brief().fit(ROWS + 1j)
    assert len(str(caught.value)) < 100


def test_encoder_is_handed_over_in_evaluation_mode():
    assert not any(module.training for module in brief().fit(ROWS).encoder_.modules())
