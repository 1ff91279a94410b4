"""What a critic asks of its term: some locations only, and short projections of codes."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxTransformer
from skdim.bounds import BOUNDS
from skdim.critics import AbstractCritic, ConcatCritic, DotCritic, MapCritic
from skdim.objectives import Information
from tests.objectives.helpers import made, make_batch, make_features, normals, seeded

N, CODE, LOCAL = 6, 3, 4
KINDS = {"dot": DotCritic, "concat": ConcatCritic}
each_kind = pytest.mark.parametrize("kind", KINDS)


def look(grid=(3, 5), code_grid=(), seed=0):
    local, code = normals(N, LOCAL, *grid, seed=seed), normals(N, CODE, *code_grid, seed=seed + 1)
    return make_features(local.requires_grad_(), code.requires_grad_())


def make(kind="dot", name="local", bound="infonce", weight=0.5, **kwargs):
    options = {name: kwargs.pop(name) for name in ("negatives", "looks", "whole") if name in kwargs}
    critic = made(KINDS[kind], CODE, kwargs.pop("features", LOCAL), 8, **kwargs).double()
    return Information(name, critic, BOUNDS[bound], weight=weight, **options)


# ---------------------------------------------------------------------------------------------
# Locations


@pytest.mark.parametrize("negatives", ["all", "shift", 2])
@each_kind
def test_term_compares_with_the_locations_drawn_and_no_other(kind, negatives):
    features, samples = look(), 4
    term = make(kind, samples=samples, negatives=negatives)
    value = term([features], make_batch(N, seed=7))["local"]
    generator = seeded(7)
    drawn = torch.randint(15, (N, 1, samples), generator=generator)[:, 0]
    flat = features.local.flatten(2)
    taken = torch.stack([flat[i][:, drawn[i]] for i in range(N)])
    # What negatives are drawn comes after.
    batch = replace(make_batch(N), generator=generator)
    expected = -0.5 * term.estimate(features, make_features(taken, features.code), batch)

    assert value.item() == pytest.approx(expected.item())
    (gradient,) = torch.autograd.grad(value, features.local)
    seen = gradient.flatten(2).abs().sum(dim=1) > 0
    for i in range(N):
        assert set(torch.nonzero(seen[i])[:, 0].tolist()) <= set(drawn[i].tolist())


def test_draws_are_with_replacement_and_new_each_time():
    term, features = make(samples=40), look()
    taken = term.draw_locations(features.local, make_batch(N, seed=0))

    assert taken.shape == (N, LOCAL, 40)
    assert not torch.equal(taken, term.draw_locations(features.local, make_batch(N, seed=1)))
    torch.testing.assert_close(taken, term.draw_locations(features.local, make_batch(N, seed=0)))


def test_scores_compare_with_all_locations():
    features = look()

    assert make(samples=2).score(features, make_batch(N)) == make().score(features, make_batch(N))


def test_the_global_term_has_one_location_only():
    features = look()
    sampling, plain = (make(name="global", whole=True, features=60, samples=s) for s in (2, None))

    assert sampling([features], make_batch(N)) == plain([features], make_batch(N))


def test_a_mean_over_draws_is_the_whole():
    """Of a bound that is a mean over pairs, no draw is favoured."""
    features, term = look(), make(bound="kl", samples=5)
    values = [term([features], make_batch(N, seed=s))["local"].item() for s in range(300)]
    whole = make(bound="kl")([features], make_batch(N))["local"].item()

    assert np.mean(values) == pytest.approx(whole, abs=4 * np.std(values) / 300**0.5)


# ---------------------------------------------------------------------------------------------
# The penalty of projections


@pytest.mark.parametrize("code_grid", [(), (2,)], ids=["one global", "two"])
@each_kind
def test_penalty_is_the_mean_squared_length_of_projected_codes(kind, code_grid):
    looks = [look(code_grid=code_grid, seed=seed) for seed in (0, 10)]
    term = make(kind, activation_penalty=0.3, looks=((0, 1), (1, 0)))
    terms = term(looks, make_batch(N))
    projected = [term.critic.project_code(each.code).flatten(0, 1) for each in looks]
    lengths = [row.square().sum().item() for rows in projected for row in rows]

    assert list(terms) == ["local", "local_activation"]
    assert terms["local_activation"].item() == pytest.approx(0.3 * np.mean(lengths))
    plain = make(kind, looks=((0, 1), (1, 0)))(looks, make_batch(N))
    assert terms["local"] == plain["local"]


def test_penalty_shortens_projections():
    rows = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    lengths = {}
    for penalty in (0.0, 1.0):
        dim = DeepInfoMaxTransformer(
            4,
            critic=partial(DotCritic, units=16, activation_penalty=penalty),
            max_epochs=15,
            batch_size=10,
            learning_rate=1e-2,
            random_state=0,
        ).fit(rows)
        (term,) = dim.net_.criterion_
        with torch.no_grad():
            lengths[penalty] = term.critic.project_code(dim.encode(rows)).square().sum(2).mean()
        assert ("local_activation" in dim.history_) == (penalty > 0)

    assert lengths[1.0] < 0.9 * lengths[0.0]


# ---------------------------------------------------------------------------------------------
# Who may ask


class Distance(AbstractCritic):
    """A critic of one's own, that asks by the constructor of all critics."""

    def __init__(self, code_features, local_features):
        super().__init__(samples=3, activation_penalty=0.1)
        self.to_local = torch.nn.Linear(code_features, local_features)

    def project_code(self, code):
        return self.to_local(code.flatten(2).mT if code.ndim > 2 else code[:, None])

    def project_local(self, local):
        return local.flatten(2).mT

    def join(self, code, local):
        return -torch.cdist(code, local)


@pytest.mark.parametrize(
    "critic",
    [
        Distance,
        partial(DotCritic, samples=2, network=True),
        partial(ConcatCritic, units=(8, 8, 8), samples=1),
        {"local": partial(DotCritic, samples=2), "global": "concat"},
    ],
    ids=["own", "dot", "deep concat", "one of two"],
)
def test_transformer_trains_with_critics_that_ask(critic):
    rows = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    dims = [
        DeepInfoMaxTransformer(
            4, critic=critic, global_weight=0.5 if isinstance(critic, dict) else 0.0,
            max_epochs=2, batch_size=10, random_state=0,
        ).fit(rows)
        for _ in range(2)
    ]  # fmt: skip

    np.testing.assert_array_equal(*(dim.transform(rows) for dim in dims))
    assert np.isfinite(dims[0].score(rows))
    assert ("local_activation" in dims[0].history_) == (critic is Distance)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (partial(DotCritic, CODE, LOCAL, samples=0), "samples=0; at least one location"),
        (partial(ConcatCritic, CODE, LOCAL, samples=-2), "samples=-2"),
        (partial(DotCritic, CODE, LOCAL, activation_penalty=-0.1), "activation_penalty=-0.1"),
        (partial(MapCritic, CODE, (2, 5, 5), activation_penalty=float("nan")), "must be 0 or more"),
    ],
)
def test_what_no_critic_can_give_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()
