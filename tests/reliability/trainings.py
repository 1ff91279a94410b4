"""Small trainings of every kind, to be cut off and gone on with; the same in each process."""

import hashlib
import random
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset

from skdim import DeepInfoMaxTransformer
from skdim.encoders import PatchEncoder

N, D, SIDE, EPOCHS = 32, 6, 8, 5

draw = np.random.default_rng(0)
VECTORS = draw.normal(size=(N, D)).astype(np.float32)
IMAGES = draw.integers(256, size=(N, SIDE, SIDE), dtype=np.uint8)
LABELS = np.where(draw.random(N) < 0.5, draw.integers(3, size=N), -1)


class Dropping(nn.Module):
    """A module of one's own that draws from torch's global generator."""

    def __init__(self):
        super().__init__()
        self.local = nn.Linear(D, 8)
        self.norm = nn.BatchNorm1d(8)
        self.code = nn.Linear(8, 4)

    def forward(self, x):
        local = nn.functional.dropout(self.norm(self.local(x)), 0.3, self.training)
        return local, self.code(local)


class Noisy(Dataset):
    """Items that are drawn with noise from NumPy's global generator."""

    def __len__(self):
        return N

    def __getitem__(self, number):
        noise = np.random.normal(size=D)  # noqa: NPY002 (what users write)
        return VECTORS[number] + 0.1 * noise.astype(np.float32), 0


def noisy(x, generator):
    """View whose noise is drawn from the global generators of torch, NumPy and Python."""
    noise = np.random.normal(size=x.shape).astype(np.float32)  # noqa: NPY002
    return (x + random.gauss(0, 0.1) + torch.from_numpy(noise) + torch.rand(1),)


STOPPING = {
    "early_stopping": True,
    "validation_fraction": 0.25,
    "n_iter_no_change": 2,
    "tol": 0.0,
    "max_epochs": 10,
}
NARROW = {"encoder": partial(PatchEncoder, n_filters=4, n_second=4, hidden_units=8)}

# Name: data, labels, parameters.
TRAININGS = {
    "vectors": (VECTORS, None, {"schedule": "constant"}),
    "views": (IMAGES, None, {"view": "augment", "encoder": "dcgan"}),
    "occlusion": (IMAGES, None, {"view": "occlude", "optimizer": "sgd", "schedule": "cosine"}),
    "prior": (VECTORS, None, {"prior_weight": 1.0, "global_weight": 0.5, "negatives": 3}),
    # Its best epoch is the fourth, and it stops after the seventh.
    "stopping": (IMAGES, None, STOPPING | {"n_iter_no_change": 3, "random_state": 3}),
    "held out": (VECTORS, None, {"validation_fraction": 0.25, "checkpoint_every": 2}),
    "dropout": (VECTORS, None, {"encoder": Dropping(), "optimizer": "adamw"}),
    "built": (VECTORS, None, {"encoder": lambda input_shape, n_components: Dropping()}),
    "dropped and stopped": (VECTORS, None, STOPPING | {"encoder": Dropping()}),
    "labels": (IMAGES, LABELS, {"classifier_weight": 0.5, "checkpoint_every": 3} | NARROW),
    "stream": (Noisy(), None, {}),
    "noise": (VECTORS, None, {"encoder": "mlp", "view": noisy}),
    "coordinates": (IMAGES, None, {"coordinate_weight": 1.0} | NARROW),
}


def make(name, **params):
    """Give the transformer of a training."""
    given = {"n_components": 4, "max_epochs": EPOCHS, "batch_size": 16, "random_state": 0}
    return DeepInfoMaxTransformer(**given | TRAININGS[name][2] | params)


def fit(name, **params):
    """Train."""
    X, y, _ = TRAININGS[name]
    return make(name, **params).fit(X, y)


def folder_in(checkpoint_dir):
    """The folder of the one training that was written."""
    (folder,) = (path for path in checkpoint_dir.iterdir() if path.is_dir())
    return folder


def outcome(name, model):
    """Give digests of all that came out of a training; only its seconds may differ."""
    state = model.net_.state()
    history = {key: column for key, column in model.history_.items() if key != "seconds"}
    return {
        "weights": digest(
            part.detach().contiguous().numpy().tobytes()
            for whole in state.values()
            for part in whole.values()
        ),
        "names": digest(f"{whole}.{part}".encode() for whole in state for part in state[whole]),
        "history": digest([repr(history).encode()]),
        "n_iter": model.n_iter_,
        "codes": digest([model.transform(TRAININGS[name][0]).tobytes()]),
    }


def digest(parts):
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


def use_one_thread():
    """Use one thread: then a process may be forked after it has computed."""
    torch.set_num_threads(1)
