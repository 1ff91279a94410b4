"""The rules of docs/architecture.rst that a machine can hold."""

import ast
import importlib
import runpy
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from sklearn.base import BaseEstimator

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "skdim").rglob("*.py"))
# Whoever imports from skdim is held to its rules, scripts too.
IMPORTERS = SOURCES + sorted(
    path for folder in ("tests", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)
MOST_LINES = 400
# Verbs of everyday speech that docstrings began with, where others are standard.
COLLOQUIAL = {"Give", "Refuse", "Say", "Tell", "Ask", "Look"}


def relative(path):
    return str(path.relative_to(ROOT))


def run_python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_every_file_imports_only_from_floors_below():
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"

    result = run_python("-c", command, "--no-logo", "--no-cache")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@cache
def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def test_files_are_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    long = {relative(path): length for path, length in lengths.items() if length > MOST_LINES}

    assert not long, "ask what two subjects these files have"


def test_docstrings_begin_with_standard_verbs():
    """Return, check or raise, as scikit-learn writes it, and not give, refuse or say."""
    found = [
        f"{relative(path)}: {summary}"
        for path in SOURCES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and (summary := (ast.get_docstring(node) or "").partition("\n")[0])
        and summary.split()[0].rstrip(",") in COLLOQUIAL
    ]

    assert not found


def imported_names(path):
    """Yield ``(module, name)`` of each ``from skdim... import name`` in a file."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ImportFrom):
            continue
        base = package[: len(package) - node.level + 1] if node.level else ()
        module = ".".join([*base, *([node.module] if node.module else [])])
        if module.split(".")[0] == "skdim":
            yield from ((module, alias.name) for alias in node.names)


@cache
def defined_names(path):
    """Collect what a file defines itself at its top level, imports left out."""
    names = set()
    for node in tree_of(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {
                leaf.id
                for target in node.targets
                for leaf in ast.walk(target)
                if isinstance(leaf, ast.Name)
            }
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_names_are_imported_from_where_they_are_defined():
    """Only ``__init__`` files re-export."""
    borrowed = []
    for path in IMPORTERS:
        for module, name in imported_names(path):
            source = ROOT.joinpath(*module.split(".")).with_suffix(".py")
            if source.is_file() and name not in defined_names(source):
                borrowed.append(f"{relative(path)}: {name} from {module}")

    assert not borrowed, "not defined where they are imported from"


def test_no_class_or_function_has_the_name_of_one_in_another_file():
    places = {}
    for path in SOURCES:
        for node in tree_of(path).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                places.setdefault(node.name, set()).add(relative(path))
    twice = {name: paths for name, paths in places.items() if len(paths) > 1}

    assert not twice


def test_only_init_files_offer_what_they_import():
    offered = {
        (path, name)
        for path in SOURCES
        if path.name != "__init__.py"
        for node in tree_of(path).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "__all__"
        for name in ast.literal_eval(node.value)
    }

    assert offered
    assert [(path, name) for path, name in offered if name not in defined_names(path)] == []


def test_no_underscore_name_crosses_a_file():
    crossing = [
        f"{relative(path)}: {module}.{name}"
        for path in IMPORTERS
        for module, name in imported_names(path)
        if any(
            part.startswith("_") and not part.endswith("__") for part in [*module.split("."), name]
        )
    ]

    assert not crossing


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {"PIL", "accelerate", "matplotlib", "onnx", "pandas", "polars", "torchmetrics"}:
            print(name)
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from sklearn.base import BaseEstimator
import skdim
"""


def test_importing_skdim_needs_no_optional_package_loads_no_matplotlib_and_says_nothing():
    """scikit-learn loads pandas by itself where it is installed, so its absence is tested."""
    result = run_python("-c", WITHOUT)

    assert result.returncode == 0, result.stderr
    assert "matplotlib" not in result.stdout.split()
    assert "skdim" not in result.stderr


def test_no_module_has_a_name_that_scikit_dimension_uses():
    """Both packages are imported as skdim: no file of one may hide a file of the other."""
    theirs = {"_commonfuncs", "_version", "datasets", "embeddings", "id", "tests"}

    ours = {path.stem for path in (ROOT / "skdim").iterdir()}

    assert not ours & theirs


def test_transformers_can_be_defined_where_scikit_learn_has_no_callbacks(monkeypatch):
    """It has them from 1.9 on, and imports them itself: only skdim's file is run without."""
    importlib.import_module("skdim")  # with all of scikit-learn that the file needs
    with suppress(ImportError):
        importlib.import_module("sklearn.callback")
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    monkeypatch.delattr("sklearn.callback", raising=False)
    made = runpy.run_path(str(ROOT / "skdim" / "training" / "callbacks.py"))

    assert issubclass(type("Made", (made["CallbackSupport"], BaseEstimator), {}), BaseEstimator)
    assert made["reports"](len) is len
