"""Before the numbers of a file are read, its header, its names and its sizes are checked."""

import json
import struct
import sys

import numpy as np
import pytest
import torch

import skdim
from skdim.saving import Stored, check_finite, container, flatten, open_container, to_bytes
from skdim.saving.container import DTYPES, digest_of
from skdim.training import find_checkpoint
from skdim.training.checkpoints import LAST
from tests.reliability.mutations import small_transformer
from tests.reliability.trainings import fit, folder_in
from tests.saving.reading import read_container

ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)

sparse_files = pytest.mark.skipif(sys.platform == "win32", reason="sparse files are needed")


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.skdim"
    small_transformer(ROWS).save(path)
    return path.read_bytes()


@pytest.fixture
def watched(monkeypatch):
    """Give the sizes of the tensors that are read: copied, or taken into a digest."""
    sizes = []

    def noting(read):
        def note(tensor, *args, **kwargs):
            sizes.append(tensor.numel())
            return read(tensor, *args, **kwargs)

        return note

    monkeypatch.setattr(torch.Tensor, "clone", noting(torch.Tensor.clone))
    monkeypatch.setattr(container, "bytes_of", noting(container.bytes_of))
    return sizes


GIBIBYTES = 8 << 30


def write_sparse(path, content, name):
    """Write a file whose tensor of a name has 8 GiB of zeros, with the digest of its header."""
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    metadata = table.pop("__metadata__")
    stop = max(entry["data_offsets"][1] for entry in table.values())
    offsets = [stop, stop + GIBIBYTES]
    if name in table:  # Its numbers stay, under another name of their size.
        table["module.rest"] = table[name]
    table[name] = {"dtype": "F32", "shape": [GIBIBYTES // 4], "data_offsets": offsets}
    shapes = {
        key: torch.empty(entry["shape"], dtype=DTYPES[entry["dtype"]], device="meta")
        for key, entry in table.items()
    }
    metadata["sha256_of_header"] = digest_of(metadata["skdim"], shapes, values=False)
    start = json.dumps({"__metadata__": metadata, **table}).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(start)) + start + content[8 + length :])
        file.truncate(8 + len(start) + offsets[1])


@sparse_files
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("module.big", r"encoder; big is float32 of .* should be absent"),
        ("criterion.big", "objective; big is float32 of .* should be absent"),
        ("big", "a tensor 'big', which is not a weight"),
        ("module.1.to_code.weight", r"1\.to_code\.weight is float32 of shape .* should be float32"),
    ],
)
def test_a_sparse_file_is_refused_before_it_is_read(name, said, content, watched, tmp_path):
    write_sparse(tmp_path / "sparse", content, name)

    with pytest.raises(ValueError, match=said):
        skdim.load(tmp_path / "sparse")

    assert max(watched, default=0) < 10_000


@sparse_files
def test_a_sparse_checkpoint_is_refused_before_it_is_read(watched, tmp_path):
    fit("vectors", checkpoint_dir=tmp_path, max_epochs=1)
    path = folder_in(tmp_path) / LAST
    write_sparse(path, path.read_bytes(), "module.big")
    watched.clear()

    with pytest.raises(ValueError, match=r"does not refer to the tensors \['module.big'\]"):
        find_checkpoint(path.parent)

    assert watched == []


