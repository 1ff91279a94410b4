"""Files of format 1 and of the present one stay loadable, and give the codes that they gave.

``python -m tests.reliability.test_golden`` makes those of the present format again, as is needed
when a format is added: files of older ones are kept as they are.
"""

import json
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import skdim
from skdim.critics import Discriminator, DotCritic
from skdim.encoders import ColumnEncoder, MLPEncoder, PatchEncoder, PatchNetworkEncoder
from skdim.estimators.loading import update_header
from skdim.objectives import VAE
from skdim.priors import PRIORS
from skdim.saving import FORMAT, decode, encode
from skdim.views import Augment
from tests.estimators.helpers import KINDS
from tests.saving.reading import read_container

GOLDEN = Path(__file__).parent / "golden"
LARGEST = 30_000

# No generator: files must give the same codes whatever NumPy draws in years to come.
ROWS = np.sin(np.arange(120) ** 1.5).reshape(20, 6).astype(np.float32)
IMAGES = (np.arange(20 * 64) ** 2 % 251).reshape(20, 8, 8).astype(np.uint8)
LABELS = np.array(["even", "odd"] * 10)

SMALL_MLP = partial(MLPEncoder, n_groups=2, local_units=2, hidden_units=4)
SMALL_NETWORK = partial(
    PatchNetworkEncoder, n_filters=4, local_units=4, map_units=4, hidden_units=8
)
SMALL_PATCHES = partial(
    PatchEncoder, n_filters=2, n_second=4, n_expanded=3, local_units=4, hidden_units=4
)
SMALL_COLUMNS = partial(ColumnEncoder, n_random=8, hidden_units=4)
SMALL_CRITIC = partial(DotCritic, units=4)


def make(kind="DeepInfoMaxTransformer", **settings):
    defaults = {"n_components": 2, "encoder": SMALL_MLP, "max_epochs": 2, "random_state": 0}
    return KINDS[kind](**defaults | {"device": "cpu"} | settings)


def made():
    """Give the transformers that are kept, fitted, with their samples."""
    prior = replace(PRIORS["normal"], discriminator=partial(Discriminator, units=(4,)))
    yield "rows", make(critic=SMALL_CRITIC, prior_weight=0.1, prior=prior).fit(ROWS), ROWS
    images = make(encoder=SMALL_NETWORK, critic=SMALL_CRITIC, view=Augment(flip=True)).fit(IMAGES)
    yield "images", images, IMAGES
    labels = make(critic=SMALL_CRITIC, classifier_weight=0.5, output="hidden").fit(ROWS, LABELS)
    yield "labels", labels, ROWS
    yield "targets", make("NAT").fit(ROWS), ROWS
    closed = {"max_epochs": "auto", "local_weight": 0.5, "global_weight": 1.0}
    yield "closed_rows", make(encoder=SMALL_COLUMNS, **closed).fit(ROWS), ROWS
    yield "closed_images", make(encoder=SMALL_PATCHES, **closed).fit(IMAGES), IMAGES


# How many files of each format are kept.
N_FILES = {1: 4, 5: 6}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.skdim")), ids=lambda path: path.stem)
def test_a_kept_file_gives_the_codes_that_it_gave(path):
    said = json.loads(path.with_suffix(".json").read_text())
    X = {"rows": ROWS, "images": IMAGES}[said["X"]]

    loaded = skdim.load(path, device="cpu")

    np.testing.assert_allclose(loaded.transform(X), said["codes"], rtol=0, atol=1e-5)
    if said["score"] is not None:
        assert loaded.score(X) == pytest.approx(said["score"], abs=1e-4)
    assert path.stat().st_size < LARGEST
    loaded.set_params(warm_start=True, max_epochs=1).fit(X, said["y"])


def test_there_are_files_of_each_format_that_is_read():
    kept = [read_container(path)[0]["format"] for path in GOLDEN.glob("*.skdim")]

    assert max(N_FILES) == FORMAT
    assert Counter(kept) == N_FILES


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        ("format-1-images", "gradients"),
        ("format-5-images", "gradients"),
        ("format-5-closed_images", "closed form"),
        ("format-5-closed_rows", "closed form"),
    ],
)
def test_a_kept_file_says_how_it_was_fitted(name, solver):
    assert skdim.load(GOLDEN / f"{name}.skdim", device="cpu").solver_ == solver


