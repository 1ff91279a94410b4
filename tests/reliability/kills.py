"""Kill trainings at random points, go on with them, and compare with those never cut off.

As a script: ``python -m tests.reliability.kills 200``. Needs a system that forks: processes are
forked from one that has imported torch, which takes longer than a training here.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from skdim.training.checkpoints import BEST, LAST
from tests.reliability.trainings import TRAININGS, fit, outcome, use_one_thread

__all__ = ["run"]

# A part of the trainings that were gone on with is killed once more.
KILLED_AGAIN = 0.3


def run(n, seed=0):
    """Kill n trainings; all must come to what they would have come to.

    Returns
    -------
    dict
        ``kills``, ``failures``, ``seconds``, ``details`` of failures; ``begun``, ``cut``: kills
        before the first whole checkpoint, and while one was written.
    """
    use_one_thread()
    fit("stopping").transform(TRAININGS["stopping"][0])  # What torch imports at first use.
    draw, started = random.Random(seed), time.monotonic()
    summary = {"kills": 0, "failures": 0, "begun": 0, "cut": 0, "details": []}
    with TemporaryDirectory() as folder:
        expected = {name: reference(name, Path(folder) / f"whole {name}") for name in TRAININGS}
        while summary["kills"] < n:
            names = list(TRAININGS)
            name = names[summary["kills"] % len(names)]
            place = Path(folder) / f"{time.monotonic_ns()}"
            whole, seconds = expected[name]
            if not kill(name, place, draw.uniform(0, seconds)):
                continue
            summary["kills"] += 1
            look(place, summary)
            if summary["kills"] < n and draw.random() < KILLED_AGAIN:
                summary["kills"] += kill(name, place, draw.uniform(0, seconds))
            seen = go_on(name, place)
            if seen != whole:
                summary["failures"] += 1
                summary["details"].append(f"{name}: {seen} instead of {whole}")
    return summary | {"seconds": round(time.monotonic() - started, 1)}


def reference(name, place):
    """Train without checkpoints; time the same training with checkpoints."""
    place.mkdir()
    whole = in_child(lambda: write(place, outcome(name, fit(name))), place)
    started = time.monotonic()
    also = go_on(name, place)
    if "failed" in whole or whole != also:
        raise AssertionError(f"{name}: checkpoints change a training: {also} instead of {whole}")
    return whole, time.monotonic() - started


def train(name, place):
    return fit(name, checkpoint_dir=place)


def kill(name, place, after):
    """Train in a process that is killed after a while; say whether it was in time."""
    place.mkdir(exist_ok=True)
    child = fork(lambda: train(name, place / "run"))
    time.sleep(after)
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status) != 0:
        raise AssertionError(f"{name} failed by itself")
    return os.WIFSIGNALED(status)


def go_on(name, place):
    """Train to the end."""
    return in_child(lambda: write(place, outcome(name, train(name, place / "run"))), place)


def look(place, summary):
    """Count what a kill has left."""
    left = [path.name for path in (place / "run").glob("*/*")]
    summary["begun"] += LAST not in left and BEST not in left
    summary["cut"] += any(name.endswith(".partial") for name in left)


def write(place, result):
    (place / "result.json").write_text(json.dumps(result))


def in_child(action, place):
    """Do something in a process of its own; give what it wrote, or how it failed."""
    result = place / "result.json"
    result.unlink(missing_ok=True)
    _, status = os.waitpid(fork(action), 0)
    return json.loads(result.read_text()) if status == 0 else {"failed": status}


def fork(action):
    """Do something in a forked process; give its number."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        action()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    result = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(json.dumps(result, indent=1))
    sys.exit(result["failures"] > 0)
