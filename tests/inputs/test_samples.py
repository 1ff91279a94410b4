"""Samples are read by whole batches, and nothing is copied that need not be."""

import numpy as np
import pytest
import torch

from skdim.inputs import ArraySamples, Layout, Stream
from tests.inputs.datasets import open_stream

N, LAYOUT = 10, Layout((3, 4, 5), channels_last=True)
TABLE = np.random.default_rng(1).integers(0, 256, (N, 60)).astype(np.uint8)
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
    rows = ArraySamples(array, LAYOUT)
    batch = rows[PICKED]
    expected = np.moveaxis(TABLE.reshape(N, 4, 5, 3), -1, 1)[PICKED.numpy()]

    assert len(rows) == N
    assert batch.dtype == torch.from_numpy(np.zeros(1, dtype)).dtype
    assert np.array_equal(batch, expected)
    batch.zero_()  # Whatever is done to a batch, the user's array stays.
    assert np.array_equal(array, TABLE)


def test_rows_held_on_the_device_are_those_of_the_array():
    rows, held = ArraySamples(TABLE, LAYOUT), ArraySamples(TABLE, LAYOUT, preload=True)
    held.preloaded = torch.from_numpy(TABLE)

    assert held[PICKED].dtype == torch.uint8
    assert torch.equal(held[PICKED], rows[PICKED])


def test_holding_samples_on_the_cpu_copies_nothing():
    assert ArraySamples(TABLE, LAYOUT, preload=True).preloaded is None


def test_parts_share_the_array_and_count_their_rows_only():
    rows = ArraySamples(TABLE, LAYOUT)
    part = rows.part(np.array([8, 3, 5]))

    assert part.array is rows.array
    assert (len(rows), len(part)) == (N, 3)
    assert part.numbers.tolist() == [8, 3, 5]
    assert part.part(np.array([2, 0])).numbers.tolist() == [5, 8]
    assert rows.numbers.tolist() == list(range(N))
    # Numbers are rows of the source, in a part too.
    assert torch.equal(part[part.numbers], rows[torch.tensor([8, 3, 5])])


@pytest.mark.parametrize(
    "make", [ArraySamples, lambda *args, **how: open_stream(Stream(TABLE), *args[1:], **how)]
)
def test_labels_are_unknown_where_none_are_given(make):
    labels = torch.arange(N)

    assert make(TABLE, LAYOUT).labels.tolist() == [-1] * N
    assert make(TABLE, LAYOUT, labels=labels).part(np.array([3])).labels is labels


# ---------------------------------------------------------------------------------------------
# Batch after batch


def streamed(array, n_workers=0):
    return open_stream(Stream(array, n_workers), LAYOUT)


def held():
    rows = ArraySamples(TABLE, LAYOUT)
    rows.preloaded = torch.from_numpy(TABLE)
    return rows


KINDS = {
    "in memory": lambda: ArraySamples(TABLE, LAYOUT),
    "held": held,
    "streamed": lambda: streamed(TABLE),
    "streamed by a worker": lambda: streamed(TABLE, 1),
}
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


@each_kind
def test_batches_come_in_the_order_of_their_indices(make):
    rows = make()
    indices = torch.tensor([3, 1, 4, 9, 2, 6, 5, 5]).tensor_split(3)
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    batches = list(rows.read(indices, generator))

    assert len(batches) == 3
    for index, batch in zip(indices, batches, strict=True):
        assert batch.dtype == torch.uint8
        assert batch.stride() == ArraySamples(TABLE, LAYOUT)[index].stride()
        assert torch.equal(batch, ArraySamples(TABLE, LAYOUT)[index])
        assert torch.equal(rows[index], batch)
    assert torch.equal(generator.get_state(), state)


@each_kind
def test_no_batches_are_read_of_no_indices(make):
    assert list(make().read([], torch.Generator())) == []


@each_kind
def test_a_part_is_cut_into_chunks_of_its_own_rows(make):
    part = make().part(np.array([8, 3, 5, 0, 1]))
    chunks = part.chunks(2)

    assert [chunk.tolist() for chunk in chunks] == [[8, 3], [5, 0], [1]]
    read = torch.cat(list(part.read(chunks, torch.Generator())))
    assert torch.equal(read, ArraySamples(TABLE, LAYOUT)[part.numbers])


def test_no_rows_make_no_chunk():
    assert ArraySamples(TABLE[:0], LAYOUT).chunks(4) == []


@pytest.mark.parametrize("make", [KINDS["in memory"], KINDS["streamed"]])
@pytest.mark.parametrize("n_batches", [1, 5])
def test_reading_waits_for_the_device_once_however_many_batches(monkeypatch, make, n_batches):
    rows, waits = make(), []
    to_cpu = torch.Tensor.cpu
    monkeypatch.setattr(torch.Tensor, "cpu", lambda x: waits.append(x) or to_cpu(x))
    list(rows.read(rows.numbers.tensor_split(n_batches), torch.Generator()))

    assert len(waits) == 1


META = torch.device("meta")  # A device that holds no numbers: every machine has it.


def test_arrays_in_memory_are_held_on_the_device_but_no_memory_map_and_no_stream(tmp_path):
    stored = on_disk(TABLE, tmp_path / "rows.npy")

    assert ArraySamples(TABLE, LAYOUT, META, preload=True).preloaded.shape == TABLE.shape
    assert ArraySamples(TABLE, LAYOUT, META).preloaded is None
    assert ArraySamples(stored, LAYOUT, META, preload=True).preloaded is None
    assert ArraySamples(np.asarray(stored)[2:], LAYOUT, META, preload=True).preloaded is None
    # This is a copy.
    assert ArraySamples(stored[[4, 2]], LAYOUT, META, preload=True).preloaded is not None
    assert not hasattr(open_stream(Stream(TABLE), LAYOUT, META), "preloaded")


def test_rows_of_a_device_can_be_read_on_the_cpu():
    part = ArraySamples(TABLE, LAYOUT, preload=True).part(np.array([8, 3]))
    part.preloaded = torch.zeros(10, 60, device=META)
    home = part.on_cpu()

    assert part.preloaded is not None
    assert home.device == torch.device("cpu")
    assert torch.equal(home[home.numbers], ArraySamples(TABLE, LAYOUT)[torch.tensor([8, 3])])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("n_workers", [0, 1])
def test_streams_reach_an_accelerator(n_workers):
    device = torch.device("cuda")
    rows = open_stream(Stream(TABLE, n_workers), LAYOUT, device)
    indices = torch.arange(N, device=device).flip(0).tensor_split(3)
    batches = list(rows.read(indices, torch.Generator(device).manual_seed(0)))

    assert {batch.device.type for batch in batches} == {"cuda"}
    assert torch.equal(
        torch.cat(batches).cpu(), ArraySamples(TABLE, LAYOUT)[torch.arange(N).flip(0)]
    )
