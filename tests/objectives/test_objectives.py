"""All objectives under one contract; who moves whom; and what the terms of Deep InfoMax are."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch

from skdim.bounds import BOUNDS
from skdim.critics import AbstractCritic, ConcatCritic, DotCritic, MapCritic
from skdim.encoders import Features
from skdim.objectives import AbstractCriterion, Information, Together
from skdim.objectives.infomax import find_critics
from skdim.priors import PRIORS
from tests.objectives.helpers import made
from tests.objectives.small import (
    BOTH_WAYS,
    CODE,
    LOCAL,
    Encoder,
    N,
    leaves,
    look_at,
    make_batch,
    make_objective,
    normals,
)

# ---------------------------------------------------------------------------------------------
# One contract for all objectives


OBJECTIVES = {
    "local": {"local_weight": 1.0},
    "global": {"global_weight": 1.0},
    "prior": {"prior_weight": 0.5},
    "all three": {"local_weight": 1.0, "global_weight": 0.5, "prior_weight": 0.1},
    "concat": {"local_weight": 1.0, "global_weight": 1.0}
    | {"critic": {"local": ConcatCritic, "global": ConcatCritic}},
    "shift": {"local_weight": 1.0, "negatives": "shift"},
    "draws": {"local_weight": 1.0, "negatives": 3},
    "two looks": {"local_weight": 1.0, "prior_weight": 0.1, "looks": BOTH_WAYS},
    **{f"local {name}": {"local_weight": 1.0, "bound": bound} for name, bound in BOUNDS.items()},
    **{f"prior {name}": {"prior_weight": 1.0, "prior": prior} for name, prior in PRIORS.items()},
}
N_LOOKS = {"two looks": 2}

each_objective = pytest.mark.parametrize("name", OBJECTIVES)
each_code_grid = pytest.mark.parametrize("code_grid", [(), (2,)], ids=["one global", "two"])


@pytest.mark.usefixtures("global_random_state_untouched")
@each_code_grid
@each_objective
def test_terms_are_finite_numbers_whose_sum_moves_everything(name, code_grid):
    objective, encoder = make_objective(**OBJECTIVES[name]), made(Encoder, code_grid)
    assert isinstance(objective, AbstractCriterion)
    terms = objective(look_at(encoder, N_LOOKS.get(name, 1)), make_batch())
    torch.stack(list(terms.values())).sum().backward()

    assert terms
    for term in terms.values():
        assert term.shape == ()
        assert term.isfinite()
        assert term.requires_grad
    still = [
        name
        for name, weight in [*encoder.named_parameters(), *objective.named_parameters()]
        if weight.grad is None or not weight.grad.isfinite().all() or not weight.grad.any()
    ]
    assert not still


@each_objective
def test_terms_are_the_same_for_the_same_seed(name):
    objective, looks = make_objective(**OBJECTIVES[name]), look_at(made(Encoder), 2)
    once, again = objective(looks, make_batch()), objective(looks, make_batch())

    assert once == again


@each_objective
def test_copies_and_pickles_give_the_same_terms(name):
    objective, looks = make_objective(**OBJECTIVES[name]), look_at(made(Encoder), 2)
    expected = objective(looks, make_batch())

    for other in (copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
        assert other(looks, make_batch()) == expected


@each_objective
def test_score_is_a_number_or_none_and_leaves_weights_alone(name):
    objective = make_objective(**OBJECTIVES[name]).eval()
    (features,) = look_at(made(Encoder))
    score = objective.score(features, make_batch())

    assert (score is None) == name.startswith("prior")
    assert score is None or (score.shape == () and score.isfinite())


@each_objective
def test_state_can_be_loaded_into_a_new_one(name):
    objective, other = (make_objective(**OBJECTIVES[name]) for _ in range(2))
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(1)
    other.load_state_dict(objective.state_dict())
    looks = look_at(made(Encoder), 2)

    assert other(looks, make_batch()) == objective(looks, make_batch())


# ---------------------------------------------------------------------------------------------
# Who moves whom


def moved_by(term, **modules):
    """Name the modules in which a term alone would move a weight."""
    term.backward(retain_graph=True)
    moved = {
        name
        for name, module in modules.items()
        if any(weight.grad is not None and weight.grad.any() for weight in module.parameters())
    }
    for module in modules.values():
        module.zero_grad(set_to_none=True)
    return moved


@pytest.mark.parametrize(
    ("of_local", "of_global"),
    [(DotCritic, DotCritic), (ConcatCritic, ConcatCritic), (ConcatCritic, MapCritic)],
)
def test_each_term_moves_the_networks_it_should_and_no_other(of_local, of_global):
    encoder = made(Encoder, local_grid=(5, 6))
    (sizes,) = look_at(encoder)
    objective = make_objective(
        1.0, 1.0, 1.0, sizes=sizes, critic={"local": of_local, "global": of_global}
    )
    of_local, of_global, matching = objective
    terms = objective(look_at(encoder), make_batch())
    modules = {
        "to local": encoder.to_local,
        "to code": encoder.to_code,
        "local critic": of_local.critic,
        "global critic": of_global.critic,
        "discriminator": matching.discriminator,
    }
    moved = {name: moved_by(term, **modules) for name, term in terms.items()}

    assert moved == {
        "local": {"to local", "to code", "local critic"},
        "global": {"to local", "to code", "global critic"},
        "prior": {"to local", "to code"},
        "discriminator": {"discriminator"},
    }


def layers_moved_by(term, features):
    layers = ("local", "conv", "hidden", "code")
    gradients = torch.autograd.grad(
        term, [getattr(features, layer) for layer in layers], allow_unused=True, retain_graph=True
    )
    return {
        layer for layer, gradient in zip(layers, gradients, strict=True) if gradient is not None
    }


def test_each_term_looks_at_its_own_layers():
    (features,) = leaves()
    objective = make_objective(1.0, 1.0, 1.0, sizes=features).double()
    terms = objective([features], make_batch())

    assert layers_moved_by(terms["local"], features) == {"local", "code"}
    assert layers_moved_by(terms["global"], features) == {"conv", "code"}
    assert layers_moved_by(terms["prior"], features) == {"code"}


# ---------------------------------------------------------------------------------------------
# Terms are weights times bounds


class Plain(AbstractCritic):
    """Inner products of the vectors themselves."""

    def project_code(self, code):
        return code.reshape(len(code), CODE, -1).mT

    def project_local(self, local):
        return local.reshape(len(local), local.shape[1], -1)[:, :CODE].mT

    def join(self, code, local):
        return code @ local.mT


def numpy_scores(code, layer):
    """Score a pair at a time: anchors' positives and negatives, a list for each anchor."""
    code = code.detach().numpy().reshape(N, CODE, -1)
    layer = layer.detach().numpy().reshape(N, layer.shape[1], -1)[:, :CODE]
    positive, negative = [], []
    for i in range(N):
        for a in range(code.shape[2]):
            scores = [
                [float(np.dot(code[i, :, a], layer[j, :, k])) for k in range(layer.shape[2])]
                for j in range(N)
            ]
            positive.append(scores[i])
            negative.append([s for j in range(N) if j != i for s in scores[j]])
    return np.array(positive), np.array(negative)


