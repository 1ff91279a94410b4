"""Each shows a defect in skdim/ at 3e88e80."""

import numpy as np
import pytest
import torch

from skdim import DeepInfoMaxTransformer
from skdim.closed_form import rotation

draw = np.random.default_rng(0)
VECTORS = draw.normal(size=(40, 10))
IMAGES = draw.normal(size=(30, 8, 8))


def make(**params):
    return DeepInfoMaxTransformer(**{"n_components": 4, "random_state": 0} | params)


@pytest.mark.parametrize("how", ["fit", "partial_fit"])
def test_what_was_refused_is_not_fitted(how):
    dim = make(max_epochs=0, encoder="dcgan")
    with pytest.raises(ValueError, match="cannot honour encoder"):
        getattr(dim, how)(IMAGES)
    assert not dim.__sklearn_is_fitted__()


def test_a_warm_start_of_gradients_can_go_on_to_the_closed_form():
    dim = make(encoder="columns", max_epochs=1, warm_start=True).fit(VECTORS)
    dim.set_params(max_epochs="auto").fit(VECTORS)  # KeyError: 'loss'


def test_the_solver_names_the_closed_form_that_gradients_went_on_from():
    dim = make(warm_start=True).fit(VECTORS)
    dim.set_params(max_epochs=1).fit(VECTORS)
    assert dim.solver_ == "closed form then gradients"  # it is "gradients"


def test_a_closed_form_after_gradients_has_correlations():
    dim = make(warm_start=True).fit(VECTORS)
    dim.set_params(max_epochs=1).fit(VECTORS)
    dim.set_params(max_epochs="auto").fit(VECTORS)
    assert dim.solver_ == "closed form"  # it is "gradients"
    assert len(dim.canonical_correlations_)  # AttributeError


def test_the_stem_does_not_depend_on_the_size_of_the_code():
    """So that another n_components is the same directions, cut elsewhere."""
    small, large = make(n_components=3).fit(VECTORS), make(n_components=5).fit(VECTORS)
    hidden = large.encode(VECTORS, "hidden").double().numpy()
    expected = hidden @ large.directions_[:, :3] @ rotation(3).numpy()
    np.testing.assert_allclose(small.transform(VECTORS), expected, atol=1e-3)


def test_constant_vectors_give_no_code():
    with pytest.warns(UserWarning, match="equal"):
        dim = make().fit(np.ones((9, 6)))
    assert np.abs(dim.transform(np.zeros((2, 6)))).max() < 1e6


@pytest.mark.filterwarnings("ignore")
def test_the_closed_form_compiles_nothing(monkeypatch):
    calls = []
    monkeypatch.setattr(torch, "compile", lambda part, **how: calls.append(part) or part)
    make(compile=True).fit(VECTORS)
    assert not calls


def test_the_score_does_not_depend_on_the_batch_size_with_a_view():
    dim = make(encoder="kernels").fit(VECTORS)
    scores = []
    for size in (7, 40):
        dim.net_.batch_size = size
        scores.append(dim.score(VECTORS))
    assert scores[0] == pytest.approx(scores[1], rel=1e-4)
