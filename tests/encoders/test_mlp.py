"""The encoder of vectors: each local feature sees its own group of columns, and no other."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skdim.encoders import MLPEncoder, check_features

patient = settings(deadline=None, max_examples=25)  # The machine may be busy.
columns_and_groups = given(n_features=st.integers(1, 40), n_groups=st.integers(1, 12))


def make_encoder(n_features, n_groups=8, **kwargs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MLPEncoder((n_features,), 5, n_groups=n_groups, **kwargs)


def normals(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def columns_seen(encoder, layer):
    """List, for each position of a layer, the columns that move it."""
    x = normals(3, encoder.n_features).requires_grad_()
    values = getattr(encoder.eval()(x), layer).flatten(2)
    seen = []
    for position in range(values.shape[2]):
        (gradient,) = torch.autograd.grad(values[:, :, position].sum(), x, retain_graph=True)
        seen.append(gradient.abs().sum(0).nonzero().flatten().tolist())
    return seen


def grouping(n_features, n_groups):
    """Wide local layers: no group is seen by dead ReLUs only."""
    return columns_seen(make_encoder(n_features, n_groups), "local")


@patient
@columns_and_groups
def test_groups_are_consecutive_columns_of_about_equal_size(n_features, n_groups):
    groups = grouping(n_features, n_groups)
    sizes = [len(group) for group in groups]

    assert len(groups) == min(n_groups, n_features)
    # In their order, each column once: all are used, and no local feature sees another's.
    assert [column for group in groups for column in group] == list(range(n_features))
    assert max(sizes) - min(sizes) <= 1


def test_code_sees_all_columns():
    encoder = make_encoder(21).eval()
    x = normals(3, 21).requires_grad_()
    encoder(x).code.sum().backward()

    assert (x.grad.abs().sum(0) > 0).all()


@patient
@columns_and_groups
def test_shapes_of_the_layers(n_features, n_groups):
    encoder = make_encoder(n_features, n_groups, local_units=6, hidden_units=7)
    features = encoder(normals(4, n_features))
    check_features(features, 4, "mlp")

    assert features.local.shape == features.conv.shape == (4, 6, min(n_groups, n_features))
    assert features.hidden.shape == (4, 7)
    assert features.code.shape == (4, 5)


@pytest.mark.parametrize(("n_features", "n_groups"), [(10, 3), (8, 8), (5, 1), (7, 20)])
def test_encoder_equals_a_slow_loop_over_groups(n_features, n_groups):
    encoder = make_encoder(n_features, n_groups, local_units=3, hidden_units=4).eval()
    x = normals(6, n_features)
    convolution, norm, _ = encoder.to_local
    locals_ = []
    for i, group in enumerate(torch.arange(n_features).tensor_split(min(n_groups, n_features))):
        weight = convolution.weight[3 * i : 3 * i + 3, : len(group), 0]
        locals_.append(torch.relu(x[:, group] @ weight.T / (1 + norm.eps) ** 0.5))
    features = encoder(x)

    torch.testing.assert_close(features.local, torch.stack(locals_, dim=2))
    torch.testing.assert_close(features.hidden, encoder.to_hidden(torch.cat(locals_, dim=1)))
    torch.testing.assert_close(features.code, encoder.to_code(features.hidden))


def test_code_is_linear_in_the_hidden_layer_and_the_others_end_in_a_relu():
    features = make_encoder(12)(normals(50, 12))

    assert isinstance(make_encoder(12).to_code, nn.Linear)
    assert features.local.min() == features.hidden.min() == 0
    assert features.code.min() < 0 < features.code.max()


def test_every_weight_moves_the_code():
    # Each group's weights are padded to one size; all but the padding move.
    encoder = make_encoder(16)
    (normals(9, 5) * encoder(normals(9, 16)).code).sum().backward()

    assert all(weight.grad.abs().max() > 0 for weight in encoder.parameters())


def test_where_columns_stand_is_no_part_of_the_weights():
    assert "column" not in make_encoder(10).state_dict()


@pytest.mark.parametrize("sample", [(1, 8, 8), (3, 8, 8), (8, 8)])
def test_images_are_refused(sample):
    with pytest.raises(ValueError, match="encodes vectors, but the samples have shape") as raised:
        MLPEncoder(sample, 16)
    assert str(sample) in str(raised.value)
