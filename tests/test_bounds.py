"""Bounds against theory: closed forms, exact sums, and what must leave them unchanged."""

import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import roots_genlaguerre

from skdim import bounds
from skdim.bounds import BOUNDS
from skdim.information import CorrelatedNormals

# The best critic of each bound, as a function of the log density ratio r.
BEST_CRITICS = {
    "jsd": lambda r: r,
    "infonce": lambda r: r,
    "dv": lambda r: r - 7.0,
    "kl": lambda r: r + 1,
    "rkl": lambda r: r,
    "h2": lambda r: r / 2,
    "chi2": lambda r: 2 * r.expm1(),
}
PLAIN = {
    "jsd": bounds.jensen_shannon,
    "infonce": bounds.info_nce,
    "dv": bounds.donsker_varadhan,
    "kl": bounds.kullback_leibler,
    "rkl": bounds.reverse_kullback_leibler,
    "h2": bounds.squared_hellinger,
    "chi2": bounds.pearson_chi_squared,
}
DIVERGENCES = sorted(set(BOUNDS) - {"infonce"})

patient = settings(deadline=None, max_examples=40)  # The machine may be busy.
each_bound = pytest.mark.parametrize("name", sorted(BOUNDS))


def normal_scores(*shape, seed=0, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
    return scores.requires_grad_()


# ---------------------------------------------------------------------------------------------
# Correlated normals: the best critic attains the closed form


def jensen_shannon_by_quadrature(rho, d):
    """Integrate over the squared lengths of x + y and x - y, which the log ratio depends on."""
    nodes, weights = roots_genlaguerre(60, d / 2 - 1)
    weights = np.outer(weights, weights) / weights.sum() ** 2
    plus, minus = np.meshgrid(2 * nodes, 2 * nodes, indexing="ij")

    def ratio(plus, minus):
        spread = plus / (1 + rho) - minus / (1 - rho)
        return rho / 2 * spread - d / 2 * math.log1p(-(rho**2))

    joint, product = ratio((1 + rho) * plus, (1 - rho) * minus), ratio(plus, minus)
    softplus = np.logaddexp(0, -joint) + np.logaddexp(0, product)
    return 2 * math.log(2) - (weights * softplus).sum()


def closed_form(name, rho, d):
    square = rho**2
    match name:
        case "dv" | "kl":
            return -d / 2 * math.log(1 - square)
        case "rkl":
            return d * (square / (1 - square) + math.log(1 - square) / 2)
        case "h2":
            return 2 - 2 * ((1 - square) ** 0.25 / math.sqrt(1 - square / 4)) ** d
        case "chi2":
            return (1 - square) ** -d - 1
        case "jsd":
            return jensen_shannon_by_quadrature(rho, d)


# The statistics of "rkl" and "chi2" have a finite variance only at small correlations.
EASY = [(0.25, 1), (0.25, 5), (-0.25, 2)]
HARD = [(0.5, 5), (0.75, 1)]
SETTINGS = [
    (name, *setting)
    for name in DIVERGENCES
    for setting in EASY + (HARD if name not in ("rkl", "chi2") else [])
]


@pytest.mark.parametrize(("name", "rho", "d"), SETTINGS)
def test_best_critic_attains_the_closed_form_on_correlated_normals(name, rho, d):
    n = 200_000
    sampler, generator = CorrelatedNormals(rho, d), torch.Generator().manual_seed(1)
    best, draw = BEST_CRITICS[name], lambda: sampler.draw(n, generator, torch.float64)
    positive = best(sampler.log_ratio(*draw()))[:, None]
    negative = best(sampler.log_ratio(draw()[0], draw()[1]))[:, None]
    gain, cost = BOUNDS[name].anchors(positive, negative)
    if name == "dv":  # Its error is that of the mean under the logarithm.
        cost = cost.exp() / cost.exp().mean()
    error = math.sqrt((gain.var().item() + cost.var().item()) / n)
    truth = closed_form(name, rho, d)

    assert BOUNDS[name](positive, negative).item() == pytest.approx(truth, abs=4 * error)
    assert error < 0.05 * truth


def info_nce_of_best_critic(information, candidates, n_anchors=3000):
    sampler = CorrelatedNormals.from_information(information, dims=20)
    generator = torch.Generator().manual_seed(candidates)
    x, y = sampler.draw(n_anchors, generator)
    positive = sampler.log_ratio(x, y)[:, None]
    columns = [
        sampler.log_ratio(x, sampler.draw(n_anchors, generator)[1]) for _ in range(candidates - 1)
    ]
    negative = torch.stack(columns, dim=1)
    error = BOUNDS["infonce"].anchors(positive, negative)[1].std().item() / math.sqrt(n_anchors)
    return bounds.info_nce(positive, negative).item(), error


# Mean and error of an independent Monte Carlo run, d = 20: facts about InfoNCE, not about us.
@pytest.mark.parametrize(
    ("information", "candidates", "elsewhere", "their_error"),
    [
        (2, 16, 1.531, 0.022),
        (2, 64, 1.832, 0.029),
        (5, 16, 2.492, 0.014),
        (5, 64, 3.474, 0.022),
        (10, 16, 2.759, 0.003),
        (10, 64, 4.114, 0.006),
    ],
)
def test_info_nce_of_the_best_critic_is_as_far_below_the_truth_as_elsewhere(
    information, candidates, elsewhere, their_error
):
    estimate, our_error = info_nce_of_best_critic(information, candidates)

    assert estimate <= min(information, math.log(candidates)) + 3 * our_error
    assert estimate == pytest.approx(elsewhere, abs=3 * math.hypot(our_error, their_error))


def test_info_nce_approaches_the_information_as_negatives_grow():
    estimates = [info_nce_of_best_critic(1.0, candidates)[0] for candidates in (2, 8, 32, 128)]

    assert all(few < many for few, many in pairwise(estimates))
    assert estimates[-1] == pytest.approx(1.0, abs=0.06)


# ---------------------------------------------------------------------------------------------
# A small discrete joint distribution: exact sums


def joint_counts(least=1, total=10):
    """Draw a table of counts, the joint distribution times their sum."""
    row = st.lists(st.integers(least, 4), min_size=2, max_size=3)
    tables = row.flatmap(
        lambda first: st.lists(
            st.lists(st.integers(least, 4), min_size=len(first), max_size=len(first)),
            min_size=1,
            max_size=2,
        ).map(lambda rest: torch.tensor([first, *rest]))
    )
    return tables.filter(lambda counts: 0 < counts.sum() <= total)


def critics(size=9, reach=8.0):
    return st.lists(st.floats(-reach, reach), min_size=size, max_size=size)


def exact_scores(critic, counts):
    """Repeat the score of each cell as often as the joint, and the product, have it."""
    cells = critic.flatten()
    product = counts.sum(1, keepdim=True) * counts.sum(0)
    positive = cells.repeat_interleave(counts.flatten())
    return positive[None], cells.repeat_interleave(product.flatten())[None]


def divergence(name, counts):
    p = counts.double() / counts.sum()
    q = p.sum(1, keepdim=True) * p.sum(0)
    ratio = torch.where(q > 0, p / q, 1.0)
    cells = {
        "dv": lambda: torch.xlogy(p, ratio),
        "kl": lambda: torch.xlogy(p, ratio),
        "rkl": lambda: -torch.xlogy(q, ratio),
        "h2": lambda: (p.sqrt() - q.sqrt()).square(),
        "chi2": lambda: q * (ratio - 1).square(),
        "jsd": lambda: torch.xlogy(p, 2 * ratio / (1 + ratio)) + torch.xlogy(q, 2 / (1 + ratio)),
    }
    return cells[name]().sum().item()


def log_ratio(counts):
    p = counts.double() / counts.sum()
    return (p / (p.sum(1, keepdim=True) * p.sum(0))).log()


@pytest.mark.parametrize("name", DIVERGENCES)
@patient
@given(counts=joint_counts(total=25))
def test_best_critic_attains_the_divergence_exactly(name, counts):
    scores = exact_scores(BEST_CRITICS[name](log_ratio(counts)), counts)

    assert BOUNDS[name](*scores).item() == pytest.approx(divergence(name, counts), abs=1e-10)


@pytest.mark.parametrize("name", DIVERGENCES)
@patient
@given(counts=joint_counts(least=0, total=25), values=critics())
def test_no_critic_gives_more_than_the_divergence(name, counts, values):
    critic = torch.tensor(values, dtype=torch.float64)[: counts.numel()].reshape(counts.shape)

    estimate = BOUNDS[name](*exact_scores(critic, counts)).item()

    assert estimate <= divergence(name, counts) + 1e-10


@pytest.mark.parametrize("name", DIVERGENCES)
@patient
@given(counts=joint_counts(total=25), nudge=critics(reach=1.0))
def test_moving_the_best_critic_lowers_the_bound(name, counts, nudge):
    best = BEST_CRITICS[name](log_ratio(counts))
    direction = torch.tensor(nudge, dtype=torch.float64)[: counts.numel()].reshape(counts.shape)
    scores = [BOUNDS[name](*exact_scores(best + s * direction, counts)) for s in (0, 0.5, 1)]

    assert scores[0] + 1e-10 >= scores[1] >= scores[2] - 1e-10


@pytest.mark.parametrize("candidates", [2, 3])
@patient
@given(counts=joint_counts(least=0, total=7), values=critics())
def test_no_critic_gives_info_nce_more_than_information_or_log_of_candidates(
    candidates, counts, values
):
    critic = torch.tensor(values, dtype=torch.float64)[: counts.numel()].reshape(counts.shape)
    x, y = counts.nonzero().repeat_interleave(counts[counts > 0], dim=0).T
    # Each pair as often as the joint has it, with every tuple of rivals from the marginal of y.
    rivals = torch.cartesian_prod(*[y] * (candidates - 1)).reshape(-1, candidates - 1)
    pair = torch.arange(len(x)).repeat_interleave(len(rivals))
    positive = critic[x[pair], y[pair]][:, None]
    negative = critic[x[pair][:, None], rivals.repeat(len(x), 1)]

    estimate = bounds.info_nce(positive, negative).item()

    assert estimate <= min(divergence("kl", counts), math.log(candidates)) + 1e-10


# ---------------------------------------------------------------------------------------------
# What leaves a bound unchanged, and what it is at special scores


@pytest.mark.parametrize("name", ["dv", "infonce"])
@patient
@given(constant=st.floats(-50, 50), seed=st.integers(0, 99))
def test_adding_a_constant_to_all_scores_changes_nothing(name, constant, seed):
    positive, negative = normal_scores(4, 3, seed=seed), normal_scores(4, 5, seed=seed + 100)

    moved = BOUNDS[name](positive + constant, negative + constant)

    assert moved.item() == pytest.approx(BOUNDS[name](positive, negative).item(), abs=1e-10)


def test_adding_a_function_of_the_anchor_changes_donsker_varadhan_but_not_info_nce():
    positive, negative, own = normal_scores(4, 3), normal_scores(4, 5), normal_scores(4, 1, seed=2)

    def moved(bound):
        return bound(positive + own, negative + own).item()

    assert moved(bounds.info_nce) == pytest.approx(bounds.info_nce(positive, negative).item())
    assert moved(bounds.donsker_varadhan) != pytest.approx(
        bounds.donsker_varadhan(positive, negative).item(), abs=0.1
    )


@each_bound
def test_critic_that_knows_nothing_scores_zero(name):
    nothing = BEST_CRITICS[name](torch.zeros(3, 4))

    assert BOUNDS[name](nothing, nothing).item() == pytest.approx(0, abs=1e-6)


@each_bound
def test_order_of_anchors_and_of_pairs_does_not_matter(name):
    positive, negative = normal_scores(4, 3), normal_scores(4, 5, seed=1)

    turned = BOUNDS[name](positive.flip(0, 1), negative.flip(0, 1))

    assert turned.item() == pytest.approx(BOUNDS[name](positive, negative).item())


def test_jensen_shannon_ends_at_two_log_two():
    assert bounds.jensen_shannon(torch.full((2, 1), 1e4), torch.full((2, 3), -1e4)).item() == (
        pytest.approx(2 * math.log(2))
    )


@pytest.mark.parametrize("score", [-2.0, -3.0, -1e4])
def test_pearson_is_best_where_pairs_never_occur_together_at_any_score_from_minus_two_down(score):
    # Half of the product's pairs occur, twice as often: p / q is 2 or 0.
    negative = torch.tensor([[2.0, score]])

    assert bounds.pearson_chi_squared(torch.tensor([[2.0]]), negative).item() == 1


@pytest.mark.parametrize(("batch", "locations"), [(32, 64), (64, 64), (64, 16)])
def test_info_nce_ends_at_the_log_of_the_candidates(batch, locations):
    negatives = (batch - 1) * locations
    positive = torch.full((2, locations), 1e4)

    assert bounds.info_nce(positive, torch.zeros(2, negatives)).item() == (
        pytest.approx(math.log(1 + negatives))
    )


@pytest.mark.parametrize("name", ["jsd", "infonce", "dv", "chi2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_scores_give_finite_values_and_gradients(name, dtype):
    positive = torch.tensor([[1e4, -1e4], [2e3, 0]], dtype=dtype, requires_grad=True)
    negative = torch.tensor([[-1e4, 1e4, 0], [1e4, 1e4, -2e3]], dtype=dtype, requires_grad=True)

    value = BOUNDS[name](positive, negative)
    value.backward()

    assert value.dtype == dtype
    assert all(t.isfinite().all() for t in (value, positive.grad, negative.grad))


@each_bound
def test_gradient_is_that_of_finite_differences(name):
    scores = normal_scores(3, 2), normal_scores(3, 4, seed=1)

    assert torch.autograd.gradcheck(BOUNDS[name], scores)


# ---------------------------------------------------------------------------------------------
# Block by block; names; errors


@each_bound
@pytest.mark.parametrize("sizes", [[7], [1] * 7, [3, 4], [5, 1, 1]])
def test_blocks_give_the_value_and_gradient_of_the_whole(name, sizes):
    positive, negative = normal_scores(7, 3), normal_scores(7, 5, seed=1)
    bound, pairs = BOUNDS[name], zip(positive.split(sizes), negative.split(sizes), strict=True)
    gains, costs = zip(*(bound.anchors(*block) for block in pairs), strict=True)

    whole, parts = bound(positive, negative), bound.total(torch.cat(gains), torch.cat(costs))

    assert parts.shape == ()
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(parts, (positive, negative)),
        torch.autograd.grad(whole, (positive, negative)),
        rtol=1e-12,
        atol=1e-12,
    )


def test_names_are_those_of_the_public_face():
    assert list(BOUNDS) == ["jsd", "infonce", "dv", "kl", "rkl", "h2", "chi2"]


@each_bound
def test_plain_function_and_bound_agree(name):
    scores = normal_scores(4, 3), normal_scores(4, 5, seed=1)

    assert PLAIN[name](*scores) == BOUNDS[name](*scores)


@each_bound
def test_bound_survives_pickling(name):
    assert pickle.loads(pickle.dumps(BOUNDS[name])) == BOUNDS[name]


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        ((4,), (4, 3), r"positive scores have shape \(4,\); a table .* is needed"),
        ((4, 1), (4, 1, 4, 1), r"negative scores have shape \(4, 1, 4, 1\).*pair_blocks"),
        ((4, 1), (4, 0), r"negative scores have shape \(4, 0\); .* at least one of each"),
        ((0, 1), (0, 3), r"positive scores have shape \(0, 1\); .* at least one of each"),
        ((4, 1), (3, 3), "positive scores have 4 anchors and negative scores 3"),
    ],
)
def test_wrong_shapes_are_told(positive, negative, message):
    with pytest.raises(ValueError, match=message):
        bounds.jensen_shannon(torch.zeros(positive), torch.zeros(negative))
