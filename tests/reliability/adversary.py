"""Give estimators random parameters, inputs, files and processes, and count what is wrong.

Run as ``python -m tests.reliability.adversary --cases 1000`` from the project's folder; it prints
counts by kind, and exits with 1 if a case is wrong. Of each wrong one it prints the seed: ``--seed
SEED --cases 1`` repeats it. What is valid must work and keep its promises, or else raise a
documented error; what is not must raise an error that names it, and leave nothing that looks
fitted. Each case has a process of its own. Needs a system that forks.
"""

import argparse
import json
import os
import resource
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch

from tests.reliability.attacks import calls, files, inputs, models, processes
from tests.reliability.attacks.oracles import Wrong
from tests.reliability.kills import fork

# Kinds of cases, and how often each is drawn.
KINDS = {
    models.valid_parameters: 5,
    models.invalid_parameters: 6,
    inputs.valid_inputs: 4,
    inputs.extreme_numbers: 3,
    inputs.invalid_inputs: 4,
    inputs.later_inputs: 3,
    inputs.invalid_labels: 2,
    calls.arguments: 3,
    calls.streams: 1,
    calls.changes: 3,
    calls.copies: 1,
    files.damaged_files: 3,
    files.other_files: 2,
    files.save_to: 2,
    files.checkpoints: 2,
    processes.other_processes: 1,
    processes.streams_by_workers: 1,
    processes.threads: 1,
    processes.interrupts: 2,
}
SECONDS = 120
# Of memory, beyond that of the process that forks.
MEBIBYTES = 700


def draw_kind(rng):
    """Draw a kind of case."""
    return models.pick(rng, [kind for kind, often in KINDS.items() for _ in range(often)])


def attack(seed, place):
    """Run a case, and write to a file how it ended."""
    rng = np.random.default_rng(seed)
    kind = draw_kind(rng)
    place.write_text(json.dumps([kind.__name__, "wrong", "the process has ended"]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        outcome, text = "right", kind(rng)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
        if grown > MEBIBYTES:
            raise Wrong(f"{text} took {grown:.0f} MiB")
    except BaseException as error:
        outcome, text = "wrong", f"{type(error).__name__}: {str(error)[:1500]}"
    place.write_text(json.dumps([kind.__name__, outcome, text]))


def try_case(seed):
    """Run a case in a process of its own.

    Returns
    -------
    kind : str
    outcome : {"right", "wrong"}
    text : str
        What was done, or what is wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "result.json"
        child = fork(lambda: attack(seed, place))
        started = time.monotonic()
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() - started > SECONDS:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                kind = json.loads(place.read_text())[0]
                return kind, "wrong", f"not at its end after {SECONDS} s"
            time.sleep(0.01)
        kind, outcome, text = json.loads(place.read_text())
        return kind, outcome, text


def warm_up():
    """Import once, before processes are forked, what is imported at first use."""
    torch.set_num_threads(1)
    X = models.draw_data(np.random.default_rng(0), "vectors")
    inputs.small_model(np.random.default_rng(1), "vectors").fit(X).transform(X)


def run(n, seed):
    """Run n cases.

    Returns
    -------
    counts : dict of str to Counter
        Of outcomes and of what was done, by kind.
    wrong : list of (int, str, str)
        Seed, kind and text of each case that is wrong.
    """
    warm_up()
    counts, wrong = defaultdict(Counter), []
    for each in range(seed, seed + n):
        kind, outcome, text = try_case(each)
        counts[kind][outcome] += 1
        counts[kind]["refused"] += outcome == "right" and not text.startswith("held")
        if outcome == "wrong":
            wrong.append((each, kind, text))
            print(f"! --seed {each} --cases 1 ({kind}): {text}", flush=True)
    return counts, wrong


def main():
    """Run cases; see the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--seed", type=int, help="of the first case; by default drawn at random")
    given = parser.parse_args()
    seed = secrets.randbelow(2**31) if given.seed is None else given.seed
    started = time.perf_counter()
    counts, wrong = run(given.cases, seed)
    seconds = time.perf_counter() - started
    print(f"{given.cases} cases from seed {seed} in {seconds:.0f} s")
    for kind, found in sorted(counts.items()):
        print(
            f"    {kind:20} {found['right']:6} right, {found['refused']:6} of them by an error, "
            f"{found['wrong']:6} wrong"
        )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