def numpy_bound(name, positive, negative):
    match name:
        case "jsd":
            gain = np.log(2) - np.log1p(np.exp(-positive))
            return gain.mean() - (np.log1p(np.exp(negative)) - np.log(2)).mean()
        case "infonce":
            own = np.exp(positive)
            share = own / (own + np.exp(negative).sum(axis=1, keepdims=True))
            return np.log(1 + negative.shape[1]) + np.log(share).mean()
        case "dv":
            return positive.mean() - np.log(np.exp(negative).mean())


@each_code_grid
@pytest.mark.parametrize("bound", ["jsd", "infonce", "dv"])
def test_loss_of_infomax_equals_a_slow_reference_in_numpy(bound, code_grid):
    looks = leaves(2, code_grid)
    objective = make_objective(
        0.5,
        2.0,
        sizes=looks[0],
        bound=BOUNDS[bound],
        critic=dict.fromkeys(("local", "global"), lambda code_features, features: Plain()),
        looks=BOTH_WAYS,
    )
    terms = objective(looks, make_batch())

    for name, weight in (("local", 2.0), ("global", 0.5)):
        bounds = []
        for code, at in BOTH_WAYS:
            layer = looks[at].local if name == "local" else looks[at].conv.flatten(1)[:, :, None]
            bounds.append(numpy_bound(bound, *numpy_scores(looks[code].code, layer)))
        assert terms[name].item() == pytest.approx(-weight * np.mean(bounds), rel=1e-10)


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_terms_are_minus_the_weighted_bound(name):
    (features,) = leaves()
    critic = made(DotCritic, CODE, LOCAL, 5).double()
    term = Information("local", critic, BOUNDS[name], weight=0.3)

    bound = term.score(features, make_batch())
    assert term([features], make_batch())["local"].item() == pytest.approx(-0.3 * bound.item())


@pytest.mark.parametrize("looks", [((0, 0),), ((0, 1),), ((1, 0),), BOTH_WAYS, ((0, 1), (0, 2))])
def test_codes_meet_the_layers_of_the_looks_named(looks):
    given = leaves(3)
    term = Information("local", Plain(), BOUNDS["jsd"], looks=looks)
    loss = term(given, make_batch())["local"]
    expected = [term.estimate(given[code], given[at], make_batch()).item() for code, at in looks]

    assert loss.item() == pytest.approx(-np.mean(expected))
    for layer, used in (("code", {c for c, _ in looks}), ("local", {at for _, at in looks})):
        gradients = torch.autograd.grad(
            loss, [getattr(look, layer) for look in given], retain_graph=True, allow_unused=True
        )
        assert {i for i, gradient in enumerate(gradients) if gradient is not None} == used


