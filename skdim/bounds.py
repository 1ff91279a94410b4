"""Bounds on the dependence of two variables, from the scores of a critic.

A critic scores pairs: positive pairs are samples of the joint distribution P, negative pairs of
the product of the marginals Q. An anchor is the element that a row of scores has in common: one
code, scored against its own locations (positive) and those of other samples (negative). A bound
maps both tables of scores to one number to be maximised, at most the divergence between P and Q.

Scores are not clipped. ``"jsd"``, ``"infonce"`` and ``"dv"`` are finite for all finite scores;
``"kl"``, ``"rkl"`` and ``"h2"`` contain an exponential of the score, which overflows in float32
beyond a score of about 88.

The statements on information are of independent negatives. Where a sample has several locations,
those of one negative sample depend on each other: InfoNCE may then exceed the information, and is a
score to train with and to compare by.

Bounds are tensors of shape (); those on information, Kullback-Leibler and Jensen-Shannon
divergences are in nats. All raise a ValueError unless both tables of scores are non-empty and have
the same anchors.

References
----------
Donsker and Varadhan (1983), Asymptotic evaluation of certain Markov process expectations for large
time IV. Nguyen, Wainwright and Jordan (2010), Estimating divergence functionals and the likelihood
ratio by convex risk minimization. Nowozin, Cseke and Tomioka (2016), f-GAN, arXiv:1606.00709.
van den Oord, Li and Vinyals (2018), Representation learning with contrastive predictive coding,
arXiv:1807.03748. Hjelm et al. (2019), Learning deep representations by mutual information
estimation and maximization, arXiv:1808.06670.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

__all__ = [
    "BOUNDS",
    "Bound",
    "donsker_varadhan",
    "info_nce",
    "jensen_shannon",
    "kullback_leibler",
    "pearson_chi_squared",
    "reverse_kullback_leibler",
    "squared_hellinger",
]

LOG_2 = math.log(2)


@dataclass(frozen=True)
class Bound:
    """A bound in two steps, which can be evaluated block by block.

    The first step reduces the scores of each anchor to two numbers, the second step reduces those
    of all anchors to the bound.

    Parameters
    ----------
    anchors : callable
        ``(positive, negative) -> (gain, cost)``: from scores of shape (n_anchors, n_positives) and
        (n_anchors, n_negatives) to the contributions of both, each of shape (n_anchors,).
    total : callable
        ``(gain, cost) -> bound``, from those of all anchors to a tensor of shape ().

    Examples
    --------
    >>> bound = BOUNDS["dv"]
    >>> positive, negative = torch.ones(4, 1), torch.zeros(4, 3)
    >>> bound(positive, negative)
    tensor(1.)
    >>> blocks = [bound.anchors(positive[rows], negative[rows]) for rows in ([0, 1, 2], [3])]
    >>> bound.total(*(torch.cat(parts) for parts in zip(*blocks)))
    tensor(1.)
    """

    anchors: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    total: Callable[[Tensor, Tensor], Tensor]

    @property
    def additive(self) -> bool:
        """Whether the bound is a mean over anchors."""
        return self.total is difference_of_means

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Compute the bound, a tensor of shape (), from the scores of all anchors.

        Parameters
        ----------
        positive, negative : Tensor of shape (n_anchors, n_positives), (n_anchors, n_negatives)
            Scores of positive and of negative pairs.
        """
        for name, scores in (("positive", positive), ("negative", negative)):
            if scores.ndim != 2 or scores.numel() == 0:
                raise ValueError(
                    f"{name} scores have shape {tuple(scores.shape)}; a table (n_anchors, "
                    f"n_{name}s) with at least one of each is needed, such as "
                    "skdim.pairs.pair_blocks returns."
                )
        if len(positive) != len(negative):
            raise ValueError(
                f"positive scores have {len(positive)} anchors and negative scores "
                f"{len(negative)}; row i of both must belong to the same anchor."
            )
        return self.total(*self.anchors(positive, negative))


def difference_of_means(gain: Tensor, cost: Tensor) -> Tensor:
    """Subtract the mean cost from the mean gain."""
    return gain.mean() - cost.mean()


def gain_less_log_mean_exp(gain: Tensor, cost: Tensor) -> Tensor:
    """Subtract the log mean exp of the costs from the mean gain."""
    return gain.mean() - (cost.logsumexp(dim=0) - math.log(len(cost)))


def jensen_shannon_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``ln 2 - softplus(-v)`` and ``softplus(v) - ln 2``."""
    gain = LOG_2 - softplus(-positive)
    cost = softplus(negative) - LOG_2
    return gain.mean(dim=1), cost.mean(dim=1)


def info_nce_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log of the number of candidates and the cross-entropy of the positives."""
    # softplus(lse - v) is logaddexp(v, lse) - v without the cancellation at large scores.
    others = negative.logsumexp(dim=1, keepdim=True)
    cost = softplus(others - positive).mean(dim=1)
    return torch.full_like(cost, math.log(1 + negative.shape[1])), cost


def donsker_varadhan_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``v`` and the log mean exp of ``v``."""
    log_mean_exp = negative.logsumexp(dim=1) - math.log(negative.shape[1])
    return positive.mean(dim=1), log_mean_exp


def kullback_leibler_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``v`` and ``exp(v - 1)``."""
    return positive.mean(dim=1), (negative - 1).exp().mean(dim=1)


def reverse_kullback_leibler_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``-exp(-v)`` and ``v - 1``."""
    return -(-positive).exp().mean(dim=1), negative.mean(dim=1) - 1


def squared_hellinger_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``1 - exp(-v)`` and ``exp(v) - 1``."""
    return -torch.expm1(-positive).mean(dim=1), torch.expm1(negative).mean(dim=1)


