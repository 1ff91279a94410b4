"""What is BiGAN's, NAT's and CPC's own beyond the contracts that all transformers keep."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from skdim.encoders import ContextEncoder, MLPEncoder
from skdim.objectives import CPC, NAT, BiGAN
from skdim.priors import PRIORS, Prior
from tests.estimators.causes import linear_probe_r2
from tests.estimators.helpers import trained_by, weights_of

DRAWS = np.random.default_rng(0)
ROWS = DRAWS.normal(size=(40, 9)).astype(np.float32)
IMAGES = DRAWS.integers(0, 256, (30, 16, 16), dtype=np.uint8)
BRIEF = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}


def as_set(points):
    return sorted(row.numpy().tobytes() for row in points)


# ---------------------------------------------------------------------------------------------
# BiGAN


def test_bigan_scores_by_what_the_generator_makes_of_the_codes():
    fitted = trained_by(BiGAN, 4, **BRIEF).fit(ROWS)
    game = fitted.net_.criterion_
    with torch.no_grad():
        made = game.generator(fitted.encode(ROWS))
        expected = -(made - game.standardise(torch.as_tensor(ROWS))).square().mean().item()

    assert fitted.score(ROWS) == pytest.approx(expected, rel=1e-4)
    assert {"encoder", "generator", "discriminator"} <= set(fitted.history_)


def test_bigan_can_stop_early():
    settings = BRIEF | {"max_epochs": 4}
    fitted = trained_by(BiGAN, 4, early_stopping=True, n_iter_no_change=1, **settings).fit(ROWS)

    assert 1 <= fitted.n_iter_ <= 4
    assert len(fitted.history_["validation_score"]) >= fitted.n_iter_


@pytest.mark.parametrize(
    "prior",
    [
        replace(PRIORS["uniform"], gradient_penalty=1.0),
        replace(PRIORS["uniform"], discriminator=lambda d: torch.nn.Linear(d, 1)),
    ],
    ids=["penalty", "discriminator"],
)
def test_bigan_refuses_priors_that_would_judge_codes_alone(prior):
    with pytest.raises(ValueError, match="would apply to codes without their samples"):
        trained_by(BiGAN, 4, prior=prior, **BRIEF).fit(ROWS)


def squash(code):
    return code.tanh()


def sample(size, generator=None, device=None, dtype=None):
    return torch.rand(tuple(size), generator=generator, device=device, dtype=dtype) * 2 - 1


@pytest.mark.parametrize(
    ("prior", "penalty"),
    [("uniform", 0.0), ("normal", 1.0), ("sphere", 0.0), (Prior(squash, sample), 1.0)],
)
def test_bigan_takes_any_prior(prior, penalty):
    fitted = trained_by(BiGAN, 4, prior=prior, gradient_penalty=penalty, **BRIEF).fit(ROWS)

    assert np.isfinite(fitted.transform(ROWS)).all()


def test_bigan_comes_to_the_distribution_of_its_prior():
    """It does not diverge: codes stay about as large as the draws that they are to look like."""
    X = DRAWS.normal(size=(256, 2)) @ DRAWS.normal(size=(2, 6))
    fitted = trained_by(BiGAN, 2, max_epochs=20, random_state=0, device="cpu").fit(X)
    codes = fitted.transform(X)

    assert codes.std(axis=0).min() > 0.5
    assert codes.std(axis=0).max() < 2.0
    assert abs(codes.mean(axis=0)).max() < 0.7


# ---------------------------------------------------------------------------------------------
# NAT


def test_nat_offers_no_chunks_and_no_score():
    for nat in (trained_by(NAT, 4, **BRIEF), trained_by(NAT, 4, **BRIEF).fit(ROWS)):
        assert not hasattr(nat, "partial_fit")
        assert not hasattr(nat, "score")
        with pytest.raises(AttributeError):
            nat.partial_fit(ROWS)


@pytest.mark.parametrize("settings", [{"early_stopping": True}, {"validation_fraction": 0.3}])
def test_nat_has_nothing_to_hold_samples_out_for(settings):
    with pytest.raises(ValueError, match="hold nothing out"):
        trained_by(NAT, 4, **BRIEF | settings).fit(ROWS)


def test_nat_keeps_a_point_a_sample_and_deals_them_out_while_it_trains():
    first = trained_by(NAT, 4, **BRIEF | {"max_epochs": 1}).fit(ROWS).net_.criterion_.targets
    later = trained_by(NAT, 4, **BRIEF | {"max_epochs": 8}).fit(ROWS).net_.criterion_.targets

    assert as_set(first) == as_set(later)
    assert not torch.equal(first, later)


def test_nat_goes_on_with_its_points_for_the_same_rows_only():
    nat = trained_by(NAT, 4, warm_start=True, **BRIEF).fit(ROWS)
    points, weights = as_set(nat.net_.criterion_.targets), weights_of(nat)
    with pytest.raises(
        ValueError, match="X has 39 samples, but this EncoderTransformer was fitted on 40"
    ):
        nat.fit(ROWS[:-1])
    assert weights_of(nat) == weights
    nat.fit(ROWS)

    assert as_set(nat.net_.criterion_.targets) == points
    assert nat.n_iter_ == 4
    assert nat.set_params(warm_start=False).fit(ROWS[:-1]).n_iter_ == 2


def test_nat_brings_codes_nearer_to_their_points():
    nat = trained_by(NAT, 4, learning_rate=1e-2, **BRIEF | {"max_epochs": 40}).fit(ROWS)
    codes = torch.nn.functional.normalize(nat.encode(ROWS), dim=1)
    mine = (codes * nat.net_.criterion_.targets).sum(dim=1).mean()

    assert nat.history_["targets"][-1] < 0.5 * nat.history_["targets"][0]
    assert mine > 0.7


# ---------------------------------------------------------------------------------------------
# CPC


def test_cpc_keeps_the_context_and_what_it_is_computed_from():
    cpc = trained_by(CPC, 4, **BRIEF).fit(ROWS)
    _, encoder = cpc.encoder_

    assert isinstance(encoder, ContextEncoder)
    assert isinstance(encoder.base, MLPEncoder)
    np.testing.assert_allclose(
        cpc.transform(ROWS), encoder.to_code(cpc.encode(ROWS, "hidden")).detach(), atol=1e-5
    )


def test_cpc_scores_in_nats_and_can_stop_early():
    settings = BRIEF | {"max_epochs": 4}
    cpc = trained_by(CPC, 4, early_stopping=True, n_iter_no_change=1, **settings).fit(ROWS)

    assert cpc.score(ROWS) <= math.log(16)
    assert len(cpc.history_["validation_score"]) >= cpc.n_iter_


def test_cpc_predicts_as_many_rows_as_it_is_told_to():
    one, three = (trained_by(CPC, 4, n_predicted=n, **BRIEF).fit(ROWS) for n in (1, 3))

    assert one.net_.criterion_.rows == tuple((r, r + 1) for r in range(7))
    assert len(three.net_.criterion_.rows) == 3 * 5 + 2 + 1


@pytest.mark.parametrize(
    ("X", "settings", "text"),
    [
        (ROWS[:, :1], {}, r"1 feature\(s\).*1 row\(s\)"),
        (IMAGES[:, :8, :8], {"encoder": "dcgan"}, "encoder with small receptive fields"),
        (ROWS, {"encoder": torch.nn.Linear(9, 4)}, "must return"),
    ],
    ids=["one column", "sees all", "no features"],
)
def test_cpc_says_where_there_is_nothing_to_predict(X, settings, text):
    error = TypeError if text == "must return" else ValueError
    with pytest.raises(error, match=text):
        trained_by(CPC, 4, **BRIEF, **settings).fit(X)


def test_cpc_tells_the_future_of_a_signal_from_its_past():
    """A wave goes on as it began: the bound on new waves is far above what noise gives."""

    def waves(n, seed, steady):
        draws = np.random.default_rng(seed)
        frequency, phase = draws.uniform(0.1, 0.9, (n, 1)), draws.uniform(0, 6.28, (n, 1))
        wave = np.sin(frequency * np.arange(32) + phase)
        return (wave if steady else draws.normal(size=(n, 32))).astype(np.float32)

    settings = {"encoder": "conv1d", "max_epochs": 6, "random_state": 0, "device": "cpu"}
    told, noise = (
        trained_by(CPC, 8, **settings).fit(waves(150, 0, steady)).score(waves(100, 1, steady))
        for steady in (True, False)
    )

    assert told > 0.5
    assert noise < 0.2


# ---------------------------------------------------------------------------------------------
# What codes tell of a known cause


@pytest.mark.slow
@pytest.mark.parametrize("baseline", [BiGAN, NAT, CPC])
def test_codes_tell_the_cause_of_images_far_better_than_nothing(baseline, record_property):
    """How far they do is recorded: none of the three is trained to keep the cause linearly."""
    fitted = trained_by(baseline, 16, max_epochs=8, random_state=0, device="cpu", view=None)
    r2 = linear_probe_r2(fitted)
    record_property("linear_probe_r2", r2)
    print(f"{baseline.__name__}: R2 {r2:.2f}")

    assert r2 > 0.25