def test_global_term_compares_with_the_last_map_as_a_whole():
    (features,) = leaves()
    objective = make_objective(1.0, 1.0, sizes=features)
    of_local, of_global = objective

    assert of_local.critic.local_projection.shortcut.in_features == LOCAL
    assert of_global.critic.local_projection.shortcut.in_features == LOCAL * 3


@pytest.mark.parametrize("make", [MapCritic, partial(MapCritic, units=7)])
def test_global_term_compares_with_the_whole_local_map_where_its_critic_takes_maps(make):
    local, conv, hidden, code = (
        normals(N, *shape, seed=i).double().requires_grad_()
        for i, shape in enumerate([(LOCAL, 5, 6), (7, 3), (8,), (CODE,)])
    )
    features = Features(local, conv, hidden, code)
    critics = {"local": DotCritic, "global": make}
    objective = make_objective(
        0.0, 1.0, sizes=features, bound=BOUNDS["jsd"], critic=critics
    ).double()
    assert [term.name for term in objective] == ["local"]
    objective = make_objective(
        0.5, 0.0, sizes=features, bound=BOUNDS["jsd"], critic=critics
    ).double()
    (of_global,) = objective
    terms = objective([features], make_batch())

    assert layers_moved_by(terms["global"], features) == {"local", "code"}
    scores = of_global.critic(code, local)[:, 0, :, 0].detach().numpy()
    others = ~np.eye(N, dtype=bool)
    expected = numpy_bound("jsd", np.diag(scores), scores[others])
    assert terms["global"].item() == pytest.approx(-0.5 * expected)


def test_critics_of_whole_maps_are_refused_for_the_local_term():
    critic = made(MapCritic, CODE, (LOCAL, 5, 5))

    with pytest.raises(ValueError, match=r"local term.*MapCritic scores whole maps.*global"):
        Information("local", critic, BOUNDS["jsd"])
    with pytest.raises(ValueError, match=r"critic='map'.*serves the global term only"):
        make_objective(local_weight=1.0, critic={"local": MapCritic, "global": MapCritic})


@pytest.mark.parametrize(
    ("weights", "names"),
    [
        ((1.0, 0.0, 0.0), ["global"]),
        ((0.0, 1.0, 0.0), ["local"]),
        ((0.0, 1.0, 0.1), ["local", "prior", "discriminator"]),
        ((0.5, 1.0, 0.1), ["local", "global", "prior", "discriminator"]),
        ((0.0, 0.0, 0.1), ["prior", "discriminator"]),
    ],
)
def test_terms_of_weight_zero_are_not_built(weights, names):
    objective = make_objective(*weights)

    assert list(objective(look_at(made(Encoder)), make_batch())) == names


def test_draws_of_negatives_come_from_the_batch():
    looks, objective = leaves(), make_objective(local_weight=1.0, negatives=2).double()
    first, again, other = (objective(looks, make_batch(seed))["local"] for seed in (1, 1, 2))

    assert first == again
    assert first != other


# ---------------------------------------------------------------------------------------------
# Several objectives as one


class Constant(AbstractCriterion):
    def __init__(self, name, score):
        super().__init__()
        self.name, self.worth = name, score

    def forward(self, looks, batch):
        return {self.name: torch.tensor(1.0)}

    def score(self, features, batch):
        return self.worth


def test_together_gathers_all_terms_in_order():
    objective = Together([Constant("b", None), Constant("a", None), Constant("c", None)])

    assert list(objective(leaves(), make_batch())) == ["b", "a", "c"]


def test_together_refuses_two_terms_of_one_name():
    objective = Together([Constant("a", None), Constant("b", None), Constant("a", None)])

    with pytest.raises(ValueError, match="Two criteria have a term named 'a'"):
        objective(leaves(), make_batch())


@pytest.mark.parametrize(
    ("scores", "expected"), [((None, 2.0, 3.0), 2.0), ((1.0, None), 1.0), ((None, None), None)]
)
def test_together_has_the_score_of_the_first_that_has_one(scores, expected):
    objective = Together([Constant(str(i), score) for i, score in enumerate(scores)])

    assert objective.score(leaves()[0], make_batch()) == expected


def test_each_of_both_critics_may_be_automatic():
    assert find_critics({"local": "auto"}, "auto") == {"local": DotCritic, "global": DotCritic}


def test_score_of_infomax_is_the_local_bound_without_weight():
    (features,) = leaves()
    objective = make_objective(3.0, 2.0, 1.0, sizes=features).double().eval()
    local = next(iter(objective))

    assert local.name == "local"
    assert objective.score(features, make_batch()) == local.score(features, make_batch())
    assert objective.score(features, make_batch()).item() == pytest.approx(
        -objective([features], make_batch())["local"].item() / 2
    )


def test_score_of_infomax_is_the_global_bound_where_there_is_no_local_term():
    (features,) = leaves()
    objective = make_objective(3.0, 0.0, 1.0, sizes=features).double().eval()

    assert objective.score(features, make_batch()).item() == pytest.approx(
        -objective([features], make_batch())["global"].item() / 3
    )