def test_a_changed_header_is_damage_before_a_number_is_read(content, watched, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(content.replace(b'n_components\\": 2', b'n_components\\": 3'))

    with pytest.raises(ValueError, match=r"is damaged: .* SHA-256"):
        skdim.load(path)

    assert watched == []


def test_other_entries_of_the_table_are_damage(content, tmp_path):
    (tmp_path / "model").write_bytes(content.replace(b"sha256_of_header", b"sha256_og_header"))

    with pytest.raises(ValueError, match=r"is damaged: its table has \['sha256_og_header'\]"):
        skdim.load(tmp_path / "model")


def test_a_file_without_the_digest_of_its_header_is_read(content, tmp_path):
    """As earlier versions have written them."""
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    del table["__metadata__"]["sha256_of_header"]
    start = json.dumps(table).encode()
    older = struct.pack("<Q", len(start)) + start + content[8 + length :]
    (tmp_path / "model").write_bytes(older)

    codes = skdim.load(tmp_path / "model").transform(ROWS)

    np.testing.assert_array_equal(codes, small_transformer(ROWS).transform(ROWS))
    header, tensors = read_container(tmp_path / "model")
    metadata = table["__metadata__"]
    assert json.loads(metadata["skdim"]) == header
    assert digest_of(metadata["skdim"], tensors) == metadata["sha256"]


def test_weights_of_another_type_are_named(content, tmp_path):
    (tmp_path / "model").write_bytes(content)
    header, tensors = read_container(tmp_path / "model")
    name = "module.1.to_code.bias"
    (tmp_path / "model").write_bytes(to_bytes(header, {**tensors, name: tensors[name].bfloat16()}))

    with pytest.raises(ValueError, match=r"bias is bfloat16 of shape \(2,\), and should be flo"):
        skdim.load(tmp_path / "model")


class PanicException(BaseException):
    """As errors within safetensors' own code, whose class cannot be imported."""


@pytest.mark.parametrize("error", [PanicException, MemoryError, TypeError])
def test_errors_of_other_packages_are_value_errors(error, content, monkeypatch, tmp_path):
    (tmp_path / "model").write_bytes(content)

    def fail(*args, **kwargs):
        raise error("x" * 10_000)

    monkeypatch.setattr("skdim.saving.container.safe_open", fail)
    with pytest.raises(ValueError, match="is damaged, or not a file of skdim: xxx") as caught:
        skdim.load(tmp_path / "model")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interruptions_pass(error, content, tmp_path):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(error), open_container(tmp_path / "model"):
        raise error


@pytest.mark.parametrize(
    "shape", [[0, 2**63], [0, 2**62], [2**62, 4]], ids=["no int64", "empty", "overflow"]
)
def test_shapes_that_no_tensor_has(shape, content, tmp_path):
    (length,) = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    del metadata["sha256_of_header"]
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    start = json.dumps({"__metadata__": metadata, "module.x": entry}).encode()
    (tmp_path / "model").write_bytes(struct.pack("<Q", len(start)) + start)

    with pytest.raises(ValueError, match=r"damaged|cannot be loaded"):
        skdim.load(tmp_path / "model")


# --- The content of checkpoints ---


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    checkpoint_dir = tmp_path_factory.mktemp("run")
    fit("stopping", checkpoint_dir=checkpoint_dir, max_epochs=2)
    return folder_in(checkpoint_dir)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.update(step=-(10**9)), "no valid step"),
        (lambda state: state.update(step=10**9), "1000000000 steps of"),
        (lambda state: state.update(step=True), "no valid step"),
        (lambda state: state.update(epoch=-1), "no valid epoch"),
        (lambda state: state.update(epoch=1), "no valid history"),
        (lambda state: state.update(n_epochs=-1), "no valid n_epochs"),
        (lambda state: state.update(entropy=-1), "no valid entropy"),
        (lambda state: state.update(entropy=2**70), "no valid entropy"),
        (lambda state: state.update(history=[1, 2]), "no valid history"),
        (lambda state: state.update(history=[{}, {}]), "no valid history"),
        (lambda state: state["stopping"].update(score="x"), "does not hold the tensors"),
        (lambda state: state["stopping"].update(epoch=None), "does not hold the tensors"),
        (lambda state: state["stopping"].update(weights=3), "does not hold the tensors"),
        (lambda state: state["stopping"]["weights"].update(module={}), "does not hold the tensors"),
        (lambda state: state["module"].update({"x" * 10**5: torch.zeros(1)}), "Unexpected key"),
    ],
)
def test_what_no_training_writes_is_refused(change, said, written, tmp_path):
    state = find_checkpoint(written)
    change(state)
    tree, tensors = flatten(state)
    (tmp_path / written.name).mkdir()
    content = to_bytes({"checkpoint": tree}, tensors)
    (tmp_path / written.name / LAST).write_bytes(content)

    with pytest.raises(ValueError, match=said) as caught:
        fit("stopping", checkpoint_dir=tmp_path, max_epochs=2)
    assert len(str(caught.value)) < 2000


def test_loading_copies_each_tensor_once(content, monkeypatch, tmp_path):
    """The digest is computed of the file itself."""
    copied, read = [], Stored.read
    monkeypatch.setattr(Stored, "read", lambda self: copied.append(self) or read(self))
    (tmp_path / "model.skdim").write_bytes(content)

    net = skdim.load(tmp_path / "model.skdim").net_

    assert len(copied) == sum(map(len, net.state().values()))


FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@pytest.mark.parametrize("place", [0, 17, 9_999])
@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [*FLOATS, torch.complex64])
def test_one_number_that_is_not_finite_is_found_among_many(dtype, broken, place):
    weights = torch.ones(100, 100, dtype=dtype)
    weights.view(-1)[place] = broken

    with pytest.raises(ValueError, match=r"They are lost: they hold NaN or infinity: b\.weight\."):
        check_finite({"a": torch.ones(3), "b.weight": weights}, "They are lost")


def test_finite_numbers_of_all_types_pass():
    largest = [torch.full((2, 3), torch.finfo(dtype).max, dtype=dtype) for dtype in FLOATS]
    others = [torch.ones((), dtype=dtype) for dtype in DTYPES.values()]
    empty = [torch.ones(0, 4), torch.ones(0, dtype=torch.complex64)]

    check_finite({str(i): part for i, part in enumerate([*largest, *others, *empty])}, "")
