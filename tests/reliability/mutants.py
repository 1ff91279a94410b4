"""Faults put into the package one at a time, each of which some test must notice.

Run as ``python -m tests.reliability.mutants`` from the project's folder; it prints a line for each
mutant, and exits with 1 if no test noticed one of them. ``--only TEXT`` takes those whose file or
tests contain the text. Each mutant is tried in a copy of the project.

``mutants.txt`` is the list: a line ``FILE: TESTS`` (the file in ``skdim/``), and for each of its
mutants a line ``- OLD`` and a line ``+ NEW``, where ``\\n`` stands for the end of a line. A third
line, ``= REASON``, says why no test can notice it.
"""

import argparse
import compileall
import importlib
import multiprocessing
import os
import py_compile
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_suffix(".txt")
# What tests read.
COPIED = ("skdim", "tests", "docs", "examples", "benchmarks", "pyproject.toml", "README.md")
# Imported once, before processes are forked.
HEAVY = (
    *("pandas", "polars", "pytest", "scipy.stats", "sklearn.utils.estimator_checks"),
    *("skorch", "torch", "torch.optim", "torch.utils.data"),
)
SECONDS = 240


class Mutant(NamedTuple):
    """A text of a file of ``skdim/``, another in its place, and the tests that notice it."""

    file: str
    tests: str
    old: str
    new: str
    reason: str = ""


def read_mutants(path=LIST):
    """Read the list."""
    found, place, old = [], ("", ""), ""
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, text = line[:1], line[2:].replace("\\n", "\n")
        if kind == "-":
            old = text
        elif kind == "+":
            found.append(Mutant(*place, old, text))
        elif kind == "=":
            found[-1] = found[-1]._replace(reason=text)
        elif line:
            place = tuple(line.split(": "))
    return found


class FirstFailure:
    """A plugin of pytest that writes the name of a test that fails to a file."""

    def __init__(self, path):
        self.path = path

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.path.write_text(report.nodeid, encoding="utf-8")


class Trial:
    """A copy of the project, in which tests run with one mutant at a time."""

    def __init__(self, folder):
        self.folder = folder
        self.failed = folder / "failed.txt"
        self.noticing = set()

    def run(self, mutant):
        """Return whether a test notices a mutant, and which."""
        path = self.folder / "skdim" / mutant.file
        before = path.read_text(encoding="utf-8")
        path.write_text(before.replace(mutant.old, mutant.new), encoding="utf-8")
        try:
            outcome = self.fork(mutant.tests.split())
        finally:
            path.write_text(before, encoding="utf-8")
        if outcome != "noticed":
            return outcome
        name = self.failed.read_text(encoding="utf-8")
        # Where the package cannot be imported, there is no name.
        self.noticing |= {name} if name else set(mutant.tests.split())
        return f"noticed by {name or 'an import'}"

    def fork(self, tests):
        """Run tests in a process of their own, and return how they ended."""
        self.failed.write_text("", encoding="utf-8")
        process = multiprocessing.get_context("fork").Process(target=self.test, args=(tests,))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            return "out of time"
        return "unnoticed" if process.exitcode == 0 else "noticed"

    def test(self, tests):
        """Run tests up to the first failure, and end the process, which has not imported skdim."""
        pytest = importlib.import_module("pytest")
        os.chdir(self.folder)
        sys.dont_write_bytecode = True
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(self.folder)}
        sys.path[:] = [str(self.folder), *(path for path in sys.path if Path(path or ".") != ROOT)]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("skdim", "tests")]:
            del sys.modules[name]
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
            options = ["-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
            code = pytest.main([*options, *tests], plugins=[FirstFailure(self.failed)])
            os._exit(int(code))


def copy_project(folder):
    """Copy what tests read, without bytecode."""
    skip = shutil.ignore_patterns("__pycache__", "_build", "auto_examples")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skip)
        else:
            shutil.copy(source, folder / name)
    # By default, bytecode is taken for that of a file of its size that was written in its second.
    by_content = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(folder / "skdim", quiet=1, invalidation_mode=by_content)


def main():
    """Try the mutants, and exit with 1 if any survives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="text in the file or the tests of a mutant")
    only = parser.parse_args().only
    chosen = [each for each in read_mutants() if only in f"{each.file} {each.tests}"]
    for name in HEAVY:
        importlib.import_module(name)
    importlib.import_module("pytest").main(["--version"])  # It imports its plugins.
    unnoticed = []
    with tempfile.TemporaryDirectory() as folder:
        copy_project(Path(folder))
        trial = Trial(Path(folder))
        for number, mutant in enumerate(chosen, 1):
            started = time.perf_counter()
            outcome = trial.run(mutant)
            seconds = time.perf_counter() - started
            place = f"{mutant.file}: {mutant.old!r}"
            print(f"{number}/{len(chosen)} {seconds:.0f} s {place}: {outcome}", flush=True)
            unnoticed += [mutant] * (not outcome.startswith("noticed") and not mutant.reason)
        sound = trial.fork(sorted(trial.noticing)) == "unnoticed"
    print(f"{len(unnoticed)} of {len(chosen)} mutants were not noticed.")
    if not sound:
        print("Some tests that noticed one fail without it, too.")
    sys.exit(bool(unnoticed) or not sound)


if __name__ == "__main__":
    main()
