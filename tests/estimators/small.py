"""Small data of all layouts, and a transformer that is trained at once."""

import numpy as np

from skdim import DeepInfoMaxTransformer

N, D, SIDE = 20, 6, 8

draw = np.random.default_rng(0)
VECTORS = draw.normal(size=(N, D))
IMAGES = draw.normal(size=(N, SIDE, SIDE))
CHANNELS_FIRST = draw.normal(size=(N, 3, SIDE, SIDE))
CHANNELS_LAST = np.moveaxis(CHANNELS_FIRST, 1, -1)
BOTH = {"vectors": VECTORS, "images": IMAGES}


def make(**params):
    given = {"n_components": 4, "max_epochs": 1, "batch_size": 8, "random_state": 0}
    return DeepInfoMaxTransformer(**given | params)


def features(X, **params):
    return make(**params).fit(X).transform(X)
