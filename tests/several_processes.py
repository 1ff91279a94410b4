"""What the processes of test_distributed.py run, and how they are started.

``python -m tests.several_processes JOB FOLDER`` leaves what a job returns in the folder.
"""

import contextlib
import io
import os
import pickle
import socket
import subprocess
import sys
import time
import warnings
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import nn

from skdim import DeepInfoMaxTransformer
from skdim.encoders import Features
from skdim.inputs import ArraySamples, Layout, Standardise, Stream, channel_statistics
from skdim.training import agree_on_seed
from skdim.training.distributed import AcceleratedNet, broadcast_value
from skdim.views import Identity
from tests.objectives.helpers import build_infomax

ROOT = Path(__file__).parents[1]
FEATURES = 6
PATIENCE = 100  # Seconds, of which a quiet machine needs ten.


# ---------------------------------------------------------------------------------------------
# Starting processes


def surroundings(**variables):
    """Give the environment of a process that meets others on this machine, on the CPU."""
    return os.environ | {
        "CUDA_VISIBLE_DEVICES": "",
        "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
        "OMP_NUM_THREADS": "1",
        **variables,
    }


def run_together(job, folder, n_processes=2):
    """Run a job on several processes that find each other by a file; give what each returns."""
    command = [sys.executable, "-m", "tests.several_processes", job, str(folder)]
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=surroundings(
                ACCELERATE_USE_CPU="true",
                LOCAL_RANK=str(rank),
                LOCAL_WORLD_SIZE=str(n_processes),
                RANK=str(rank),
                WORLD_SIZE=str(n_processes),
                STORE=(folder / "store").as_uri(),
            ),
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n_processes)
    ]
    try:
        errors = [process.communicate(timeout=PATIENCE)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0] * n_processes, "\n".join(errors)
    return results_in(folder)


