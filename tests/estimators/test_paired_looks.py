"""Several looks at each sample that are given in the data are compared with each other."""

import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score
from torch import Generator
from torch.utils.data import ConcatDataset, Subset, TensorDataset

import skdim
from skdim import DeepInfoMaxClassifier, DeepInfoMaxTransformer, EncoderTransformer
from skdim.inputs import ArraySamples, Layout, PairedDataset, Stream
from skdim.objectives import NAT, VAE, AbstractObjective
from skdim.training.steps import Batches
from skdim.views import GivenLooks, Identity, find_pairs
from tests.estimators.helpers import weights_of

pytestmark = pytest.mark.usefixtures("forked_workers")

N = 60


def make(**params):
    return DeepInfoMaxTransformer(**{"n_components": 4, "random_state": 0} | params)


def noisy_pairs(n, *, shared=1.0, own=1.0, seed=0, shape=(1, 8, 8)):
    """Draw images (n, 2, *shape): a pattern common to both looks, and noise of each."""
    draws = np.random.default_rng(seed)
    common = draws.normal(size=(n, 1, *shape))
    return (shared * common + own * draws.normal(size=(n, 2, *shape))).astype(np.float32)


X = noisy_pairs(N)
GRADIENTS = {"max_epochs": 1, "batch_size": 16}


@pytest.mark.parametrize("settings", [{}, GRADIENTS], ids=["closed form", "gradients"])
@pytest.mark.parametrize(
    "given",
    [
        lambda looks: PairedDataset(looks[:, 0], looks[:, 1]),
        lambda looks: PairedDataset(
            TensorDataset(torch.tensor(looks[:, 0])), list(torch.tensor(looks[:, 1]))
        ),
        lambda looks: Stream(PairedDataset(looks[:, 0], looks[:, 1]), n_workers=1),
        torch.tensor,
        lambda looks: looks.transpose(0, 1, 3, 4, 2),
    ],
    ids=["arrays", "data sets", "stream", "tensor", "channels last"],
)
def test_pairs_train_the_same_however_they_are_given(given, settings):
    expected = weights_of(make(**settings).fit(X))
    found = weights_of(make(**settings).fit(given(X)))
    assert found == expected


@pytest.mark.parametrize(
    "given",
    [
        lambda pairs: Subset(pairs, range(N)),
        lambda pairs: Subset(Subset(pairs, range(N)), range(N)),
        lambda pairs: ConcatDataset([Subset(pairs, range(20)), Subset(pairs, range(20, N))]),
        lambda pairs: [pairs[i] for i in range(N)],
        lambda pairs: Stream(Subset(pairs, range(N))),
    ],
    ids=["part", "part of a part", "together", "items", "stream of a part"],
)
def test_parts_and_items_of_paired_data_keep_their_looks(given):
    pairs = PairedDataset(X[:, 0, 0], X[:, 1, 0])
    assert weights_of(make().fit(given(pairs))) == weights_of(make().fit(pairs))


@pytest.mark.parametrize(
    "given", [list, np.ndarray.tolist, Stream], ids=["list", "lists", "stream"]
)
def test_arrays_of_looks_may_be_lists_and_streams(given):
    assert weights_of(make().fit(given(X))) == weights_of(make().fit(X))


def test_cross_validation_of_paired_data_scores_looks():
    images = X[:, :, 0]
    pairs = PairedDataset(images[:, 0], images[:, 1])
    found, expected = (cross_val_score(make(**GRADIENTS), each, cv=3) for each in (pairs, X))
    assert np.array_equal(found, expected)


def test_lists_of_different_numbers_of_looks_are_refused():
    two, three = (PairedDataset(*[X[:, 0]] * k) for k in (2, 3))
    with pytest.raises(ValueError, match=r"samples of \[2, 3\] looks"):
        make().fit([two[0], two[1], three[2]])


def test_looks_are_not_encoded_after_a_fit_so_that_none_begins():
    dim = make()
    with pytest.raises(ValueError, match="X holds 2 looks"):
        dim.fit_transform(X)
    assert not hasattr(dim, "net_")


