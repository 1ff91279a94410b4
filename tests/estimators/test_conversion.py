"""Numbers that float32 cannot discriminate keep their differences, or draw a warning."""

import numpy as np
import pandas as pd
import pytest

import skdim
from skdim import DeepInfoMaxTransformer
from skdim.inputs import Stream
from skdim.metrics import OnlineProbe
from tests.inputs.datasets import Items

N = 200
ROUNDING = 1e-4
draw = np.random.default_rng(0)
NEAR = np.column_stack([draw.normal(size=(N, 3)), 0.3 * np.arange(N)])
OFFSETS = {"seconds": 1.7e9, "metres": -5.2e6, "milliseconds": 1.7e12}
IMAGES = np.round(draw.normal(size=(N, 8, 8, 3)), 4)
# As given to each method.
GIVE = {
    "array": np.asarray,
    "fortran": np.asfortranarray,
    "list": np.ndarray.tolist,
    "table": lambda X: pd.DataFrame(X).to_numpy(),
    "stream": Stream,
    "data set": Items,
    "stream with a worker": lambda X: Stream(X, n_workers=1),
}


def make(**params):
    settings = {"n_components": 4, "max_epochs": 1, "random_state": 0}
    return DeepInfoMaxTransformer(**settings | params)


def far_from(X, offset):
    return X + np.array([0, 0, 0, offset])


FAR = far_from(NEAR, OFFSETS["seconds"])


@pytest.fixture(scope="module")
def fitted():
    return make().fit(FAR)


@pytest.mark.parametrize("offset", OFFSETS.values(), ids=OFFSETS)
def test_an_offset_of_a_column_does_not_matter(offset):
    near = make().fit(NEAR).transform(NEAR)
    X = far_from(NEAR, offset)
    atol = max(ROUNDING, abs(offset) * 1e-15)

    np.testing.assert_allclose(make().fit(X).transform(X), near, atol=atol)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_an_offset_of_integers_does_not_matter(dtype):
    near = np.arange(2 * N).reshape(N, 2) % 91
    X = (near + 1_700_000_000_000_000).astype(dtype)

    codes = make().fit(near).transform(near)
    np.testing.assert_allclose(make().fit(X).transform(X), codes, atol=ROUNDING)


def test_an_offset_of_a_channel_does_not_matter():
    far = IMAGES + np.array([0, 1e9, 0])
    near = make(view=None).fit(IMAGES).transform(IMAGES)

    np.testing.assert_allclose(make(view=None).fit(far).transform(far), near, atol=1e-3)


def test_tiny_values_do_not_become_zero():
    # Powers of two scale floats without rounding.
    X = NEAR.astype(np.float32).astype(np.float64)
    tiny = X * np.array([1, 1, 1, 2.0**-300])

    codes = make().fit(X).transform(X)
    np.testing.assert_allclose(make().fit(tiny).transform(tiny), codes, atol=ROUNDING)


@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("give", GIVE.values(), ids=GIVE)
def test_the_offset_does_not_matter_however_numbers_are_given(fitted, give):
    other = make().fit(give(FAR))

    np.testing.assert_array_equal(other.transform(FAR), fitted.transform(give(FAR)))
    assert other.score(give(FAR)) == fitted.score(FAR)


@pytest.mark.parametrize("give", [Stream, np.asarray, lambda mapped: mapped])
def test_memory_maps_are_converted(fitted, give, tmp_path):
    np.save(tmp_path / "X.npy", FAR)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")

    np.testing.assert_array_equal(fitted.transform(give(mapped)), fitted.transform(FAR))


def mapped(X, folder):
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("X", [NEAR, FAR, np.arange(6 * N).reshape(-1, 6), IMAGES], ids=range(4))
def test_a_fit_on_a_memory_map_is_that_on_the_array(X, tmp_path):
    X = X[:N]
    model, other = (make(checkpoint_dir=tmp_path / "runs") for _ in range(2))
    model.fit(mapped(X, tmp_path))

    np.testing.assert_array_equal(model.transform(X), make().fit(X).transform(X))
    other.fit(X)  # Its checkpoints are the same.
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.mark.parametrize(
    ("value", "said"), [(np.nan, "Input X contains NaN"), (1e39, "X contains infinity or a value")]
)
def test_memory_maps_are_checked_to_the_end(fitted, value, said, tmp_path):
    X = np.tile(FAR, (400, 1))
    X[-1, -1] = value
    for call in (make().fit, fitted.transform):
        with pytest.raises(ValueError, match=said):
            call(mapped(X, tmp_path))
    for rows, error in ((X[:1], "Found array with 1 sample"), (X[:5, :0], "0 feature")):
        with pytest.raises(ValueError, match=error):
            make().fit(mapped(rows, tmp_path))
    with pytest.raises(ValueError, match="X has 3 features"):
        fitted.transform(mapped(FAR[:, :3], tmp_path))


def test_the_offset_is_in_files(fitted, tmp_path):
    fitted.save(tmp_path / "model.skdim")

    np.testing.assert_array_equal(
        skdim.load(tmp_path / "model.skdim").transform(FAR), fitted.transform(FAR)
    )


def test_online_probes_see_the_samples_of_the_training():
    y = np.arange(N) < N // 2
    X = np.column_stack([np.arange(N) + 1.7e9] * 4)
    dim = make(max_epochs=3, callbacks=[OnlineProbe(X, y)]).fit(X)

    assert dim.history_["probe_code"][-1] > 0.9


@pytest.mark.parametrize("X", [NEAR, NEAR + 100, far_from(NEAR, 1e4).astype(np.float32)])
def test_other_numbers_are_rounded_as_they_are(X):
    dim = make().fit(X)

    assert "_conversion" not in vars(dim)
    np.testing.assert_array_equal(dim.read_samples(X), X.astype(np.float32))


def test_what_rounding_errors_make_of_a_constant_stays_constant():
    X = NEAR.copy()
    X[:, 3] = 0.1 + 1e-17 * np.arange(N)
    X[::2, 3] = np.nextafter(X[0, 3], 1)

    assert "_conversion" not in vars(make().fit(X))


@pytest.mark.parametrize("signs", [1, (-1) ** np.arange(N)], ids=["positive", "both signs"])
def test_the_largest_numbers_do_not_become_equal(signs):
    X = np.column_stack([np.arange(N) % 7, signs * np.linspace(2e38, 3.4e38, N)])

    make().fit(X)  # A warning would be an error.


IDS = 2**60 + np.arange(N)
# Standardised by its outlier, all others are the same number.
OUTLIER = np.r_[1e-12 * np.arange(N - 1), 1e9]


@pytest.mark.parametrize("column", [IDS, OUTLIER], ids=["ids", "outlier"])
def test_columns_whose_values_become_equal_are_named(column):
    X = np.column_stack([np.arange(N) % 7, column])

    with pytest.warns(
        UserWarning, match=r"X become equal .* float32: column 1 \(200 become [12]\)"
    ):
        make().fit(X)
