"""Ratios on a machine with other work: runs are interleaved, and medians compared.

Also what every result says of where it was measured, and how it is written down.
"""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import sklearn
import skorch
import torch

import skdim

RESULTS = Path(__file__).parent / "results"
# Figures of the guide.
STATIC = Path(__file__).parents[1] / "docs" / "_static"


@dataclass
class Row:
    """One line of the table: what was asked, and what was reached.

    Parameters
    ----------
    what : str
    value : float
        In the unit of ``limit``.
    limit : float
        What must be reached.
    unit : str
        "x" for ratios.
    at_most : bool, default=False
        Whether the limit is an upper one.
    """

    what: str
    value: float
    limit: float
    unit: str = "x"
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value is on the right side of the limit."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def seconds(run: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turns(
    runs: Mapping[str, Callable[[], float]], repeats: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Interleave runs, so that other work on the machine affects all of them alike.

    Parameters
    ----------
    runs : mapping of str to callable
        Each gives the seconds that it took, by its own clock.
    repeats : int
        Turns that count.
    warm_up : int, default=1
        Turns before that.

    Returns
    -------
    dict of str to list of float
    """
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(warm_up + repeats):
        for name, run in runs.items():
            spent = run()
            if turn >= warm_up:
                taken[name].append(spent)
    return taken


def ratio(taken: Mapping[str, list[float]], slow: str, fast: str) -> float:
    """Say how many times as fast one run is as another, by their medians."""
    return statistics.median(taken[slow]) / statistics.median(taken[fast])


def about() -> dict:
    """Say on what a result was measured."""
    return {
        "script": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "skdim": skdim.__version__,
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "skorch": skorch.__version__,
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }


def report(name: str, rows: list[Row], details: dict) -> None:
    """Print rows, and write them with their details to ``results/NAME.json``."""
    for row in rows:
        sign = "at most" if row.at_most else "at least"
        verdict = "reached" if row.reached else "NOT reached"
        print(f"{row.what}: {row.value:.3g} {row.unit} ({sign} {row.limit:g}: {verdict})")
    RESULTS.mkdir(exist_ok=True)
    table = [
        asdict(row) | {"value": float(row.value), "reached": bool(row.reached)} for row in rows
    ]
    everything = {"about": about(), "rows": table, "details": details}
    (RESULTS / f"{name}.json").write_text(json.dumps(everything, indent=1) + "\n")
