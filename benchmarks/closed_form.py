"""The closed form finds what gradients find: Gaussian data whose information is known.

    python benchmarks/closed_form.py [--seeds 3] [--epochs 40]

A sample is a linear mixture of a few latents; a look adds noise to it. The information between two
looks then has a maximum over linear codes of a size that follows from the covariances, -1/2 ln
det(I - R^2) over the leading canonical correlations R. Printed, in nats, on samples that were not
fitted: that truth; the closed form; and a linear encoder that is trained by gradients, with the
bounds "kl" and "infonce", the encoder's Gaussian critic trained along. Written to
``results/closed_form.json``.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from timing import about
from torch import Generator, Tensor, nn

from skdim import DeepInfoMaxTransformer
from skdim.encoders import AbstractStem, Features, LinearEncoder

N_LATENTS, N_COLUMNS, N_COMPONENTS = 6, 20, 4


class Columns(AbstractStem):
    """The columns themselves, as one cell."""

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.out_shape = (n_columns, 1)

    def adapt(self, x: Tensor) -> None:
        """Nothing is to be set."""

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors (n, d) to (n, d, 1)."""
        return x[:, :, None]


class Linear(nn.Module):
    """A linear code of the columns, which are the only local feature."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Linear(N_COLUMNS, N_COMPONENTS)

    def forward(self, x: Tensor) -> Features:
        """Encode."""
        return Features(x[:, :, None], x[:, :, None], x, self.code(x))


@dataclass(frozen=True)
class Noise:
    """Two looks, each with noise of its own."""

    deviation: float
    pairs: tuple[tuple[int, int], ...] = ((0, 1),)

    def __call__(self, x: Tensor, generator: Generator) -> tuple[Tensor, ...]:
        """Look twice."""
        drawn = (torch.randn(x.shape, generator=generator) for _ in range(2))
        return tuple(x + self.deviation * noise for noise in drawn)


def draw(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw samples (n, columns) and give the covariance they are drawn from."""
    random = np.random.default_rng(seed)
    strengths = np.geomspace(3, 0.5, N_LATENTS)
    mixture = random.normal(size=(N_LATENTS, N_COLUMNS)) * strengths[:, None] / N_COLUMNS**0.5
    covariance = mixture.T @ mixture
    return (random.normal(size=(n, N_LATENTS)) @ mixture).astype(np.float32), covariance


def truth(covariance: np.ndarray, deviation: float) -> float:
    """Compute the most information that a code of N_COMPONENTS numbers can have, in nats."""
    signal = np.linalg.eigvalsh(covariance)[::-1][:N_COMPONENTS]
    correlations = signal / (signal + deviation**2)
    return float(-0.5 * np.log1p(-(correlations**2)).sum())


def run(seed: int, epochs: int) -> dict[str, float]:
    """All figures of one draw."""
    deviation = 0.5
    X, covariance = draw(12_000, seed)
    X, X_new = X[:8000], X[8000:]
    view = Noise(deviation)
    encoder = LinearEncoder(Columns(N_COLUMNS), N_COMPONENTS)
    settings = {"view": view, "random_state": seed}
    figures = {"truth": truth(covariance, deviation)}
    for term in ({"local_weight": 1.0}, {"local_weight": 0.0, "global_weight": 1.0}):
        solved = DeepInfoMaxTransformer(N_COMPONENTS, encoder=encoder, **settings, **term)
        name = "closed form, " + ("global" if "global_weight" in term else "local")
        figures[name] = solved.fit(X).score(X_new)
    for bound in ("kl", "infonce"):
        trained = DeepInfoMaxTransformer(
            N_COMPONENTS,
            encoder=Linear(),
            critic="gaussian",
            bound=bound,
            max_epochs=epochs,
            batch_size=500,
            learning_rate=1e-2,
            **settings,
        ).fit(X)
        # The score is of samples as they are; the information is that between looks.
        last = trained.history_["local"][-1]
        figures[f"gradients, {bound} (training rows)"] = -last
    return figures


def main() -> None:
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    runs = [run(seed, options.epochs) for seed in range(options.seeds)]
    for name in runs[0]:
        values = np.array([figures[name] for figures in runs])
        error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
        print(f"{name:<36}{values.mean():8.3f} ± {error:.3f}")
    path = Path(__file__).parent / "results" / "closed_form.json"
    path.write_text(json.dumps({"about": about(), "runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
