"""A term of information with a Gaussian critic, which the closed form sets."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from skdim.bounds import BOUNDS
from skdim.closed_form import Directions, information_of, rotation, scale_of
from skdim.critics import GaussianCritic
from skdim.encoders import Basis, Features
from skdim.objectives.base import Batch
from skdim.objectives.information import Information


class GaussianInformation(Information):
    """Information between the code and a layer, by a Gaussian critic.

    The closed form sets the critic to the log ratio of the fitted Gaussian densities. The score is
    its mean over true pairs: the information in nats if code and layer are jointly Gaussian, which
    does not depend on negatives or the batch size. Training by gradients maximises InfoNCE with
    the same critic, which is then the score.

    Parameters
    ----------
    name : str
    critic : GaussianCritic
    **kwargs : Any
        ``weight``, ``looks`` and ``whole`` of :class:`Information`.
    """

    scores_looks = True
    solved: Tensor
    critic: GaussianCritic

    def __init__(self, name: str, critic: GaussianCritic, **kwargs: Any) -> None:
        super().__init__(name, critic, BOUNDS["infonce"], **kwargs)
        self.register_buffer("solved", torch.zeros((), dtype=torch.bool))

    @property
    def compares_samples(self) -> bool:  # type: ignore[override]
        """Whether the score is InfoNCE, and not that of the closed form."""
        return not bool(self.solved)

    @torch.no_grad()
    def set_directions(self, found: Directions, basis: Basis, code_size: int) -> float:
        """Set the critic from the solution of the closed form.

        Parameters
        ----------
        found : Directions
        basis : Basis
            Coordinates of the features.
        code_size : int
            Size of the code, which is rotated.

        Returns
        -------
        float
            The information in nats between two looks, if their densities are Gaussian.
        """
        estimate = found.estimates[self.name]
        k = min(code_size, self.critic.units, len(found.correlations))
        # Directions without correlation are left out: the inverse of their scale is 0.
        inverse = inverse_of(scale_of(found.correlations)[:k])
        scale = inverse_of(estimate.correlations[:k])
        code = (inverse[:, None] * rotation(code_size)[:k], torch.zeros(k))
        if self.whole:
            weight = (basis.whole.cpu().double() @ estimate.weight[0, :, :k]).T
            layer = scale[:, None] * weight, scale * estimate.bias[0, :k]
        else:
            features = self.critic.local_projection.in_features
            layer = pad(torch.diag(scale * inverse), (0, features - k)), torch.zeros(k)
        correlations = estimate.correlations[:k] * (scale > 0)
        self.critic.set_pairs(code, layer, correlations)
        self.solved.fill_(True)
        return float(information_of(correlations))

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return minus the weighted bound; see ``AbstractCriterion.forward``."""
        self.solved.fill_(False)
        return super().forward(looks, batch)

    def score_looks(self, looks: Sequence[Features], batch: Batch) -> Tensor:
        """Return the mean score of true pairs, or InfoNCE if trained by gradients."""
        values = []
        for code, layer in self.looks:
            codes = self.critic.project_code(looks[code].code)
            locations = self.critic.project_local(self.layer_of(looks[layer]))
            values.append(self.critic.join(codes, locations).mean())
        return torch.where(self.solved, torch.stack(values).mean(), self.score(looks[0], batch))


def inverse_of(x: Tensor) -> Tensor:
    """Return 1 / x, and 0 where x is 0."""
    return torch.where(x > 1e-6, 1 / x.clamp(min=1e-6), torch.zeros_like(x))
