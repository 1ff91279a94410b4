"""Rows of results that outlive an interrupted run: a JSON file, written anew after each unit."""

import json
from collections.abc import Mapping
from pathlib import Path

from timing import RESULTS, about

KEY = ("data", "seed", "method", "setting", "n_fit")


def key_of(row: Mapping) -> str:
    """Say which unit of work a row belongs to."""
    return json.dumps([row.get(name) for name in KEY], sort_keys=True)


class Kept:
    """Rows in ``results/NAME.json``.

    Parameters
    ----------
    name : str
    resume : bool
        Whether to keep the rows that the file has.
    """

    def __init__(self, name: str, *, resume: bool) -> None:
        self.path = RESULTS / f"{name}.json"
        self.rows: list[dict] = []
        self.runs: list[dict] = []
        if resume and self.path.exists():
            written = json.loads(self.path.read_text())
            self.rows, self.runs = written["results"], written["about"]
        self.runs.append(about())
        self.done = {key_of(row) for row in self.rows}

    def has(self, unit: Mapping) -> bool:
        """Whether the rows of a unit are there."""
        return key_of(unit) in self.done

    def add(self, unit: Mapping, rows: list[dict]) -> None:
        """Add the rows of a unit and write the file; an interruption leaves the old one."""
        self.rows += rows
        self.done.add(key_of(unit))
        RESULTS.mkdir(exist_ok=True)
        lines = ",\n".join(json.dumps(row) for row in self.rows)
        begun = self.path.with_suffix(".part")
        begun.write_text(f'{{"about": {json.dumps(self.runs)},\n"results": [\n{lines}\n]}}\n')
        begun.replace(self.path)

    def text(self, text: str) -> Path:
        """Write the tables beside the file."""
        path = self.path.with_suffix(".txt")
        path.write_text(text + "\n")
        return path