def test_checkpoints_tell_paired_data_apart_that_differ_in_one_look(tmp_path):
    settings = {**GRADIENTS, "checkpoint_dir": tmp_path}
    other = X[:, 1].copy()
    other[37] = 0
    for second in (X[:, 1], other):
        make(**settings).fit(PairedDataset(X[:, 0], second))
    assert len(list(tmp_path.iterdir())) == 2


def test_score_is_the_information_that_two_looks_share():
    draws = np.random.default_rng(0)
    correlations = np.array([0.9, 0.3, 0.0])
    first = draws.normal(size=(6000, 3))
    second = correlations * first + np.sqrt(1 - correlations**2) * draws.normal(size=(6000, 3))
    pairs = [PairedDataset(first[half], second[half]) for half in (slice(4000), slice(4000, None))]
    dim = make(n_components=1).fit(pairs[0])
    truth = -0.5 * np.log(1 - correlations[0] ** 2)
    assert dim.score(pairs[1]) == pytest.approx(truth, rel=0.07)


def test_code_keeps_what_looks_share_and_not_what_is_stronger_in_each():
    draws = np.random.default_rng(0)
    shared, own = draws.normal(size=(2000, 1)), draws.normal(size=(2, 2000, 4))
    mix = np.linalg.qr(draws.normal(size=(5, 5)))[0]
    looks = [np.hstack([shared, 3 * noise]) @ mix for noise in own]
    dim = make(n_components=1).fit(PairedDataset(*looks))
    code = dim.transform(looks[0])
    assert LinearRegression().fit(code, shared).score(code, shared) > 0.95
    assert LinearRegression().fit(code, own[0]).score(code, own[0]) < 0.05


def test_samples_are_encoded_one_look_at_a_time():
    dim = make().fit(X)
    assert dim.transform(X[:, 0]).shape == (N, 4)
    for method in (dim.transform, dim.encode, dim.read_samples):
        with pytest.raises(ValueError, match=r"X holds 2 looks at each sample.*such as X\[:, 0\]"):
            method(X)


def test_score_needs_the_number_of_looks_of_fit():
    dim = make().fit(X)
    with pytest.raises(ValueError, match=r"1 look.*was fitted on 2 looks.*PairedDataset"):
        dim.score(X[:, 0])
    with pytest.raises(ValueError, match=r"3 look.*was fitted on 2 looks"):
        dim.score(np.concatenate([X, X[:, :1]], axis=1))
    with pytest.raises(ValueError, match="X holds 2 looks"):
        make().fit(X[:, 0]).score(X)


@pytest.mark.parametrize(
    "shape", [(9, 8, 8, 8, 8), (9, 1, 1, 8, 8)], ids=["volumes", "a single look"]
)
def test_other_arrays_of_five_axes_are_refused(shape):
    with pytest.raises(ValueError, match=r"two or more looks at each image.*Volumes"):
        make().fit(np.zeros(shape))


def test_more_channels_than_colours_are_read_where_the_axis_is_given():
    pairs = noisy_pairs(N, shape=(6, 8, 8))
    assert make(channel_axis=1).fit(pairs).transform(pairs[:, 1]).shape == (N, 4)


def test_a_fitted_transformer_keeps_its_looks_in_pickles_and_files(tmp_path):
    dim = make().fit(X)
    dim.save(tmp_path / "dim.skdim")
    for kept in (pickle.loads(pickle.dumps(dim)), skdim.load(tmp_path / "dim.skdim")):
        assert kept.score(X) == dim.score(X)
        assert kept.net_.view == GivenLooks(Identity(), 2)


def test_a_fit_of_single_samples_forgets_the_looks_of_an_earlier_one():
    dim = make().fit(X).fit(X[:, 0])
    assert dim.score(X[:, 0]) == make().fit(X[:, 0]).score(X[:, 0])


def test_partial_fit_adds_the_sums_of_more_pairs():
    dim = make().partial_fit(X[:40]).partial_fit(X[40:])
    assert dim.net_.look_sums.sums["global"].count == 2 * N
    with pytest.raises(ValueError, match="was fitted on 2 looks"):
        dim.partial_fit(X[:, 0])


