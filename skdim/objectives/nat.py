"""Noise as targets: codes that each go to a place of their own on the sphere."""

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import normalize

from skdim.encoders import Features
from skdim.objectives.base import (
    AbstractCriterion,
    AbstractObjective,
    Batch,
    Setting,
    one_code,
)
from skdim.pairs import in_full

__all__ = ["NAT", "NoiseAsTargets"]


class NoiseAsTargets(AbstractCriterion):
    """Pull each sample's code to one of as many points, drawn on the sphere once and for all.

    Each sample of the fitted set has one point, by its index. In each batch, the batch's points are
    dealt out anew, so that the sum of squared distances to the codes is least: which sample has
    which point is learnt along with the encoder, and codes come to fill the sphere evenly. The term
    ``targets`` is half the mean squared distance, one minus the cosine, of which 0 is the least.

    Codes are put on the sphere inside this term only. With several looks, all go to the sample's
    one point; several globals are averaged, as ``transform`` does.

    The assignment is solved on the CPU. On an accelerator, each batch waits for it once.

    Parameters
    ----------
    n_samples : int
        Samples of the fitted set.
    code_features : int
        Size of a code.

    References
    ----------
    Bojanowski and Joulin (2017). Unsupervised learning by predicting noise. ICML.
    arXiv:1704.05310.
    """

    targets: Tensor

    def __init__(self, n_samples: int, code_features: int) -> None:
        super().__init__()
        self.register_buffer("targets", normalize(torch.randn(n_samples, code_features), dim=1))

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Deal out the batch's points, and give the one term."""
        codes = torch.stack([on_sphere(look) for look in looks])  # (looks, n, d)
        points = self.targets[batch.index]
        # Dynamo cannot follow scipy.
        run = (
            torch.compiler.disable(assign)  # type: ignore[no-untyped-call]
            if torch.compiler.is_compiling()
            else assign
        )
        points = points[run(codes.detach().sum(dim=0), points)]
        self.targets[batch.index] = points
        return {"targets": 0.5 * (codes - points).square().sum(dim=2).mean()}

    def score(self, features: Features, batch: Batch) -> None:
        """Measure nothing: samples that were not trained on have no point to go to."""


def on_sphere(look: Features) -> Tensor:
    """Return one code a sample, of length 1 and in single precision at least."""
    return normalize(in_full(one_code(look)), dim=1)


def assign(codes: Tensor, points: Tensor) -> Tensor:
    """Find which point goes to which code so that the squared distances sum to the least.

    Parameters
    ----------
    codes, points : Tensor of shape (n, d)
        The points of one length.

    Returns
    -------
    Tensor of shape (n,)
        Numbers of the points, one for each code.
    """
    # In single precision, whatever the training computes in: scipy knows no bfloat16.
    with torch.autocast(codes.device.type, enabled=False):
        gains = codes @ points.T
    _, chosen = linear_sum_assignment(gains.cpu().numpy(), maximize=True)
    return torch.as_tensor(chosen, device=points.device)


class NAT(AbstractObjective):
    """Noise as targets (NAT): each sample's code is pulled to a point of its own on the sphere.

    Which sample has which point is learnt along with the encoder; see :class:`NoiseAsTargets`.
    Samples that were not trained on have no point, so that there is no score and nothing can be
    held out; chunks of ``partial_fit`` have none either.

    Notes
    -----
    Term: ``targets``, half the mean squared distance of codes to their points on the sphere.

    References
    ----------
    Bojanowski and Joulin (2017). Unsupervised learning by predicting noise. ICML.
    arXiv:1704.05310.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import NAT
    >>> images = load_digits().images[:300]
    >>> nat = EncoderTransformer(16, objective=NAT(), max_epochs=2, random_state=0)
    >>> nat.fit_transform(images).shape
    (300, 16)
    """

    has_score = False
    keeps_samples = True

    def build(self, setting: Setting) -> NoiseAsTargets:
        """Draw the points; see ``AbstractObjective.build``."""
        return NoiseAsTargets(setting.n_samples, setting.sizes.code.shape[1])
