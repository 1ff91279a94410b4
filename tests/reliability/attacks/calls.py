"""Methods of fitted models with arguments that are not valid, and changes between two fits."""

import copy
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
import numpy as np

from skdim.inputs import Stream
from tests.reliability.attacks.inputs import small_model
from tests.reliability.attacks.models import (
    COUNT,
    MAY_BE_ZERO,
    STRANGE,
    WRONG,
    Hostile,
    draw_data,
    draw_wrong,
    pick,
    take,
)
from tests.reliability.attacks.oracles import Wrong, check_codes, check_refused, quiet, same_bits

__all__ = ["arguments", "changes", "copies", "streams"]

LAYERS_NOT = (*STRANGE, 3, True, ["code"], "Code", ("code",))
ROWS_NOT = (
    *([0.5], "rows", [[0, 1], [2, 3]], [10**6], [-(10**6)], [np.nan], [None], {"a": 1}, object()),
    *(np.ones(3, bool), [True], np.array([0], "M8[s]"), [1j], ["0"], [10**400], Hostile(), [2**63]),
)
PATHS_NOT = ("\0", "a\0b", "", None, 3.5, ["x"], "x" * 300, object(), "/", "/nothing/here/x")


def fitted(rng):
    """Fit a small model; return it with samples and their codes."""
    data = pick(rng, ["vectors", "images", "signals"])
    X, model = draw_data(rng, data), small_model(rng, data)
    with quiet():
        return model.fit(X), X, model.transform(X)


def arguments(rng):
    """Call a method of a fitted model with what is not valid; it must be as it was."""
    model, X, codes = fitted(rng)
    way = pick(rng, ["encode", "read_samples", "save", "set_params"])
    calls = {
        "encode": (lambda v: model.encode(X, v), LAYERS_NOT, ["output"]),
        "read_samples": (lambda v: model.read_samples(X, v), ROWS_NOT, ["rows"]),
        "save": (model.save, PATHS_NOT, [".*"]),
        "set_params": (lambda v: model.set_params(**{v: 1}), ("x", "fit", "net_"), ["x|fit|net_"]),
    }
    call, values, names = calls[way]
    value = pick(rng, values)
    errors = (ValueError, TypeError, IndexError, OSError)
    try:
        check_refused(lambda: call(value), names, errors=errors)
    except Wrong as wrong:
        shown = "hostile" if isinstance(value, Hostile) else repr(value)[:200]
        raise Wrong(f"{way}({shown}): {wrong}") from wrong
    if not same_bits(model.transform(X), codes):
        raise Wrong("the fitted model has changed")
    return f"refused {way}"


def streams(rng):
    """Make a stream with a parameter that is not valid."""
    X = draw_data(rng, "vectors")
    wrong = {
        "n_workers": MAY_BE_ZERO,
        "ahead": COUNT,
        "start_method": (*STRANGE, "thread", 3, True),
        "data": (3, None, object(), iter(X), {1, 2}, lambda: 0),
    }
    name, value = draw_wrong(rng, wrong)
    given = {"data": X, name: value}
    check_refused(lambda: Stream(**given), [name, "[Dd]ata", "X"] if name == "data" else [name])
    return f"refused {name}"


CHANGED = {
    "n_components": 5,
    "output": "local",
    "random_state": 9,
    "learning_rate": 0.1,
    "batch_size": 5,
    "schedule": "constant",
}
# What a net is built from: a warm start cannot go on from another one.
BUILT = ("n_components", "output")


def changes(rng):
    """Change a parameter of a fitted model: codes are as before, up to the next fit."""
    model, X, codes = fitted(rng)
    name = pick(rng, CHANGED)
    before = model.get_params()[name]
    with quiet():
        model.set_params(**{name: CHANGED[name], "warm_start": True})
    if not same_bits(model.transform(X), codes):
        raise Wrong(f"set_params of {name} has changed the codes")
    if name in BUILT:
        try:
            check_refused(lambda: model.fit(X), [name])
        except Wrong as wrong:
            raise Wrong(f"{name} of {model}: {wrong}") from wrong
        if not same_bits(model.transform(X), codes):
            raise Wrong("a refused warm start has changed the codes")
        model.set_params(**{name: before})
    wrong, value = draw_wrong(rng, WRONG)
    sound = model.get_params()[wrong]
    model.set_params(**{wrong: value})
    try:
        check_refused(lambda: model.fit(X), [wrong])
    except Wrong as error:
        raise Wrong(f"{wrong} of {model}: {error}") from error
    if not same_bits(model.transform(X), codes):
        raise Wrong(f"a fit that was refused for {wrong} has changed the codes")
    model.set_params(**{wrong: sound})
    with quiet():
        model.fit(X)
        check_codes(model, X, model.transform(X), take)
    return "held changes"


def copies(rng):
    """Copy a fitted model; the copy has the same codes, and changes with it only once trained."""
    model, X, codes = fitted(rng)
    make = pick(rng, [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), through])
    with quiet():
        other = make(model)
        if not same_bits(other.transform(X), codes):
            raise Wrong("a copy has other codes")
        # The sums of a closed form are not copied.
        if make is not copy.copy and model.solver_ == "gradients":
            other.set_params(warm_start=True).fit(X)
    if not same_bits(model.transform(X), codes):
        raise Wrong("the training of a copy has changed the model")
    return "held copies"


def through(model):
    """Write a model by joblib, and read it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.joblib"
        joblib.dump(model, path)
        return joblib.load(path)
