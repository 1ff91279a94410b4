"""Arrays become rows, rows become samples, and nothing is copied that need not be."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skdim.inputs import Layout, Rows, Standardise, channel_statistics, find_layout, flatten_rows

patient = settings(deadline=None)  # The machine may be busy.
FIRST, LAST = 1, -1


def rng(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------------------------------------
# What the samples of an array are


@pytest.mark.parametrize(
    ("shape", "sample", "channels_last"),
    [
        ((5, 13), (13,), False),
        ((5, 1), (1,), False),
        ((5, 8, 10), (1, 8, 10), False),
        ((5, 3, 8, 8), (3, 8, 8), False),
        ((5, 8, 8, 3), (3, 8, 8), True),
        ((5, 1, 8, 10), (1, 8, 10), False),
        ((5, 8, 10, 1), (1, 8, 10), True),
        ((5, 4, 9, 7), (4, 9, 7), False),
        ((5, 9, 7, 4), (4, 9, 7), True),
        # No axis is small: the odd one out beside two equal sides is the channels.
        ((5, 8, 8, 16), (16, 8, 8), True),
        ((5, 16, 8, 8), (16, 8, 8), False),
        ((5, 5, 32, 32), (5, 32, 32), False),
        # Both ends are small: likewise.
        ((5, 3, 4, 4), (3, 4, 4), False),
        ((5, 4, 4, 3), (3, 4, 4), True),
        # A small axis goes before two equal sides.
        ((5, 3, 3, 32), (3, 3, 32), False),
    ],
)
def test_layout_is_read_off_the_shape(shape, sample, channels_last):
    layout = find_layout(shape)

    assert layout == Layout(sample, channels_last)
    assert layout.given_shape == (shape[1:] if len(shape) != 3 else (1, *shape[1:]))
    assert layout.n_features == np.prod(shape[1:])
    assert layout.is_image == (len(shape) > 2)


AMBIGUOUS = [(3, 32, 3), (4, 4, 4), (2, 9, 3), (16, 16, 16), (8, 10, 16), (5, 6, 7)]


@pytest.mark.parametrize("sample", AMBIGUOUS, ids=str)
def test_ambiguous_images_are_refused_and_channel_axis_decides(sample):
    shape = (7, *sample)

    with pytest.raises(ValueError, match=r"channel_axis=1 .* or channel_axis=-1") as raised:
        find_layout(shape)
    assert str(sample) in str(raised.value)
    assert find_layout(shape, channel_axis=FIRST) == Layout(sample)
    assert find_layout(shape, channel_axis=LAST) == Layout((sample[2], *sample[:2]), True)


@pytest.mark.parametrize("shape", [(5, 3, 8, 8), (5, 8, 8, 3)])
def test_channel_axis_goes_before_inference(shape):
    assert find_layout(shape, channel_axis=FIRST) == Layout(shape[1:])
    assert find_layout(shape, channel_axis=LAST) == Layout((shape[3], *shape[1:3]), True)


@pytest.mark.parametrize(
    ("shape", "image_shape", "layout"),
    [
        ((5, 80), (8, 10), Layout((1, 8, 10))),
        ((5, 192), (3, 8, 8), Layout((3, 8, 8))),
        ((5, 192), [8, 8, 3], Layout((3, 8, 8), True)),
        ((5, 8, 10), (8, 10), Layout((1, 8, 10))),
        ((5, 8, 10), (1, 8, 10), Layout((1, 8, 10))),
        ((5, 8, 10), (8, 10, 1), Layout((1, 8, 10), True)),
        ((5, 8, 8, 3), (8, 8, 3), Layout((3, 8, 8), True)),
        ((5, 192), np.array([3, 8, 8]), Layout((3, 8, 8))),
    ],
)
def test_image_shape_says_what_rows_are(shape, image_shape, layout):
    assert find_layout(shape, image_shape) == layout


@pytest.mark.parametrize(
    ("shape", "image_shape", "text"),
    [
        ((5, 100), (8, 8), r"image_shape=\(8, 8\) has 64 pixels, but the rows of X have 100"),
        ((5, 8, 10), (10, 8), r"contradicts .* \(8, 10\)\. The axes stand in another order"),
        ((5, 3, 8, 8), (8, 8, 3), r"contradicts .* \(3, 8, 8\)\. The axes stand in another order"),
        ((5, 3, 8, 8), (3, 9, 9), r"contradicts the samples of X, which have shape \(3, 8, 8\)\.$"),
    ],
)
def test_contradicting_image_shape_is_refused(shape, image_shape, text):
    with pytest.raises(ValueError, match=text):
        find_layout(shape, image_shape)


@pytest.mark.parametrize("shape", [(5,), (5, 2, 3, 4, 5)])
def test_arrays_of_other_dimensions_are_refused(shape):
    with pytest.raises(ValueError, match=r"X has shape .* Expected \(n, features\)"):
        find_layout(shape)


@pytest.mark.parametrize("sample", [(8, 10), (1, 8, 10), (8, 10, 1)])
@pytest.mark.parametrize("fitted", [Layout((1, 8, 10)), Layout((1, 8, 10), True)])
def test_axis_of_a_single_grey_channel_may_come_and_go(fitted, sample):
    fitted.check_same(sample)


@pytest.mark.parametrize(
    ("fitted", "sample"),
    [
        (Layout((1, 8, 10)), (10, 8)),
        (Layout((3, 8, 8)), (8, 8, 3)),
        (Layout((3, 8, 8), True), (3, 8, 8)),
        (Layout((3, 8, 8)), (8, 8)),
    ],
)
def test_samples_of_another_shape_than_fitted_are_refused(fitted, sample):
    with pytest.raises(ValueError, match="was fitted on samples of shape") as raised:
        fitted.check_same(sample)
    assert str(sample) in str(raised.value)
    assert str(fitted.given_shape) in str(raised.value)


@pytest.mark.parametrize("n", [1, 4])
def test_rows_are_arranged_channels_first(n):
    images = rng().normal(size=(n, 3, 5, 7)).astype(np.float32)
    flat_first = torch.from_numpy(images.reshape(n, -1))
    flat_last = torch.from_numpy(np.moveaxis(images, 1, -1).reshape(n, -1))

    assert np.array_equal(Layout((3, 5, 7)).arrange(flat_first), images)
    assert np.array_equal(Layout((3, 5, 7), True).arrange(flat_last), images)
    assert np.array_equal(Layout((105,)).arrange(flat_first), images.reshape(n, -1))


# ---------------------------------------------------------------------------------------------
# Images of any kind become rows


IMAGES = rng().integers(0, 256, (6, 4, 5, 3)).astype(np.uint8)


@pytest.mark.parametrize(
    "given_as",
    [np.asarray, torch.from_numpy, list, tuple, np.asfortranarray, np.ndarray.tolist],
    ids=["array", "tensor", "list", "tuple", "columns first", "nested lists"],
)
@pytest.mark.parametrize("images", [IMAGES, IMAGES[..., 0]], ids=["colour", "grey"])
def test_images_are_laid_out_as_rows(given_as, images):
    rows, shape = flatten_rows(given_as(images))

    assert shape == images.shape
    assert np.array_equal(rows, images.reshape(6, -1))


def test_flattening_an_array_shares_its_memory_and_type():
    rows, _ = flatten_rows(IMAGES)

    assert np.shares_memory(rows, IMAGES)
    assert rows.dtype == np.uint8


def test_tensors_with_gradients_are_taken_as_numbers():
    rows, shape = flatten_rows(torch.ones(2, 3, 4, requires_grad=True))

    assert shape == (2, 3, 4)
    assert rows.sum() == 24


def test_lists_of_tensors_are_stacked():
    rows, shape = flatten_rows([torch.zeros(3, 4), torch.ones(3, 4)])

    assert shape == (2, 3, 4)
    assert rows.sum(axis=1).tolist() == [0, 12]


def test_empty_array_of_images_has_rows_of_the_right_length():
    rows, shape = flatten_rows(np.zeros((0, 4, 5)))

    assert rows.shape == (0, 20)
    assert shape == (0, 4, 5)


@pytest.mark.parametrize(
    "table", [np.ones((3, 2)), np.ones(3), [1.0, 2.0], ["a", "b"], []], ids=repr
)
def test_what_is_no_image_is_left_to_scikit_learn(table):
    rows, shape = flatten_rows(table)

    assert rows is table
    assert shape is None


@pytest.mark.parametrize(
    ("thing", "kind"),
    [
        (None, "NoneType"),
        ("text", "str"),
        (b"bytes", "bytes"),
        ({"a": [1.0]}, "dict"),
        ({1.0, 2.0}, "set"),
        (iter([[1.0]]), "list_iterator"),
    ],
)
def test_what_holds_no_samples_in_an_order_is_refused(thing, kind):
    with pytest.raises(TypeError, match=f"X is of type {kind}. It must be an array, a table"):
        flatten_rows(thing)


def test_list_of_rows_is_a_table():
    rows, shape = flatten_rows([[1, 2], [3, 4], [5, 6]])

    assert np.array_equal(rows, [[1, 2], [3, 4], [5, 6]])
    assert shape is None


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        ([np.zeros((4, 4)), np.zeros((4, 4)), np.zeros((4, 5))], r"\(4, 4\) and \(4, 5\)"),
        ([[1, 2], [1, 2, 3]], r"\(2,\) and \(3,\)"),
        ([np.zeros((4, 4)), 1.0], r"\(4, 4\) and a single number"),
    ],
)
def test_lists_of_different_shapes_are_refused(samples, text):
    with pytest.raises(ValueError, match=f"different shapes: {text}"):
        flatten_rows(samples)


# ---------------------------------------------------------------------------------------------
# Rows are read by whole batches


N, LAYOUT = 10, Layout((3, 4, 5), channels_last=True)
TABLE = rng(1).integers(0, 256, (N, 60)).astype(np.uint8)
PICKED = torch.tensor([7, 0, 7, 9])


def on_disk(array, path):
    stored = np.lib.format.open_memmap(path, "w+", array.dtype, array.shape)
    stored[:] = array
    stored.flush()
    return np.load(path, mmap_mode="r")


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


SOURCES = {
    "plain": lambda array, path: array,
    "read-only": lambda array, path: read_only(array),
    "memory map": on_disk,
    "columns first": lambda array, path: np.asfortranarray(array),
    "every second": lambda array, path: np.repeat(array, 2, axis=0)[::2],
    "backwards": lambda array, path: array[::-1, ::-1].copy()[::-1, ::-1],
}


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_batches_are_copies_in_the_type_of_the_array(source, dtype, tmp_path):
    array = source(TABLE.astype(dtype), tmp_path / "rows.npy")
    rows = Rows(array, LAYOUT)
    batch = rows[PICKED]
    expected = np.moveaxis(TABLE.reshape(N, 4, 5, 3), -1, 1)[PICKED.numpy()]

    assert len(rows) == N
    assert batch.dtype == torch.from_numpy(np.zeros(1, dtype)).dtype
    assert np.array_equal(batch, expected)
    batch.zero_()  # Whatever is done to a batch, the user's array stays.
    assert np.array_equal(array, TABLE)


def test_rows_held_on_the_device_are_those_of_the_array():
    rows, held = Rows(TABLE, LAYOUT), Rows(TABLE, LAYOUT, hold=True)
    held.held = torch.from_numpy(TABLE)

    assert held[PICKED].dtype == torch.uint8
    assert torch.equal(held[PICKED], rows[PICKED])


def test_holding_rows_on_the_cpu_copies_nothing():
    assert Rows(TABLE, LAYOUT, hold=True).held is None


def test_parts_share_the_array_and_count_their_rows_only():
    rows = Rows(TABLE, LAYOUT)
    part = rows.part(np.array([8, 3, 5]))

    assert part.array is rows.array
    assert (len(rows), len(part)) == (N, 3)
    assert part.numbers.tolist() == [8, 3, 5]
    assert part.part(np.array([2, 0])).numbers.tolist() == [5, 8]
    assert rows.numbers.tolist() == list(range(N))
    # Numbers are rows of the array, in a part too.
    assert torch.equal(part[part.numbers], rows[torch.tensor([8, 3, 5])])


def test_labels_are_unknown():
    assert Rows(TABLE, LAYOUT).labels.tolist() == [-1] * N


# ---------------------------------------------------------------------------------------------
# Statistics of channels


@patient
@given(
    n=st.integers(1, 40),
    sample=st.sampled_from([(7,), (1, 3, 4), (3, 2, 5)]),
    channels_last=st.booleans(),
    centre=st.floats(-1e6, 1e6),
    scale=st.floats(1e-2, 1e3),
    block=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
)
def test_statistics_equal_those_of_numpy_far_from_zero(
    n, sample, channels_last, centre, scale, block, seed
):
    layout = Layout(sample, channels_last and len(sample) > 1)
    table = rng(seed).normal(centre, scale, (n, layout.n_features)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skdim.inputs.standardise.ROWS_AT_ONCE", block)
        mean, deviation = channel_statistics(table, layout)
    exact = layout.arrange(torch.from_numpy(table)).numpy().astype(np.float64)
    others = (0, *range(2, exact.ndim))

    np.testing.assert_allclose(mean, exact.mean(others), rtol=1e-12, atol=1e-12 * scale)
    np.testing.assert_allclose(deviation, exact.std(others), rtol=1e-9, atol=1e-9 * scale)
    assert mean.shape == deviation.shape == sample[:1]


def test_scale_of_a_constant_channel_is_zero():
    table = np.concatenate([np.full((9, 12), 1e6), rng().normal(size=(9, 12))], axis=1)
    _, deviation = channel_statistics(table.astype(np.float32), Layout((2, 3, 4)))

    assert deviation[0] == 0
    assert deviation[1] > 0


def test_statistics_make_no_float_copy_of_the_whole_set(monkeypatch):
    n, features, block = 4000, 300, 50
    table = np.ones((n, features), np.uint8)
    monkeypatch.setattr("skdim.inputs.standardise.ROWS_AT_ONCE", block)
    tracemalloc.start()
    channel_statistics(table, Layout((3, 10, 10), channels_last=True))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # A few float64 blocks at once, against 9.6 MB for the set.
    assert most < 6 * block * features * 8


@pytest.mark.parametrize(("sample", "n_axes"), [((7,), 0), ((3, 4, 5), 2)])
def test_standardised_samples_have_no_mean_and_spread_one(sample, n_axes):
    layout = Layout(sample)
    table = rng().normal(100, 5, (50, layout.n_features)).astype(np.float32)
    standardise = Standardise(*channel_statistics(table, layout), n_axes=n_axes)
    x = standardise(layout.arrange(torch.from_numpy(table)))
    others = (0, *range(2, x.ndim))

    assert x.shape == (50, *sample)
    torch.testing.assert_close(x.mean(others), torch.zeros(sample[0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(others, correction=0), torch.ones(sample[0]))


def test_standardise_reads_whole_numbers_as_float32():
    x = Standardise(np.array([1.0]), np.array([2.0]), 2)(torch.tensor([[[[3]]]], dtype=torch.uint8))

    assert x.dtype == torch.float32
    assert x.item() == 1
