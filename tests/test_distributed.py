"""One model on several processes equals one model on one; and what happens where it cannot."""

import signal
import sys
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.devices import check_launch
from skdim.inputs import ArraySamples, Layout
from skdim.training.distributed import AcceleratedNet, Shares, sizes_of_parts
from skdim.training.net import EncoderNet
from skdim.training.steps import Batches
from tests.several_processes import (
    CASES,
    PATIENCE,
    PLAIN,
    accelerate_launch,
    free_port,
    make_table,
    make_transformer,
    results_in,
    run_together,
    solving,
    train_net,
)

pytest.importorskip("accelerate")

patient = settings(deadline=None)  # The machine may be busy.
slow = pytest.mark.slow
closely = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-13)


# ---------------------------------------------------------------------------------------------
# Shares


@given(n=st.integers(0, 200), n_parts=st.integers(1, 9))
def test_sizes_of_parts_are_those_of_tensor_split(n, n_parts):
    parts = torch.arange(n).tensor_split(n_parts)

    assert sizes_of_parts(n, n_parts) == [len(part) for part in parts]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def shares_of(n, batch_size, n_processes):
    """Give the batches of one epoch as each process takes them."""
    rows = ArraySamples(np.arange(n, dtype=np.float32)[:, None], Layout((1,)))
    return [
        list(
            Shares(
                rows,
                batch_size,
                seeded(0),
                seeded(rank),
                rank=rank,
                n_processes=n_processes,
            )
        )
        for rank in range(n_processes)
    ]


@patient
@given(n=st.integers(12, 130), batch_size=st.integers(12, 40), n_processes=st.integers(1, 6))
def test_processes_share_out_each_batch_among_them(n, batch_size, n_processes):
    processes = shares_of(n, batch_size, n_processes)
    alone = list(
        Batches(ArraySamples(np.zeros((n, 1)), Layout((1,))), batch_size, seeded(0), shuffle=True)
    )

    # With four samples a process and more, batches are those of one process.
    if batch_size >= 4 * n_processes:
        assert [len(batch.index) for batch in processes[0]] == [len(batch.index) for batch in alone]
    seen = []
    for batches in zip(*processes, strict=True):
        together = torch.cat([batch.x[:, 0].long() for batch in batches])
        assert all(torch.equal(batch.index, together) for batch in batches)
        sizes = [len(batch.x) for batch in batches]
        assert sizes == sizes_of_parts(len(together), n_processes)
        assert min(sizes) >= 2
        seen += together.tolist()
    assert sorted(seen) == list(range(n))


class WatchedSamples(ArraySamples):
    def read(self, indices, generator):
        self.states.append(generator.get_state().tolist())
        return super().read(indices, generator)


def test_what_reading_draws_differs_between_processes_and_epochs():
    rows = WatchedSamples(np.zeros((8, 1), np.float32), Layout((1,)))
    rows.states = []
    for rank in range(2):
        shares = Shares(rows, 8, seeded(0), seeded(rank), rank=rank, n_processes=2)
        for _ in range(2):
            assert len(list(shares)) == 1

    assert len({tuple(state) for state in rows.states}) == 4


@pytest.mark.parametrize(("n", "batch_size"), [(5, 64), (64, 5)])
def test_fewer_than_two_samples_a_process_are_refused(n, batch_size):
    with pytest.raises(ValueError, match=r"Both must be at least 6, two per process"):
        shares_of(n, batch_size, n_processes=3)


# ---------------------------------------------------------------------------------------------
# Loss, gradients and weights


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return [process["result"] for process in run_together("cases", tmp_path_factory.mktemp("net"))]


@slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one_with_the_whole_batch(cases, case):
    """Encoder without batch normalisation, no view; float64."""
    alone = train_net(EncoderNet, case)

    for process in cases:
        together = process[case]
        assert together["history"] == [pytest.approx(epoch) for epoch in alone["history"]]
        closely(together["gradients"], alone["gradients"])
        closely(together["weights"], alone["weights"])
        # Whatever is drawn next is the same, too.
        assert torch.equal(together["generator"], alone["generator"])
    assert all(gradient.any() for gradient in alone["gradients"]) == (case != "drawn negatives")


@slow
@pytest.mark.parametrize("case", CASES)
def test_each_process_reads_its_own_share(cases, case):
    n, *_ = CASES[case]
    table = torch.from_numpy(make_table(n)).float()
    seen = []
    for (index, first), (same, second) in zip(*(p[case]["batches"] for p in cases), strict=True):
        assert torch.equal(index, same)
        assert abs(len(first) - len(second)) <= 1
        assert torch.equal(torch.cat([first, second]), table[index])
        seen += index.tolist()
    assert sorted(seen) == sorted(3 * list(range(n)))


