"""Autoencoders as transformers: what they give back, what is scored, and what their codes know."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn.functional import avg_pool2d

from skdim.decoders import Conv1dDecoder, DCGANDecoder, MLPDecoder
from skdim.objectives import AAE, VAE, Autoencoder, Reconstruction
from skdim.priors import PRIORS
from skdim.training import steps
from skdim.views import Occlude
from tests.estimators.causes import linear_probe_r2
from tests.estimators.helpers import trained_by

AUTOENCODERS = [Autoencoder, VAE, AAE]
each_autoencoder = pytest.mark.parametrize("kind", AUTOENCODERS, ids=lambda kind: kind.__name__)

DRAWS = np.random.default_rng(0)
# Six columns that come from two: there is something to learn.
CAUSES = DRAWS.normal(size=(200, 2))
ROWS = (CAUSES @ DRAWS.normal(size=(2, 6)) + 0.1 * DRAWS.normal(size=(200, 6))).astype(np.float32)
COLOUR = DRAWS.integers(0, 256, (24, 3, 9, 12), dtype=np.uint8)
SIGNALS = DRAWS.normal(size=(24, 2, 33)).astype(np.float32)


def brief(kind=Autoencoder, **parameters):
    defaults = {"n_components": 4, "max_epochs": 2, "batch_size": 32, "random_state": 0}
    return trained_by(kind, **defaults | parameters)


def reconstruction_of(fitted):
    """The part of the objective that has the decoder, in evaluation mode."""
    objective = fitted.net_.criterion_
    return next(iter(objective)) if isinstance(fitted.objective, AAE) else objective


# ---------------------------------------------------------------------------------------------
# What is decoded to


@pytest.mark.parametrize(
    ("X", "encoder", "decoder"),
    [
        (ROWS, "auto", MLPDecoder),
        (COLOUR, "auto", DCGANDecoder),
        (COLOUR, "dcgan", DCGANDecoder),
        (COLOUR.transpose(0, 2, 3, 1), "auto", DCGANDecoder),
        (SIGNALS, "conv1d", Conv1dDecoder),
    ],
    ids=["rows", "images", "dcgan", "channels last", "signals"],
)
@each_autoencoder
def test_every_kind_of_sample_is_decoded_to_its_own_shape(kind, X, encoder, decoder):
    fitted = brief(kind, encoder=encoder).fit(X)
    objective = reconstruction_of(fitted)
    codes = fitted.encode(X)

    assert type(objective.decoder) is decoder
    assert codes.shape == (len(X), 4)
    with torch.no_grad():
        decoded = objective.decoder(codes)
    assert decoded.shape == fitted.read_samples(X).shape
    assert decoded.isfinite().all()


@pytest.mark.parametrize("kind", [Autoencoder, AAE])
def test_score_is_minus_the_squared_error_of_what_the_kept_decoder_gives(kind):
    fitted = brief(kind, max_epochs=5).fit(ROWS)
    with torch.no_grad():
        decoded = reconstruction_of(fitted).decoder(fitted.encode(ROWS)).numpy()
    standardised = (ROWS - ROWS.mean(axis=0)) / ROWS.std(axis=0)

    expected = -np.mean((decoded - standardised) ** 2)
    assert fitted.score(ROWS) == pytest.approx(expected, rel=1e-4)


def test_two_causes_of_six_columns_are_told_by_two_numbers():
    fitted = brief(n_components=2, max_epochs=40).fit(ROWS[:150])

    # Only the mean would give -1.
    assert fitted.score(ROWS[150:]) > -0.2
    assert fitted.score(ROWS[150:]) > brief(n_components=2).fit(ROWS[:150]).score(ROWS[150:]) + 0.1


@pytest.mark.parametrize(
    ("kind", "view"), [(Autoencoder, "augment"), (VAE, "augment"), (AAE, Occlude(largest=0.4))]
)
def test_with_a_view_the_sample_as_given_is_decoded_to(kind, view):
    fitted = brief(kind, view=view, max_epochs=1).fit(COLOUR)
    plain = brief(kind, max_epochs=1).fit(COLOUR)

    assert np.isfinite(fitted.transform(COLOUR)).all()
    assert not np.array_equal(fitted.transform(COLOUR), plain.transform(COLOUR))


class SeveralGlobals(nn.Module):
    """Two codes a row, of three numbers each."""

    def __init__(self):
        super().__init__()
        self.to_local = nn.Linear(6, 10)
        self.to_code = nn.Linear(10, 6)

    def forward(self, x):
        hidden = self.to_local(x).relu()
        return hidden[:, :, None], self.to_code(hidden).reshape(len(x), 3, 2)


@each_autoencoder
def test_several_globals_are_decoded_as_what_transform_gives(kind):
    fitted = brief(kind, encoder=SeveralGlobals(), max_epochs=1).fit(ROWS)
    codes = torch.from_numpy(fitted.transform(ROWS))
    with torch.no_grad():
        decoded = reconstruction_of(fitted).decoder(codes)

    assert codes.shape == (200, 3)
    assert decoded.shape == (200, 6)


# ---------------------------------------------------------------------------------------------
# Terms, scores, stopping


@pytest.mark.parametrize(
    ("kind", "terms"),
    [
        (Autoencoder, ["reconstruction"]),
        (VAE, ["reconstruction", "kl"]),
        (AAE, ["reconstruction", "prior", "discriminator"]),
    ],
)
def test_history_has_every_term_and_the_loss_is_their_sum(kind, terms):
    history = brief(kind, max_epochs=4).fit(ROWS).history_

    assert set(history) == {*terms, "loss", "spread", "learning_rate", "seconds"}
    np.testing.assert_allclose(np.sum([history[t] for t in terms], axis=0), history["loss"], 1e-5)
    assert history["reconstruction"][-1] < history["reconstruction"][0]


@each_autoencoder
def test_held_out_samples_are_scored_and_stop_the_training(kind):
    stopping = {"early_stopping": True, "n_iter_no_change": 2, "tol": 1e6}
    fitted = brief(kind, max_epochs=9, **stopping).fit(ROWS)
    scores = fitted.history_["validation_score"]

    assert len(scores) == 3
    assert np.isfinite(scores).all()
    assert fitted.n_iter_ == 1


@each_autoencoder
def test_score_is_the_same_each_time_and_falls_on_samples_of_another_kind(kind):
    fitted = brief(kind, max_epochs=8).fit(ROWS)
    shuffled = np.random.default_rng(1).permuted(ROWS, axis=0)

    assert len({fitted.score(ROWS) for _ in range(3)}) == 1
    assert fitted.score(shuffled) < fitted.score(ROWS) - 0.1


def test_score_of_a_variational_autoencoder_leaves_beta_out():
    """Nothing moves at a rate of 1e-30, so that both trainings end with the first weights."""
    still = {"max_epochs": 1, "optimizer": "sgd", "learning_rate": 1e-30}
    scores = {brief(VAE, beta=beta, **still).fit(ROWS).score(ROWS) for beta in (1, 7)}

    assert len(scores) == 1


# ---------------------------------------------------------------------------------------------
# What is a constructor's own


def test_without_beta_codes_spread_and_with_much_of_it_they_tell_nothing():
    columns = {
        beta: brief(VAE, beta=beta, max_epochs=10).fit(ROWS).history_ for beta in (0, 1, 100)
    }

    assert columns[0]["kl"][-1] == 0
    assert columns[1]["kl"][-1] > 0.5
    assert columns[100]["kl"][-1] / 100 < 0.1
    assert columns[0]["spread"][-1] > columns[1]["spread"][-1] > columns[100]["spread"][-1]


@pytest.mark.slow
def test_adversary_brings_codes_to_the_prior():
    spreads = {
        weight: brief(AAE, prior_weight=weight, max_epochs=40)
        .fit(3 * ROWS)
        .transform(3 * ROWS)
        .std(axis=0)
        for weight in (0, 1.0)
    }

    assert abs(spreads[1.0] - 1).max() < 0.35
    assert abs(spreads[1.0] - 1).max() < abs(spreads[0] - 1).max()


def test_without_a_weight_of_the_prior_the_plain_autoencoder_remains():
    plain, adversarial = brief().fit(ROWS), brief(AAE, prior_weight=0).fit(ROWS)

    assert isinstance(adversarial.net_.criterion_, Reconstruction)
    np.testing.assert_array_equal(plain.transform(ROWS), adversarial.transform(ROWS))


@pytest.mark.parametrize(
    ("prior", "penalty"), [("uniform", 1), ("normal", 1), ("sphere", 1), (PRIORS["normal"], 0.1)]
)
def test_priors_by_name_are_penalised_and_others_bring_their_own(prior, penalty):
    fitted = brief(AAE, prior=prior).fit(ROWS)
    _, matching = fitted.net_.criterion_

    assert matching.prior.gradient_penalty == penalty
    assert np.isfinite(fitted.transform(ROWS)).all()


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        (VAE, {"beta": -1}, r"'beta' parameter .* must be a float in \[0, inf\)"),
        (VAE, {"beta": float("inf")}, "'beta'"),
        (AAE, {"prior_weight": -0.1}, "'prior_weight'"),
        (AAE, {"prior": "cauchy"}, "'prior' .* 'uniform', 'normal', 'sphere'"),
        (Autoencoder, {"batch_size": 1}, "'batch_size'"),
    ],
)
def test_parameters_that_are_not_allowed_are_named(kind, parameters, said):
    with pytest.raises(ValueError, match=said):
        brief(kind, **parameters).fit(ROWS)


# ---------------------------------------------------------------------------------------------
# In company


def test_grid_search_over_beta_inside_a_pipeline():
    labels = (CAUSES[:, 0] > 0).astype(int)
    pipe = make_pipeline(brief(VAE, max_epochs=5), StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipe, {"encodertransformer__objective__beta": [0.1, 1.0]}, cv=2).fit(
        ROWS, labels
    )

    assert set(search.cv_results_["param_encodertransformer__objective__beta"]) == {0.1, 1.0}
    assert search.best_score_ > 0.85


@each_autoencoder
def test_half_precision_trains_to_about_the_same(kind, monkeypatch):
    monkeypatch.setattr(steps, "has_bfloat16", lambda device: True)  # Imitated where it is not.
    full = brief(kind, max_epochs=2).fit(ROWS)
    half = brief(kind, max_epochs=2, precision="bfloat16").fit(ROWS)

    assert half.transform(ROWS).dtype == np.float32
    assert half.score(ROWS) == pytest.approx(full.score(ROWS), rel=0.3)


@each_autoencoder
@pytest.mark.slow
def test_code_tells_the_place_of_a_blob_by_a_linear_map(kind):
    """Two numbers say all there is to say of these images, and the code finds them."""
    r2 = linear_probe_r2(trained_by(kind, 16, max_epochs=15, random_state=0), n_fit=400)

    assert r2 >= 0.9


def test_a_variational_autoencoder_of_large_images_is_not_taken_for_diverged():
    """Its terms are sums over all numbers of a sample: 300,000 here."""
    images = np.random.default_rng(0).normal(size=(2, 3, 320, 320)).astype(np.float32)

    class Coarse(nn.Module):
        """See five by five places."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(75, 4)

        def forward(self, x):
            local = avg_pool2d(x, 64)
            return local, self.linear(local.flatten(1))

    fitted = brief(VAE, encoder=Coarse(), max_epochs=1).fit(images)

    assert fitted.history_["reconstruction"][0] > 1e6
