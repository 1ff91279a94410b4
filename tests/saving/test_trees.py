"""Nested values of tensors go into one file, and come back as they were."""

import json
import math

import numpy as np
import pytest
import torch

from skdim.saving import (
    EncodeError,
    VersionWarning,
    flatten,
    mapped,
    to_bytes,
    unflatten,
    versions,
    warn_of_versions,
)
from skdim.saving.container import NAMES
from tests.saving.reading import read_container

TREE = {
    "state": {0: {"step": torch.tensor(3.0), "sizes": (1, 2)}, 1: {}},
    "a.b": torch.arange(3),
    "a": {"b": torch.zeros(2, 0)},
    "list": [torch.ones(2, 2).T, [], (), None, True, "text"],
    "numbers": [1, 0.1, -0.0, math.inf, -math.inf, 2**70],
}


def through_a_file(value, folder):
    tree, tensors = flatten(value)
    (folder / "file").write_bytes(to_bytes({"tree": tree}, tensors))
    header, read = read_container(folder / "file")
    return unflatten(header["tree"], read)


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list | tuple):
        for part, twin in zip(one, other, strict=True):
            assert_equal(part, twin)
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert one.contiguous().numpy().tobytes() == other.numpy().tobytes()
    else:
        assert repr(one) == repr(other)


def test_a_nested_value_comes_back(tmp_path):
    assert_equal(TREE, through_a_file(TREE, tmp_path))


@pytest.mark.parametrize("dtype", sorted(NAMES, key=str), ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3)])
def test_tensors_of_every_type_come_back_with_their_bits(dtype, shape, tmp_path):
    bits = torch.arange(16 * math.prod(shape), dtype=torch.uint8) % 2
    tensor = torch.zeros(shape, dtype=dtype)
    tensor = tensor if 0 in shape else bits[: tensor.nbytes].view(dtype).reshape(shape)

    twin = through_a_file({"x": tensor}, tmp_path)["x"]

    assert twin.dtype == dtype
    assert twin.shape == shape
    assert twin.tolist() == tensor.tolist()


def test_numbers_that_are_not_finite_come_back(tmp_path):
    twin = through_a_file({"x": torch.tensor([math.nan, math.inf]), "y": math.nan}, tmp_path)
    assert twin["x"].isnan().tolist() == [True, False]
    assert math.isnan(twin["y"])


def test_tensors_may_share_memory_and_later_changes_do_not_reach_the_file(tmp_path):
    whole = torch.arange(6.0)
    tree, tensors = flatten({"whole": whole, "part": whole[2:4], "again": whole})
    content = to_bytes({"tree": tree}, tensors)
    whole.zero_()
    (tmp_path / "file").write_bytes(content)

    read = read_container(tmp_path / "file")[1]

    assert read["whole"].tolist() == read["again"].tolist() == [0, 1, 2, 3, 4, 5]
    assert read["part"].tolist() == [2, 3]


def test_tensors_are_named_by_their_place():
    tree, tensors = flatten(TREE)
    assert list(tensors) == ["state.0.step", "a.b", "a.b_", "list.0"]
    assert json.loads(json.dumps(tree)) == tree
    assert mapped({"x": [1]}, lambda leaf, name: (leaf, name)) == {"x": [(1, "x.0")]}


@pytest.mark.parametrize("value", [{"x": object()}, [torch.nn.Identity()], {(1, len): 1}])
def test_what_cannot_be_encoded_is_an_error(value):
    with pytest.raises(EncodeError, match="cannot be encoded"):
        flatten(value)


@pytest.mark.parametrize("tensor", [torch.zeros(2).to_sparse(), torch.zeros(2).to(torch.uint32)])
def test_tensors_that_cannot_be_saved_are_named(tensor):
    with pytest.raises(ValueError, match=r"cannot be saved: x \(torch\."):
        to_bytes({}, {"x": tensor})


def test_the_order_of_the_axes_in_memory_comes_back(tmp_path):
    images = torch.arange(120.0).reshape(2, 3, 4, 5).to(memory_format=torch.channels_last)
    axes = torch.arange(24.0).reshape(2, 3, 4).permute(1, 2, 0)
    twin = through_a_file([images, axes, axes[:, ::2]], tmp_path)
    assert [tensor.stride() for tensor in twin[:2]] == [images.stride(), axes.stride()]
    assert torch.equal(twin[0], images)
    assert torch.equal(twin[1], axes)
    assert torch.equal(twin[2], axes[:, ::2])


@pytest.mark.parametrize(
    "said",
    [{"x": 1}, {"tensor": {}}, *({"tensor": s} for s in ([], ["y"], ["x", 1], ["x", 0, 0], [[]]))],
    ids=str,
)
def test_what_was_not_flattened_is_an_error(said):
    with pytest.raises(ValueError, match=r"holds|does not hold"):
        unflatten([said], {"x": torch.zeros(2)})


def test_nesting_without_end_is_an_error():
    said = []
    for _ in range(100_000):
        said = [said]
    with pytest.raises(ValueError, match="RecursionError"):
        unflatten(said, {})


def test_a_reader_has_memory_of_its_own(tmp_path):
    (tmp_path / "file").write_bytes(to_bytes({}, {"x": torch.zeros(1000)}))
    read = read_container(tmp_path / "file")[1]["x"]
    (tmp_path / "file").write_bytes(b"")
    read += 1
    np.testing.assert_array_equal(read.numpy(), np.ones(1000))


def test_a_warning_names_both_versions_and_what_follows():
    with pytest.warns(VersionWarning, match=r"^It was written with torch 0\.1 \(here: .*\. So\.$"):
        warn_of_versions("It", versions() | {"torch": "0.1"}, "So.")
