"""AMDIM compares the code and the last map with maps of other looks."""

import pytest
import torch
from sklearn.datasets import load_digits

import skdim
from skdim import EncoderTransformer
from skdim.bounds import BOUNDS
from skdim.encoders import Features
from skdim.objectives import AMDIM, Setting
from skdim.pairs import bound_of_pairs
from tests.objectives.helpers import made, make_batch, normals

N = 5
NAMES = ("local", "conv", "conv_conv")
PAIRS = ((0, 1), (1, 0))
IMAGES = load_digits().images[:120]


def look(seed):
    shapes = {"local": (3, 4, 4), "conv": (6, 2, 2), "hidden": (7,), "code": (2,)}
    draws = {
        name: normals(N, *shape, seed=10 * seed + i, dtype=torch.float32).requires_grad_()
        for i, (name, shape) in enumerate(shapes.items())
    }
    return Features(**draws)


def build(looks, **parameters):
    setting = Setting(
        looks[0],
        PAIRS,
        standardise=torch.nn.Identity(),
        encoder=torch.nn.Identity(),
        shape=(1, 8, 8),
        n_samples=N,
        n_classes=0,
    )
    return made(AMDIM(**parameters).build, setting)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [("local", "code", "local"), ("conv", "code", "conv"), ("conv_conv", "conv", "conv")],
)
def test_a_term_is_minus_the_weighted_bound_between_its_layers_of_two_looks(name, first, second):
    looks = [look(0), look(1)]
    criterion = build(looks, **{f"{name}_weight": 0.7})
    part = next(part for part in criterion if part.name == name)
    bounds = [
        bound_of_pairs(
            BOUNDS["infonce"],
            part.critic.join,
            part.critic.project_code(getattr(looks[i], first)),
            part.critic.project_local(getattr(looks[j], second)),
            "all",
            pair_floats=part.critic.pair_floats,
        )
        for i, j in PAIRS
    ]
    found = criterion(looks, make_batch(N))
    assert sorted(found) == sorted(NAMES)
    torch.testing.assert_close(found[name], -0.7 * torch.stack(bounds).mean())


@pytest.mark.parametrize(
    ("name", "moved"),
    [("local", {"code", "local"}), ("conv", {"code", "conv"}), ("conv_conv", {"conv"})],
)
def test_a_term_moves_its_own_layers_only(name, moved):
    looks = [look(0), look(1)]
    build(looks)(looks, make_batch(N))[name].backward()
    for each in looks:
        grown = {
            layer
            for layer in ("local", "conv", "hidden", "code")
            if getattr(each, layer).grad is not None
        }
        assert grown == moved


@pytest.mark.parametrize("left", NAMES)
def test_terms_of_weight_zero_are_left_out(left):
    looks = [look(0), look(1)]
    criterion = build(looks, **{f"{name}_weight": float(name == left) for name in NAMES})
    assert list(criterion(looks, make_batch(N))) == [left]


def test_with_one_look_a_map_is_not_compared_with_itself():
    model = EncoderTransformer(4, objective=AMDIM(), view=None, max_epochs=1, random_state=0)
    assert set(model.fit(IMAGES).history_) & set(NAMES) == {"local", "conv"}
    alone = AMDIM(local_weight=0, conv_weight=0)
    with pytest.raises(ValueError, match="only conv_conv, which needs two looks"):
        model.set_params(objective=alone).fit(IMAGES)


def test_without_any_weight_there_is_nothing_to_train():
    with pytest.raises(ValueError, match="No term of AMDIM"):
        build([look(0)], local_weight=0, conv_weight=0, conv_conv_weight=0)


@pytest.mark.parametrize("critic", ["map", "gaussian"])
def test_critics_of_whole_maps_or_closed_forms_are_refused(critic):
    model = EncoderTransformer(4, objective=AMDIM(critic=critic), max_epochs=1)
    with pytest.raises(ValueError, match="'critic' parameter of AMDIM"):
        model.fit(IMAGES)


def test_what_it_trained_can_be_saved_and_loaded(tmp_path):
    settings = {"max_epochs": 1, "random_state": 0, "encoder": "dcgan"}
    model = EncoderTransformer(4, objective=AMDIM(conv_weight=0.5), **settings).fit(IMAGES)
    model.save(tmp_path / "amdim.skdim")
    loaded = skdim.load(tmp_path / "amdim.skdim")
    assert loaded.objective.get_params() == model.objective.get_params()
    assert loaded.score(IMAGES) == model.score(IMAGES)


def test_scores_of_all_terms_grow_in_training():
    model = EncoderTransformer(16, objective=AMDIM(), max_epochs=8, random_state=0).fit(IMAGES)
    for name in NAMES:
        first, last = model.history_[name][0], model.history_[name][-1]
        assert last < first - 0.3
