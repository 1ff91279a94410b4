"""Items of any kind become batches of one kind, and what cannot is refused by its number."""

import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Subset, TensorDataset

from skdim.inputs.items import BatchReader
from tests.inputs.datasets import Batched, Failing, Items, OwnError, images

PICKED = np.array([7, 0, 7, 9])
FLOATS, BYTES = images(10, (4, 5)), images(10, (4, 5), dtype=np.uint8)


def reader_of(array, give=None):
    return BatchReader(Items(array, give))


# ---------------------------------------------------------------------------------------------
# What is read


@pytest.mark.parametrize(
    "give",
    [
        None,
        lambda x, i: torch.from_numpy(x),
        lambda x, i: torch.from_numpy(x).requires_grad_(),
        lambda x, i: torch.from_numpy(x).double(),
        lambda x, i: x.astype(np.float64),
        lambda x, i: x.astype(">f4"),
        lambda x, i: np.asfortranarray(x),
        lambda x, i: (x,),
        lambda x, i: (x, i, "label"),
        lambda x, i: (torch.from_numpy(x), {"any": "thing"}),
    ],
)
def test_items_are_stacked_as_float32(give):
    batch = reader_of(FLOATS, give).take(PICKED)

    assert batch.dtype == torch.float32
    assert np.array_equal(batch.detach(), FLOATS[PICKED])


@pytest.mark.parametrize(
    "give",
    [None, lambda x, i: torch.from_numpy(x), lambda x, i: Image.fromarray(x), lambda x, i: (x, i)],
    ids=["array", "tensor", "picture", "tuple"],
)
def test_bytes_stay_bytes(give):
    batch = reader_of(BYTES, give).take(PICKED)

    assert batch.dtype == torch.uint8
    assert np.array_equal(batch, BYTES[PICKED])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.uint16, np.float16])
def test_all_other_numbers_become_float32(dtype):
    array = BYTES.astype(dtype)
    for batch in (reader_of(array).take(PICKED), BatchReader(array).take(PICKED)):
        assert batch.dtype == torch.float32
        assert np.array_equal(batch, array[PICKED].astype(np.float32))


def test_half_precision_of_torch_is_read():
    batch = reader_of(FLOATS, lambda x, i: torch.from_numpy(x).bfloat16()).take(PICKED)

    assert torch.equal(batch, torch.from_numpy(FLOATS[PICKED]).bfloat16().float())


def test_bytes_among_floats_are_read_as_floats():
    batch = reader_of(FLOATS, lambda x, i: BYTES[i] if i else x).take(PICKED)

    assert batch.dtype == torch.float32
    assert np.array_equal(batch[0], BYTES[7])


def test_pictures_are_read_in_their_own_channels():
    colours = images(3, (4, 5, 3), dtype=np.uint8)
    grey = reader_of(BYTES, lambda x, i: Image.fromarray(x))
    coloured = reader_of(colours, lambda x, i: Image.fromarray(x))

    assert grey.shape == (4, 5)
    assert np.array_equal(coloured.take(np.array([2, 1])), colours[[2, 1]])


def test_a_palette_is_read_as_the_colours_it_stands_for():
    colours = np.zeros((2, 4, 5, 3), np.uint8)
    colours[:, :, 2:] = 200, 10, 30
    reader = reader_of(colours, lambda x, i: Image.fromarray(x).quantize(2))

    assert np.array_equal(reader.take(np.array([0, 1])), colours)


def test_a_data_set_that_reads_whole_batches_is_asked_for_them():
    assert np.array_equal(BatchReader(Batched(FLOATS)).take(PICKED), FLOATS[PICKED])
    assert np.array_equal(
        BatchReader(Subset(Batched(FLOATS), list(range(9, -1, -1)))).take(PICKED),
        FLOATS[::-1][PICKED],
    )


@pytest.mark.parametrize(
    "items",
    [
        TensorDataset(torch.from_numpy(FLOATS), torch.arange(10)),
        ConcatDataset([Items(FLOATS[:4]), Items(FLOATS[4:])]),
        list(FLOATS),
        tuple(torch.from_numpy(FLOATS)),
    ],
    ids=["TensorDataset", "ConcatDataset", "list", "tuple"],
)
def test_what_gives_items_by_number_is_read(items):
    reader = BatchReader(items)

    assert (len(reader), reader.shape) == (10, (4, 5))
    assert np.array_equal(reader.take(PICKED), FLOATS[PICKED])


def test_one_item_is_alive_at_a_time():
    class Large(Items):
        def __getitem__(self, number):
            return np.ones((100_000, 8))  # 6.4 MB, of which 3.2 go into the batch

    reader = BatchReader(Large(np.zeros(10)))
    tracemalloc.start()
    reader.take(np.arange(10))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # The batch, what checking it takes (a byte a number), and not all of the items: 64 MB.
    assert most < 32e6 + 8e6 + 2 * 6.4e6 + 1e6


@pytest.mark.parametrize("array", [FLOATS, BYTES], ids=["floats", "bytes"])
def test_arrays_are_read_by_copies(array):
    before = array.copy()
    batch = BatchReader(array).take(PICKED)

    assert np.array_equal(batch, array[PICKED])
    batch.zero_()
    assert np.array_equal(array, before)


