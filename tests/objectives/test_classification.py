"""The classifier term: the labelled samples count, all samples are normalised over."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from skdim.encoders import LAYERS, Features
from skdim.objectives import Classification
from tests.objectives.helpers import made, make_batch, normals

N, CLASSES = 7, 3
Y = [0, -1, 2, 2, -1, 1, -1]


def features(n=N, seed=0, code_grid=()):
    shapes = {"local": (4, 2, 3), "conv": (5, 2), "hidden": (6,), "code": (3, *code_grid)}
    drawn = [
        normals(n, *shapes[layer], seed=10 * seed + i).requires_grad_()
        for i, layer in enumerate(LAYERS)
    ]
    return Features(*drawn)


def make(layer="code", weight=1.0, look=None):
    return made(Classification, layer, look or features(), CLASSES, weight=weight).double()


def flat(look, layer):
    taken = getattr(look, layer)
    if layer == "code" and taken.ndim > 2:
        return torch.stack([taken[:, i].flatten(1).mean(1) for i in range(taken.shape[1])], dim=1)
    return taken.reshape(len(taken), -1)


@pytest.mark.parametrize("n_looks", [1, 2])
@pytest.mark.parametrize("layer", LAYERS)
def test_term_is_the_mean_over_the_labelled_after_normalising_over_all(layer, n_looks):
    looks = [features(seed=seed) for seed in range(n_looks)]
    term = make(layer, weight=0.7)
    batch = make_batch(N, Y)
    found = term(looks, batch)["classifier"]
    first, norm, _, last = term.classifier
    hidden = first(torch.cat([flat(look, layer) for look in looks]))
    hidden = (hidden - hidden.mean(0)) / (hidden.var(0, unbiased=False) + norm.eps).sqrt()
    logits = last(hidden.relu())
    labelled = [i for i, y in enumerate(Y * n_looks) if y >= 0]
    right = torch.tensor([(Y * n_looks)[i] for i in labelled])
    expected = cross_entropy(logits[labelled], right)

    assert found.item() == pytest.approx(0.7 * expected.item())
    hits = (logits[labelled].argmax(1) == right).sum().item()
    assert batch.notes["classifier_accuracy"].tolist() == [hits, len(labelled)]
    for look in looks:
        (gradient,) = torch.autograd.grad(found, getattr(look, layer), retain_graph=True)
        (correct,) = torch.autograd.grad(0.7 * expected, getattr(look, layer), retain_graph=True)
        torch.testing.assert_close(gradient, correct)


def test_several_globals_are_their_mean():
    look = features(code_grid=(2, 2))
    one = Features(look.local, look.conv, look.hidden, flat(look, "code"))
    batch = make_batch(N, Y)

    assert make(look=look)([look], batch)["classifier"].item() == pytest.approx(
        make(look=one)([one], batch)["classifier"].item()
    )


def test_a_batch_without_labels_gives_a_term_of_zero_and_no_nan():
    look, term = features(), make()
    batch = make_batch(N)
    loss = term([look], batch)["classifier"]
    loss.backward()

    assert loss.item() == 0
    assert batch.notes["classifier_accuracy"].tolist() == [0, 0]
    assert all(not weight.grad.any() for weight in term.parameters())
    assert not look.code.grad.any()
    # The running means of the normalisation have seen the batch.
    assert term.classifier[1].num_batches_tracked == 1


def test_unlabelled_samples_move_the_normalisation_only():
    """Another class of an unlabelled sample there is none; another sample changes the term."""
    look, term = features(), make()
    loss = term([look], make_batch(N, Y))["classifier"]
    with torch.no_grad():
        look.code[1] += 5
    moved = term([look], make_batch(N, Y))["classifier"]

    assert loss != moved


def test_term_starts_about_chance_and_can_be_learnt():
    look, term = features(60), make()
    batch = make_batch(60, (torch.arange(60) % CLASSES).where(torch.arange(60) % 2 > 0, -1))
    optimizer = torch.optim.Adam(term.parameters(), lr=1e-2)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = term([look], batch)["classifier"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[0] == pytest.approx(math.log(CLASSES), abs=0.4)
    assert losses[-1] < 0.05
    assert batch.notes["classifier_accuracy"].tolist() == [30, 30]


def test_it_measures_no_information():
    assert make().score(features(), make_batch(N, Y)) is None
