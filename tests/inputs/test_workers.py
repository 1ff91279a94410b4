"""What reading draws is the same for any number of workers, and what goes wrong is said."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from skdim.inputs import Stream
from skdim.inputs.items import BatchReader
from skdim.inputs.samples import numbers_on_cpu
from skdim.inputs.streams import BatchLoader, seeds_of
from skdim.random import SEEDING
from tests.inputs.datasets import (
    Drawing,
    Failing,
    Items,
    Killing,
    OwnError,
    Unpicklable,
    assert_no_workers,
    images,
    open_stream,
    workers,
)

pytestmark = pytest.mark.usefixtures("forked_workers")

N = 24
FLOATS = images(N, (3,))
BATCHES = torch.from_numpy(np.random.default_rng(0).permutation(N)).tensor_split(6)
any_number_of_workers = pytest.mark.parametrize("n_workers", [0, 1, 2])


def read(data, n_workers=0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.cat(list(open_stream(Stream(data, n_workers)).read(BATCHES, generator)))


# ---------------------------------------------------------------------------------------------
# What is drawn


@any_number_of_workers
def test_draws_of_the_data_follow_the_seed(n_workers):
    once, again, other = (read(Drawing(FLOATS), n_workers, seed) for seed in (0, 0, 1))

    assert torch.equal(once, again)
    assert torch.equal(once, read(Drawing(FLOATS), 0))
    assert not np.isclose(once, other).any()


@any_number_of_workers
def test_no_two_batches_draw_the_same(n_workers):
    noise = read(Drawing(np.zeros_like(FLOATS)), n_workers)

    assert len(noise.unique()) == noise.numel()


@any_number_of_workers
def test_a_second_reading_draws_anew_where_the_generator_has_moved(n_workers):
    samples = open_stream(Stream(Drawing(FLOATS), n_workers))
    generator = torch.Generator().manual_seed(0)
    with samples:
        first, second = (torch.cat(list(samples.read(BATCHES, generator))) for _ in range(2))
        torch.randperm(3, generator=generator)
        third = torch.cat(list(samples.read(BATCHES, generator)))

    assert torch.equal(first, second)
    assert not np.isclose(first, third).any()


@any_number_of_workers
@pytest.mark.usefixtures("global_random_state_untouched")
def test_reading_leaves_the_global_generators_alone(n_workers):
    samples = open_stream(Stream(Drawing(FLOATS), n_workers))
    samples[torch.arange(3)]
    for _ in samples.read(BATCHES, torch.Generator().manual_seed(0)):
        random.getstate()
    with pytest.raises(OwnError):
        read(Failing(FLOATS, 7, OwnError("mine", 7)), n_workers)


def test_seeds_follow_from_where_a_generator_stands_and_from_the_samples():
    generator = torch.Generator().manual_seed(0)
    state, numbers = generator.get_state(), numbers_on_cpu(BATCHES)
    first = seeds_of(generator, numbers)

    assert first == seeds_of(generator, numbers)
    assert torch.equal(generator.get_state(), state)
    assert seeds_of(generator, numbers[3:]) == first[3:]
    torch.rand(1, generator=generator)
    later = seeds_of(generator, numbers)
    other = seeds_of(torch.Generator().manual_seed(1), numbers)
    assert len({*first, *later, *other}) == 3 * len(BATCHES)
    assert all(0 <= seed < 2**63 for seed in first)


def test_threads_take_turns_at_drawing():
    def work(seed):
        return [read(Drawing(FLOATS), 0, seed) for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))

    for seed, readings in enumerate(found):
        assert all(torch.equal(one, read(Drawing(FLOATS), 0, seed)) for one in readings)


# ---------------------------------------------------------------------------------------------
# What goes wrong


@pytest.mark.faults
@any_number_of_workers
@pytest.mark.parametrize(
    "error",
    [OwnError("mine", 7), KeyError("mine"), OSError(2, "no such file"), ZeroDivisionError("mine")],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_the_data_come_through_with_their_type_and_text(n_workers, error):
    samples = open_stream(Stream(Failing(FLOATS, 7, error), n_workers))
    with samples, pytest.raises(type(error)) as raised:
        list(samples.read(BATCHES, torch.Generator()))
    assert_no_workers()

    assert type(raised.value) is type(error)
    assert str(raised.value) == str(error)
    notes = "".join(raised.value.__notes__)
    assert "This happened while sample 7 of 24 was read." in notes
    if n_workers:
        assert "It was raised in worker process" in notes
        assert "datasets.py" in notes  # The traceback of the worker goes down to the user's line.
    if isinstance(error, OwnError):
        assert raised.value.number == 7


@pytest.mark.faults
def test_an_error_that_cannot_leave_its_worker_sends_its_text():
    with pytest.raises(RuntimeError) as raised:
        read(Failing(FLOATS, 7, Unpicklable("mine", 7)), 1)

    assert str(raised.value) == "Unpicklable: mine 7"
    assert "in __getitem__" in "".join(raised.value.__notes__)
    assert_no_workers()


@pytest.mark.faults
@any_number_of_workers
def test_bad_samples_are_refused_by_their_number_whoever_reads(n_workers):
    array = FLOATS.copy()
    array[7, 1] = np.nan
    for data in (array, Items(array)):
        with pytest.raises(ValueError, match=r"NaN, infinity .* in sample 7\."):
            read(data, n_workers)
    with pytest.raises(ValueError, match=r"Sample 7 of X has shape \(2,\), but sample 0 has"):
        read(Items(FLOATS, lambda x, i: x[: 2 + (i != 7)]), n_workers)
    assert_no_workers()


@pytest.mark.faults
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_worker_that_is_killed_is_an_error_and_leaves_nothing(n_workers):
    samples = open_stream(Stream(Killing(FLOATS, 7), n_workers))
    with samples, pytest.raises(RuntimeError, match="worker"):
        list(samples.read(BATCHES, torch.Generator()))

    assert_no_workers()


@pytest.mark.faults
@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), EOFError(), RuntimeError()])
def test_whatever_a_dead_worker_leads_to_says_what_may_help(error):
    def lost():
        yield torch.zeros(1)
        raise error

    loader = BatchLoader(BatchReader(FLOATS), Stream(FLOATS, 1), pin=False)
    loader.loading = lost()
    loader.next_batch()
    said = (
        f"by 1 worker processes failed: {str(error) or type(error).__name__}. .* n_workers=0 reads"
    )
    with pytest.raises(RuntimeError, match=said.replace("[", r"\[")) as raised:
        loader.next_batch()

    assert raised.value.__cause__ is error


@pytest.mark.faults
def test_an_idle_worker_that_is_killed_is_an_error_at_the_latest_when_it_is_needed():
    samples = open_stream(Stream(Items(FLOATS), 2))

    def read_kill_read():
        with samples:
            list(samples.read(BATCHES, torch.Generator()))
            os.kill(workers()[0].pid, signal.SIGKILL)
            for _ in range(100):  # Whenever the system says so.
                time.sleep(0.01)
            list(samples.read(BATCHES, torch.Generator()))

    with pytest.raises(RuntimeError, match="worker"):
        read_kill_read()
    assert_no_workers()


@pytest.mark.faults
def test_no_worker_starts_while_another_thread_draws():
    samples = open_stream(Stream(Items(FLOATS), 1))
    begun, enough, found = threading.Event(), threading.Event(), []

    def draw():
        with SEEDING:
            begun.set()
            enough.wait(60)

    def read():
        found.extend(samples.read(BATCHES, torch.Generator()))

    threads = [threading.Thread(target=work) for work in (draw, read)]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    time.sleep(0.5)
    early = list(found)
    enough.set()
    for thread in threads:
        thread.join()

    assert not early
    assert np.array_equal(torch.cat(found), FLOATS[torch.cat(BATCHES)])
    assert_no_workers()


@pytest.mark.faults
@pytest.mark.usefixtures("ctrl_c_raises")
def test_ctrl_c_while_a_batch_is_waited_for_ends_the_workers(monkeypatch):
    # How long torch waits for a worker to end by itself.
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.5)

    def wait(sample, number):
        time.sleep(60 * (number == 7))
        return sample

    samples = open_stream(Stream(Items(FLOATS, wait), 1))
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with samples, pytest.raises(KeyboardInterrupt):
        list(samples.read(BATCHES, torch.Generator()))
    timer.join()

    assert_no_workers()
