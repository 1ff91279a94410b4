"""The causal summary: what a row hears of, what is kept of the encoder below, its shapes."""

import copy
import pickle

import pytest
import torch
from torch import nn

from skdim.encoders import ENCODERS, ContextEncoder, Features, check_features, layer_of
from skdim.encoders.adapter import Adaptable
from tests.encoders.helpers import adapt, draw, seeded

SHAPES = {
    "mlp": (12,),
    "patches": (1, 8, 9),
    "patch_network": (1, 8, 9),
    "columns": (12,),
    "kernels": (2, 19),
    "dcgan": (2, 16, 16),
    "valid_cnn": (1, 13, 14),
    "alexnet": (1, 15, 17),
    "resnet19": (2, 16, 8),
    "resnet34": (1, 16, 8),
    "folded_alexnet": (1, 32, 33),
    "folded_alexnet_multi": (1, 33, 40),
    "folded_resnet19": (1, 12, 16),
    "folded_resnet34": (1, 12, 13),
    "stride5_cnn": (1, 12, 16),
    "conv1d": (2, 19),
}


LINEAR = ["columns", "kernels", "patches"]


class Below(nn.Module):
    """Its samples are its local features."""

    def forward(self, x):
        return Features(x, x, x.flatten(1), x.flatten(1))


def make(grid, **kwargs):
    settings = {"context_units": 8} | kwargs
    return seeded(ContextEncoder, Below(), (3, *grid), 5, **settings)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("grid", [(1,), (2,), (7,), (32,), (3, 3), (7, 7), (2, 1), (4, 2, 3)])
def test_a_row_hears_of_all_rows_up_to_it_and_of_no_other(grid, training):
    encoder = make(grid).train(training)
    x = draw(4, 3, *grid).requires_grad_()
    code = encoder(x).code
    for row in range(grid[0]):
        (gradient,) = torch.autograd.grad(
            (code[:, :, row] * draw(*code[:, :, row].shape)).sum(), x, retain_graph=True
        )
        heard = gradient.abs().sum(dim=[0, 1, *range(3, gradient.ndim)]) > 0

        assert heard.tolist() == [other <= row for other in range(grid[0])]


def test_layers_are_what_they_say():
    features = make((4, 3))(draw(6, 3, 4, 3))

    assert features.conv.shape == (6, 8, 4, 3)
    assert features.code.shape == (6, 5, 4, 3)
    torch.testing.assert_close(features.hidden, features.conv.mean(dim=(2, 3)))
    # The mean of the codes is the code of the mean context.
    encoder = make((4, 3))
    features = encoder(draw(6, 3, 4, 3))
    torch.testing.assert_close(layer_of(features, "code"), encoder.to_code(features.hidden))


def below(name):
    """Make an encoder to lie below, and samples for it."""
    x = draw(4, *SHAPES[name])
    base = seeded(ENCODERS[name], SHAPES[name], 6)
    if isinstance(base, Adaptable):
        seeded(adapt, base, x)
    return base.eval(), x


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_any_encoder_can_lie_below_and_is_trained_up_to_its_local_features(name):
    base, x = below(name)
    local = base(x).local
    encoder = seeded(ContextEncoder, base, tuple(local.shape[1:]), 6, context_units=8)
    features = encoder.eval()(x)

    check_features(features, 4, name)
    assert torch.equal(features.local, local)
    assert features.code.shape == (4, 6, *local.shape[2:])
    (features.code * draw(*features.code.shape)).sum().backward()
    trained = [
        weight
        for n, weight in base.named_parameters()
        if not n.startswith(("to_hidden", "to_code"))
    ]
    assert trained
    if name in LINEAR:  # Their features are fixed, and no stage.
        assert all(weight.grad is not None for weight in trained)
    else:
        assert all(weight.grad is not None for weight in encoder.parameters())


@pytest.mark.parametrize("name", sorted(set(ENCODERS) - set(LINEAR)))
def test_stages_behind_the_local_features_are_taken_out(name):
    base, x = below(name)
    whole, local = copy.deepcopy(base), base(x).local
    seeded(ContextEncoder, base, tuple(local.shape[1:]), 6, context_units=8)
    behind = [
        n for n, _ in whole.named_parameters() if n.startswith(("to_conv", "to_hidden", "to_code"))
    ]
    kept = [n for n, _ in base.named_parameters()]

    assert behind
    assert set(kept) == {n for n, _ in whole.named_parameters()} - set(behind)


def test_of_another_module_what_lies_behind_the_local_features_is_not_trained():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Conv1d(2, 3, 1), nn.Linear(3 * 6, 4)

        def forward(self, x):
            local = self.first(x)
            return Features(local, local, local.flatten(1), self.last(local.flatten(1)))

    own = seeded(Own)
    encoder = seeded(ContextEncoder, own, (3, 6), 5)
    trained = {name for name, weight in encoder.named_parameters() if weight.requires_grad}
    encoder(draw(4, 2, 6)).code.sum().backward()

    assert {
        name for name, weight in encoder.named_parameters() if weight.grad is not None
    } <= trained
    assert "base.last.weight" in {name for name, _ in encoder.named_parameters()}


def test_a_pickle_gives_the_same():
    encoder = make((4, 3)).eval()
    x = draw(2, 3, 4, 3)

    assert torch.equal(pickle.loads(pickle.dumps(encoder))(x).code, encoder(x).code)
