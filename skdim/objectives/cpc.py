"""Contrastive predictive coding: rows of the local map are predicted from those before."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from skdim.bounds import BOUNDS
from skdim.critics import DotCritic
from skdim.encoders import ContextEncoder, Features
from skdim.objectives.base import AbstractCriterion, AbstractObjective, Batch, Setting
from skdim.pairs import bound_of_pairs, in_full
from skdim.parameters import Rule, integer

# Number of samples of noise on which dependencies are computed.
N_NOISE = 8

# Maximum number of scores computed at once: 64 MiB in single precision.
MAX_FLOATS = 2**24


class ContextPrediction(AbstractCriterion):
    """Predict local features from the context some rows before them.

    The code at row r and column j summarises rows up to r. A critic for each distance t - r > 0
    scores it against the local features at (t, j), whose negatives are those at row t of all
    columns and samples of the batch. The term ``prediction`` is minus InfoNCE, averaged over pairs
    of rows and over looks. It is a score, and not a bound on information: negatives of one sample
    depend on each other. Each look is predicted from its own context, since that of
    another look may contain what is predicted.

    Parameters
    ----------
    rows : sequence of (int, int)
        Pairs ``(r, t)``; see ``predictable_rows``.
    code_features : int
        Channels of the codes.
    local_features : int
        Channels of the local features.
    units : int, default=256
        Size of the projections that are compared.

    References
    ----------
    van den Oord, Li and Vinyals (2018). Representation learning with contrastive predictive
    coding. arXiv:1807.03748.
    """

    compares_samples = True
    weights_of_bounds = MappingProxyType({"prediction": 1.0})

    def __init__(
        self,
        rows: Sequence[tuple[int, int]],
        code_features: int,
        local_features: int,
        *,
        units: int = 256,
    ) -> None:
        super().__init__()
        self.rows = tuple(rows)
        distances = sorted({t - r for r, t in rows})
        self.critics = nn.ModuleDict(
            {str(d): DotCritic(code_features, local_features, units) for d in distances}
        )
        # On the device: indexing by lists would wait for it.
        for d in distances:
            of_distance = torch.tensor([r for r, t in rows if t - r == d], device="cpu")
            self.register_buffer(f"rows_{d}", of_distance, persistent=False)

    def forward(self, looks: Sequence[Features], batch: Batch) -> dict[str, Tensor]:
        """Return minus the score; see ``AbstractCriterion.forward``."""
        return {"prediction": -torch.stack([self.score(look, batch) for look in looks]).mean()}

    def score(self, features: Features, batch: Batch) -> Tensor:
        """Return InfoNCE, averaged over pairs of rows; see ``AbstractCriterion.score``."""
        bounds = []
        for distance, critic in self.critics.items():
            assert isinstance(critic, DotCritic)
            rows = self.get_buffer(f"rows_{distance}")
            codes = critic.project_code(features.code[:, :, rows])
            locations = critic.project_local(features.local[:, :, rows + int(distance)])
            bounds.append(info_nce_of(*(by_row(part, len(rows)) for part in (codes, locations))))
        return torch.cat(bounds).mean()


def by_row(projected: Tensor, n_rows: int) -> Tensor:
    """Reshape projections (n, rows * columns, u) to (rows, n * columns, u)."""
    n, _, units = projected.shape
    return projected.reshape(n, n_rows, -1, units).movedim(1, 0).flatten(1, 2)


def info_nce_of(codes: Tensor, locations: Tensor) -> Tensor:
    """Compute InfoNCE of codes and locations, both (rows, m, u), row by row, as (rows,).

    All rows are computed at once, or in blocks where their scores would take too much memory.
    """
    n_rows, m, _ = codes.shape
    if n_rows * m * m <= MAX_FLOATS:
        scores = in_full(codes @ locations.mT)
        return scores.log_softmax(dim=2).diagonal(dim1=1, dim2=2).mean(dim=1) + math.log(m)
    bounds = [
        bound_of_pairs(BOUNDS["infonce"], lambda x, y: x @ y.mT, code[:, None], local[:, None])
        for code, local in zip(codes, locations, strict=True)
    ]
    return torch.stack(bounds)


def predictable_rows(
    encoder: nn.Module, shape: tuple[int, ...], n_predicted: int = 5
) -> list[tuple[int, int]]:
    """Find the rows whose local features do not depend on the same pixels as earlier codes.

    Dependencies are computed from gradients on noise, in evaluation mode: an output does not depend
    on pixels (or columns, or points in time) whose gradient is exactly 0 in all channels.

    Parameters
    ----------
    encoder : Module
        Maps samples to features with ``local`` and ``code`` of the same grid.
    shape : tuple of int
        Shape of a sample: ``(C, H, W)``, ``(C, L)`` or ``(d,)``.
    n_predicted : int, default=5
        Maximum number of rows predicted from one context: the first ones.

    Returns
    -------
    list of (int, int)
        Pairs (row of the context, row to be predicted) that share no pixel.
    """
    weight = next(encoder.parameters())
    x = torch.randn(N_NOISE, *shape, device="cpu").to(weight).requires_grad_()
    training = encoder.training
    encoder.eval()
    # Convolutions by Fourier transforms would return rounding errors in place of 0.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        features = encoder(x)
        context, local = (receptive_fields(layer, x) for layer in (features.code, features.local))
    encoder.train(training)
    shared = context.cpu().double() @ local.cpu().double().T > 0
    pairs = []
    for r in range(len(shared)):
        ahead = (~shared[r, r + 1 :]).nonzero().flatten().tolist()
        pairs += [(r, r + 1 + distance) for distance in ahead[:n_predicted]]
    return pairs


def receptive_fields(layer: Tensor, x: Tensor) -> Tensor:
    """Return the pixels that each row of a layer depends on, bool (rows, pixels)."""
    fields = []
    for row in layer.unbind(dim=2):
        (gradient,) = torch.autograd.grad(row, x, torch.randn_like(row), retain_graph=True)
        pixels = gradient != 0  # (N_NOISE, *shape)
        fields.append((pixels.any(dim=1) if x.ndim > 2 else pixels).any(dim=0).flatten())
    return torch.stack(fields)


@dataclass(eq=False, repr=False)
class CPC(AbstractObjective):
    """Contrastive predictive coding (CPC): rows of the local map are predicted from those before.

    The encoder is wrapped in a :class:`~skdim.encoders.ContextEncoder`, whose code at a row
    summarises this row and those before it; see :class:`ContextPrediction`. ``transform`` returns
    the mean of the codes over places.

    Parameters
    ----------
    n_predicted : int, default=5
        Maximum number of rows predicted from one context.
    critic_units : int, default=256
        Size of the projections of codes and local features that are compared.

    Notes
    -----
    Term: ``prediction``, minus InfoNCE, averaged over pairs of rows. ``score`` is InfoNCE. With
    several columns, it may exceed the information, since negatives of one sample depend on each
    other.

    References
    ----------
    van den Oord, Li and Vinyals (2018). Representation learning with contrastive predictive
    coding. arXiv:1807.03748.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skdim import EncoderTransformer
    >>> from skdim.objectives import CPC
    >>> images = load_digits().images[:300]
    >>> cpc = EncoderTransformer(16, objective=CPC(), max_epochs=2, random_state=0)
    >>> cpc.fit_transform(images).shape
    (300, 16)
    """

    rules: ClassVar[Mapping[str, Rule]] = {"n_predicted": integer(1), "critic_units": integer(1)}

    n_predicted: int = 5
    critic_units: int = 256

    def build(self, setting: Setting) -> ContextPrediction:
        """Find which rows can be predicted, and build the critics."""
        rows = predictable_rows(setting.encoder, setting.shape, self.n_predicted)
        if not rows:
            n_rows, n_features = setting.sizes.local.shape[2], math.prod(setting.shape)
            raise ValueError(
                f"CPC cannot predict any row: the samples have {n_features} feature(s), and none "
                f"of the {n_rows} row(s) of the encoder's local map is independent of the pixels "
                "of the rows before it. Use an encoder with small receptive fields, such as "
                "'patch_network' or 'folded_resnet19' for images, 'conv1d' for signals and 'mlp' "
                "for vectors of two features or more."
            )
        sizes = setting.sizes
        return ContextPrediction(
            rows, sizes.code.shape[1], sizes.local.shape[1], units=self.critic_units
        )

    def wrap(self, encoder: nn.Module, sizes: Features, n_components: int) -> nn.Module:
        """Return the encoder with a causal summary on its local features."""
        return ContextEncoder(encoder, tuple(sizes.local.shape[1:]), n_components)
