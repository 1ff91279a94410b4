"""Bounds on how much two variables depend on each other, from the scores of a critic.

A critic scores pairs. Positive pairs were drawn together, from the joint distribution P; negative
pairs were drawn apart, from the product of the marginals Q. An anchor is what one row of scores
shares: one code, scored against its own locations (positive) and against those of other samples
(negative). Every bound maps the two tables of scores to one number, which grows towards the
divergence between P and Q as the critic improves, and is to be maximised.

No score is clipped. ``"jsd"``, ``"infonce"`` and ``"dv"`` stay finite however large the scores;
``"kl"``, ``"rkl"`` and ``"h2"`` hold an exponential of the score and overflow with it, in float32
beyond a score of about 88. Scores that are not two tables with the same anchors and at least one
score each raise a ValueError.

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
from collections.abc import Callable, Iterable
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
    """A bound in two steps, so that it can be fed block by block.

    The first step looks at one anchor at a time, the second at all of them. What lies between is
    two numbers an anchor, so blocks of scores can be forgotten as soon as they are summed up.

    Parameters
    ----------
    anchors : callable
        ``(positive, negative) -> (gain, cost)``: from scores of shape (n_anchors, n_positives) and
        (n_anchors, n_negatives), what each anchor's positives earn and what its negatives cost,
        both of shape (n_anchors,).
    total : callable
        ``(gain, cost) -> bound``, from the statistics of all anchors to a tensor of shape ().

    Examples
    --------
    >>> bound = BOUNDS["dv"]
    >>> positive, negative = torch.ones(4, 1), torch.zeros(4, 3)
    >>> bound(positive, negative)
    tensor(1.)
    >>> bound.from_blocks([(positive[:3], negative[:3]), (positive[3:], negative[3:])])
    tensor(1.)
    """

    anchors: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    total: Callable[[Tensor, Tensor], Tensor]

    @property
    def additive(self) -> bool:
        """Whether the bound is a mean over anchors, so that each adds its share by itself."""
        return self.total is difference_of_means

    def __call__(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Evaluate the bound at once; raises what ``from_blocks`` does.

        Parameters
        ----------
        positive : Tensor of shape (n_anchors, n_positives)
        negative : Tensor of shape (n_anchors, n_negatives)
            Scores of the pairs drawn together, and apart.

        Returns
        -------
        Tensor of shape ()
            The bound, to be maximised.
        """
        return self.from_blocks([(positive, negative)])

    def from_blocks(self, blocks: Iterable[tuple[Tensor, Tensor]]) -> Tensor:
        """Evaluate the bound on scores that come in blocks of whole anchors.

        Parameters
        ----------
        blocks : iterable of (Tensor, Tensor)
            Positive and negative scores of some anchors each, shaped as in a call. Blocks may
            differ in their number of anchors.

        Returns
        -------
        Tensor of shape ()
            The same number, and the same gradient, as from all anchors in one call.

        Raises
        ------
        ValueError
            If there is no block, or the scores of one are not two tables with the same anchors.
        """
        statistics = []
        for positive, negative in blocks:
            check_scores(positive, negative)
            statistics.append(self.anchors(positive, negative))
        if not statistics:
            raise ValueError("no block of scores was given; a bound needs at least one anchor.")
        gains, costs = zip(*statistics, strict=True)
        return self.total(torch.cat(gains), torch.cat(costs))


def check_scores(positive: Tensor, negative: Tensor) -> None:
    """Raise a ValueError unless both are tables of scores with the same anchors."""
    for name, scores in (("positive", positive), ("negative", negative)):
        if scores.ndim != 2 or scores.numel() == 0:
            raise ValueError(
                f"{name} scores have shape {tuple(scores.shape)}; a table (n_anchors, n_{name}s) "
                "with at least one of each is needed, such as skdim.pairs.split_pairs gives."
            )
    if len(positive) != len(negative):
        raise ValueError(
            f"positive scores have {len(positive)} anchors and negative scores {len(negative)}; "
            "row i of both must belong to the same anchor."
        )


def difference_of_means(gain: Tensor, cost: Tensor) -> Tensor:
    """Subtract the mean cost from the mean gain."""
    return gain.mean() - cost.mean()


