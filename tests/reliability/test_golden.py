"""Files of each released format stay loadable, and give the codes that they gave.

``python -m tests.reliability.test_golden`` makes those of the present format again, as is needed
when a format is added: files of older ones are kept as they are.
"""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import skdim
from skdim.critics import Discriminator, DotCritic
from skdim.encoders import MLPEncoder, PatchEncoder
from skdim.persistence import FORMAT, read_file
from skdim.priors import PRIORS
from skdim.views import Augment

GOLDEN = Path(__file__).parent / "golden"
LARGEST = 30_000

# No generator: files must give the same codes whatever NumPy draws in years to come.
ROWS = np.sin(np.arange(120) ** 1.5).reshape(20, 6).astype(np.float32)
IMAGES = (np.arange(20 * 64) ** 2 % 251).reshape(20, 8, 8).astype(np.uint8)
LABELS = np.array(["even", "odd"] * 10)

SMALL_MLP = partial(MLPEncoder, n_groups=2, local_units=2, hidden_units=4)
SMALL_PATCHES = partial(PatchEncoder, n_filters=4, local_units=4, map_units=4, hidden_units=8)
SMALL_CRITIC = partial(DotCritic, units=4)


def make(kind="DeepInfoMaxTransformer", **settings):
    defaults = {"n_components": 2, "encoder": SMALL_MLP, "max_epochs": 2, "random_state": 0}
    return getattr(skdim, kind)(**defaults | {"device": "cpu"} | settings)


def made():
    """Give the transformers that are kept, fitted, with their samples."""
    prior = replace(PRIORS["normal"], discriminator=partial(Discriminator, units=(4,)))
    yield "rows", make(critic=SMALL_CRITIC, prior_weight=0.1, prior=prior).fit(ROWS), ROWS
    images = make(encoder=SMALL_PATCHES, critic=SMALL_CRITIC, view=Augment(flip=True)).fit(IMAGES)
    yield "images", images, IMAGES
    labels = make(critic=SMALL_CRITIC, classifier_weight=0.5, output="hidden").fit(ROWS, LABELS)
    yield "labels", labels, ROWS
    yield "targets", make("NATTransformer").fit(ROWS), ROWS


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


def test_there_are_files_of_each_format():
    kept = [read_file(path)[0]["format"] for path in GOLDEN.glob("*.skdim")]

    assert set(kept) == set(range(1, FORMAT + 1))
    assert len(kept) == 4 * FORMAT


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