def test_labels_are_those_of_samples_and_not_of_looks():
    labels = np.arange(N) % 3
    dim = make(classifier_weight=1.0, **GRADIENTS).fit(X, labels)
    assert dim.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="120 labels, but X has 60 samples"):
        make(classifier_weight=1.0, **GRADIENTS).fit(X, np.arange(2 * N) % 3)


def test_a_killed_training_of_pairs_goes_on_from_its_checkpoint(tmp_path):
    settings = {**GRADIENTS, "schedule": "constant", "checkpoint_dir": tmp_path}
    make(**settings).fit(X)
    assert len(list(tmp_path.iterdir())) == 1
    found = make(**settings | {"max_epochs": 3}).fit(X)
    assert len(list(tmp_path.iterdir())) == 1
    plain = make(**GRADIENTS | {"schedule": "constant", "max_epochs": 3}).fit(X)
    expected = weights_of(plain)
    assert weights_of(found) == expected
    make(**settings).fit(X.reshape(2 * N, *X.shape[2:]))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_classifier_fine_tunes_on_single_samples_what_was_fitted_on_pairs():
    labels = np.arange(N) % 2
    images = X[:, 0] + 2 * labels[:, None, None, None]
    dim = make(n_components=8).fit(X)
    tuned = DeepInfoMaxClassifier.from_transformer(dim, fine_tune=True, random_state=0)
    assert tuned.fit(images, labels).predict(images).shape == (N,)


@pytest.mark.parametrize("given", [X, PairedDataset(X[:, 0], X[:, 1])], ids=["array", "data set"])
def test_a_classifier_is_not_fitted_on_looks(given):
    with pytest.raises(ValueError, match=r"several looks.*from_transformer"):
        DeepInfoMaxClassifier().fit(given, np.arange(N) % 2)


@pytest.mark.parametrize("objective", [VAE(), NAT()], ids=["VAE", "NAT"])
def test_other_objectives_train_on_given_looks(objective):
    own = EncoderTransformer(4, objective=objective, random_state=0, **GRADIENTS).fit(X)
    assert np.isfinite(own.transform(X[:, 0])).all()


class Seen(AbstractObjective):
    """Keep the batches that are trained on."""

    batches: ClassVar = []

    def terms(self, looks, batch):
        self.batches.append((len(looks), batch))
        return {"size": sum(look.code.square().mean() for look in looks)}


def test_objectives_get_the_first_look_as_the_sample():
    Seen.batches.clear()
    EncoderTransformer(4, objective=Seen(), random_state=0, **GRADIENTS).fit(X)
    assert len(Seen.batches) == 4
    for n_looks, batch in Seen.batches:
        assert n_looks == 2
        assert torch.equal(batch.x, torch.tensor(X[batch.index, 0]))
        assert torch.equal(batch.looks, torch.tensor(X[batch.index]))


def test_a_view_changes_each_given_look_and_only_different_ones_are_compared():
    view = GivenLooks(lambda x, generator: (x, -x), 2)
    x = torch.tensor(X)
    looks = view(x, Generator())
    expected = [x[:, 0], -x[:, 0], x[:, 1], -x[:, 1]]
    assert all(torch.equal(*both) for both in zip(looks, expected, strict=True))
    assert set(find_pairs(view, 4)) == {
        (i, j) for i in range(4) for j in range(4) if i // 2 != j // 2
    }


def test_a_view_that_returns_other_shapes_is_named():
    with pytest.raises(ValueError, match=r"view=.*one for each look"):
        make(view=lambda x, generator: (x[:, :, 1:],)).fit(X)


def test_parts_of_paired_samples_have_their_own_looks():
    looks, layout = X.reshape(2 * N, -1), Layout((1, 8, 8))
    samples = ArraySamples(looks, layout, labels=torch.arange(N), n_looks=2)
    rows = samples.part(np.array([3, 1]))
    assert len(rows) == 2
    assert torch.equal(rows[rows.numbers], torch.tensor(X[[3, 1]]))
    assert torch.equal(rows.single()[rows.single().numbers], torch.tensor(X[[3, 1]]).flatten(0, 1))
    (batch,) = Batches(rows, 8, Generator(), shuffle=False)
    assert batch.y.tolist() == [3, 1]


