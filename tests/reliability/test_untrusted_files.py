"""Whatever a file holds: a ValueError that says what is wrong, or a transformer. Nothing runs."""

import gzip
import os
import pickle
import sys
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from safetensors.numpy import save as save_tensors

import skdim
from skdim.saving import FORMAT
from tests.reliability import kills
from tests.reliability.faults import harm_checkpoints, harm_files
from tests.reliability.mutations import PICKLE_THAT_CALLS, open_up, seal, small_transformer

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.skdim"
    small_transformer(X).save(path)
    return path.read_bytes()


def refused(path, content, text):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=text) as error:
        skdim.load(path)
    assert str(path) in str(error.value)


@pytest.fixture
def forge(content, tmp_path):
    """Change header and tensors, seal the file again, and see it refused with a text."""

    def forge(change, text):
        header, tensors = open_up(content)
        change(header, tensors)
        refused(tmp_path / "forged.skdim", seal(header, tensors), text)

    return forge


# ---------------------------------------------------------------------------------------------
# Damage


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.9999])
def test_a_truncated_file(content, share, tmp_path):
    refused(tmp_path / "x", content[: int(share * len(content))], "damaged|not a file of skdim")


def test_each_flipped_bit_of_the_content(content, tmp_path):
    for place in np.linspace(8, len(content) - 1, 40).astype(int):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 8)
        refused(tmp_path / "x", bytes(flipped), "damaged|another program|not a file of skdim")


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**31, 0])
def test_a_header_of_another_length(content, length, tmp_path):
    refused(tmp_path / "x", length.to_bytes(8, "little") + content[8:], "damaged|another program")


def test_a_header_larger_than_allowed_is_not_read(tmp_path):
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.write((100_000_001).to_bytes(8, "little"))
        file.truncate(2**36)

    with pytest.raises(ValueError, match=r"not a file of skdim.*header too large"):
        skdim.load(path)


# ---------------------------------------------------------------------------------------------
# Other programs' files


def other_files(folder):
    """Yield files that are whole, but none of ours."""
    yield "text", b"n_components: 4\n" * 20
    yield "noise", np.random.default_rng(0).bytes(5000)
    yield "gzip", gzip.compress(b"x" * 1000)
    yield "a pickle", pickle.dumps(small_transformer(X))
    joblib.dump({"a": np.zeros(3)}, folder / "x.joblib")
    yield "joblib", (folder / "x.joblib").read_bytes()
    torch.save({"weight": torch.zeros(3)}, folder / "x.pt")
    yield "torch", (folder / "x.pt").read_bytes()
    np.save(folder / "x.npy", np.zeros(5))
    yield "numpy", (folder / "x.npy").read_bytes()
    with zipfile.ZipFile(folder / "x.zip", "w") as file:
        file.writestr("a", "b")
    yield "zip", (folder / "x.zip").read_bytes()


def test_files_of_other_programs(tmp_path):
    for _, other in other_files(tmp_path):
        refused(tmp_path / "other", other, "not a file of skdim")


def test_safetensors_of_other_programs(tmp_path):
    for metadata in (None, {"format": "pt"}, {"skdim": "{}"}):
        other = save_tensors({"weight": np.zeros(3, np.float32)}, metadata=metadata)
        refused(tmp_path / "other", other, "of another program")


def test_a_malicious_pickle_is_not_executed(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "owned",)

    refused(tmp_path / "x", pickle.dumps(Evil()), "not a file of skdim")
    refused(tmp_path / "x", PICKLE_THAT_CALLS, "not a file of skdim")
    assert not (tmp_path / "owned").exists()


# ---------------------------------------------------------------------------------------------
# Forgeries


def test_a_newer_format_says_so(forge):
    def change(header, tensors):
        header.clear()
        header.update(format=FORMAT + 1, versions={"skdim": "7.0"})

    forge(change, rf"format {FORMAT + 1}, written by skdim 7\.0.*install a newer one")


@pytest.mark.parametrize("number", range(2, FORMAT))
def test_a_format_of_a_development_version_is_refused(number, forge):
    def change(header, tensors):
        header["format"] = number

    forge(change, rf"format {number}, written by skdim .* fit again")


@pytest.mark.parametrize("number", [None, 0, "1", 1.5, True, [1]])
def test_a_format_that_is_no_number(forge, number):
    forge(lambda header, tensors: header.update(format=number), "which format")


def test_missing_tensors_are_listed(forge):
    forge(
        lambda header, tensors: tensors.pop("module.1.to_code.bias"),
        r"1\.to_code\.bias is missing, and should be float32 of shape \(2,\)",
    )


def test_tensors_beside_are_listed(forge):
    def change(header, tensors):
        tensors["criterion.evil"] = np.zeros(3, np.float32)

    forge(change, "evil is float32 of .* should be absent")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("evil", "a tensor 'evil', which is not a weight"),
        ("head.coef_", r"a tensor 'head\.coef_', which is not a weight"),
        ("module", r"encoder;  is float32 of shape \(3,\), and should be absent"),
    ],
)
def test_tensors_of_no_part_are_refused(forge, name, text):
    def change(header, tensors):
        tensors[name] = np.zeros(3, np.float32)

    forge(change, text)