# ---------------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ("text", "str"),
        ({"pixels": FLOATS[0]}, "dict"),
        ([1.0, 2.0], "list"),
        (None, "NoneType"),
        ((), "tuple"),
        (([1.0], 2), "list"),
        (np.array(["a"]), "ndarray"),
        (np.array([None]), "ndarray"),
    ],
)
def test_items_that_hold_no_numbers_are_refused(item, kind):
    with pytest.raises(TypeError, match=f"Sample 0 of X is of type {kind}. It must be a tensor"):
        BatchReader([item])
    with pytest.raises(TypeError, match=f"Sample 1 of X is of type {kind}. It must be a tensor"):
        BatchReader([FLOATS[0], item]).take(np.array([0, 1]))


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match=r"Sample 0 of X is of dtype complex64\. Real numbers"):
        reader_of(FLOATS.astype(np.complex64))
    with pytest.raises(TypeError, match=r"array is of dtype complex64\. Real numbers"):
        BatchReader(FLOATS.astype(np.complex64))


@pytest.mark.parametrize("other", [FLOATS[0].T, FLOATS[0][None], FLOATS[0].ravel(), FLOATS[0][1:]])
def test_another_shape_is_refused_by_its_number(other):
    reader = reader_of(FLOATS, lambda x, i: other if i == 7 else x)
    with pytest.raises(ValueError, match="All samples must have one shape") as raised:
        reader.take(np.array([3, 7]))
    assert f"Sample 7 of X has shape {other.shape}, but sample 0 has shape (4, 5)" in str(
        raised.value
    )


def test_floats_among_bytes_are_refused_by_their_number():
    reader = reader_of(BYTES, lambda x, i: FLOATS[i] if i == 7 else x)
    with pytest.raises(ValueError, match="Sample 7 of X is of dtype float32, but sample 0 is of"):
        reader.take(PICKED)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_refused_by_its_number(bad):
    array = FLOATS.astype(np.float64)
    array[7, 1, 2] = bad
    for reader in (reader_of(array), BatchReader(array)):
        assert reader.take(np.array([1, 2])).shape == (2, 4, 5)
        with pytest.raises(ValueError, match=r"X contains NaN, infinity .* in sample 7\."):
            reader.take(np.array([3, 0, 7, 1]))


def test_a_data_set_that_gives_too_few_items_is_refused():
    class Short(Batched):
        def __getitems__(self, numbers):
            return super().__getitems__(numbers)[:3]

    with pytest.raises(ValueError, match="returned 3 items for 4 numbers"):
        BatchReader(Short(FLOATS)).take(PICKED)


@pytest.mark.parametrize("error", [OwnError("mine", 3), KeyError("mine"), IndexError("mine")])
def test_an_error_of_the_data_set_says_at_which_sample(error):
    with pytest.raises(type(error)) as raised:
        BatchReader(Failing(FLOATS, 7, error)).take(PICKED)

    assert raised.value is error
    assert "This happened while sample 7 of 10 was read." in raised.value.__notes__


def test_stopping_to_iterate_is_no_end_of_the_batch():
    with pytest.raises(RuntimeError, match="StopIteration"):
        BatchReader(Failing(FLOATS, 7, StopIteration())).take(PICKED)


# ---------------------------------------------------------------------------------------------
# What goes to workers


@pytest.fixture(params=["whole", "rows", "flat", "npy"])
def mapped(request, tmp_path):
    """Map 1.6 MB, or a part of them."""
    array = images(1000, (20, 20))
    if request.param == "npy":
        np.save(tmp_path / "images.npy", array)
        return np.load(tmp_path / "images.npy", mmap_mode="r"), array
    array.tofile(tmp_path / "images.bin")
    opened = np.memmap(tmp_path / "images.bin", np.float32, "r", shape=array.shape)
    return {
        "whole": (opened, array),
        "rows": (opened[300:], array[300:]),
        "flat": (np.asarray(opened[1:]).reshape(999, 400), array[1:].reshape(999, 400)),
    }[request.param]


def test_memory_maps_are_sent_by_name(mapped):
    given, array = mapped
    sent = pickle.dumps(BatchReader(given))
    received = pickle.loads(sent)

    assert len(sent) < 1500
    assert received.shape == array.shape[1:]
    assert np.array_equal(received.data, array)
    assert np.array_equal(received.take(PICKED), array[PICKED])


@pytest.mark.parametrize(
    "part", [lambda x: x[::2], lambda x: x[:, 3:], lambda x: x[[5, 6] * 5], lambda x: x.copy()]
)
def test_what_is_no_block_of_the_file_is_sent_as_it_stands(part, tmp_path):
    array = images(20, (4, 4))
    array.tofile(tmp_path / "images.bin")
    given = part(np.memmap(tmp_path / "images.bin", np.float32, "r", shape=array.shape))
    received = pickle.loads(pickle.dumps(BatchReader(given)))

    assert np.array_equal(received.data, part(array))


def test_arrays_in_memory_are_sent_as_they_stand():
    received = pickle.loads(pickle.dumps(BatchReader(BYTES)))

    assert np.array_equal(received.data, BYTES)
    assert received.take(PICKED).dtype == torch.uint8