def as_pairs(looks):
    return PairedDataset(looks[:, 0], looks[:, 1])


as_given = pytest.mark.parametrize(
    "given", [np.asarray, as_pairs, Stream], ids=["array", "data set", "stream"]
)


@as_given
@pytest.mark.parametrize("n", [0, 1])
def test_too_few_samples_are_counted_as_samples_and_not_as_looks(given, n):
    dim, said = make().fit(X), rf"X has {n} sample\(s\) of 2 looks each while a minimum of 2 is"
    for method in (make().fit, dim.partial_fit, dim.score):
        with pytest.raises(ValueError, match=said):
            method(given(X[:n]))


@pytest.mark.parametrize("given", [as_pairs, np.asarray], ids=["data set", "array"])
@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_look_that_is_not_finite_is_named_with_its_sample(given, n_workers):
    looks = X.copy()
    looks[7, 1, 0, 3] = np.nan
    with pytest.raises(ValueError, match=r"NaN.* in look 1 at sample 7\. .* remove the sample"):
        make().fit(Stream(given(looks), n_workers))


class Items(list):
    """A sequence without a number of axes, of which some items raise an error."""

    def __getitem__(self, number):
        item = super().__getitem__(number)
        if isinstance(item, Exception):
            raise item
        return item


@pytest.mark.parametrize(
    ("item", "error", "said"),
    [
        (
            X[7, 1, :, :7],
            ValueError,
            r"Look 1 at sample 7 of X has shape \(1, 7, 8\), but look 0 at s",
        ),
        ({"a": 1}, TypeError, "Look 1 at sample 7 of X is of type dict"),
        (X[7, 1] + 1j, TypeError, "Look 1 at sample 7 of X is of dtype complex64"),
        (np.ma.masked_array(X[7, 1]), TypeError, "Look 1 at sample 7 of X is a masked array"),
    ],
    ids=["shape", "type", "dtype", "mask"],
)
def test_a_look_that_is_no_sample_is_named_with_its_sample(item, error, said):
    second = Items(X[:, 1])
    second[7] = item
    with pytest.raises(error, match=said):
        make().fit(PairedDataset(X[:, 0], second))


def test_a_look_that_cannot_be_read_is_named_with_its_sample():
    second = Items(X[:, 1])
    second[7] = OSError("broken")
    with pytest.raises(OSError, match="broken") as raised:
        make().fit(PairedDataset(X[:, 0], second))
    assert "This happened while look 1 at sample 7 of 60 was read." in raised.value.__notes__


def test_a_first_look_that_is_no_sample_is_named():
    with pytest.raises(TypeError, match="Look 0 at sample 0 of X is of dtype complex64"):
        make().fit(PairedDataset(X[:, 0] + 1j, X[:, 1]))


def test_single_looks_of_a_data_set_are_named_where_they_are_needed():
    pairs = as_pairs(X)
    with pytest.raises(ValueError, match=r"X\.data\[0\] of a PairedDataset"):
        make().fit(pairs).transform(pairs)
    assert make().fit(pairs).transform(pairs.data[0]).shape == (N, 4)


def test_data_sets_of_pairs_need_one_length():
    with pytest.raises(ValueError, match=r"must have one length.*60, 3"):
        PairedDataset(X[:, 0], X[:3, 1])
    with pytest.raises(ValueError, match="at least two"):
        PairedDataset(X[:, 0])
    with pytest.raises(TypeError, match="cannot be indexed by number"):
        PairedDataset(X[:, 0], "folder")


def test_items_of_a_paired_data_set_are_tuples_of_looks():
    pairs = PairedDataset(X[:, 0], X[:, 1])
    assert len(pairs) == N
    assert all(np.array_equal(look, X[5, k]) for k, look in enumerate(pairs[5]))