@contextlib.contextmanager
def accelerate_launch(job, folder, *, port=None, machine=None):
    """Begin a job with the command that users type; end what is left of it.

    ``machine`` is the number of one of two machines, of one process each, which meet at ``port``;
    None is one machine of two processes.
    """
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu"]
    command += ["--num_processes", "2", "--num_machines", "1" if machine is None else "2"]
    if machine is not None:
        command += ["--machine_rank", str(machine), "--main_process_ip", "127.0.0.1"]
    command += ["--main_process_port", str(port or free_port())]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    launcher = subprocess.Popen(
        [*command, "--module", "tests.several_processes", job, str(folder)],
        cwd=ROOT,
        # The launcher would read the user's own settings from there.
        env=surroundings(HF_HOME=str(folder)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield launcher
    finally:
        launcher.terminate()  # It then ends the processes that it has started.
        launcher.wait(PATIENCE)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def results_in(folder):
    """Give what each process returned, by its rank."""
    return [pickle.loads(path.read_bytes()) for path in sorted(folder.glob("rank*"))]


# ---------------------------------------------------------------------------------------------
# Jobs of the net


class PlainEncoder(nn.Module):
    """An encoder without batch normalisation, whose layers each have a head."""

    def __init__(self, input_shape, n_components):
        super().__init__()
        (features,) = input_shape
        self.to_local = nn.Linear(features, 12)
        self.to_conv = nn.Linear(features, 10)
        self.to_hidden = nn.Linear(features, 16)
        self.to_code = nn.Linear(16, n_components)

    def forward(self, x):
        hidden = self.to_hidden(x).tanh()
        local = self.to_local(x).tanh().unflatten(1, (4, 3))
        conv = self.to_conv(x).tanh().unflatten(1, (5, 2))
        return Features(local, conv, hidden, self.to_code(hidden))


class Watch(Callback):
    """Writes down the batches of all epochs and the gradients of the first step."""

    def __init__(self):
        self.batches, self.gradients = [], None

    def on_batch_begin(self, net, batch, training, **kwargs):
        if training:
            self.batches.append((batch.index, batch.x))

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if self.gradients is None:
            # What the loss does not look at has no gradient on one process, zeros on several.
            self.gradients = [
                torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()
                for _, weight in named_parameters
            ]


# name: (samples, weights of the terms, negatives). Batches of 8 samples at most.
CASES = {
    "equal shares": (24, {"global_weight": 0.5, "local_weight": 1.0, "prior_weight": 0.1}, "all"),
    "unequal shares": (21, {"global_weight": 0.5, "local_weight": 1.0, "prior_weight": 0.1}, "all"),
    # The head of the last map has no part in the loss.
    "drawn negatives": (24, {"global_weight": 0, "local_weight": 1.0, "prior_weight": 0}, 3),
}


def make_table(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, FEATURES)) * 2 + 1


class Noise:
    """A view that draws, and writes down what."""

    def __init__(self):
        self.drawn = []

    def __call__(self, x, generator):
        self.drawn.append(torch.rand(x.shape, generator=generator))
        return (x + self.drawn[-1],)


def train_net(kind, case, view=None):
    """Train a net in float64, and give all that should not depend on the number of processes."""
    n, weights, negatives = CASES[case]
    rows = ArraySamples(make_table(n), Layout((FEATURES,)))
    standardise = Standardise(*channel_statistics(rows))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(standardise, PlainEncoder((FEATURES,), 4))
        sizes = module(rows[torch.arange(2)])
        objective = build_infomax(
            sizes, **weights, bound="jsd", critic_units=8, negatives=negatives
        )
    settings = {"batch_size": 8, "lr": 0.1}
    net = kind(
        module.double(),
        objective.double(),
        view=view or Identity(),
        optimizer=partial(torch.optim.SGD, momentum=0.9),
        device="cpu",
        callbacks=None,
        verbose=0,
        **settings,
    ).initialize()
    watch, generator = Watch(), torch.Generator().manual_seed(5)
    net.plan([watch], {"schedule": "one_cycle", **settings})
    net.train(rows, None, epochs=3, generator=generator)
    return {
        "batches": watch.batches,
        "gradients": watch.gradients,
        "generator": generator.get_state(),
        "history": [
            {name: epoch[name] for name in epoch if name not in ("batches", "seconds")}
            for epoch in net.history
        ],
        "weights": net.state(),
    }


def run_cases():
    rank, noise = torch.distributed.get_rank(), Noise()
    result = {case: train_net(AcceleratedNet, case) for case in CASES}
    result["noise"] = train_net(AcceleratedNet, "unequal shares", noise) | {"drawn": noise.drawn}
    result["seed"] = agree_on_seed("accelerate", rank + 7)
    result["told"] = broadcast_value({"loss": rank + 0.5})
    return result


# ---------------------------------------------------------------------------------------------
# Jobs of the estimator


def make_transformer(**settings):
    return DeepInfoMaxTransformer(
        **{"n_components": 4, "batch_size": 16, "device": "accelerate", "max_epochs": 3} | settings
    )


PLAIN = {
    "encoder": PlainEncoder,
    "view": None,
    "optimizer": "sgd",
    "prior_weight": 0.1,
    "random_state": 3,
}


def fitted(transformer, X):
    """Give what users can see of a fitted transformer, before and after a pickle."""
    pickled = pickle.dumps(transformer)
    return {
        "again": pickle.loads(pickled).transform(X),
        "codes": transformer.transform(X),
        "device": transformer.device_,
        "history": {k: v for k, v in transformer.history_.items() if k != "seconds"},
        # Then it can be loaded where accelerate is missing.
        "free of accelerate": b"accelerate." not in pickled,
        "kind": [type(part).__name__ for part in (transformer.net_, transformer.encoder_)],
        "score": transformer.score(X),
    }


class Codes(Callback):
    """Writes down some codes after each epoch, as this process would give them."""

    def __init__(self):
        self.codes = []

    def on_epoch_end(self, net, dataset_train, **kwargs):
        with torch.no_grad():
            self.codes.append(net.module_.eval()(dataset_train[torch.arange(9)]).code.tolist())


def solving(**params):
    """Return a transformer that is computed in closed form."""
    return DeepInfoMaxTransformer(3, random_state=0, **params)


def run_estimators():
    """Fit without batch normalisation, with it, and go on."""
    X, codes = make_table(75), Codes()
    result = {"plain": fitted(make_transformer(**PLAIN, verbose=1).fit(X), X)}
    result["streamed"] = fitted(make_transformer(**PLAIN).fit(Stream(X.astype(np.float32))), X)
    # No seed: the processes have to agree on one. The default encoder has running statistics.
    stopping = make_transformer(
        early_stopping=True, n_iter_no_change=1, max_epochs=20, callbacks=[codes]
    )
    result["stopped"] = fitted(stopping.fit(X), X) | {"by epoch": codes.codes}
    result["went on"] = fitted(stopping.partial_fit(X), X)
    result["solved"] = fitted(solving(device="accelerate").fit(X), X)
    return result


class Idle(PlainEncoder):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.unused = nn.Linear(1, 1)


def what_is_raised(transformer, X):
    try:
        transformer.fit(X)
    except Exception as error:
        return f"{type(error).__name__}: {error}", hasattr(transformer, "net_")
    return "nothing", True


def run_refusals():
    """Make mistakes that all processes must answer alike."""
    rank = int(os.environ["RANK"])
    X = make_table(40)
    return {
        "count": what_is_raised(make_transformer(), X[: 40 - rank]),
        "shard": what_is_raised(make_transformer(), X[rank::2]),
        "small batch": what_is_raised(make_transformer(batch_size=3), X),
        "few samples": what_is_raised(make_transformer(), X[:3]),
        "idle": what_is_raised(make_transformer(encoder=Idle), X),
        "diverged": what_is_raised(
            make_transformer(**PLAIN | {"optimizer": torch.optim.SGD}, learning_rate=1e30), X
        ),
        # Whatever went before, they can still train.
        "well": what_is_raised(make_transformer(), X),
    }


class Breaks(Callback):
    """Fails on the second process only, or waits there for Ctrl-C, in the second epoch."""

    def __init__(self, folder, *, waits):
        self.folder, self.waits = folder, waits

    def on_epoch_begin(self, net, **kwargs):
        if os.environ["RANK"] == "1" and len(net.history) == 2:
            (self.folder / "reached").touch()
            if self.waits:
                time.sleep(PATIENCE)
            raise RuntimeError("the second process has had enough")


def run_break(folder, *, waits):
    X = make_table(40)
    callbacks = [Breaks(folder, waits=waits)]
    return fitted(make_transformer(max_epochs=1000, callbacks=callbacks).fit(X), X)


def run_alone():
    """Fit in a process that nobody launched together with others."""
    X = make_table(40)
    result = {}
    for device in ("auto", "accelerate"):
        result[device] = fitted(make_transformer(device=device, random_state=0).fit(X), X)
    # As when a transformer that several processes have fitted goes on in one.
    result["net"] = train_net(AcceleratedNet, "unequal shares")
    return result


JOBS = {
    "alone": lambda folder: run_alone(),
    "cases": lambda folder: run_cases(),
    "estimators": lambda folder: run_estimators(),
    "fail": partial(run_break, waits=False),
    "refusals": lambda folder: run_refusals(),
    "wait": partial(run_break, waits=True),
}


def main(job, folder):
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    rank = os.environ.get("RANK", "0")
    if "STORE" in os.environ:
        torch.distributed.init_process_group(
            "gloo",
            init_method=os.environ["STORE"],
            rank=int(rank),
            world_size=int(os.environ["WORLD_SIZE"]),
            timeout=timedelta(seconds=PATIENCE),
        )
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        result = JOBS[job](folder)
    (folder / f"rank{rank}").write_bytes(pickle.dumps({"result": result, "said": said.getvalue()}))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