@pytest.mark.parametrize("change", [lambda v: v[:, :-1], lambda v: v.astype(np.float64)])
def test_tensors_of_another_size_or_type_are_listed(forge, change):
    name = "module.1.to_code.weight"

    def replace(header, tensors):
        tensors[name] = np.ascontiguousarray(change(tensors[name]))

    forge(replace, r"1\.to_code\.weight is float.* should be float32 of shape")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(forge, value):
    def change(header, tensors):
        tensors["module.1.to_code.bias"] = np.full(2, value, np.float32)

    forge(change, r"NaN or infinity: module\.1\.to_code\.bias")


def test_a_type_that_is_never_saved(forge):
    def change(header, tensors):
        tensors["module.1.to_code.bias"] = np.zeros(2, np.uint32)

    forge(change, "type U32")


@pytest.mark.parametrize("name", ["os.system", "AbstractTransformer", "object", None, ["x"]])
def test_a_class_that_is_not_ours(forge, name):
    forge(lambda header, tensors: header.update({"class": name}), "class|not valid: TypeError")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_components", -1),
        ("n_components", "4"),
        ("batch_size", 1),
        ("encoder", "nonsense"),
        ("encoder", {"callable": "os.system"}),
        ("encoder", {"callable": "DotCritic"}),
        ("encoder", {"partial": {"of": {"callable": "print"}, "args": [], "keywords": {}}}),
        ("critic", {"object": {"class": "Popen", "fields": {}}}),
        ("view", {"object": {"class": "Augment", "fields": {"shift": 7}}}),
        ("view", {"object": {"class": "Augment", "fields": {"evil": 7}}}),
        ("prior", {"object": {"class": "Prior", "fields": {}}}),
        ("checkpoint_dir", "/"),
        ("evil", 1),
        ("random_state", {"random_state": {"generator": "MT19937", "state": {}}}),
    ],
    ids=str,
)
def test_parameters_that_no_transformer_has(forge, name, value):
    forge(lambda header, tensors: header["parameters"].update({name: value}), "cannot be loaded")


@pytest.mark.parametrize("place", ["class", "parameters", "attributes", "built", "net", "given"])
def test_places_that_are_missing(forge, place):
    forge(lambda header, tensors: header.pop(place), f"'{place}'")


@pytest.mark.parametrize("name", ["__class__", "transform", "_read", "net_"])
def test_attributes_that_fit_does_not_set(forge, name):
    forge(lambda header, tensors: header["attributes"].update({name: 1}), f"attribute '{name}'")


# Of EncoderTransformer(4, objective=NAT(), encoder="mlp").
NAT_PARAMETERS = {
    "n_components": 4,
    "encoder": "mlp",
    "objective": {"objective": {"class": "NAT", "parameters": {}}},
}

ENDLESS = "[" * 100_000 + "]" * 100_000


def test_endless_nesting(content, tmp_path):
    header, tensors = open_up(content)
    header["parameters"]["encoder"] = "deep," * 100_000

    refused(tmp_path / "x", seal(header, tensors), "damaged|cannot be loaded")


# Each would take terabytes, were it built before it is compared with what the file has.
@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["parameters"].update(n_components=10**12),
        lambda header: header["parameters"].update(critic="concat", critic_units=10**7),
        lambda header: header["built"].update(n_samples=2**40) or header.update(
            {"class": "EncoderTransformer", "parameters": NAT_PARAMETERS}
        ),
        lambda header: header["attributes"].update(
            _layout={
                "object": {
                    "class": "Layout",
                    "fields": {"shape": {"tuple": [10**12]}, "channels_last": False},
                }
            }
        ),
        lambda header: header["built"]["sizes"].update(code=[10**12]),
        lambda header: header["parameters"]["encoder"]["partial"]["keywords"].update(
            hidden_units=10**9
        ),
    ],
    ids=["code", "critic", "samples", "layout", "sizes", "encoder"],
)  # fmt: skip
def test_sizes_are_compared_before_memory_is_taken(forge, change):
    forge(lambda header, tensors: change(header), "cannot be loaded")


def test_a_bomb_takes_no_memory(content, tmp_path):
    header, tensors = open_up(content)
    header["parameters"]["encoder"]["partial"]["keywords"].update(hidden_units=20_000)
    (tmp_path / "bomb.skdim").write_bytes(seal(header, tensors))
    resource = pytest.importorskip("resource")

    def load():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ValueError, match="cannot be loaded"):
            skdim.load(tmp_path / "bomb.skdim")
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        # The bomb's weights alone have 1.6 GB.
        assert more / (1024 if sys.platform == "darwin" else 1) < 100_000

    _, status = os.waitpid(kills.fork(load), 0)
    assert status == 0


# ---------------------------------------------------------------------------------------------
# Many at once


@pytest.mark.parametrize("harm", [harm_files, harm_checkpoints])
def test_many_mutations_are_refused_or_harmless(harm):
    result = harm(200, seed=1)

    assert result["failures"] == []
    assert result["executions"] == []
    assert result["memory"] < 100
    assert sum(result["outcomes"].values()) == 200
    assert result["outcomes"]["damaged, refused"] >= 95
