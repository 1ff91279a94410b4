"""Images drawn from a known cause: a bright blob somewhere, so that two numbers say it all."""

import numpy as np
from sklearn.linear_model import LinearRegression

SIDE = 16
RADIUS = 2.0
NOISE = 0.05


def draw_blobs(n, seed=0, side=SIDE):
    """Draw grey images of one Gaussian blob each, with a little noise.

    Returns
    -------
    images : ndarray of shape (n, side, side), float32
        About 1 in the middle of the blob and 0 elsewhere.
    places : ndarray of shape (n, 2)
        Row and column of the middle, uniform and at least 3 pixels off the border.
    """
    draws = np.random.default_rng(seed)
    places = draws.uniform(3, side - 4, size=(n, 2))
    pixel = np.arange(side)
    rows, columns = (
        np.exp(-((pixel - places[:, [axis]]) ** 2) / (2 * RADIUS**2)) for axis in (0, 1)
    )
    images = rows[:, :, None] * columns[:, None, :]
    images += NOISE * draws.normal(size=images.shape)
    return images.astype(np.float32), places


def linear_probe_r2(transformer, n_fit=600, n_test=300):
    """Fit on blobs; say how well a linear map of their features tells the place of new ones.

    Returns
    -------
    float
        R2 on samples that neither the transformer nor the map has seen, averaged over row and
        column.
    """
    images, places = draw_blobs(n_fit, seed=0)
    new_images, new_places = draw_blobs(n_test, seed=1)
    probe = LinearRegression().fit(transformer.fit(images).transform(images), places)
    return probe.score(transformer.transform(new_images), new_places)
