"""Views as the transformer uses them: in training, and nowhere else."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.critics import DotCritic
from skdim.encoders import Features
from skdim.views import Augment, Occlude
from tests.estimators.helpers import weights_of

DIGITS, CLASSES = load_digits(return_X_y=True)
DIGITS = DIGITS.reshape(-1, 8, 8).astype(np.float32)
COLOURS = np.random.default_rng(0).random((40, 3, 8, 8)).astype(np.float32)
VIEWS_OF_IMAGES = ["occlude", "augment", Augment.amdim(), Occlude(before=Augment(flip=True))]
every_view = pytest.mark.parametrize("view", VIEWS_OF_IMAGES, ids=repr)


def brief(**parameters):
    defaults = {"n_components": 8, "max_epochs": 2, "random_state": 0, "device": "cpu"}
    return DeepInfoMaxTransformer(**defaults | parameters)


class Pixels(nn.Module):
    """Show what is encoded: every layer is the standardised pixels."""

    def forward(self, x):
        return Features(local=x, conv=x, hidden=x.flatten(1), code=x.flatten(1))


@pytest.mark.parametrize("term", ["local", "global"])
def test_codes_of_occluded_digits_meet_features_of_whole_ones(term):
    codes, layers = [], []

    class Spy(DotCritic):
        def project_code(self, code):
            if self.training:  # It is tried on two samples before.
                codes.append(code.detach().reshape(-1, 8, 8))
            return super().project_code(code)

        def project_local(self, local):
            if self.training:
                layers.append(local.detach().reshape(-1, 8, 8))
            return super().project_local(local)

    weights = {"local_weight": 0.0} | {f"{term}_weight": 1.0}
    dim = brief(encoder=Pixels(), view="occlude", critic=Spy, **weights).fit(DIGITS[:200])
    whole = {row.tobytes() for row in dim.transform(DIGITS[:200])}

    assert len(codes) == len(layers) == 2 * 4  # Epochs and batches: one pair of looks.
    for of_code, of_layer in zip(codes, layers, strict=True):
        assert {image.flatten().numpy().tobytes() for image in of_layer} <= whole
        hidden = (of_code != of_layer).flatten(1).sum(1)
        assert 1 <= hidden.min() <= hidden.max() <= 16  # At most half of either side.


@pytest.mark.slow
def test_occlusion_learns_to_tell_digits():
    dim = brief(n_components=16, view="occlude", max_epochs=4).fit(DIGITS[:600])
    probe = LogisticRegression(max_iter=1000).fit(dim.transform(DIGITS[:600]), CLASSES[:600])

    assert dim.loss_curve_[-1] < dim.loss_curve_[0] - 0.5
    assert probe.score(dim.transform(DIGITS[600:]), CLASSES[600:]) > 0.85


@every_view
def test_two_fits_with_one_seed_are_equal_to_the_bit(view):
    first, again, other = (
        weights_of(brief(view=view, random_state=seed).fit(COLOURS)) for seed in (0, 0, 1)
    )

    assert first == again
    assert first != other


@every_view
@pytest.mark.usefixtures("global_random_state_untouched")
def test_every_term_is_finite_and_everything_moves(view):
    dim = brief(view=view, global_weight=0.5, prior_weight=0.1).fit(COLOURS)

    assert np.isfinite([dim.history_[term] for term in ("local", "global", "prior")]).all()


def test_transform_and_score_see_no_view():
    dim = brief(view="occlude", validation_fraction=0.2).fit(DIGITS[:100])
    scored, codes = dim.score(DIGITS[:100]), dim.transform(DIGITS[:100])

    def refuse(x, generator):
        raise AssertionError("a view was used")

    dim.net_.view = refuse
    assert dim.score(DIGITS[:100]) == scored
    np.testing.assert_array_equal(dim.transform(DIGITS[:100]), codes)
    features = dim.encoder_(torch.from_numpy(DIGITS[:100, None]))
    np.testing.assert_allclose(codes, features.code.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_views_see_pixel_values():
    seen = []

    def view(x, generator):
        seen.append(x)
        return (x,)

    brief(view=view, max_epochs=1).fit(DIGITS[:100])
    seen = torch.cat(seen[1:]).numpy()  # The first is a trial on two samples.

    np.testing.assert_array_equal(np.unique(seen, axis=0), np.unique(DIGITS[:100, None], axis=0))


@pytest.mark.parametrize("view", ["occlude", Occlude(), Augment()], ids=repr)
def test_vectors_cannot_be_viewed_as_images(view):
    with pytest.raises(ValueError, match="is a view of images, but"):
        brief(view=view).fit(DIGITS[:, 0])
