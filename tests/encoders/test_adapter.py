"""Users' own modules: what they may give, and what is said where they give something else."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from skdim.encoders import (
    ENCODERS,
    LAYERS,
    Adaptable,
    DCGANEncoder,
    Features,
    MLPEncoder,
    UserEncoder,
    check_features,
)

N = 3
LOCAL, CODE = torch.rand(N, 4, 5), torch.rand(N, 6)
FEATURES = Features(LOCAL, torch.rand(N, 7, 2, 2), torch.rand(N, 8), CODE)


class Gives(nn.Module):
    """Give one thing whatever the samples."""

    def __init__(self, thing):
        super().__init__()
        self.thing = thing

    def forward(self, x):
        return self.thing


def encode(thing):
    return UserEncoder(Gives(thing))(torch.zeros(N, 2))


def test_features_pass_as_they_are():
    assert encode(FEATURES) is FEATURES


@pytest.mark.parametrize("kind", [tuple, list])
def test_a_pair_is_read_as_local_features_and_code(kind):
    features = encode(kind([LOCAL, CODE]))

    assert features.local is features.conv is LOCAL
    assert features.hidden is features.code is CODE


def test_a_pair_in_the_other_order_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 6\) and \(3, 4, 5\).* must be \(local, code\)"):
        encode((CODE, LOCAL))


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (CODE, r"returned a tensor of shape \(3, 6\)"),
        ((LOCAL, CODE, CODE), r"returned a tuple of 3: a tensor of shape \(3, 4, 5\), a tensor"),
        ((LOCAL,), r"returned a tuple of 1: a tensor of shape \(3, 4, 5\)"),
        ([LOCAL, None], "returned a list of 2: .* an object of type NoneType"),
        ((), "returned a tuple of 0"),
        ({"local": LOCAL, "code": CODE}, "returned an object of type dict"),
        (None, "returned an object of type NoneType"),
        (SimpleNamespace(local=LOCAL, code=CODE), "returned an object of type SimpleNamespace"),
    ],
)
def test_other_outputs_are_named(thing, text):
    with pytest.raises(TypeError, match=f"The encoder Gives {text}") as raised:
        encode(thing)
    assert "must return skdim.encoders.Features, or a pair (local, code)" in str(raised.value)


def test_the_users_weights_train_along():
    module = nn.Linear(2, 6)

    assert list(UserEncoder(module).parameters()) == list(module.parameters())


# ---------------------------------------------------------------------------------------------
# What features must be


def with_layer(layer, values):
    return Features(**{name: getattr(FEATURES, name) for name in LAYERS} | {layer: values})


@pytest.mark.parametrize("features", [FEATURES, with_layer("code", torch.rand(N, 6, 2, 2))])
def test_good_features_are_let_through(features):
    check_features(features, N, "net")


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("shape", [(N,), (), (N + 1, 4), (N, 0), (N, 4, 0)])
def test_shapes_that_nothing_can_be_trained_with_are_refused(layer, shape):
    with pytest.raises(ValueError, match=f"The encoder net returned '{layer}' of shape") as raised:
        check_features(with_layer(layer, torch.zeros(shape)), N, "net")
    assert str(shape) in str(raised.value)
    assert f"for {N} samples" in str(raised.value)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    "values",
    [torch.full((N, 4), torch.nan), torch.full((N, 4), torch.inf), torch.ones((N, 4), dtype=int)],
    ids=["nan", "infinity", "whole numbers"],
)
def test_numbers_that_are_not_finite_floats_are_refused(layer, values):
    with pytest.raises(ValueError, match=f"'{layer}' with numbers that are not finite floats"):
        check_features(with_layer(layer, values), N, "net")


# ---------------------------------------------------------------------------------------------
# Features of several looks


def test_looks_are_split_as_they_were_stacked():
    codes = torch.arange(6.0)[:, None]
    features = Features(codes[:, :, None] + 10, codes + 20, codes + 30, codes)
    looks = features.split(3)

    assert [look.code.flatten().tolist() for look in looks] == [[0, 1], [2, 3], [4, 5]]
    assert [look.local.flatten().tolist() for look in looks] == [[10, 11], [12, 13], [14, 15]]
    assert looks[1].conv.flatten().tolist() == [22, 23]
    assert looks[2].hidden.flatten().tolist() == [34, 35]


def test_one_look_is_split_into_itself():
    (look,) = FEATURES.split(1)

    assert all(torch.equal(getattr(look, name), getattr(FEATURES, name)) for name in LAYERS)


def test_layers_are_named_as_users_ask_for_them():
    assert LAYERS == ("local", "conv", "hidden", "code")


def test_encoders_are_found_by_name():
    assert ENCODERS["mlp"] is MLPEncoder
    assert ENCODERS["dcgan"] is DCGANEncoder


def test_adaptable_encoders_are_told_by_their_method():
    class Adapting(nn.Module):
        def adapt(self, x):
            self.seen = x

    assert isinstance(Adapting(), Adaptable)
    assert not isinstance(Gives(None), Adaptable)
