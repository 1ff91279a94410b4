"""Digests of parameters and data are the same in every process, and differ where these differ."""

import functools
import os
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.saving.fingerprints import describe_parameters, digest_rows, fingerprint
from skdim.views import Augment


def closing_over(value):
    def inner(x, *, scale=(1, 2.5)):
        return {"a", "b", "c"} and [value, lambda: scale]

    return inner


def defaulting(value, other=None):
    def inner(x=value, *, y=other):
        return x

    return inner


ONE, OTHER = [1], [1]


class Own:
    """An object with attributes, slots' and others'."""

    __slots__ = ("__dict__", "late", "slot")

    def __init__(self, **attributes):
        self.slot = "slot"
        self.__dict__.update(attributes)

    def method(self):
        """Do nothing."""


class Cyclic(nn.Module):
    """A module that refers to itself."""

    def __init__(self, *names):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        nn.init.constant_(self.layer.weight, 0.5)
        nn.init.constant_(self.layer.bias, 0.5)
        self.names = set(names)
        self.me = [self]
        self.among = {Own(me=self), Own(me=None), 1, "x"}
        self.register_forward_hook(lambda *args: None)


def make_all():
    """Give objects of all kinds, each with others that differ."""
    return {
        "number": [1, 2, 0.5, True, None, "1", b"1", 1j],
        "array": [np.arange(3), np.arange(3.0), np.arange(4), np.array(["a", "b", "c"])],
        "objects": [np.array(["a", None], dtype=object), np.array(["b", None], dtype=object)],
        "tensor": [
            *(torch.arange(3), torch.arange(4), torch.arange(3).to(torch.bfloat16)),
            torch.arange(4).reshape(2, 2),
        ],
        "generator": [torch.Generator().manual_seed(seed) for seed in (1, 2)],
        "set": [{"apple", "pear", "plum"}, {"apple", "pear"}, frozenset(["apple", "pear"])],
        "dict": [{"a": {"x", "y"}}, {"a": {"x", "z"}}, {"b": {"x", "y"}}],
        "sequence": [[1, 2], (1, 2), [1, 3], [[1], 2], []],
        "again": [[ONE, OTHER, ONE], [ONE, OTHER, OTHER]],
        "defaults": [defaulting(1), defaulting(2), defaulting(1, 2)],
        "function": [closing_over(1), closing_over(2), make_all, functools.reduce, len, Own],
        "lambda": [lambda x: x + 1, lambda x: x + 2, lambda x: {"p", "q"} if x else {"r"}],
        "partial": [
            *(functools.partial(len), functools.partial(print, 1), functools.partial(print)),
            *(functools.partial(print, sep="a"), functools.partial(print, sep="b")),
        ],
        "object": [Own(a=1), Own(a=2), Own(b=1), Own(a=1).method, Own(a=[np.ones(2)])],
        "module": [Cyclic("one", "two"), Cyclic("one", "three"), nn.Identity(), nn.ReLU()],
        "view": [Augment(flip=True), Augment(flip=False)],
        "other": [np.random.RandomState, types.SimpleNamespace(a=1), object(), ..., range(3)],
    }


def describe_all():
    described = {name: [fingerprint(v) for v in values] for name, values in make_all().items()}
    encoder, view = Cyclic("one", "two"), closing_over({"one", "two", "three"})
    model = DeepInfoMaxTransformer(encoder=encoder, view=view, prior=Own(late=1))
    return described, describe_parameters(model), digest_rows(np.arange(12.0).reshape(6, 2))


def test_another_process_has_the_same_digests_and_loads_the_same_codes(tmp_path):
    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    model = DeepInfoMaxTransformer(4, max_epochs=1, random_state=0).fit(rows)
    model.save(tmp_path / "model.skdim")
    np.save(tmp_path / "rows.npy", rows)
    # Loaded before anything of the tests is imported.
    command = (
        "import numpy as np, skdim, sys\n"
        "model, rows = (f'{sys.argv[1]}/{name}' for name in ('model.skdim', 'rows.npy'))\n"
        "codes = skdim.load(model).transform(np.load(rows))\n"
        "np.save(f'{sys.argv[1]}/codes.npy', codes)\n"
        "from tests.saving.test_fingerprints import describe_all; print(describe_all())"
    )
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    printed = subprocess.run(
        [sys.executable, "-c", command, str(tmp_path)],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert printed.strip() == repr(describe_all())
    # Another process may have another number of threads.
    np.testing.assert_allclose(np.load(tmp_path / "codes.npy"), model.transform(rows), atol=1e-5)


@pytest.mark.parametrize("name", make_all())
def test_different_where_something_differs(name):
    values = make_all()[name]
    assert len({fingerprint(value) for value in values}) == len(values)


def test_the_same_for_equal_numbers_and_copies():
    assert fingerprint([1, 0.5]) == fingerprint([np.int64(1), np.float32(0.5)])
    assert fingerprint(1) == fingerprint(1.0)
    assert fingerprint(np.ones((4, 3))[:, ::2]) == fingerprint(np.ones((4, 2)))
    assert fingerprint(torch.ones(3, 4).T) == fingerprint(torch.ones(4, 3))
    assert fingerprint(Cyclic("one")) == fingerprint(Cyclic("one"))
    again = [(1, 2)] * 2
    assert fingerprint(again) == fingerprint([(1, 2), tuple([1, 2])])


def test_rows_are_read_in_blocks_of_any_layout(monkeypatch):
    rows = np.arange(600.0).reshape(100, 6)
    whole = digest_rows(np.asfortranarray(rows))
    assert whole == digest_rows(rows)
    assert whole != digest_rows(rows[::-1])
    monkeypatch.setattr("skdim.saving.fingerprints.BLOCK", 1000)
    assert digest_rows(rows) == digest_rows(np.repeat(rows, 2, axis=0)[::2]) != whole
