"""Images of any kind become rows; what is no image is left to scikit-learn."""

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from skdim.inputs import flatten_rows

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 5, 3)).astype(np.uint8)


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


class Lazy:
    """An array that is computed when NumPy asks for it, as those of Dask are."""

    shape = IMAGES.shape
    dtype = IMAGES.dtype

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, key):
        return IMAGES[key]

    def __array__(self, dtype=None, copy=None):
        return IMAGES


def test_arrays_of_other_libraries_are_read_by_numpy():
    rows, shape = flatten_rows(Lazy())

    assert shape == IMAGES.shape
    assert np.array_equal(rows, IMAGES.reshape(6, -1))


def test_items_of_a_data_set_are_read_by_their_first_entry():
    items = [(torch.from_numpy(image), number) for number, image in enumerate(IMAGES)]
    rows, shape = flatten_rows(items)

    assert shape == IMAGES.shape
    assert np.array_equal(rows, IMAGES.reshape(6, -1))


@pytest.mark.parametrize(
    "item",
    [
        lambda image: (Image.fromarray(image), 0),
        lambda image: (torch.from_numpy(image), torch.from_numpy(image)),
        lambda image: (image, image),
    ],
    ids=["picture and label", "tensor and mask", "array and mask"],
)
def test_items_of_pictures_and_of_equal_shapes_are_read_by_their_first_entry(item):
    rows, shape = flatten_rows([item(image) for image in IMAGES])

    assert shape == IMAGES.shape
    assert np.array_equal(rows, IMAGES.reshape(6, -1))


def test_series_of_arrays_are_tables():
    rows, shape = flatten_rows(pl.Series(np.arange(12.0).reshape(4, 3)))

    assert rows.shape == (4, 3)
    assert shape is None


def test_tuples_of_rows_stay_one_sample():
    rows, shape = flatten_rows([tuple(image) for image in IMAGES[..., 0]])

    assert shape == IMAGES.shape[:3]
    assert np.array_equal(rows, IMAGES[..., 0].reshape(6, -1))


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


def test_bfloat16_is_read():
    X = torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16)

    rows, _ = flatten_rows(X)

    np.testing.assert_array_equal(rows, [[1.5, -2.0]])


@pytest.mark.parametrize(
    "item", [np.ma.array([1.0], mask=[1]), torch.tensor(2.0).to_sparse()], ids=["masked", "sparse"]
)
def test_an_item_after_a_number_is_named_if_it_cannot_be_read(item):
    with pytest.raises(TypeError, match="Sample 1 of X"):
        flatten_rows([torch.tensor(1.0), item])
