"""The paper's Table 1: classification of CIFAR-10 from conv, hidden and code, for every method.

    python benchmarks/paper/table1.py --data cifar-10-batches-py

The probe is the paper's (one hidden layer of 200 units), but when to stop it is chosen on a tenth
of the training images, not on the test images. The paper's figures are those of its Table 1,
CIFAR-10, on 50,000 images after 1,000 epochs; it has none of the plain autoencoder.
"""

from typing import Any

from images import Images
from record import read_options, run

from skdim.metrics import probe_scores

LAYERS = ("conv", "hidden", "code")


def row(conv: float | None, hidden: float | None, code: float | None) -> dict[str, float | None]:
    """Name the figures of a line."""
    return dict(zip(LAYERS, (conv, hidden, code), strict=True))


PAPER = {
    "supervised": row(0.7539, None, None),
    "AE": row(None, None, None),
    "VAE": row(0.6071, 0.6054, 0.5461),
    "AAE": row(0.5944, 0.5719, 0.5281),
    "BiGAN": row(0.6257, 0.6274, 0.5254),
    "NAT": row(0.5619, 0.5129, 0.3116),
    "DIM(G)": row(0.522, 0.5284, 0.4317),
    "DIM(L) JSD": row(0.7325, 0.7362, 0.6696),
    "DIM(L) NCE": row(0.7521, 0.7557, 0.6913),
}


def judge(model: Any, images: Images, seed: int) -> dict[str, float]:
    """Probe all three layers."""
    table = probe_scores(
        model,
        *(images.X, images.y, images.X_test, images.y_test),
        layers=LAYERS,
        probes=("mlp",),
        n_seeds=1,
        random_state=seed,
    )
    return dict(zip(table["layer"], table["accuracy"], strict=True))


if __name__ == "__main__":
    run("table1", PAPER, judge, read_options(__doc__))