@slow
def test_views_are_drawn_by_each_process_for_itself(cases):
    """Shares differ in size: by one generator for all, the processes would fall out of step."""
    first, second = (process["noise"] for process in cases)
    alone = train_net(EncoderNet, "unequal shares")

    for ours, theirs in zip(first["drawn"], second["drawn"], strict=True):
        assert not torch.isin(ours, theirs).any()
    for process in (first, second):
        assert [index.tolist() for index, _ in process["batches"]] == [
            index.tolist() for index, _ in alone["batches"]
        ]
        assert torch.equal(process["generator"], alone["generator"])
    closely(first["weights"], second["weights"], rtol=0, atol=0)


@slow
def test_processes_decide_by_what_the_first_one_has(cases):
    assert [process["seed"] for process in cases] == [7, 7]
    assert [process["told"] for process in cases] == [{"loss": 0.5}, {"loss": 0.5}]


# ---------------------------------------------------------------------------------------------
# The estimator


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("estimators")
    with accelerate_launch("estimators", folder) as launcher:
        _, errors = launcher.communicate(timeout=PATIENCE)
    assert launcher.returncode == 0, errors
    return results_in(folder)


@slow
@pytest.mark.parametrize("name", ["plain", "streamed"])
def test_launched_estimator_equals_one_on_one_process(launched, name):
    X = make_table(75)
    alone = make_transformer(**PLAIN, device="cpu").fit(X)

    for process in launched:
        together = process["result"][name]
        assert together["history"].keys() == alone.history_.keys() - {"seconds"}
        for term, values in together["history"].items():
            np.testing.assert_allclose(values, alone.history_[term], rtol=1e-4, err_msg=term)
        np.testing.assert_allclose(together["codes"], alone.transform(X), atol=1e-5)
        assert together["score"] == pytest.approx(alone.score(X), abs=1e-5)


@slow
def test_launchers_of_two_machines_train_as_one_process(tmp_path):
    port = free_port()
    with (
        accelerate_launch("estimators", tmp_path, port=port, machine=0) as first,
        accelerate_launch("estimators", tmp_path, port=port, machine=1) as second,
    ):
        errors = [launcher.communicate(timeout=PATIENCE)[1] for launcher in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0), errors
    found = [process["result"]["plain"] for process in results_in(tmp_path)]
    X = make_table(75)
    alone = make_transformer(**PLAIN, device="cpu").fit(X)
    assert len(found) == 2
    for together in found:
        np.testing.assert_allclose(together["codes"], alone.transform(X), atol=1e-5)
        assert together["score"] == pytest.approx(alone.score(X), abs=1e-5)


@slow
def test_processes_solve_the_closed_form_as_one_does(launched):
    X = make_table(75)
    alone = solving(device="cpu").fit(X)
    codes = alone.transform(X)

    for process in launched:
        together = process["result"]["solved"]
        assert together["history"]["global"] == pytest.approx(alone.history_["global"], rel=1e-5)
        np.testing.assert_allclose(together["codes"], codes, atol=1e-5 * np.abs(codes).max())
        assert together["score"] == pytest.approx(alone.score(X), rel=1e-4)


@slow
@pytest.mark.parametrize("name", ["plain", "streamed", "stopped", "went on", "solved"])
def test_all_processes_hold_the_same_fitted_estimator(launched, name):
    """Also with running statistics, early stopping and a seed that is drawn."""
    first, second = (process["result"][name] for process in launched)

    assert np.array_equal(first["codes"], second["codes"])
    assert first["history"] == second["history"]
    assert first["score"] == second["score"]
    for process in (first, second):
        assert np.array_equal(process["again"], process["codes"])
        assert process["free of accelerate"]
        assert process["device"] == torch.device("cpu")
        assert process["kind"] == ["AcceleratedNet", "Sequential"]


