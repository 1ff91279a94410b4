"""Pairs against slow loops: which are true, which false, and what scoring them needs."""

import math
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import nn

from skdim.bounds import BOUNDS
from skdim.pairs import bound_of_pairs, in_full, pair_blocks, split_own

MODES = ["all", "shift", 1, 3]

patient = settings(deadline=None, max_examples=40)  # The machine may be busy.
each_mode = pytest.mark.parametrize("negatives", MODES)
sizes = {"n": st.integers(2, 6), "g": st.integers(1, 3), "l": st.integers(1, 4)}


def dot(code, local):
    return code @ local.mT


class Mixer(nn.Module):
    """A join with weights of its own, which sees both projections side by side."""

    def __init__(self, width=4):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        weight = torch.randn(width, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(weight)

    def forward(self, code, local):
        return torch.tanh(code.unsqueeze(-2) + local.unsqueeze(-3)) @ self.weight


class Recorder:
    """A join that notes how many scores each call gave."""

    def __init__(self, join=dot):
        self.join = join
        self.given = []

    def __call__(self, code, local):
        scores = self.join(code, local)
        self.given.append(scores.numel())
        return scores


def projections(n, g=1, n_locations=3, u=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(n, m, u, generator=generator, dtype=torch.float64).requires_grad_()
        for m in (g, n_locations)
    ]


def seeded():
    return torch.Generator().manual_seed(3)


def tables(*arguments, **options):
    """Put the blocks together."""
    positive, negative = zip(*pair_blocks(*arguments, generator=seeded(), **options), strict=True)
    return torch.cat(positive), torch.cat(negative)


def who_meets_whom(n, g, n_locations, negatives):
    """Run a join that gives names instead of scores: [..., 0] sample and [..., 1] location."""
    # A score is 100 * sample + location of the local feature, whatever the code.
    names = 100 * torch.arange(n)[:, None] + torch.arange(n_locations)
    ones = torch.ones(n, g, 1)
    found = tables(dot, ones, names[:, :, None].float(), negatives)
    return [torch.stack([names // 100, names % 100], dim=-1).int() for names in found]


# ---------------------------------------------------------------------------------------------
# Which pairs


@patient
@given(**sizes)
def test_all_equals_a_slow_loop(n, g, l):  # noqa: E741
    code, local = projections(n, g, l)
    positive, negative = tables(dot, code, local, "all")

    for i in range(n):
        for a in range(g):
            true = [code[i, a] @ local[i, k] for k in range(l)]
            false = [code[i, a] @ local[j, k] for j in range(n) if j != i for k in range(l)]
            torch.testing.assert_close(positive[i * g + a], torch.stack(true))
            torch.testing.assert_close(negative[i * g + a], torch.stack(false))


@patient
@given(**sizes)
def test_shift_equals_a_slow_loop(n, g, l):  # noqa: E741
    code, local = projections(n, g, l)
    positive, negative = tables(dot, code, local, "shift")

    for i in range(n):
        for a in range(g):
            false = [code[i, a] @ local[(i + 1) % n, k] for k in range(l)]
            torch.testing.assert_close(positive[i * g + a], local[i] @ code[i, a])
            torch.testing.assert_close(negative[i * g + a], torch.stack(false))


@patient
@given(k=st.integers(1, 5), **sizes)
def test_int_equals_a_slow_loop_over_its_draws(k, n, g, l):  # noqa: E741
    code, local = projections(n, g, l)
    positive, negative = tables(dot, code, local, k)
    drawn = who_meets_whom(n, g, l, k)[1]

    assert negative.shape == (n * g, k * l)
    for anchor in range(n * g):
        of_anchor = code[anchor // g, anchor % g]
        false = [of_anchor @ local[sample, location] for sample, location in drawn[anchor]]
        torch.testing.assert_close(positive[anchor], local[anchor // g] @ of_anchor)
        torch.testing.assert_close(negative[anchor], torch.stack(false))


def test_int_draws_for_each_sample_and_location_from_the_other_samples_there():
    n, g, n_locations, k = 5, 2, 3, 4000
    drawn = who_meets_whom(n, g, n_locations, k)[1].reshape(n, g, n_locations, k, 2)
    sample, location = drawn.unbind(-1)

    assert torch.equal(sample[:, 0], sample[:, 1])  # Globals of a sample share the draws.
    assert torch.equal(location, torch.arange(n_locations).int()[:, None].expand_as(location))
    for i in range(n):
        others = [j for j in range(n) if j != i]
        for here in sample[i, 0]:
            counts = np.bincount(here, minlength=n)
            assert counts[i] == 0
            assert chisquare(counts[others]).pvalue > 1e-4
    # Draws are independent between samples and between locations.
    steps = (sample[:, 0] - torch.arange(n)[:, None, None]) % n
    assert torch.unique(steps.reshape(-1, k), dim=0).shape[0] == n * n_locations


@each_mode
def test_own_sample_never_counts_as_negative(negatives):
    n, g = 6, 2
    code, local = (torch.arange(n * m).reshape(n, m, 1) // m for m in (g, 3))

    def nan_for_own(code, local):
        own = code == local.mT
        return torch.where(own, torch.nan, 1.0)

    positive, negative = tables(nan_for_own, code, local, negatives)

    assert positive.isnan().all()
    assert (negative == 1).all()


@pytest.mark.parametrize("nonsense", [torch.nan, torch.inf, 1e9])
def test_own_scores_reach_neither_negatives_nor_their_gradient(nonsense):
    n = 4
    scores = torch.zeros(n, 1, n, 3)
    scores[range(n), 0, range(n)] = nonsense
    scores.requires_grad_()

    negative = split_own(scores, 0)[1]
    negative.sum().backward()

    assert (negative == 0).all()
    assert (scores.grad[range(n), 0, range(n)] == 0).all()
    assert scores.grad.sum() == negative.numel()


def test_split_scores_agree_with_pairs_scored_at_once():
    code, local = projections(5, 2, 3)
    scores = torch.einsum("iau,jku->iajk", code, local)

    torch.testing.assert_close(split_own(scores, 0), tables(dot, code, local, "all"))


@pytest.mark.parametrize(("batch", "side"), [(32, 8), (64, 8), (64, 4)])
def test_info_nce_over_all_pairs_ends_at_the_log_of_one_plus_other_locations(batch, side):
    locations = side**2
    code = 1e4 * torch.eye(batch)[:, None]
    local = torch.eye(batch)[:, None].expand(batch, locations, batch)

    ceiling = bound_of_pairs(BOUNDS["infonce"], dot, code, local)

    assert ceiling.item() == pytest.approx(math.log(1 + (batch - 1) * locations))


# ---------------------------------------------------------------------------------------------
# Blocks


@patient
@given(block_samples=st.integers(1, 8), negatives=st.sampled_from(MODES), **sizes)
def test_blocks_put_together_are_the_whole(block_samples, negatives, n, g, l):  # noqa: E741
    code, local = projections(n, g, l)
    blocks = list(
        pair_blocks(dot, code, local, negatives, generator=seeded(), block_samples=block_samples)
    )

    assert [len(positive) for positive, _ in blocks] == [
        g * min(block_samples, n - start) for start in range(0, n, block_samples)
    ]
    together = tuple(torch.cat(part) for part in zip(*blocks, strict=True))
    torch.testing.assert_close(together, tables(dot, code, local, negatives))


@each_mode
@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_bound_in_blocks_has_the_value_and_gradients_of_the_whole(name, negatives):
    code, local = projections(7, 2, 3)
    join = Recorder(Mixer())
    weights = [code, local, join.join.weight]

    def value_and_gradients(max_floats):
        join.given.clear()
        value = bound_of_pairs(
            BOUNDS[name], join, code, local, negatives, generator=seeded(), max_floats=max_floats
        )
        forward = len(join.given)
        gradients = torch.autograd.grad(value, weights)
        return forward, len(join.given) - forward, (value, *gradients)

    forward, again, whole = value_and_gradients(10**6)
    assert again == 0  # Everything fits: nothing is scored twice.
    torch.testing.assert_close(
        whole[0], BOUNDS[name](*tables(join, code, local, negatives)), rtol=1e-12, atol=1e-12
    )
    for max_floats in (1, 60, 80):
        blocks, again, parts = value_and_gradients(max_floats)
        assert blocks > forward
        assert again == 0
        torch.testing.assert_close(parts, whole, rtol=1e-11, atol=1e-12)


@each_mode
@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_pairs_in_blocks_are_scored_once_where_the_bound_is_a_mean(name, negatives):
    """Before all scores are known, only the log of a mean over all anchors needs a second pass."""
    code, local = projections(7, 2, 3)

    def most_at_once_and_all(max_floats):
        join = Recorder()
        bound_of_pairs(
            BOUNDS[name], join, code, local, negatives, generator=seeded(), max_floats=max_floats
        ).backward()
        return max(join.given), sum(join.given)

    whole, in_all = most_at_once_and_all(10**6)
    block, in_blocks = most_at_once_and_all(60)
    assert block < whole
    # One pair more, in which the weights are looked for.
    assert in_blocks == (2 if name == "dv" else 1) * in_all + 1


@pytest.mark.parametrize("max_floats", [60, 10**6])
@each_mode
def test_gradient_is_that_of_small_steps(negatives, max_floats):
    code, local = projections(4, 2, 3)
    join = Mixer()

    def value(code, local, weight):
        with torch.no_grad():
            join.weight.copy_(weight)
        return bound_of_pairs(
            BOUNDS["infonce"],
            join,
            code,
            local,
            negatives,
            generator=seeded(),
            max_floats=max_floats,
        )

    given = [code, local, join.weight.detach().clone()]
    gradients = torch.autograd.grad(value(*given), [code, local, join.weight])
    # Of a seed: one in which hardly anything changes could not be told from rounding.
    draws = seeded()
    direction = [torch.randn(each.shape, generator=draws, dtype=torch.float64) for each in given]
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (
            value(*(each + sign * step * way for each, way in zip(given, direction, strict=True)))
            for sign in (1, -1)
        )
    slope = sum((g * way).sum() for g, way in zip(gradients, direction, strict=True))

    assert slope.item() == pytest.approx((ahead - behind).item() / (2 * step), rel=1e-6)


@pytest.mark.parametrize("max_floats", [60, 10**6])
@each_mode
def test_backward_scales_with_the_loss_and_can_be_run_again(negatives, max_floats):
    code, local = projections(7, 2, 3)
    value = bound_of_pairs(
        BOUNDS["jsd"], dot, code, local, negatives, generator=seeded(), max_floats=max_floats
    )
    once = torch.autograd.grad(value, [code, local], retain_graph=True)
    thrice = torch.autograd.grad(-3 * value, [code, local])

    for one, three in zip(once, thrice, strict=True):
        torch.testing.assert_close(three, -3 * one)


@each_mode
def test_blocks_have_the_gradients_of_the_whole_in_half_precision(negatives):
    code, local = (each.detach().float() for each in projections(40, 2, 3))
    layer = nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        layer.weight.copy_(projections(4, 1, 1, seed=1)[0][:, 0])

    def join(code, local):
        return code @ layer(local).mT

    def gradients(max_floats, precise):
        given = [each.clone().requires_grad_() for each in (code, local)]
        with torch.autocast("cpu", torch.bfloat16, enabled=not precise):
            bound_of_pairs(
                BOUNDS["jsd"], join, *given, negatives, generator=seeded(), max_floats=max_floats
            ).backward()
        found = [given[0].grad, given[1].grad, layer.weight.grad]
        layer.zero_grad()
        return found

    exact, whole, blocks = gradients(1, True), gradients(10**9, False), gradients(1, False)
    for right, at_once, in_blocks in zip(exact, whole, blocks, strict=True):
        assert in_blocks.dtype == torch.float32
        off = (at_once - right).norm()
        assert 0 < off < 0.02 * right.norm()
        assert (in_blocks - right).norm() < 2 * off


def test_gradients_of_projections_in_half_precision_are_summed_in_single():
    code, local = (each.detach().bfloat16().float() for each in projections(60, 2, 3))

    def gradients(dtype, max_floats):
        given = [each.to(dtype).requires_grad_() for each in (code, local)]
        value = bound_of_pairs(BOUNDS["jsd"], dot, *given, max_floats=max_floats)
        return torch.autograd.grad(value, given)

    exact = gradients(torch.float32, 10**9)
    whole, blocks = (gradients(torch.bfloat16, size) for size in (10**9, 1))
    for right, at_once, in_blocks in zip(exact, whole, blocks, strict=True):
        assert (in_blocks - right).norm() < 2 * (at_once - right).norm()


@pytest.mark.parametrize("max_floats", [60, 10**6])
def test_gradients_reach_what_projections_are_made_of(max_floats):
    """Also through a weight that serves projections and join alike."""
    code, local = projections(7, 2, 3)
    join = Mixer()

    def weight_gradient(max_floats):
        made = code * join.weight, local * join.weight
        value = bound_of_pairs(BOUNDS["dv"], join, *made, "shift", max_floats=max_floats)
        return torch.autograd.grad(value, [code, local, join.weight])

    torch.testing.assert_close(weight_gradient(max_floats), weight_gradient(10**9))


@each_mode
def test_blocks_leave_out_weights_that_are_not_trained(negatives):
    code, local = projections(7, 2, 3)
    join = Mixer().requires_grad_(False)
    value = bound_of_pairs(
        BOUNDS["jsd"], join, code, local.detach(), negatives, generator=seeded(), max_floats=60
    )
    value.backward()

    assert join.weight.grad is None
    assert code.grad.abs().max() > 0


@each_mode
def test_bound_in_blocks_needs_no_gradient(negatives):
    code, local = projections(7, 2, 3)
    with torch.no_grad():
        parts, whole = (
            bound_of_pairs(
                BOUNDS["dv"], dot, code, local, negatives, generator=seeded(), max_floats=size
            )
            for size in (50, 10**6)
        )

    torch.testing.assert_close(parts, whole)


class Box:
    """Hold a tensor for as long as backward does."""

    def __init__(self, tensor):
        self.tensor = tensor


class Kept:
    """Count the numbers that are kept for backward, and the most of them at any time."""

    def __init__(self):
        self.now = self.most = 0

    def keep(self, tensor):
        box = Box(tensor)
        self.add(tensor.numel())
        weakref.finalize(box, self.add, -tensor.numel())
        return box

    def add(self, numbers):
        self.now += numbers
        self.most = max(self.most, self.now)


def scores_kept(n, negatives, max_floats, n_locations=4):
    """Give the most numbers kept for backward at a time, and the most scores of one join."""
    code, local = projections(n, 1, n_locations, u=2)
    join, kept = Recorder(), Kept()

    with torch.autograd.graph.saved_tensors_hooks(kept.keep, lambda box: box.tensor):
        value = bound_of_pairs(
            BOUNDS["infonce"],
            join,
            code,
            local,
            negatives,
            generator=seeded(),
            max_floats=max_floats,
        )
    value.backward()
    return kept.most, max(join.given)


def test_memory_for_scores_is_quadratic_at_once_and_linear_in_blocks():
    n, n_locations, budget = 128, 4, 2048
    at_once, _ = scores_kept(n, "all", 10**9)
    small, most_small = scores_kept(n // 2, "all", budget)
    large, most_large = scores_kept(n, "all", budget)

    assert at_once > n * n * n_locations  # The measure sees all scores where they are kept.
    assert max(most_small, most_large) <= budget
    assert large <= 2.1 * small
    assert large < at_once / 20


@pytest.mark.parametrize("negatives", ["shift", 3])
def test_chosen_negatives_stay_within_the_budget(negatives):
    budget = 200
    kept, most = scores_kept(64, negatives, budget)

    assert most <= budget
    assert kept < scores_kept(64, negatives, 10**9)[0] / 2


@each_mode
def test_width_of_the_join_counts_towards_the_budget(negatives):
    code, local = projections(8)

    def blocks(pair_floats):
        join = Recorder()
        bound_of_pairs(
            BOUNDS["jsd"],
            join,
            code,
            local,
            negatives,
            generator=seeded(),
            pair_floats=pair_floats,
            max_floats=2**11,
        )
        return len(join.given)

    assert blocks(1) < blocks(200)


def test_copies_of_drawn_locations_count_towards_the_budget():
    code, local = projections(8, u=64)

    def joins(negatives):
        join = Recorder()
        bound_of_pairs(
            BOUNDS["jsd"], join, code, local, negatives, generator=seeded(), max_floats=2**11
        )
        return len(join.given)

    assert joins("shift") == 2  # Slices are not copied: all at once, true pairs and false ones.
    assert joins(3) > 2


# ---------------------------------------------------------------------------------------------
# Draws and devices


@pytest.mark.usefixtures("global_random_state_untouched")
@pytest.mark.parametrize("max_floats", [40, 10**6])
def test_draws_come_from_the_generator_alone(max_floats):
    code, local = projections(9)

    def draw(generator):
        return bound_of_pairs(
            BOUNDS["jsd"], dot, code, local, 2, generator=generator, max_floats=max_floats
        )

    generator = seeded()
    first, second, again = draw(generator), draw(generator), draw(seeded())

    assert first == again
    assert first != second


def test_draws_without_a_generator_come_from_torch():
    code, local = projections(9)

    def draw():
        torch.manual_seed(0)
        return bound_of_pairs(BOUNDS["jsd"], dot, code, local, 2)

    with torch.random.fork_rng():
        assert draw() == draw()


@each_mode
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(negatives, dtype):
    code, local = (features.to(dtype) for features in projections(4))

    assert bound_of_pairs(BOUNDS["dv"], dot, code, local, negatives).dtype == dtype


@each_mode
@pytest.mark.parametrize("generator", [None, seeded()])
def test_nothing_is_asked_of_the_device(negatives, generator):
    # A meta tensor has a shape and no numbers: asking for one, or for a mask's count, raises.
    code, local = torch.empty(6, 2, 4, device="meta"), torch.empty(6, 3, 4, device="meta")

    blocks = pair_blocks(dot, code, local, negatives, generator=generator, block_samples=4)
    value = bound_of_pairs(BOUNDS["infonce"], dot, code, local, negatives, generator=generator)

    assert [len(positive) for positive, _ in blocks] == [8, 4]
    assert value.shape == ()
    assert value.is_meta


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@each_mode
def test_blocks_on_a_gpu_never_wait_for_it(negatives):
    code, local = (features.detach().cuda().requires_grad_() for features in projections(7))
    generator = torch.Generator("cuda").manual_seed(0)
    torch.cuda.set_sync_debug_mode("error")
    try:
        value = bound_of_pairs(
            BOUNDS["jsd"], dot, code, local, negatives, generator=generator, max_floats=30
        )
        value.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert value.isfinite()


# ---------------------------------------------------------------------------------------------
# Errors


@each_mode
def test_a_single_sample_has_no_negatives(negatives):
    code, local = projections(1)

    with pytest.raises(ValueError, match=r"has 1 sample.*negatives need another sample"):
        pair_blocks(dot, code, local, negatives)
    with pytest.raises(ValueError, match="negatives need another sample"):
        bound_of_pairs(BOUNDS["jsd"], dot, code, local, negatives)


@pytest.mark.parametrize("negatives", ["none", 0, -1, 2.0, True, None])
def test_unknown_negatives_are_told_with_what_is_allowed(negatives):
    with pytest.raises(ValueError, match=r"negatives=.* is not known.*'all'.*'shift'.*int"):
        pair_blocks(dot, *projections(4), negatives)


def test_an_int_of_numpy_is_an_int():
    positive, negative = next(pair_blocks(dot, *projections(4), np.int64(2)))

    assert positive.shape[1] * 2 == negative.shape[1]


@pytest.mark.parametrize(
    "shapes", [((4, 3), (4, 2, 3)), ((4, 1, 3), (4, 3)), ((4, 1, 3), (5, 1, 3))]
)
def test_projections_that_do_not_fit_are_told(shapes):
    with pytest.raises(
        ValueError, match=r"code has shape \(4, .* and local \([45], .*same n samples"
    ):
        pair_blocks(dot, *map(torch.zeros, shapes))


def test_a_block_of_no_sample_is_told():
    with pytest.raises(ValueError, match="block_samples=0"):
        pair_blocks(dot, *projections(4), block_samples=0)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_scores_are_summed_in_at_least_single_precision(given, full):
    assert in_full(torch.ones(2, dtype=given)).dtype == full


@pytest.mark.parametrize("n_symbols", [2, 64])
def test_info_nce_of_several_locations_is_not_a_bound_on_information(n_symbols):
    """All locations of a sample show one symbol, and so does its code."""
    information = math.log(n_symbols)
    symbols = torch.arange(n_symbols).repeat(256 // n_symbols)
    # The log ratio of the densities is the information if symbols agree, else minus infinity.
    code = 8 * torch.eye(n_symbols, dtype=torch.float64)[symbols][:, None]

    def score_of(n_locations):
        local = code.expand(-1, n_locations, -1)
        return bound_of_pairs(BOUNDS["infonce"], lambda x, y: x @ y.mT, code, local).item()

    assert score_of(1) <= information + 1e-9
    assert score_of(64) > information