def gain_less_log_mean_exp(gain: Tensor, cost: Tensor) -> Tensor:
    """Subtract log mean exp of the costs, themselves log mean exp of scores, from the mean gain."""
    return gain.mean() - (cost.logsumexp(dim=0) - math.log(len(cost)))


def jensen_shannon_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Gain ``ln 2 - softplus(-v)``, cost ``softplus(v) - ln 2``."""
    gain = LOG_2 - softplus(-positive)
    cost = softplus(negative) - LOG_2
    return gain.mean(dim=1), cost.mean(dim=1)


def info_nce_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Gain log of the candidates, cost the cross-entropy of picking each positive among them."""
    # softplus(lse - v) is logaddexp(v, lse) - v without the cancellation at large scores.
    rivals = negative.logsumexp(dim=1, keepdim=True)
    cost = softplus(rivals - positive).mean(dim=1)
    return torch.full_like(cost, math.log(1 + negative.shape[1])), cost


def donsker_varadhan_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Gain ``v``, cost log mean exp of ``v``."""
    log_mean_exp = negative.logsumexp(dim=1) - math.log(negative.shape[1])
    return positive.mean(dim=1), log_mean_exp


def kullback_leibler_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Gain ``v``, cost ``exp(v - 1)``."""
    return positive.mean(dim=1), (negative - 1).exp().mean(dim=1)


def reverse_kullback_leibler_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Gain ``-exp(-v)``, cost ``v - 1``."""
    return -(-positive).exp().mean(dim=1), negative.mean(dim=1) - 1


def squared_hellinger_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Gain ``1 - exp(-v)``, cost ``exp(v) - 1``."""
    return -torch.expm1(-positive).mean(dim=1), torch.expm1(negative).mean(dim=1)


