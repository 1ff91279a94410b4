"""Trainings in forked and spawned processes, in threads, and with interrupts."""

import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

from sklearn.base import clone

from skdim.inputs import Stream
from tests.reliability.attacks.inputs import small_model
from tests.reliability.attacks.models import draw_data, pick
from tests.reliability.attacks.oracles import (
    Wrong,
    check_unfitted,
    global_states,
    is_fitted,
    quiet,
    same_bits,
)

__all__ = ["interrupts", "other_processes", "streams_by_workers", "threads"]


def fit_codes(model, X):
    """Fit a copy of a model, and return the codes."""
    with quiet():
        return clone(model).fit(X).transform(X)


def encode(model, X):
    """Return the codes of a fitted model."""
    return model.transform(X)


def draw_case(rng):
    """Draw a small model, and samples for it."""
    data = pick(rng, ["vectors", "images", "signals"])
    return small_model(rng, data), draw_data(rng, data)


def other_processes(rng):
    """Fit in another process, or pass it a fitted model: the codes must be the same."""
    model, X = draw_case(rng)
    codes = fit_codes(model, X)
    method = pick(rng, ["fork", "fork", "fork", "spawn"])
    with ProcessPoolExecutor(1, mp_context=get_context(method)) as pool:
        if rng.random() < 0.5:
            found = pool.submit(fit_codes, model, X).result()
        else:
            with quiet():
                found = pool.submit(encode, model.fit(X), X).result()
    if not same_bits(found, codes):
        raise Wrong(f"other codes of {model} by {method}")
    return f"held {method}"


def streams_by_workers(rng):
    """Fit on a stream that workers read: the codes must be the same."""
    model, X = draw_case(rng)
    codes = fit_codes(model, X)
    stream = Stream(X, n_workers=int(rng.integers(1, 3)), start_method="fork")
    if not same_bits(fit_codes(model, stream), codes):
        raise Wrong(f"other codes of {model} by workers")
    return "held workers"


def threads(rng):
    """Fit several models in threads: each must be as without threads."""
    cases = [draw_case(rng) for _ in range(int(rng.integers(2, 5)))]
    expected = [fit_codes(*case) for case in cases]
    before = global_states()
    with quiet(), ThreadPoolExecutor(len(cases)) as pool:
        found = list(pool.map(lambda case: clone(case[0]).fit(case[1]).transform(case[1]), cases))
    if not all(map(same_bits, found, expected)):
        raise Wrong("other codes in threads")
    if global_states() != before:
        raise Wrong("the global generators have changed")
    return "held threads"


def interrupts(rng):
    """Interrupt a training at any time: nothing looks fitted, and the next fit is as ever."""
    # It is ignored in jobs that a shell runs in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    model, X = draw_case(rng)
    started = time.monotonic()
    codes = fit_codes(model, X)
    seconds = time.monotonic() - started
    before = global_states()
    timer = threading.Timer(rng.uniform(0, seconds), os.kill, (os.getpid(), signal.SIGINT))
    try:
        with quiet():
            timer.start()
            model.fit(X)
            while True:  # The interrupt is late: it comes outside of the training.
                time.sleep(0.01)
    except KeyboardInterrupt:
        late = is_fitted(model)
    if global_states() != before:
        raise Wrong("the global generators have changed")
    if not late:
        check_unfitted(model)
    if not same_bits(fit_codes(model, X), codes):
        raise Wrong("other codes after an interrupt")
    return f"held {'late' if late else 'interrupted'}"
