"""Autoencoders decode codes to samples, and those with a prior draw new ones."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

import skdim
from skdim import DeepInfoMaxTransformer, EncoderTransformer
from skdim.inputs import Layout
from skdim.objectives import AAE, NAT, VAE, Autoencoder, BiGAN
from skdim.priors import PRIORS, Prior

IMAGES = load_digits().images[:200].astype(np.float32)
DECODING = [Autoencoder(), VAE(), AAE(), BiGAN()]
SAMPLING = [VAE(), AAE(), AAE(prior="uniform"), BiGAN(), BiGAN(prior="uniform")]
by_name = partial(pytest.mark.parametrize, ids=repr)


def make(objective, **params):
    given = {"n_components": 6, "max_epochs": 1, "random_state": 0}
    return EncoderTransformer(objective=objective, **given | params)


@by_name("objective", DECODING)
@pytest.mark.parametrize(
    "shape", [(7,), (8, 8), (1, 8, 8), (8, 8, 1), (3, 8, 8), (8, 8, 3)], ids=str
)
def test_samples_come_back_in_the_shape_they_were_given_in(objective, shape):
    X = np.random.default_rng(0).normal(size=(40, *shape)).astype(np.float32)
    own = make(objective).fit(X)
    assert own.inverse_transform(own.transform(X[:5])).shape == (5, *shape)


def test_signals_come_back_with_their_channels():
    X = np.random.default_rng(0).normal(size=(20, 64, 2)).astype(np.float32)
    own = make(Autoencoder(), encoder="conv1d", channel_axis=-1).fit(X)
    assert own.inverse_transform(own.transform(X)).shape == X.shape


def test_flat_rows_come_back_flat():
    rows = IMAGES[:40].reshape(40, -1)
    pipe = make_pipeline(MinMaxScaler(), make(Autoencoder(), image_shape=(8, 8))).fit(rows)
    assert pipe.inverse_transform(pipe.transform(rows)).shape == rows.shape


def test_signals_of_one_channel_come_back_without_an_axis():
    X = np.random.default_rng(0).normal(size=(20, 64))
    own = make(Autoencoder(), encoder="conv1d").fit(X)
    assert own.inverse_transform(own.transform(X)).shape == X.shape


def test_an_objective_set_after_the_fit_is_named():
    own = make(Autoencoder()).fit(IMAGES[:20]).set_params(objective=VAE())
    with pytest.raises(ValueError, match=r"has no decoder, or draws no codes\. Fit it again"):
        own.sample()
    own = make(None, encoder="dcgan").fit(IMAGES[:20]).set_params(objective=VAE())
    with pytest.raises(ValueError, match="has no decoder"):
        own.inverse_transform(np.zeros((1, 6)))


def test_codes_in_a_table_are_decoded_without_a_warning():
    own = make(Autoencoder()).fit(IMAGES[:20]).set_output(transform="pandas")
    assert own.inverse_transform(own.transform(IMAGES[:20])).shape == (20, 8, 8)


@by_name("objective", [Autoencoder(), BiGAN(prior="uniform")])
def test_error_of_what_is_decoded_is_minus_the_score(objective):
    own = make(objective, max_epochs=3).fit(IMAGES)
    decoded = own.inverse_transform(own.transform(IMAGES))
    error = np.mean((decoded - IMAGES) ** 2) / IMAGES.var()
    # Batches of the score overlap by no sample: it is a plain mean.
    assert error == pytest.approx(-own.score(IMAGES), rel=1e-3)


def test_decoded_digits_are_nearer_to_their_own_than_to_others():
    X = IMAGES[:64]
    settings = {"batch_size": 16, "max_epochs": 40, "learning_rate": 2e-3}
    own = make(Autoencoder(), n_components=32, **settings).fit(X)
    decoded = own.inverse_transform(own.transform(X)).reshape(len(X), -1)
    distances = np.linalg.norm(decoded[:, None] - X.reshape(len(X), -1), axis=2)
    assert (distances.argmin(axis=1) == np.arange(len(X))).mean() > 0.9


def test_columns_far_from_zero_come_back_in_their_units():
    draws = np.random.default_rng(0)
    X = draws.normal(size=(300, 4)) @ draws.normal(size=(4, 4)) + [1.7e9, 0, 5, -4e8]
    own = make(Autoencoder(), n_components=4, max_epochs=50, learning_rate=1e-2).fit(X)
    decoded = own.inverse_transform(own.transform(X))
    assert decoded.dtype == np.float64
    assert np.all(np.abs(decoded - X).std(axis=0) < 0.5 * X.std(axis=0))


@by_name("objective", SAMPLING)
def test_samples_are_decoded_draws_from_the_prior(objective):
    own = make(objective).fit(IMAGES)
    drawn = own.sample(5, random_state=3)
    assert drawn.shape == (5, 8, 8)
    assert np.array_equal(drawn, own.sample(5, random_state=3))
    assert not np.array_equal(drawn, own.sample(5, random_state=4))
    prior = PRIORS[getattr(objective, "prior", "normal")]
    codes = own.net_.criterion_.draw_codes((4000, 6), torch.Generator().manual_seed(0))
    law = "norm" if prior is PRIORS["normal"] else "uniform"
    assert kstest(prior.squash(codes).flatten().numpy(), law).pvalue > 0.01


def test_the_global_generators_are_left_alone():
    own = make(VAE()).fit(IMAGES)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    own.sample(2, random_state=0)
    own.sample(2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


@pytest.mark.parametrize(
    ("objective", "missing"),
    [
        (None, ("inverse_transform", "sample")),
        (NAT(), ("inverse_transform", "sample")),
        (Autoencoder(), ("sample",)),
        (AAE(prior_weight=0), ("sample",)),
        (AAE(prior="sphere"), ("sample",)),
        (VAE(beta=0), ("sample",)),
        (BiGAN(prior=Prior(torch.tanh, PRIORS["uniform"].sample)), ("sample",)),
    ],
)
def test_what_an_objective_cannot_do_is_no_method(objective, missing):
    for name in ("inverse_transform", "sample"):
        assert hasattr(make(objective), name) == (name not in missing)


def test_deep_infomax_has_no_decoder():
    assert not hasattr(DeepInfoMaxTransformer(), "inverse_transform")


def test_only_codes_are_decoded():
    own = make(Autoencoder(), output="hidden").fit(IMAGES)
    with pytest.raises(ValueError, match="output='hidden'"):
        own.inverse_transform(own.transform(IMAGES))
    own = make(Autoencoder()).fit(IMAGES)
    with pytest.raises(ValueError, match="5 columns, but codes have 6"):
        own.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="NaN"):
        own.inverse_transform(np.full((2, 6), np.nan))


@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "3", True, None])
def test_a_number_of_samples_is_a_positive_integer(n_samples):
    with pytest.raises(ValueError, match=r"n_samples=.*integer of at least 1"):
        make(VAE()).fit(IMAGES[:20]).sample(n_samples)


def test_a_row_is_decoded_the_same_alone_and_among_others():
    own = make(Autoencoder()).fit(IMAGES)
    codes = own.transform(IMAGES)
    together = own.inverse_transform(codes)
    assert np.array_equal(own.inverse_transform(codes[70:71])[0], together[70])


def test_pickles_and_files_decode_the_same(tmp_path):
    own = make(VAE()).fit(IMAGES)
    own.save(tmp_path / "vae.skdim")
    for kept in (pickle.loads(pickle.dumps(own)), skdim.load(tmp_path / "vae.skdim")):
        assert np.array_equal(kept.sample(3, random_state=0), own.sample(3, random_state=0))


def test_a_saved_prior_of_ours_keeps_its_inverse(tmp_path):
    aae = make(AAE(prior=PRIORS["uniform"])).fit(IMAGES[:40])
    aae.save(tmp_path / "aae.skdim")
    assert skdim.load(tmp_path / "aae.skdim").objective.prior == PRIORS["uniform"]


@pytest.mark.parametrize(
    "layout",
    [Layout((3,)), Layout((2, 5)), Layout((5, 2), True), Layout((3, 4, 5), True)],
    ids=repr,
)
def test_restored_samples_arrange_to_themselves(layout):
    samples = torch.rand(4, *layout.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(layout.arrange(layout.restore(samples).reshape(4, -1)), samples)
