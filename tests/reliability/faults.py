"""Do harm to saved transformers, and to trainings that are written down, and count what fails.

Run as ``python -m tests.reliability.faults --files 10000 --kills 200`` from the project's folder;
it prints a table, and ends with 1 if anything failed.
"""

import argparse
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch

import skdim
from skdim.saving import flatten
from skdim.training.checkpoints import LAST, read_checkpoint
from tests.reliability import kills
from tests.reliability.mutations import (
    Watch,
    damaged,
    forged,
    forged_checkpoint,
    small_transformer,
    try_to_read,
)
from tests.reliability.trainings import folder_in


def peak_memory():
    """Give the most memory that this process has had so far, in MiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def harm(n, content, suffix, kinds, read, seed):
    """Harm a file n times; give counts, failures, executions, memory.

    Parameters
    ----------
    n : int
    content : bytes
        Of the whole file.
    suffix : str
        Of its name.
    kinds : list of (callable, callable)
        ``(content, rng) -> (name, bytes)``, and whether what was read may have come of that.
    read : callable
        ``path -> object``.
    seed : int

    Returns
    -------
    dict
        ``runs``, ``outcomes`` (by kind), ``failures`` (texts), ``executions`` (texts) and
        ``memory``, by how many MiB the peak has grown.
    """
    rng, watch, outcomes, failures = np.random.default_rng(seed), Watch(), Counter(), []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / f"harmed{suffix}"
        path.write_bytes(content)
        # What is imported and allocated once is no matter of the files.
        assert try_to_read(read, path, kinds[0][1]) == "loaded"
        before = peak_memory()
        for run in range(n):
            mutate, same = kinds[run % len(kinds)]
            name, mutated = mutate(content, rng)
            path.write_bytes(mutated)
            with watch.over():
                outcome = try_to_read(read, path, same)
            outcomes[f"{mutate.__name__}, {outcome}"] += outcome in ("refused", "loaded")
            if outcome not in ("refused", "loaded"):
                failures.append(f"run {run}, {name}: {outcome}")
    return {
        "runs": n,
        "outcomes": +outcomes,
        "failures": failures,
        "executions": watch.seen,
        "memory": peak_memory() - before,
    }


def anything(read):
    """Allow what a forgery gives: its author may well write a file that can be read."""
    return True


def harm_files(n, seed=0):
    """Harm a saved transformer n times; see ``harm``."""
    X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    transformer = small_transformer(X)
    codes = transformer.transform(X)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skdim"
        transformer.save(path)
        content = path.read_bytes()

    def is_the_same(loaded):
        return np.array_equal(loaded.transform(X), codes)

    return harm(
        n, content, ".skdim", [(damaged, is_the_same), (forged, anything)], skdim.load, seed
    )


def harm_checkpoints(n, seed=0):
    """Harm a checkpoint n times; see ``harm``."""
    X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        small_transformer(X, checkpoint_dir=folder)
        content = (folder_in(Path(folder)) / LAST).read_bytes()
        whole = describe(read_checkpoint(folder_in(Path(folder)) / LAST))

    def is_the_same(state):
        return describe(state) == whole

    kinds = [(damaged, is_the_same), (forged_checkpoint, anything)]
    return harm(n, content, ".skdim-checkpoint", kinds, read_checkpoint, seed)


def describe(state):
    """Give what a checkpoint holds as a value that compares with ``==``."""
    tree, tensors = flatten(state)
    return tree, {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def report(what, result, seconds):
    """Print what came of one kind of harm."""
    print(f"{what}: {result['runs']} runs in {seconds:.0f} s")
    for outcome, count in sorted(result.get("outcomes", {}).items()):
        print(f"    {outcome:30} {count:6}")
    print(f"    {'failures':30} {len(result['failures']):6}")
    if "executions" in result:
        print(f"    {'executions':30} {len(result['executions']):6}")
    if "memory" in result:
        print(f"    {'growth of the peak memory':30} {result['memory']:6.0f} MiB")
    for text in [*result["failures"], *result.get("executions", ())][:20]:
        print(f"    ! {text}")


def main():
    """Do all kinds of harm; see the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200, help="mutations of a saved file")
    parser.add_argument("--kills", type=int, default=10, help="trainings that are killed")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    harms = [
        ("saved files", harm_files, given.files),
        ("checkpoints", harm_checkpoints, given.files),
    ]
    failed = False
    for what, harm, n in harms:
        started = time.perf_counter()
        result = harm(n, given.seed)
        report(what, result, time.perf_counter() - started)
        failed |= bool(result["failures"] or result.get("executions"))
    killed = kills.run(given.kills, given.seed)
    print(f"kills: {killed['kills']} runs in {killed['seconds']:.0f} s")
    print(f"    {'before the first checkpoint':30} {killed['begun']:6}")
    print(f"    {'while one was written':30} {killed['cut']:6}")
    print(f"    {'failures':30} {killed['failures']:6}")
    for text in killed["details"][:20]:
        print(f"    ! {text}")
    sys.exit(failed or killed["failures"] > 0)


if __name__ == "__main__":
    main()
