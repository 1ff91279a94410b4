"""Global generators are seeded for a while, by one thread at a time, and restored."""

import multiprocessing
import os
import random
import signal
import threading
import time

import numpy as np
import pytest
import torch

from skdim.random import SEEDING, drawing, pack_states, seeded, unlocked, unpack_states

CPU = torch.device("cpu")


def draw():
    return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002


@pytest.mark.usefixtures("global_random_state_untouched")
@pytest.mark.parametrize("context", [drawing, seeded])
def test_all_three_generators_are_seeded_and_restored(context):
    with context(2**62 + 1):
        first = draw()
    with context(2**62 + 1):
        again = draw()
    with context(2**62):
        other = draw()

    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == 3


@pytest.mark.usefixtures("global_random_state_untouched")
@pytest.mark.parametrize("inner", [drawing, seeded])
def test_inside_one_another_each_goes_on_where_it_was(inner):
    with seeded(0):
        expected = draw(), draw()
    with seeded(0):
        found = [draw()]
        with inner(1):
            draw()
        with pytest.raises(IndexError), inner(1):
            random.choice([])
        found.append(draw())

    assert tuple(found) == expected


@pytest.mark.usefixtures("global_random_state_untouched")
def test_without_a_seed_nothing_is_unlocked():
    with unlocked():
        assert SEEDING.lock.acquire(blocking=False)
    SEEDING.lock.release()


@pytest.mark.parametrize("finish_first", [0, 1])
@pytest.mark.usefixtures("global_random_state_untouched")
def test_threads_that_take_turns_draw_as_they_do_alone(finish_first):
    def work(seed, meet, found):
        with seeded(seed):
            for _ in range(5):
                found.append(draw())
                with unlocked():
                    meet()
        with seeded(seed + 10):
            if seed != finish_first:
                time.sleep(0.1)
            found.append(draw())

    alone, at_once = ([], []), ([], [])
    for seed in range(2):
        work(seed, lambda: None, alone[seed])
    barrier = threading.Barrier(2, timeout=60)
    threads = [
        threading.Thread(target=work, args=(seed, barrier.wait, at_once[seed])) for seed in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert at_once == alone


def test_a_thread_that_waits_gets_its_turn():
    done = threading.Event()

    def wait():
        with SEEDING:
            done.set()

    thread = threading.Thread(target=wait)
    with seeded(0):
        thread.start()
        while not SEEDING.waiting:
            time.sleep(0.001)
        for _ in range(100):
            with unlocked():
                pass
            if done.is_set():
                break
        else:
            pytest.fail("it waited for the end")
    thread.join()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_a_process_that_was_forked_while_another_thread_drew_is_not_locked():
    held, done = threading.Event(), threading.Event()

    def hold():
        with seeded(0):
            held.set()
            done.wait(60)

    def work():
        with seeded(1):
            draw()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(20)
    done.set()
    thread.join()
    process.kill()

    assert process.exitcode == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(
    "long_draw",
    [lambda: torch.rand(10**6), lambda: np.random.rand(10**6)],  # noqa: NPY002
    ids=["torch", "numpy"],
)
def test_a_fork_waits_for_the_draws_of_other_threads(long_draw):
    """Which hold locks of torch and NumPy that a forked process would never get."""
    done = threading.Event()

    def work():
        while not done.is_set():
            with seeded(0):
                long_draw()
                with unlocked():
                    pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # which ends it
                with seeded(1):
                    draw()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_leaves_the_lock_as_it_was():
    """In both processes, inside of ``seeded`` and outside."""

    def is_free():
        free = []

        def attempt():
            free.append(SEEDING.lock.acquire(blocking=False))
            if free[0]:
                SEEDING.lock.release()

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        return free[0]

    def fork():
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(is_free())
        free = is_free()
        status = os.waitpid(child, 0)[1]
        return free, os.WEXITSTATUS(status)

    with seeded(0):
        assert fork() == (False, 0)
    assert fork() == (True, 1)


@pytest.mark.usefixtures("global_random_state_untouched")
def test_packed_states_are_gone_on_from(tmp_path):
    with seeded(0):
        np.random.normal()  # noqa: NPY002 (it keeps the second of a pair)
        torch.save(pack_states(CPU), tmp_path / "states.pt")
        expected = draw(), np.random.normal()  # noqa: NPY002
    states = torch.load(tmp_path / "states.pt", weights_only=True)
    with seeded(1):
        unpack_states(states, CPU)
        found = draw(), np.random.normal()  # noqa: NPY002

    assert found == expected


@pytest.mark.usefixtures("global_random_state_untouched")
def test_states_that_are_missing_stay():
    with seeded(0):
        expected = draw()[:2]
    with seeded(0):
        unpack_states({"torch": torch.get_rng_state()}, CPU)
        found = draw()[:2]

    assert found == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.usefixtures("global_random_state_untouched")
def test_the_generator_of_an_accelerator_is_seeded_and_restored():
    device = torch.device("cuda")
    torch.rand(1, device=device)
    with seeded(3, device):
        first = torch.rand(4, device=device).tolist()
        with seeded(4, device):
            other = torch.rand(4, device=device).tolist()
        states = pack_states(device)
        second = torch.rand(4, device=device).tolist()
    with seeded(3, device):
        again = torch.rand(4, device=device).tolist()
        unpack_states(states, device)
        assert second == torch.rand(4, device=device).tolist()

    assert first == again
    assert not set(first) & set(other)
