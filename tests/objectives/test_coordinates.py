"""Coordinate tasks: chance where nothing is told, certainty where all is, and a slow loop."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.objectives import AbsoluteCoordinates, RelativeCoordinates
from tests.objectives.helpers import made, make_batch, make_features, normals, seeded

CODE, LOCAL = 3, 4
TASKS = {"coordinate": AbsoluteCoordinates, "relative_coordinate": RelativeCoordinates}

each_task = pytest.mark.parametrize("name", TASKS)
each_grid = pytest.mark.parametrize("grid", [(5,), (3, 4), (2, 3, 2)], ids=str)


def make(name, grid, *, weight=1.0, local=LOCAL, knowing=True, **kwargs):
    """Build a task in float64; ``knowing``: its last layer has weights, as after some training."""
    task = made(TASKS[name], CODE, local, grid, weight=weight, units=32, **kwargs).double()
    if knowing:
        made(nn.init.normal_, task.classifier.choose.weight)
    return task


def features(grid, n=6, seed=0, code_grid=()):
    local, code = normals(n, LOCAL, *grid, seed=seed), normals(n, CODE, *code_grid, seed=seed + 1)
    return make_features(local.requires_grad_(), code.requires_grad_())


def term_of(task, *looks, batch=None):
    (term,) = task(looks, batch or make_batch(len(looks[0].code))).values()
    return term


def entropy_of_offsets(side):
    """Of the difference of two uniform places, by counting all pairs."""
    places = np.arange(side)
    _, counts = np.unique(places[:, None] - places, return_counts=True)
    share = counts / side**2
    return -(share * np.log(share)).sum()


# ---------------------------------------------------------------------------------------------
# First weights


@each_task
def test_first_weights_are_drawn_as_those_of_one_layer_of_all_inputs(name):
    classifier = make(name, (8, 8), local=60).classifier
    n_inputs = CODE + 60 * TASKS[name].n_locations
    for part in classifier.project:
        largest = part.weight.abs().max().item() * math.sqrt(n_inputs)

        assert 0.9 < largest <= 1


# ---------------------------------------------------------------------------------------------
# Chance


@pytest.mark.parametrize("grid", [(8, 8), (4, 7), (16,), (5, 1), (2, 3, 4)], ids=str)
def test_absolute_task_starts_at_chance(grid):
    batch = make_batch(6)
    term = term_of(make("coordinate", grid, knowing=False), features(grid), batch=batch)

    assert term.item() == pytest.approx(math.log(math.prod(grid)))
    shares = [1 / side for side in grid if side > 1]
    assert batch.notes["coordinate_accuracy"].item() == pytest.approx(np.mean(shares))


@pytest.mark.parametrize(
    ("grid", "chance"),
    [((8, 8), 5.1325), ((7,), 2.4291), ((4,), 1.8407), ((16, 1), 3.2688), ((4, 7), 4.2698)],
    ids=str,
)
def test_relative_task_starts_at_chance(grid, chance):
    batch = make_batch(300)
    term = term_of(
        make("relative_coordinate", grid, knowing=False), features(grid, 300), batch=batch
    )

    assert sum(map(entropy_of_offsets, grid)) == pytest.approx(chance, abs=2e-4)
    # Pairs are drawn, so that the mean over them is not the expectation.
    assert term.item() == pytest.approx(chance, abs=0.05)
    accuracy = batch.notes["relative_coordinate_accuracy"].item()
    assert accuracy == pytest.approx(np.mean([1 / s for s in grid if s > 1]), abs=0.04)


def train(task, look, n_steps=100, rate=1e-2):
    """Train a task alone, and give its last losses and accuracies."""
    optimizer = torch.optim.Adam(task.parameters(), lr=rate)
    losses, accuracies = [], []
    for step in range(n_steps):
        batch = make_batch(len(look.code), seed=step)
        optimizer.zero_grad()
        term = term_of(task, look, batch=batch)
        term.backward()
        optimizer.step()
        losses.append(term.item())
        accuracies.append(batch.notes[f"{task.name}_accuracy"].item())
    return np.array(losses[-20:]), np.array(accuracies[-20:])


def own_places(grid, n=8):
    """A map whose channels tell each location its place, one channel a row and one a column."""
    axes = torch.meshgrid(*(torch.arange(side) for side in grid), indexing="ij")
    told = [nn.functional.one_hot(axis, side) for axis, side in zip(axes, grid, strict=True)]
    local = torch.cat(told, dim=-1).movedim(-1, 0).double()
    return make_features(local.expand(n, *local.shape), normals(n, CODE))


@pytest.mark.parametrize("grid", [(6,), (4, 5)], ids=str)
@each_task
def test_a_map_that_holds_its_own_coordinates_tells_them(name, grid):
    task = make(name, grid, knowing=False, local=sum(grid))
    losses, accuracies = train(task, own_places(grid), n_steps=300, rate=2e-2)

    assert losses.max() < 0.05
    assert accuracies.min() == 1


@pytest.mark.parametrize("grid", [(6,), (4, 5)], ids=str)
@each_task
def test_constant_maps_tell_nothing(name, grid):
    flat = normals(32, LOCAL)[(...,) + (None,) * len(grid)].expand(-1, -1, *grid)
    look = make_features(flat, normals(32, CODE, seed=1))
    losses, accuracies = train(make(name, grid, knowing=False), look)
    of_axis = math.log if name == "coordinate" else entropy_of_offsets
    chance = sum(of_axis(side) for side in grid)

    # Nothing can be below the mean over all places; of drawn pairs, only by chance.
    assert losses.mean() > chance - (1e-9 if name == "coordinate" else 0.05)
    assert losses.mean() < chance + 0.1
    assert accuracies.mean() == pytest.approx(np.mean([1 / side for side in grid]), abs=0.05)


# ---------------------------------------------------------------------------------------------
# What is computed


def slow_term(task, look, seed):
    """Ask location by location, with all inputs side by side."""
    name = task.name
    grid = look.local.shape[2:]
    places = list(np.ndindex(*grid))
    n, n_places = len(look.code), len(places)
    other = torch.randint(n_places, (n, n_places), generator=seeded(seed))
    weight = torch.cat([part.weight for part in task.classifier.project], dim=1)
    losses, hits = [], []
    for i in range(n):
        for number, place in enumerate(places):
            given, wanted = [look.code[i], look.local[(i, slice(None), *place)]], place
            if name == "relative_coordinate":
                there = places[other[i, number]]
                given.append(look.local[(i, slice(None), *there)])
                wanted = [a - b + side - 1 for a, b, side in zip(place, there, grid, strict=True)]
            hidden = (weight @ torch.cat(given) + task.classifier.bias).relu()
            logits = task.classifier.choose(hidden)
            for scores, right in zip(logits.split(task.classifier.sizes), wanted, strict=True):
                losses.append(-scores.log_softmax(0)[right])
                hits.append(float(scores.argmax() == right))
    return torch.stack(losses).sum() / (n * n_places), np.mean(hits)


@each_grid
@each_task
def test_terms_equal_a_slow_loop_over_locations(name, grid):
    task, look, batch = make(name, grid, weight=0.3), features(grid), make_batch(6, seed=4)
    term = term_of(task, look, batch=batch)
    expected, accuracy = slow_term(task, look, seed=4)

    assert term.item() == pytest.approx(0.3 * expected.item())
    assert batch.notes[f"{name}_accuracy"].item() == pytest.approx(accuracy)
    given = [look.local, look.code, *task.parameters()]
    gradients = torch.autograd.grad(term, given)
    right = torch.autograd.grad(0.3 * expected, given)
    torch.testing.assert_close(gradients, right)


@pytest.mark.parametrize("code_grid", [(3,), (2, 2)], ids=str)
@each_task
def test_several_globals_are_their_mean(name, code_grid):
    task, many = make(name, (3, 4)), features((3, 4), code_grid=code_grid)
    one = make_features(many.local, many.code.flatten(2).mean(dim=2))

    assert term_of(task, many).item() == pytest.approx(term_of(task, one).item())


@each_task
def test_terms_of_several_looks_are_averaged(name):
    """Of absolute places, nothing is drawn: each look alone gives its share."""
    looks = [features((3, 4), seed=seed) for seed in (0, 10)]
    pairs = ((0, 1), (1, 0))
    term = term_of(make(name, (3, 4), looks=pairs), *looks)
    batch = make_batch(6)
    alone = [
        term_of(make(name, (3, 4)), make_features(looks[at].local, looks[code].code), batch=batch)
        for code, at in pairs
    ]

    assert term.item() == pytest.approx(torch.stack(alone).mean().item(), rel=1e-6)


@each_task
def test_features_are_moved_from_the_second_step_on(name):
    """At first the answers are those of chance, whatever the features."""
    task, look = make(name, (3, 4), knowing=False), features((3, 4))
    given = [look.local, look.code, *task.parameters()]
    before = torch.autograd.grad(term_of(task, look), given)
    assert not before[0].any()
    torch.optim.SGD(task.parameters(), lr=0.1).zero_grad()
    term_of(task, look).backward()
    torch.optim.SGD(task.parameters(), lr=0.1).step()

    assert all(grad.any() for grad in torch.autograd.grad(term_of(task, look), given))


def test_places_cost_no_memory_in_what_is_saved():
    assert not [name for name in make("coordinate", (3, 4)).state_dict() if "places" in name]


# ---------------------------------------------------------------------------------------------
# Through the transformer

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 8, 10), np.uint8)
ROWS = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)
BOTH = {"coordinate_weight": 0.5, "relative_coordinate_weight": 0.25}


class SeveralGlobals(nn.Module):
    """Two codes of four numbers each."""

    def __init__(self):
        super().__init__()
        self.to_local, self.to_code = nn.Conv2d(1, 5, 3, stride=3), nn.Conv2d(5, 4, 2)

    def forward(self, x):
        local = self.to_local(x).relu()
        return local, self.to_code(local)


def fit(X, **settings):
    defaults = {"n_components": 4, "max_epochs": 2, "batch_size": 10, "random_state": 0}
    return DeepInfoMaxTransformer(**defaults | BOTH | settings).fit(X)


@pytest.mark.parametrize(
    ("X", "settings"),
    [
        (ROWS, {}),
        (IMAGES, {}),
        (IMAGES, {"view": None, "encoder": "dcgan"}),
        (IMAGES, {"local_weight": 0.0}),
        (IMAGES, {"encoder": SeveralGlobals(), "view": None, "max_epochs": 1}),
    ],
    ids=["a row of locations", "two looks", "one look", "alone", "several globals"],
)
def test_history_has_terms_and_accuracies(X, settings):
    dim = fit(X, **settings)

    for name in TASKS:
        assert dim.history_[name][0] > 0
        assert all(0 <= share <= 1 for share in dim.history_[f"{name}_accuracy"])
    terms = [name for name in ("local", *TASKS) if name in dim.history_]
    total = np.sum([dim.history_[name] for name in terms], axis=0)
    assert dim.history_["loss"] == pytest.approx(total, rel=1e-4)
    assert dim.history_["loss"] == fit(X, **settings).history_["loss"]


def test_tasks_are_learnt_with_the_encoder():
    """Images of a ramp: any location can tell its row."""
    ramp = np.arange(12, dtype=np.float32)[None, :, None] + np.zeros((32, 12, 12), np.float32)
    noisy = ramp + np.random.default_rng(0).normal(scale=0.1, size=ramp.shape).astype(np.float32)
    dim = fit(noisy, encoder="dcgan", view=None, max_epochs=40, batch_size=32, learning_rate=3e-3)
    first, last = (dim.history_["coordinate_accuracy"][i] for i in (0, -1))

    assert last > first + 0.3
    assert dim.history_["coordinate"][-1] < 0.7 * dim.history_["coordinate"][0]


def test_weights_of_zero_change_nothing():
    plain, off = fit(ROWS, **dict.fromkeys(BOTH, 0.0)), fit(ROWS, **dict.fromkeys(BOTH, 0))

    assert next(iter(plain.history_)) == "local"
    assert not [name for name in plain.history_ if "coordinate" in name]
    np.testing.assert_array_equal(plain.transform(ROWS), off.transform(ROWS))


class OneLocation(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(12, 4)

    def forward(self, x):
        code = self.linear(x)
        return code[:, :, None], code


@pytest.mark.parametrize("weight", BOTH)
def test_a_map_of_one_location_is_refused(weight):
    with pytest.raises(ValueError, match=r"coordinate_weight.*several places.*grid \(1,\)"):
        fit(ROWS, encoder=OneLocation(), **dict.fromkeys(BOTH, 0.0) | {weight: 1.0})


def test_tasks_alone_have_no_score():
    with pytest.raises(ValueError, match="has no score"):
        fit(ROWS, local_weight=0.0).score(ROWS)
