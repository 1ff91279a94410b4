"""The files around the package agree with each other."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import skdim

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NAME = PROJECT["project"]["name"]


def read_requirements():
    """List what pyproject.toml asks for: to build, to run, and in every extra."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    lines = [
        *PROJECT["build-system"]["requires"],
        *PROJECT["project"]["dependencies"],
        *(line for extra in extras for line in extra),
    ]
    return [line for line in lines if Requirement(line).name != NAME]


def read_pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("line", sorted(set(read_requirements())))
def test_requirement_is_pinned_within_its_bounds(line):
    requirement = Requirement(line)
    pins = dict(pin.split("==") for pin in read_pins())
    pinned = {canonicalize_name(name): pin for name, pin in pins.items()}

    assert canonicalize_name(requirement.name) in pinned
    assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_pins_name_a_version_and_nothing_else():
    """No host, no path, no build of one machine (such as +cpu)."""
    assert [pin for pin in read_pins() if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []


def test_version_of_the_package_is_the_one_installed():
    assert skdim.__version__ == version(NAME)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_into_the_project_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'(?:src|href)="([^"#]+)"', text)

    dead = [link for link in links if "://" not in link and not (ROOT / link).exists()]

    assert not dead
