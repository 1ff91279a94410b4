"""Random attacks: some cases of ``make adversary``, and that it notices what is wrong."""

import os

import numpy as np
import pytest

from skdim import DeepInfoMaxTransformer
from tests.reliability import adversary
from tests.reliability.attacks.oracles import Wrong, check_contract, check_refused

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")

X = np.random.default_rng(0).normal(size=(20, 4))


def test_some_cases_are_right():
    counts, wrong = adversary.run(4, seed=100)

    assert wrong == []
    assert sum(found["right"] for found in counts.values()) == 4


def test_a_case_is_repeated_by_its_seed():
    kinds = [[adversary.draw_kind(np.random.default_rng(s)) for s in range(99)] for _ in range(2)]

    assert kinds[0] == kinds[1]
    assert set(kinds[0]) == set(adversary.KINDS)


def make(**parameters):
    return DeepInfoMaxTransformer(2, **{"max_epochs": 1, "random_state": 0} | parameters)


class Changing(DeepInfoMaxTransformer):
    """Codes that depend on the other rows."""

    def transform(self, X):
        codes = super().transform(X)
        return codes + np.float32(len(codes))


class Drawing(DeepInfoMaxTransformer):
    """A training that draws from a global generator."""

    def fit(self, X, y=None):
        np.random.rand()  # noqa: NPY002
        return super().fit(X)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (make(random_state=None), "a second fit has other codes"),
        (make(max_epochs=-1), "refused"),
        (Changing(2, max_epochs=1, random_state=0), "depends on the other rows"),
        (Drawing(2, max_epochs=1, random_state=0), "global generators"),
    ],
    ids=["no seed", "refused", "rows", "draws"],
)
def test_a_broken_promise_is_noticed(model, text):
    with pytest.raises(Wrong, match=text):
        check_contract(model, X, take=lambda X, rows: X[rows])


def raising(error):
    def action():
        raise error

    return action


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (lambda: 3, "not refused, but int"),
        (raising(KeyError("tol")), "KeyError instead of a refusal"),
        (raising(ValueError("no")), "names none of"),
        (raising(ValueError("tol" + " " * 10_000)), "10003 characters"),
    ],
    ids=["result", "another error", "no name", "long"],
)
def test_a_missing_refusal_is_noticed(action, text):
    with pytest.raises(Wrong, match=text):
        check_refused(action, ["tol"])


def test_what_looks_fitted_is_noticed():
    with pytest.raises(Wrong, match="looks fitted"):
        check_refused(raising(ValueError("tol")), ["tol"], unfitted=make().fit(X))
