"""Random features of vectors, against a plain loop over them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skdim.encoders import ColumnEncoder, LinearEncoder, check_features
from skdim.encoders.columns import ColumnStem
from tests.encoders.helpers import draw, seeded

patient = settings(deadline=None, max_examples=20)  # The machine may be busy.


def make(d=5, n_random=7, x=None):
    stem = ColumnStem((d,), n_random)
    seeded(stem.adapt, draw(50, d) if x is None else x)
    return stem


@patient
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 9), st.floats(0.1, 100))
def test_features_equal_a_loop(n, d, n_random, scale):
    stem, x = make(d, n_random), scale * draw(n, d, seed=3)
    found = stem(x)

    assert found.shape == (n, d + n_random, 1) == (n, *stem.out_shape)
    for i, row in enumerate(x):
        cut = [min(max(value, -10.0), 10.0) for value in row.tolist()]
        assert found[i, :d, 0].tolist() == pytest.approx(cut)
        for k in range(n_random):
            response = sum(w * v for w, v in zip(stem.weight[k].tolist(), cut, strict=True))
            expected = max(0.0, response - stem.threshold[k].item())
            assert found[i, d + k, 0].item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_directions_have_unit_spread_over_the_training_samples():
    x = 3 * draw(200, 5)
    stem = make(x=x)
    spread = (x.clamp(-10, 10) @ stem.weight.T).std(dim=0, correction=0)

    torch.testing.assert_close(spread, torch.ones(7))


def test_thresholds_are_standard_normal():
    threshold = make(n_random=5000).threshold

    assert threshold.mean().item() == pytest.approx(0, abs=0.05)
    assert threshold.std().item() == pytest.approx(1, abs=0.05)


def test_an_extreme_value_is_cut():
    stem = make()
    x = draw(3, 5)
    x[1, 2] = 1e30
    cut = x.clone()
    cut[1, 2] = 10.0

    assert torch.equal(stem(x), stem(cut))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_equal_rows_give_finite_features(value):
    x = torch.full((4, 5), value)

    assert make(x=x)(x).isfinite().all()


def test_draws_repeat_with_the_seed():
    one, same = make(), make()

    assert torch.equal(one.weight, same.weight)
    assert torch.equal(one.threshold, same.threshold)


@pytest.mark.parametrize("shape", [(1, 8), (3, 8, 8), ()])
def test_what_is_no_vector_is_refused(shape):
    with pytest.raises(ValueError, match="encoder='columns' encodes vectors"):
        ColumnEncoder(shape, 2)


def test_it_is_linear_in_columns_and_random_features():
    encoder = seeded(ColumnEncoder, (5,), 3, n_random=20, hidden_units=8)
    encoder.adapt(draw(30, 5))
    features = encoder.eval()(draw(4, 5))

    assert isinstance(encoder, LinearEncoder)
    check_features(features, 4, "columns")
    assert features.conv.shape == (4, 25, 1)
    assert features.local.shape == (4, 8, 1)
    assert features.hidden.shape == (4, 8)
    torch.testing.assert_close(features.conv, encoder.stem(draw(4, 5)))


@pytest.mark.parametrize(("n_components", "expected"), [(3, 512), (256, 512), (300, 600)])
def test_there_are_two_coordinates_a_component_or_more(n_components, expected):
    assert ColumnEncoder((5,), n_components).n_coordinates == expected
