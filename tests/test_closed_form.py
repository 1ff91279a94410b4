"""Linear Deep InfoMax in closed form, against plain loops, SciPy and known correlations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.linalg import eigh

from skdim.closed_form import (
    RIDGE,
    Sums,
    information_of,
    principal_axes,
    ridged,
    rotation,
    scale_of,
    solve,
)

patient = settings(deadline=None, max_examples=30)  # The machine may be busy.

BOTH_WAYS = ((0, 1), (1, 0))
NAMES = ("count", "samples", "code_first", "code_second", "layer_first", "layer_second", "cross")
WEIGHTS = [
    {"local": 1.0},
    {"global": 1.0},
    {"local": 1.0, "global": 1.0},
    {"local": 0.3, "global": 1.5},
]
each_weighting = pytest.mark.parametrize("weights", WEIGHTS, ids=str)


def normals(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def make_looks(n=300, q=6, n_looks=2, seed=0, noise=0.7):
    """Draw looks that share something, through a mixture, and are not centred."""
    shared = normals(n, q, seed=seed)
    mixture, mean = normals(q, q, seed=seed + 1), normals(q, seed=seed + 2)
    strength = torch.linspace(1, 0.1, q, dtype=torch.float64)
    return [
        (strength * shared + noise * normals(n, q, seed=seed + 10 + i)) @ mixture + mean
        for i in range(n_looks)
    ]


def sums_for(names, looks, pairs=BOTH_WAYS, layers=None):
    """Sum for each term; "local" is compared with ``layers``, by default with the looks."""
    local = looks if layers is None else layers
    return {name: Sums.of(looks, local if name == "local" else looks, pairs) for name in names}


def slow_sums(code, layer, pairs):
    """Sum over samples and pairs one by one."""
    q, p = code[0].shape[1], layer[0].shape[1]
    n_samples = len(code[0])
    sums = [0.0, *(np.zeros(s) for s in ((q,), (q, q), (p,), (p, p), (q, p)))]
    for i, j in pairs:
        for a, b in zip(code[i].double().numpy(), layer[j].double().numpy(), strict=True):
            parts = (1, a, np.outer(a, a), b, np.outer(b, b), np.outer(a, b))
            sums = [total + part for total, part in zip(sums, parts, strict=True)]
    return dict(zip(NAMES, [sums[0], n_samples, *sums[1:]], strict=True))


def assert_same_sums(found, expected, rtol=1e-9, atol=1e-9):
    for name in NAMES:
        assert_allclose(
            getattr(found, name).numpy(),
            np.asarray(expected[name] if isinstance(expected, dict) else getattr(expected, name)),
            rtol=rtol,
            atol=atol,
            err_msg=name,
        )


def with_ridge(covariance):
    return covariance + RIDGE * covariance.diagonal().mean() * np.eye(len(covariance))


def covariances_of(looks, pairs, layers=None):
    """Return the covariance of the looks of the codes, of the layers, and between both."""
    layers = looks if layers is None else layers
    code = np.concatenate([looks[i].numpy() for i, _ in pairs])
    layer = np.concatenate([layers[j].numpy() for _, j in pairs])
    code, layer = code - code.mean(0), layer - layer.mean(0)
    return code.T @ code / len(code), layer.T @ layer / len(code), code.T @ layer / len(code)


def slow_shared(looks, pairs, weights, n_cells, layers=None):
    """Return the covariance that layers predict, and the ridged covariance of all."""
    shared = 0.0
    for name, weight in weights.items():
        n = {"local": n_cells, "global": 1}[name]
        compared = layers if name == "local" else None
        own, layer, cross = covariances_of(looks, pairs, compared)
        for cell in np.split(np.arange(len(layer)), n):
            told = cross[:, cell]
            inverse = np.linalg.inv(with_ridge(layer[np.ix_(cell, cell)]))
            shared += weight / sum(weights.values()) / n * told @ inverse @ told.T
    return shared, with_ridge(own)


# ---------------------------------------------------------------------------------------------
# Sums


@st.composite
def looks_and_pairs(draw):
    """Draw looks of a code, those of a layer (which may be the same), and pairs of them."""
    n, q, n_looks = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    p = draw(st.one_of(st.none(), st.integers(1, 5)))
    index = st.integers(0, n_looks - 1)
    pairs = draw(st.lists(st.tuples(index, index), min_size=1, max_size=8))
    seed = draw(st.integers(0, 1000))
    code = [normals(n, q, seed=seed + i) + i for i in range(n_looks)]
    if p is None:
        return code, code, pairs
    return code, [normals(n, p, seed=seed + 50 + i) - i for i in range(n_looks)], pairs


@patient
@given(looks_and_pairs())
def test_sums_equal_a_plain_loop_over_pairs_and_samples(drawn):
    code, layer, pairs = drawn

    assert_same_sums(Sums.of(code, layer, pairs), slow_sums(code, layer, pairs))


@patient
@given(looks_and_pairs())
def test_sums_of_single_precision_are_right_to_its_rounding_and_are_in_double(drawn):
    code, layer, pairs = drawn
    single = [look.float() for look in code]
    other = single if layer is code else [look.float() for look in layer]
    found = Sums.of(single, other, pairs)

    assert {getattr(found, name).dtype for name in NAMES} == {torch.float64}
    assert_same_sums(found, slow_sums(single, other, pairs), rtol=1e-5, atol=1e-4)


@patient
@given(looks_and_pairs())
def test_codes_that_are_compared_with_themselves_are_summed_as_a_copy_of_them(drawn):
    code, _, pairs = drawn

    assert_same_sums(Sums.of(code, code, pairs), Sums.of(code, [c.clone() for c in code], pairs))


def test_a_pair_that_is_given_twice_counts_twice():
    looks = make_looks(5)
    for layer in (looks, [look[:, :4] for look in looks]):
        once, twice = (Sums.of(looks, layer, n * [(0, 1)]) for n in (1, 2))

        assert_same_sums(twice, replace(once + once, samples=once.samples))


@patient
@given(looks_and_pairs(), st.integers(1, 5))
def test_sums_of_batches_add_up_to_the_sums_of_the_whole(drawn, size):
    code, layer, pairs = drawn
    code_parts, layer_parts = (
        list(zip(*(look.split(size) for look in looks), strict=True)) for looks in (code, layer)
    )
    first, *others = (Sums.of(*batch, pairs) for batch in zip(code_parts, layer_parts, strict=True))
    for other in others:
        first = first + other

    assert_same_sums(first, Sums.of(code, layer, pairs))


def test_addition_leaves_both_addends():
    one, other = (sums_for(["global"], make_looks(4, seed=seed))["global"] for seed in (0, 5))
    before = one.map(torch.clone), other.map(torch.clone)
    total = one + other

    assert isinstance(total, Sums)
    assert_same_sums(one, before[0])
    assert_same_sums(other, before[1])
    assert_same_sums(total, other + one)


def test_map_changes_every_tensor_by_its_own():
    looks = make_looks(4)
    sums = Sums.of(looks, [look[:, :4] for look in looks], BOTH_WAYS)
    seen = []
    doubled = sums.map(lambda x: seen.append(x.shape) or 2 * x)

    assert seen == [(), (), (6,), (6, 6), (4,), (4, 4), (6, 4)]
    assert_same_sums(doubled, sums + sums)


# ---------------------------------------------------------------------------------------------
# Directions


@each_weighting
@pytest.mark.parametrize("n_cells", [1, 2, 3])
@pytest.mark.parametrize("pairs", [BOTH_WAYS, ((0, 1),), ((0, 0),)], ids=str)
def test_directions_equal_those_of_a_plain_eigenproblem(weights, n_cells, pairs):
    looks = make_looks()
    shared, own = slow_shared(looks, pairs, weights, n_cells)
    strengths, axes = eigh(shared, own)
    found = solve(sums_for(weights, looks, pairs), weights, n_cells, 6)

    assert_allclose(found.correlations.numpy() ** 2, strengths[::-1], rtol=1e-7)
    # Up to the sign: both have variance 1 under the ridged covariance.
    overlaps = axes[:, ::-1].T @ own @ found.weight.numpy()
    assert_allclose(np.abs(overlaps), np.eye(6), atol=1e-6)
    assert_allclose(found.mean.numpy(), np.mean([looks[i].mean(0).numpy() for i, _ in pairs], 0))


@each_weighting
@pytest.mark.parametrize("n_cells", [1, 2])
def test_directions_are_compared_with_cells_of_other_features(weights, n_cells):
    looks = make_looks()
    layers = [(look @ normals(6, 4, seed=7)).tanh() for look in looks]
    shared, own = slow_shared(looks, BOTH_WAYS, weights, n_cells, layers)
    strengths = eigh(shared, own, eigvals_only=True)[::-1]
    found = solve(sums_for(weights, looks, layers=layers), weights, n_cells, 6)

    assert_allclose(found.correlations.numpy() ** 2, strengths.clip(0), rtol=1e-7, atol=1e-12)
    shapes = {"local": (n_cells, 4 // n_cells, 6), "global": (1, 6, 6)}
    assert {name: e.weight.shape for name, e in found.estimates.items()} == {
        name: shapes[name] for name in weights
    }


@each_weighting
def test_directions_are_uncorrelated_and_of_variance_one_under_the_ridge(weights):
    looks = make_looks(400)
    found = solve(sums_for(weights, looks), weights, 2, 6)
    own, _, _ = covariances_of(looks, BOTH_WAYS)
    weight = found.weight.numpy()

    assert_allclose(weight.T @ with_ridge(own) @ weight, np.eye(6), atol=1e-9)
    variances = (weight.T @ own @ weight).diagonal()
    assert (variances < 1).all()
    assert (np.diff(found.correlations.numpy()) <= 0).all()


@pytest.mark.parametrize("n_directions", [1, 3, 6, 9])
def test_fewer_directions_are_the_first_of_more(n_directions):
    sums = sums_for(["local"], make_looks())
    some, all_of_them = (solve(sums, {"local": 1.0}, 2, n) for n in (n_directions, 6))
    kept = min(n_directions, 6)

    assert some.weight.shape == (6, kept)
    torch.testing.assert_close(some.weight, all_of_them.weight[:, :kept])
    torch.testing.assert_close(some.correlations, all_of_them.correlations[:kept])
    estimates = some.estimates["local"]
    assert estimates.weight.shape == (2, 3, kept)
    assert estimates.bias.shape == (2, kept)
    assert estimates.correlations.shape == (kept,)


@each_weighting
@pytest.mark.parametrize("n_cells", [2, 3])
def test_estimates_are_the_ridge_regressions_of_directions_on_each_cell(weights, n_cells):
    looks = make_looks()
    found = solve(sums_for(weights, looks), weights, n_cells, 6)
    assert set(found.estimates) == set(weights)
    for name, estimate in found.estimates.items():
        n = {"local": n_cells, "global": 1}[name]
        _, own, cross = covariances_of(looks, BOTH_WAYS)
        mean = np.mean([look.mean(0).numpy() for look in looks], axis=0)
        shares = []
        for k, cell in enumerate(np.split(np.arange(6), n)):
            between = cross.T[cell] @ found.weight.numpy()
            expected = np.linalg.solve(with_ridge(own[np.ix_(cell, cell)]), between)
            assert_allclose(estimate.weight[k].numpy(), expected, rtol=1e-6, atol=1e-9)
            assert_allclose(estimate.bias[k].numpy(), -mean[cell] @ expected, rtol=1e-6, atol=1e-9)
            shares.append((between * expected).sum(0))
        assert_allclose(estimate.correlations.numpy() ** 2, np.mean(shares, 0), rtol=1e-6)


def test_with_one_term_its_correlations_are_those_of_the_directions():
    for weights in WEIGHTS[:2]:
        found = solve(sums_for(weights, make_looks()), weights, 3, 6)
        (estimate,) = found.estimates.values()

        torch.testing.assert_close(estimate.correlations, found.correlations)


def test_a_sum_of_terms_shares_what_each_predicts_by_weight():
    weights = {"local": 1.0, "global": 3.0}
    found = solve(sums_for(weights, make_looks()), weights, 3, 6)
    squares = {name: e.correlations.square() for name, e in found.estimates.items()}

    torch.testing.assert_close(
        found.correlations.square(), (squares["local"] + 3 * squares["global"]) / 4
    )


def test_only_the_ratio_of_weights_counts_and_a_weight_of_zero_changes_nothing():
    sums = sums_for(["local", "global"], make_looks())
    one = solve(sums, {"local": 1.0, "global": 2.0}, 2, 6)
    other = solve(sums, {"local": 0.25, "global": 0.5}, 2, 6)
    local = solve(sums, {"local": 0.7, "global": 0.0}, 2, 6)
    alone = solve({"local": sums["local"]}, {"local": 1.0}, 2, 6)

    torch.testing.assert_close(one.correlations, other.correlations)
    torch.testing.assert_close(local.correlations, alone.correlations)


@pytest.mark.parametrize("name", ["local", "global"])
def test_a_term_without_sums_is_left_out_whatever_its_weight(name):
    sums = sums_for([name], make_looks())
    found = solve(sums, {"local": 0.3, "global": 0.7}, 2, 6)

    assert set(found.estimates) == {name}
    torch.testing.assert_close(found.correlations, solve(sums, {name: 1.0}, 2, 6).correlations)


def test_with_one_cell_local_and_global_are_the_same():
    looks = make_looks()
    local, whole = (
        solve(sums_for([name], looks), {name: 1.0}, 1, 6) for name in ("local", "global")
    )

    torch.testing.assert_close(local.correlations, whole.correlations)
    torch.testing.assert_close(local.estimates["local"].weight, whole.estimates["global"].weight)


@pytest.mark.parametrize("known", [(0.9, 0.6, 0.3, 0.0), (0.95, 0.95, 0.1, 0.05)])
def test_correlations_of_the_whole_are_canonical_correlations(known):
    n, q = 40_000, len(known)
    rho = torch.tensor(known, dtype=torch.float64)
    first, noise = normals(n, q), normals(n, q, seed=1)
    second = rho * first + (1 - rho.square()).sqrt() * noise
    looks = [first @ normals(q, q, seed=2) + 3, second @ normals(q, q, seed=3) - 1]
    found = solve(sums_for(["global"], looks, [(0, 1)]), {"global": 1.0}, 2, q, ridge=1e-9)
    whitened = [
        np.linalg.svd((look - look.mean(0)).numpy(), full_matrices=False)[0] for look in looks
    ]
    classical = np.linalg.svd(whitened[0].T @ whitened[1])[1]

    assert_allclose(found.correlations.numpy(), classical, rtol=1e-5, atol=1e-6)
    assert_allclose(found.correlations.numpy(), sorted(known)[::-1], atol=0.02)


def test_cells_that_tell_nothing_halve_the_predicted_share():
    """One of two cells is noise: the share of variance that cells predict is an average."""
    n = 40_000
    shared = normals(n, 1)
    looks = [
        torch.cat([shared + 0.5 * normals(n, 1, seed=1 + i), normals(n, 1, seed=3 + i)], dim=1)
        for i in range(2)
    ]
    local, whole = (
        solve(sums_for([name], looks), {name: 1.0}, 2, 1).correlations.item() ** 2
        for name in ("local", "global")
    )

    assert local == pytest.approx(whole / 2, rel=0.02)
    assert whole == pytest.approx(0.8**2, rel=0.05)


def test_the_order_of_samples_does_not_matter():
    looks = make_looks(200)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    one, other = (
        solve(sums_for(["local"], each), {"local": 1.0}, 2, 6)
        for each in (looks, [look[order] for look in looks])
    )

    torch.testing.assert_close(one.correlations, other.correlations)
    torch.testing.assert_close(one.weight.abs(), other.weight.abs())


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_samples_than_features_give_finite_directions(n):
    weights = {"local": 1.0, "global": 1.0}
    found = solve(sums_for(weights, make_looks(n)), weights, 2, 6)
    tensors = [found.weight, found.correlations]
    for estimate in found.estimates.values():
        tensors += [estimate.weight, estimate.bias, estimate.correlations]

    assert all(tensor.isfinite().all() for tensor in tensors)
    assert (found.correlations >= 0).all()
    assert (found.correlations < 1).all()


def test_constant_features_have_no_information():
    sums = sums_for(["local"], [torch.ones(9, 4).double()] * 2)
    found = solve(sums, {"local": 1.0}, 2, 4)

    assert found.weight.isfinite().all()
    assert information_of(found.correlations).item() == pytest.approx(0, abs=1e-6)


def test_equal_looks_are_told_up_to_the_largest_correlation_that_is_believed():
    look = normals(50, 4)
    found = solve(sums_for(["global"], [look], [(0, 0)]), {"global": 1.0}, 1, 4, ridge=0.0)

    assert_allclose(found.correlations.numpy(), 0.9999, rtol=1e-9)
    assert scale_of(found.correlations).isfinite().all()
    assert information_of(found.correlations).isfinite()


def test_the_ridge_is_a_share_of_the_mean_variance_of_each_covariance():
    covariances = torch.stack([torch.diag(torch.tensor([1.0, 3.0])), torch.zeros(2, 2)]).double()
    found = ridged(covariances, 0.03)

    torch.testing.assert_close(found[0], torch.diag(torch.tensor([1.06, 3.06]).double()))
    torch.testing.assert_close(found[1], 1e-6 * torch.eye(2).double(), atol=0, rtol=1e-6)


# ---------------------------------------------------------------------------------------------
# Information


@patient
@given(st.lists(st.floats(0, 0.99), min_size=1, max_size=6))
def test_information_is_minus_half_the_log_determinant(correlations):
    rho = np.diag(correlations)
    joint = np.block([[np.eye(len(rho)), rho], [rho, np.eye(len(rho))]])
    expected = -0.5 * np.linalg.slogdet(joint)[1]
    found = information_of(torch.tensor(correlations, dtype=torch.float64))

    assert found.item() == pytest.approx(expected, abs=1e-9)
    assert found.shape == ()


@pytest.mark.parametrize("seed", range(3))
def test_information_of_jointly_gaussian_looks_is_found(seed, monkeypatch):
    """Against the determinants of the true covariances."""
    monkeypatch.setattr("skdim.closed_form.RIDGE", 1e-9)
    n, q = 20_000, 4
    mixture = normals(2 * q, 2 * q, seed=seed).numpy()
    joint = mixture @ mixture.T + np.eye(2 * q)
    parts = joint[:q, :q], joint[q:, q:], joint
    logs = [np.linalg.slogdet(part)[1] for part in parts]
    both = normals(n, 2 * q, seed=seed + 10).numpy() @ np.linalg.cholesky(joint).T
    looks = list(torch.tensor(both).split(q, dim=1))
    found = solve(sums_for(["global"], looks, [(0, 1)]), {"global": 1.0}, 2, q, ridge=1e-9)

    # One nat a parameter in n samples is the size of the bias; its spread is about 2 / sqrt(n).
    assert information_of(found.correlations).item() == pytest.approx(
        0.5 * (logs[0] + logs[1] - logs[2]), abs=0.06
    )


@patient
@given(st.floats(0, 0.999))
def test_the_square_of_the_scale_is_the_ratio_of_signal_to_noise(correlation):
    scale = scale_of(torch.tensor(correlation, dtype=torch.float64)).item()

    assert scale**2 == pytest.approx(correlation / (1 - correlation))


# ---------------------------------------------------------------------------------------------
# Axes and rotations


def test_principal_axes_span_the_leading_subspace():
    left, right = (np.linalg.qr(normals(n, 20, seed=n).numpy())[0] for n in (300, 40))
    strengths = np.concatenate([np.linspace(20, 10, 5), 0.1 * np.ones(15)])
    x = torch.tensor(left * strengths @ right.T)
    found = principal_axes([x], normals(40, 15, seed=3)).numpy()
    _, _, axes = np.linalg.svd(x.numpy(), full_matrices=False)

    assert found.shape == (40, 15)
    assert_allclose(found.T @ found, np.eye(15), atol=1e-9)
    # The cosines of all principal angles are 1.
    assert_allclose(np.linalg.svd(axes[:5] @ found)[1], 1, atol=1e-6)


@pytest.mark.parametrize(("n", "p"), [(30, 6), (4, 9)])
def test_as_many_draws_as_the_rank_span_all_principal_axes(n, p):
    x = normals(n, p)
    k = min(n, p)
    found = principal_axes([x], normals(p, k, seed=1)).numpy()
    _, _, axes = np.linalg.svd(x.numpy(), full_matrices=False)

    assert_allclose(found @ found.T, axes[:k].T @ axes[:k], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 16, 65])
def test_rotations_are_orthogonal_with_no_large_entry(n):
    matrix = rotation(n)

    torch.testing.assert_close(matrix @ matrix.T, torch.eye(n, dtype=torch.float64))
    assert matrix.abs().max() <= (2 / n) ** 0.5 + 1e-12


@pytest.mark.parametrize("n", [2, 16, 65])
def test_no_rotated_number_has_more_than_twice_the_mean_variance(n):
    """However unequal variances are: here all is in one of them."""
    variances = torch.cat([torch.tensor([100.0]), torch.zeros(n - 1)]).double()
    rotated = rotation(n).square().T @ variances

    assert rotated.max() <= 2 * variances.mean() + 1e-9
    assert rotated.sum().item() == pytest.approx(variances.sum().item())