@pytest.mark.parametrize("n_processes", [1, 2])
@pytest.mark.parametrize("training", [True, False])
def test_buffers_are_sent_by_the_first_process_after_training(training, n_processes, monkeypatch):
    net, sent = object.__new__(AcceleratedNet), []
    module, criterion = nn.BatchNorm1d(2), nn.BatchNorm1d(3)
    accelerator = SimpleNamespace(num_processes=n_processes)
    vars(net).update(module_=module, criterion_=criterion, accelerator=accelerator)
    monkeypatch.setattr(EncoderNet, "run_single_epoch", lambda *given, **kwargs: None)
    monkeypatch.setattr(torch.distributed, "broadcast", lambda buffer, src: sent.append(buffer))
    net.run_single_epoch(None, training, "", None)

    expected = [*module.buffers(), *criterion.buffers()] * (training and n_processes > 1)
    assert list(map(id, sent)) == list(map(id, expected))


@slow
def test_running_statistics_are_shared_after_each_epoch(launched):
    first, second = (process["result"]["stopped"] for process in launched)

    assert len(first["by epoch"]) > 1
    assert first["by epoch"] == second["by epoch"]


@slow
def test_only_the_first_process_prints(launched):
    first, second = (process["said"] for process in launched)

    assert first.count("epoch 3/3, local") == 1
    assert second == ""


@slow
@pytest.mark.faults
def test_mistakes_are_answered_alike_on_all_processes(tmp_path):
    expected = {
        "count": "ValueError: X differs between processes: 40 samples .*, 39 samples",
        "shard": "ValueError: X differs between processes: 20 samples .*, 20 samples",
        "small batch": "ValueError: batch_size=3 and 40 training samples",
        "few samples": "ValueError: batch_size=16 and 3 training samples",
        "idle": "ValueError: The loss does not depend on these weights: .*unused.weight, .*bias",
        "diverged": "FloatingPointError: Training diverged in epoch 1",
    }

    for process in run_together("refusals", tmp_path):
        answers = process["result"]
        assert answers.pop("well") == ("nothing", True)
        assert answers.keys() == expected.keys()
        for mistake, (text, looks_fitted) in answers.items():
            with pytest.raises(Exception, match=expected[mistake]):
                raise Exception(text)
            assert not looks_fitted


@slow
@pytest.mark.faults
def test_an_error_on_one_process_ends_all(tmp_path):
    with accelerate_launch("fail", tmp_path) as launcher:
        _, errors = launcher.communicate(timeout=PATIENCE)

    assert launcher.returncode != 0
    assert "the second process has had enough" in errors
    assert not results_in(tmp_path)


@slow
@pytest.mark.faults
def test_ctrl_c_ends_all_processes(tmp_path):
    with accelerate_launch("wait", tmp_path) as launcher:
        reached, since = tmp_path / "reached", time.monotonic()
        while not reached.exists() and time.monotonic() < since + PATIENCE:
            assert launcher.poll() is None, launcher.communicate()[1]
            time.sleep(0.1)
        launcher.send_signal(signal.SIGINT)
        _, errors = launcher.communicate(timeout=PATIENCE)

    assert launcher.returncode != 0
    assert "KeyboardInterrupt" in errors
    assert not results_in(tmp_path)


# ---------------------------------------------------------------------------------------------
# Without several processes


@slow
def test_one_process_trains_as_with_auto(tmp_path):
    (process,) = run_together("alone", tmp_path, n_processes=1)
    auto, accelerate = (process["result"][device] for device in ("auto", "accelerate"))

    assert np.array_equal(auto["codes"], accelerate["codes"])
    assert auto["history"] == accelerate["history"]
    assert auto["kind"] == accelerate["kind"] == ["EncoderNet", "Sequential"]
    alone = train_net(EncoderNet, "unequal shares")
    closely(process["result"]["net"]["weights"], alone["weights"])


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    transformer = DeepInfoMaxTransformer(device="accelerate")

    with pytest.raises(ImportError, match=r"pip install 'scikit-deepinfomax\[distributed\]'"):
        transformer.fit(make_table(20))
    assert not hasattr(transformer, "net_")


def seen_by_accelerate(kind, n_processes):
    return SimpleNamespace(distributed_type=SimpleNamespace(value=kind), num_processes=n_processes)


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED", "MEGATRON_LM", "XLA"])
def test_models_in_parts_are_refused(kind):
    with pytest.raises(ValueError, match=f"accelerate is set up for {kind}"):
        check_launch(seen_by_accelerate(kind, 2))


def test_processes_that_accelerate_does_not_see_are_refused(monkeypatch):
    """Each would train a model of its own."""
    monkeypatch.setenv("WORLD_SIZE", "2")

    with pytest.raises(ValueError, match="2 processes were launched, but accelerate sees 1"):
        check_launch(seen_by_accelerate("NO", 1))