def pearson_chi_squared_anchors(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """Gain ``v``, cost ``v^2 / 4 + v`` from -2 on and -1 below."""
    # Below -2 the parabola would rise again, but the conjugate of a function of densities, which
    # are never negative, stays at its least value.
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
    :math:`2 \ln 2`, and reached by the critic :math:`T = \ln (p / q)`. See Nowozin et al. (2016),
    equation 4 and table 2; Hjelm et al. (2019), equation 4, leaves out the constant.

    Parameters
    ----------
    positive : Tensor of shape (n_anchors, n_positives)
    negative : Tensor of shape (n_anchors, n_negatives)
        Scores of the pairs drawn together, and apart.

    Returns
    -------
    Tensor of shape ()
        The bound, in units of twice the divergence (with natural logarithms).

    Examples
    --------
    >>> jensen_shannon(torch.zeros(4, 1), torch.zeros(4, 3))
    tensor(0.)
    """
    return BOUNDS["jsd"](positive, negative)


def info_nce(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the mutual information by telling each positive from its anchor's negatives.

    .. math:: I \geq \ln K
        + \mathbb{E}_P \left[ T - \ln \left( e^{T} + \sum_{j=1}^{K-1} e^{T_j} \right) \right]

    with one positive and :math:`K - 1` negatives of the same anchor as the :math:`K` candidates.
    Positives of one anchor do not compete. The bound never exceeds :math:`\ln K`, whatever the
    information. Any critic :math:`\ln (p / q)` plus a function of the anchor is best. See van den
    Oord et al. (2018), equation 4; Hjelm et al. (2019), equation 5, leaves out :math:`\ln K`.

    Parameters
    ----------
    positive : Tensor of shape (n_anchors, n_positives)
    negative : Tensor of shape (n_anchors, n_negatives)
        Scores of the pairs drawn together, and apart.

    Returns
    -------
    Tensor of shape ()
        The bound, in nats, at most ``log(1 + n_negatives)``.

    Examples
    --------
    >>> info_nce(torch.full((4, 1), 100.0), torch.zeros(4, 3)).exp()
    tensor(4.)
    """
    return BOUNDS["infonce"](positive, negative)


def donsker_varadhan(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the mutual information by the Donsker-Varadhan formula.

    .. math:: I \geq \mathbb{E}_P[T] - \ln \mathbb{E}_Q[e^{T}]

    The mean under the logarithm is over the negatives of all anchors. Any critic
    :math:`\ln (p / q)` plus a constant is best. The gradient of a small batch is biased, and the
    value of a small sample too: upwards. See Donsker and Varadhan (1983); Hjelm et al. (2019),
    equation 2.

    Parameters
    ----------
    positive : Tensor of shape (n_anchors, n_positives)
    negative : Tensor of shape (n_anchors, n_negatives)
        Scores of the pairs drawn together, and apart.

    Returns
    -------
    Tensor of shape ()
        The bound, in nats.

    Examples
    --------
    >>> donsker_varadhan(torch.ones(4, 1), torch.zeros(4, 3))
    tensor(1.)
    """
    return BOUNDS["dv"](positive, negative)


def kullback_leibler(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the mutual information by the dual of the Kullback-Leibler divergence.

    .. math:: I = \mathrm{KL}(P, Q) \geq \mathbb{E}_P[T] - \mathbb{E}_Q[e^{T - 1}]

    Reached by the critic :math:`T = 1 + \ln (p / q)`. Also known as NWJ, after Nguyen et al.
    (2010), and as f-MINE. See Nowozin et al. (2016), equation 4 and table 2.

    Parameters
    ----------
    positive : Tensor of shape (n_anchors, n_positives)
    negative : Tensor of shape (n_anchors, n_negatives)
        Scores of the pairs drawn together, and apart.

    Returns
    -------
    Tensor of shape ()
        The bound, in nats.

    Examples
    --------
    >>> kullback_leibler(torch.ones(4, 1), torch.ones(4, 3))
    tensor(0.)
    """
    return BOUNDS["kl"](positive, negative)


def reverse_kullback_leibler(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the Kullback-Leibler divergence from product to joint, the lautum information.

    .. math:: \mathrm{KL}(Q, P) \geq \mathbb{E}_P[-e^{-T}] - \mathbb{E}_Q[T - 1]

    Reached by the critic :math:`T = \ln (p / q)`. See Nowozin et al. (2016), table 2.

    Parameters
    ----------
    positive : Tensor of shape (n_anchors, n_positives)
    negative : Tensor of shape (n_anchors, n_negatives)
        Scores of the pairs drawn together, and apart.

    Returns
    -------
    Tensor of shape ()
        The bound, in nats of the reverse divergence; it does not bound the mutual information.

    Examples
    --------
    >>> reverse_kullback_leibler(torch.zeros(4, 1), torch.zeros(4, 3))
    tensor(0.)
    """
    return BOUNDS["rkl"](positive, negative)


def squared_hellinger(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the squared Hellinger distance between joint and product.

    .. math:: \int (\sqrt{p} - \sqrt{q})^2 \geq \mathbb{E}_P[1 - e^{-T}] - \mathbb{E}_Q[e^{T} - 1]

    without the factor 1/2 of some definitions, so at most 2. Reached by the critic
    :math:`T = \frac{1}{2} \ln (p / q)`. See Nowozin et al. (2016), equation 4 and table 2.

    Parameters
    ----------
    positive : Tensor of shape (n_anchors, n_positives)
    negative : Tensor of shape (n_anchors, n_negatives)
        Scores of the pairs drawn together, and apart.

    Returns
    -------
    Tensor of shape ()
        The bound, in units of the squared distance.

    Examples
    --------
    >>> squared_hellinger(torch.zeros(4, 1), torch.zeros(4, 3))
    tensor(0.)
    """
    return BOUNDS["h2"](positive, negative)


def pearson_chi_squared(positive: Tensor, negative: Tensor) -> Tensor:
    r"""Bound the Pearson chi-squared divergence between joint and product.

    .. math:: \chi^2(P, Q) = \int \frac{(p - q)^2}{q} \geq
        \mathbb{E}_P[T] - \mathbb{E}_Q \left[ \tfrac{1}{4} \max(T, -2)^2 + \max(T, -2) \right]

    Reached by the critic :math:`T = 2 (p / q - 1)`, which is never below -2. See Nowozin et al.
    (2016), equation 4 and table 2, whose conjugate is continued below -2.

    Parameters
    ----------
    positive : Tensor of shape (n_anchors, n_positives)
    negative : Tensor of shape (n_anchors, n_negatives)
        Scores of the pairs drawn together, and apart.

    Returns
    -------
    Tensor of shape ()
        The bound, in units of the divergence; for jointly normal variables the divergence is
        :math:`e^{2I} - 1`.

    Examples
    --------
    >>> pearson_chi_squared(torch.zeros(4, 1), torch.zeros(4, 3))
    tensor(0.)
    """
    return BOUNDS["chi2"](positive, negative)