def test_the_patches_of_format_1_are_the_trained_network():
    loaded = skdim.load(GOLDEN / "format-1-images.skdim", device="cpu")

    assert isinstance(loaded.encoder_[1], PatchNetworkEncoder)
    assert loaded.encoder.func is PatchNetworkEncoder
    assert loaded.encoder.keywords == SMALL_NETWORK.keywords


def test_a_file_of_format_1_is_saved_in_the_present_one(tmp_path):
    loaded = skdim.load(GOLDEN / "format-1-images.skdim", device="cpu")

    loaded.save(tmp_path / "again.skdim")
    again = skdim.load(tmp_path / "again.skdim", device="cpu")

    assert read_container(tmp_path / "again.skdim")[0]["format"] == FORMAT
    np.testing.assert_array_equal(again.transform(IMAGES), loaded.transform(IMAGES))


def a_header(said, number=1, **built):
    return {
        "format": number,
        "class": "DeepInfoMaxTransformer",
        "parameters": {"encoder": encode(said), "bound": "jsd", "critic": "concat"},
        "attributes": {},
        "built": {
            "parameters": {name: encode(value) for name, value in built.items()},
            "looks": [[0, 0]],
        },
        "net": {"books": [{"loss": 1.0}], "settings": {}},
    }


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("patches", "patch_network"),
        ("auto", "auto"),
        ("dcgan", "dcgan"),
        (PatchEncoder, PatchNetworkEncoder),
        (MLPEncoder, MLPEncoder),
    ],
)
def test_encoders_of_format_1_have_the_names_of_today(said, meant):
    header = a_header(said, encoder=said)

    updated = update_header(header)

    expected = {"encoder": encode(meant), "bound": "jsd", "critic": "concat"}
    assert updated["parameters"] == expected
    assert updated["built"]["parameters"] == {"encoder": encode(meant)}
    assert updated["attributes"] == {"solver_": "gradients"}
    assert updated["built"]["pairs"] == [[0, 0]]
    assert updated["net"] == {"history": [{"loss": 1.0}], "settings": {}}
    assert header == a_header(said, encoder=said)


def test_partial_calls_of_format_1_have_the_names_of_today():
    said = partial(partial(PatchEncoder, hidden_units=8), n_filters=4)

    updated = update_header(a_header(said))

    meant = decode(updated["parameters"]["encoder"])
    assert meant.func is PatchNetworkEncoder
    assert meant.keywords == {"n_filters": 4, "hidden_units": 8}
    assert "encoder" not in updated["built"]["parameters"]


@pytest.mark.parametrize(
    ("built", "given", "objective", "built_objective", "still_given"),
    [
        ({}, [], VAE(beta=2.0), VAE(beta=2.0), []),
        ({"beta": 3.0}, [], VAE(beta=2.0), VAE(beta=3.0), []),
        ({}, ["encoder"], VAE(beta=2.0), VAE(beta=2.0), ["encoder"]),
        ({}, ["encoder", "beta"], None, None, ["encoder", "objective"]),
    ],
)
def test_transformers_of_format_1_have_an_objective(
    built, given, objective, built_objective, still_given
):
    header = a_header("mlp", **built) | {"class": "VAETransformer", "given": given}
    header["built"]["given"] = given
    header["parameters"] = {"encoder": "mlp"} | ({} if "beta" in given else {"beta": 2.0})

    updated = update_header(header)

    assert updated["class"] == "EncoderTransformer"
    said = updated["parameters"].get("objective")
    assert str(said and decode(said)) == str(objective)
    then = updated["built"]["parameters"].get("objective")
    assert str(then and decode(then)) == str(built_objective)
    assert "beta" not in updated["parameters"]
    assert updated["given"] == updated["built"]["given"] == still_given


@pytest.mark.parametrize("encoder", ["patches", PatchEncoder])
def test_encoders_of_the_present_format_keep_their_names(encoder):
    header = a_header(encoder, FORMAT, encoder=encoder)

    assert update_header(header) == header


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, model, X in made():
        path = GOLDEN / f"format-{FORMAT}-{name}.skdim"
        model.save(path)
        said = {
            "X": "images" if X is IMAGES else "rows",
            "y": LABELS.tolist() if name == "labels" else None,
            "score": None if name in ("labels", "targets") else model.score(X),
            "codes": model.transform(X).astype(float).round(7).tolist(),
        }
        path.with_suffix(".json").write_text(json.dumps(said))
        print(f"{path.name}: {path.stat().st_size} bytes")
