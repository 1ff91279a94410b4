"""to_onnx and encoder_: the encoder outside of skdim."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

import skdim

ROWS = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
COLOURS = np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32), np.uint8)
LARGE = np.random.default_rng(0).integers(0, 256, (6, 3, 64, 64), np.uint8)
SIGNALS = np.random.default_rng(0).normal(size=(40, 2, 64)).astype(np.float32)

slow = pytest.mark.slow


def make(**settings):
    defaults = {"n_components": 4, "max_epochs": 1, "batch_size": 16, "random_state": 0}
    return skdim.DeepInfoMaxTransformer(**defaults | {"device": "cpu"} | settings)


def assert_runs_alike(model, X, path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model.to_onnx(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = model.transform(X)
    for n in (1, 2, 5, len(X)):
        samples = model.read_samples(X[:n]).float().numpy()
        (given,) = session.run(["features"], {"samples": samples})
        assert given.shape == expected[:n].shape
        np.testing.assert_allclose(given, expected[:n], rtol=0, atol=1e-5 * expected.std())


@pytest.mark.parametrize(
    ("encoder", "X"),
    [
        ("mlp", ROWS),
        pytest.param("columns", ROWS, marks=slow),
        pytest.param("kernels", SIGNALS, marks=slow),
        pytest.param("patch_network", IMAGES, marks=slow),
        pytest.param("patch_network", COLOURS, marks=slow),
        pytest.param("patches", IMAGES, marks=slow),
        pytest.param("patches", COLOURS, marks=slow),
        pytest.param("dcgan", COLOURS, marks=slow),
        pytest.param("conv1d", SIGNALS, marks=slow),
        pytest.param("folded_alexnet", LARGE, marks=slow),
        pytest.param("folded_resnet19", LARGE, marks=slow),
    ],
)
def test_onnxruntime_gives_the_codes_for_any_number_of_samples(encoder, X, tmp_path):
    assert_runs_alike(make(encoder=encoder).fit(X), X, tmp_path / "model.onnx")


@pytest.mark.slow
def test_the_layer_of_transform_is_exported(tmp_path):
    model = make(output="local").fit(ROWS)

    assert_runs_alike(model, ROWS, tmp_path / "model.onnx")


@pytest.mark.slow
def test_an_encoder_that_fixes_the_number_of_samples_is_refused(tmp_path):
    pytest.importorskip("onnxscript")

    class Fixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 4)

        def forward(self, x):
            code = self.layer(x.reshape(len(x), -1))
            return code.reshape(len(x), 4, 1), code

    with pytest.raises(ValueError, match=r"x\.shape\[0\]"):
        make(encoder=Fixing()).fit(ROWS).to_onnx(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_onnx_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)

    with pytest.raises(ImportError, match=r"scikit-deepinfomax\[onnx\]"):
        make().fit(ROWS).to_onnx(tmp_path / "model.onnx")


def test_what_is_not_fitted_is_not_exported(tmp_path):
    with pytest.raises(ValueError, match="not fitted"):
        make().to_onnx(tmp_path / "model.onnx")


# ---------------------------------------------------------------------------------------------
# The whole encoder as a torch module


@pytest.mark.parametrize("X", [ROWS, IMAGES, COLOURS], ids=["rows", "images", "colours"])
def test_the_encoder_as_a_torch_module_gives_the_codes(X, tmp_path):
    model = make().fit(X)
    torch.save(model.encoder_, tmp_path / "encoder.pt")

    encoder = torch.load(tmp_path / "encoder.pt", weights_only=False)
    with torch.no_grad():
        features = encoder(model.read_samples(X))

    # transform encodes in chunks of another size, which may round differently.
    np.testing.assert_allclose(features.code.numpy(), model.transform(X), rtol=0, atol=1e-5)


def test_the_weights_of_the_encoder_are_loaded_safely(tmp_path):
    model = make().fit(ROWS)
    torch.save(model.encoder_.state_dict(), tmp_path / "weights.pt")
    other = make(random_state=1).fit(ROWS)

    other.encoder_.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))

    np.testing.assert_array_equal(other.transform(ROWS), model.transform(ROWS))
