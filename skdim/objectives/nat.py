"""Noise as targets: each code is pulled to a point of its own on the sphere."""

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import normalize

from skdim.encoders import Features, layer_of
from skdim.objectives.base import AbstractCriterion, AbstractObjective, Batch, Setting
from skdim.pairs import in_full, uncompiled


class NoiseAsTargets(AbstractCriterion):
    """Pull the code of each sample to a point of its own, drawn once on the sphere.

    Each sample of the training set has one point, by its index. In each batch, its points are
    reassigned to its samples, with the least sum of squared distances to their codes. The term
    ``targets`` is half the mean squared distance: one minus the cosine.

    Codes are normalised in this term only. All looks of a sample are pulled to its one point;
    several globals are averaged, as in ``transform``. The assignment is solved on the CPU: on an
    accelerator, each batch is synchronised once. There is no score, since samples that were not
    trained on have no point.

    Parameters
    ----------
    n_samples : int
        Samples of the training set.
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
        """Assign the points of the batch, and return the term."""
        # Of length 1 and in at least single precision: (looks, n, d).
        codes = torch.stack([normalize(in_full(layer_of(look, "code")), dim=1) for look in looks])
        points = self.targets[batch.index]
        # Dynamo cannot trace scipy.
        points = points[uncompiled(assign)(codes.detach().sum(dim=0), points)]
        self.targets[batch.index] = points
        return {"targets": 0.5 * (codes - points).square().sum(dim=2).mean()}


def assign(codes: Tensor, points: Tensor) -> Tensor:
    """Return the number of the point of each code, with the least sum of squared distances."""
    # SciPy does not support bfloat16.
    with torch.autocast(codes.device.type, enabled=False):
        gains = codes @ points.T
    _, chosen = linear_sum_assignment(gains.cpu().numpy(), maximize=True)
    return torch.as_tensor(chosen, device=points.device)


class NAT(AbstractObjective):
    """Noise as targets (NAT): each sample's code is pulled to a point of its own on the sphere.

    The points are assigned during training; see :class:`NoiseAsTargets`. Samples that were not
    trained on have no point: there is no score, no held-out samples and no ``partial_fit``.

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