def pearson_chi_squared_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``v`` and ``v^2 / 4 + v``, which is -1 below -2."""
    # The conjugate is constant below -2, since densities are not negative.
    v = negative.clamp(min=-2)
    return positive.mean(dim=1), (v.square() / 4 + v).mean(dim=1)


BOUNDS: dict[str, Bound] = {
    "jsd": Bound(jensen_shannon_anchors, difference_of_means),
    "infonce": Bound(info_nce_anchors, difference_of_means),
    "dv": Bound(donsker_varadhan_anchors, gain_less_log_mean_exp),
    "kl": Bound(kullback_leibler_anchors, difference_of_means),
    "rkl": Bound(reverse_kullback_leibler_anchors, difference_of_means),
    "h2": Bound(squared_hellinger_anchors, difference_of_means),
    "chi2": Bound(pearson_chi_squared_anchors, difference_of_means),
}


def jensen_shannon(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound twice the Jensen-Shannon divergence between joint and product.

    .. math:: 2 \, \mathrm{JSD}(P, Q) \geq
        2 \ln 2 - \mathbb{E}_P[\mathrm{softplus}(-T)] - \mathbb{E}_Q[\mathrm{softplus}(T)]

    It is twice the mean of the two Kullback-Leibler divergences to the mixture, at most
    :math:`2 \ln 2`, and attained by the critic :math:`T = \ln (p / q)`. See Nowozin et al. (2016),
    equation 4 and table 2; Hjelm et al. (2019), equation 4, omits the constant.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_anchors, n_positives), (n_anchors, n_negatives)
        Scores of positive and of negative pairs.
    """
    return BOUNDS["jsd"](positive, negative)


def info_nce(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the mutual information by classifying each positive among its anchor's negatives.

    .. math:: I \geq \ln K
        + \mathbb{E}_P \left[ T - \ln \left( e^{T} + \sum_{j=1}^{K-1} e^{T_j} \right) \right]

    with one positive and :math:`K - 1` negatives of the same anchor as the :math:`K` candidates.
    The bound never exceeds :math:`\ln K`. The optimal critics are :math:`\ln (p / q)` plus any
    function of the anchor. The negatives must be independent given the anchor: with several
    locations of each negative sample, the value may exceed :math:`I`. See van den Oord et al.
    (2018), equation 4; Hjelm et al. (2019), equation 5, omits :math:`\ln K`.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_anchors, n_positives), (n_anchors, n_negatives)
        Scores of positive and of negative pairs.
    """
    return BOUNDS["infonce"](positive, negative)


def donsker_varadhan(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the mutual information by the Donsker-Varadhan formula.

    .. math:: I \geq \mathbb{E}_P[T] - \ln \mathbb{E}_Q[e^{T}]

    The mean under the logarithm is over the negatives of all anchors. The optimal critics are
    :math:`\ln (p / q)` plus any constant. On small samples the gradient is biased, and the value
    upwards. See Donsker and Varadhan (1983); Hjelm et al. (2019), equation 2.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_anchors, n_positives), (n_anchors, n_negatives)
        Scores of positive and of negative pairs.
    """
    return BOUNDS["dv"](positive, negative)


def kullback_leibler(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the mutual information by the dual of the Kullback-Leibler divergence.

    .. math:: I = \mathrm{KL}(P, Q) \geq \mathbb{E}_P[T] - \mathbb{E}_Q[e^{T - 1}]

    Attained by the critic :math:`T = 1 + \ln (p / q)`. Also known as NWJ, after Nguyen et al.
    (2010), and as f-MINE. See Nowozin et al. (2016), equation 4 and table 2.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_anchors, n_positives), (n_anchors, n_negatives)
        Scores of positive and of negative pairs.
    """
    return BOUNDS["kl"](positive, negative)


def reverse_kullback_leibler(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the Kullback-Leibler divergence from product to joint, the lautum information.

    .. math:: \mathrm{KL}(Q, P) \geq \mathbb{E}_P[-e^{-T}] - \mathbb{E}_Q[T - 1]

    Attained by the critic :math:`T = \ln (p / q)`. It does not bound the
    mutual information. See Nowozin et al. (2016), table 2.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_anchors, n_positives), (n_anchors, n_negatives)
        Scores of positive and of negative pairs.
    """
    return BOUNDS["rkl"](positive, negative)


def squared_hellinger(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the squared Hellinger distance between joint and product.

    .. math:: \int (\sqrt{p} - \sqrt{q})^2 \geq \mathbb{E}_P[1 - e^{-T}] - \mathbb{E}_Q[e^{T} - 1]

    without the factor 1/2 of some definitions, so at most 2. Attained by the critic
    :math:`T = \frac{1}{2} \ln (p / q)`. See Nowozin et al. (2016), equation 4 and table 2.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_anchors, n_positives), (n_anchors, n_negatives)
        Scores of positive and of negative pairs.
    """
    return BOUNDS["h2"](positive, negative)


def pearson_chi_squared(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the Pearson chi-squared divergence between joint and product.

    .. math:: \chi^2(P, Q) = \int \frac{(p - q)^2}{q} \geq
        \mathbb{E}_P[T] - \mathbb{E}_Q \left[ \tfrac{1}{4} \max(T, -2)^2 + \max(T, -2) \right]

    Attained by the critic :math:`T = 2 (p / q - 1)`, which is never below -2. For jointly normal
    variables the divergence is :math:`e^{2I} - 1`. See Nowozin et al. (2016), equation 4 and table
    2, whose conjugate is continued below -2.

    Parameters
    ----------
    positive, negative : Tensor of shape (n_anchors, n_positives), (n_anchors, n_negatives)
        Scores of positive and of negative pairs.
    """
    return BOUNDS["chi2"](positive, negative)
