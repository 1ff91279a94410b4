"""Noise as targets: a point a sample, dealt out anew so that the distances sum to the least."""

import copy
import itertools

import pytest
import torch
from torch.nn.functional import normalize

from skdim.objectives import Batch, NoiseAsTargets
from skdim.objectives.nat import assign
from tests.objectives.helpers import made, make_features, normals, seeded

N, CODE = 12, 4


def make(n=N, code=CODE, seed=0):
    return made(NoiseAsTargets, n, code, seed=seed)


def batch_of(index, seed=5):
    n = len(index)
    return Batch(torch.zeros(n, 1), torch.as_tensor(index), torch.full((n,), -1), seeded(seed))


def look_of(n, seed=0, grid=(), dtype=torch.float32):
    # Points are drawn from seeds, too: these are others.
    code = normals(n, CODE, *grid, seed=100 + seed, dtype=dtype)
    return make_features(code, code)


def as_set(points):
    return sorted(row.numpy().tobytes() for row in points)


def test_points_are_on_the_sphere_and_spread_evenly():
    points = made(NoiseAsTargets, 20_000, 3).targets

    torch.testing.assert_close(points.norm(dim=1), torch.ones(20_000))
    assert points.mean(dim=0).abs().max() < 0.02
    # On the sphere in three dimensions each coordinate is uniform: a variance of 1/3.
    torch.testing.assert_close(
        points.square().mean(dim=0), torch.full((3,), 1 / 3), atol=0.01, rtol=0
    )


def test_points_stay_a_permutation_of_the_first_ones():
    nat = make()
    first = as_set(nat.targets)
    for seed in range(20):
        for index in torch.randperm(N, generator=seeded(seed)).tensor_split(3):
            nat([look_of(len(index), seed)], batch_of(index))

        assert as_set(nat.targets) == first


def test_a_batch_deals_out_its_own_points_only():
    nat = make()
    before = nat.targets.clone()
    index = [7, 2, 9]
    nat([look_of(3)], batch_of(index))
    others = [i for i in range(N) if i not in index]

    assert torch.equal(nat.targets[others], before[others])
    assert as_set(nat.targets[index]) == as_set(before[index])


@pytest.mark.parametrize("seed", range(5))
def test_the_assignment_is_the_best_of_all(seed):
    nat, n = make(6, seed=seed), 6
    features, points = look_of(n, seed), nat.targets.clone()
    codes = normalize(features.code, dim=1)
    least = min(
        0.5 * (codes - points[list(order)]).square().sum(dim=1).mean().item()
        for order in itertools.permutations(range(n))
    )

    assert nat([features], batch_of(range(n)))["targets"].item() == pytest.approx(least, rel=1e-5)


def test_points_go_by_index_whatever_the_order():
    one, other = make(), make()
    index = torch.tensor([3, 8, 1, 5])
    features = look_of(4)
    turned = torch.tensor([2, 0, 3, 1])
    one([features], batch_of(index))
    other([make_features(features.local[turned], features.code[turned])], batch_of(index[turned]))

    assert torch.equal(one.targets, other.targets)


def test_a_second_pass_with_the_same_codes_changes_nothing():
    nat, features = make(), look_of(N)
    first = nat([features], batch_of(range(N)))["targets"]
    kept = nat.targets.clone()
    second = nat([features], batch_of(range(N)))["targets"]

    assert torch.equal(kept, nat.targets)
    assert first == second


def test_the_term_is_one_minus_the_cosine_and_moves_the_codes_alone():
    nat = make()
    code = normals(N, CODE, seed=100, dtype=torch.float32).requires_grad_()
    term = nat([make_features(code, code)], batch_of(range(N)))["targets"]
    term.backward()
    cosine = (normalize(code, dim=1) * nat.targets).sum(dim=1)

    assert term.item() == pytest.approx((1 - cosine).mean().item(), rel=1e-5)
    assert code.grad.any()
    assert not list(nat.parameters())
    # Along the code nothing is to be gained: only its direction counts.
    assert (code.grad * code).sum(dim=1).abs().max() < 1e-6


def test_all_looks_go_to_the_one_point_of_their_sample():
    nat = make()
    looks = [look_of(N, seed) for seed in (0, 1)]
    term = nat(looks, batch_of(range(N)))["targets"]
    cosines = [(normalize(look.code, dim=1) * nat.targets).sum(dim=1).mean() for look in looks]

    assert term.item() == pytest.approx(1 - torch.stack(cosines).mean().item(), rel=1e-5)


def test_the_assignment_is_the_best_of_all_for_all_looks():
    nat, n = make(6), 6
    looks, points = [look_of(n, seed) for seed in (0, 1, 2)], nat.targets.clone()
    total = sum(normalize(look.code, dim=1) for look in looks)
    gains = total @ points.T
    best = max(itertools.permutations(range(n)), key=lambda order: gains[range(n), order].sum())
    nat(looks, batch_of(range(n)))

    assert torch.equal(nat.targets, points[list(best)])


def test_several_globals_are_averaged():
    one, other = make(), make()
    features = look_of(N, grid=(3,))
    mean = features.code.mean(dim=2)
    terms = [
        nat([look], batch_of(range(N)))["targets"]
        for nat, look in ((one, features), (other, make_features(mean, mean)))
    ]

    torch.testing.assert_close(*terms)


def test_points_are_drawn_by_the_seed():
    assert torch.equal(make().targets, make().targets)
    assert not torch.equal(make().targets, make(seed=1).targets)


def test_nothing_is_measured_on_new_samples_and_nothing_moved():
    nat = make().eval()
    before = copy.deepcopy(nat.targets)

    assert nat.score(look_of(3), batch_of([100, 101, 102])) is None
    assert torch.equal(nat.targets, before)


def test_half_precision_codes_are_measured_in_single_precision():
    features = look_of(N, dtype=torch.bfloat16)

    assert make()([features], batch_of(range(N)))["targets"].dtype == torch.float32


def test_codes_that_are_the_points_keep_them():
    points = normalize(normals(30, 5, dtype=torch.float32), dim=1)
    order = torch.randperm(30, generator=seeded())

    assert torch.equal(assign(points[order], points), order)
