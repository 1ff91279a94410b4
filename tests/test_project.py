"""The files around the package agree with each other."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import skdim

ROOT = Path(__file__).parents[1]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


PROJECT = tomllib.loads(read("pyproject.toml"))
NAME = PROJECT["project"]["name"]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "RELEASING.md", "SECURITY.md"]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in (ROOT / ".github" / "workflows").glob("*.yml")
}
JOBS = {(name, job): body for name, flow in WORKFLOWS.items() for job, body in flow["jobs"].items()}
STEPS = [step for job in JOBS.values() for step in job["steps"]]


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
    lines = read("constraints.txt").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def read_pythons():
    """List the versions of Python that the classifiers name."""
    pattern = r"Programming Language :: Python :: (3\.\d+)"
    matches = (re.fullmatch(pattern, line) for line in PROJECT["project"]["classifiers"])
    return [match[1] for match in matches if match]


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


@pytest.mark.parametrize("page", PAGES)
def test_links_into_the_project_lead_somewhere(page):
    text = read(page)
    links = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r'(?:src|href)="([^"#]+)"', text)

    dead = [link for link in links if "://" not in link and not (ROOT / link).exists()]

    assert not dead


def test_every_requirement_has_a_lowest_version():
    """Of one without, the job of the lowest versions would take the first ever published."""
    assert [line for line in read_requirements() if ">=" not in line] == []


def test_hosted_tests_run_on_every_declared_python():
    assert JOBS["ci", "tests"]["strategy"]["matrix"]["python-version"] == read_pythons()
    assert PROJECT["project"]["requires-python"] == f">={read_pythons()[0]}"


def test_lowest_versions_are_tested_on_the_lowest_python():
    steps = JOBS["ci", "lowest"]["steps"]
    pythons = [step["with"]["python-version"] for step in steps if "setup-python" in str(step)]
    commands = "\n".join(step.get("run", "") for step in steps)

    assert pythons == read_pythons()[:1]
    assert re.search(r'pip install .*--resolution lowest-direct .*"\.\[test\]"', commands)
    assert "-m pytest" in commands


def test_pre_commit_runs_the_pinned_ruff():
    repos = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]

    (ruff,) = [repo["rev"] for repo in repos if repo["repo"].endswith("ruff-pre-commit")]

    assert f"ruff=={ruff.removeprefix('v')}" in read_pins()


def test_every_make_target_that_is_called_exists():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    commands = [step.get("run", "") for step in STEPS]
    text = "\n".join([*commands, read(".ci/run"), *map(read, PAGES)])
    calls = re.findall(r"(?:^|[`{] ?|&& )make((?: [a-z-]+)+)", text, re.MULTILINE)
    called = {target for call in calls for target in call.split()}

    assert {"check", "test", "docs", "coverage", "slow", "clean"} <= called
    assert called - targets == set()


def test_workflows_read_only_and_name_a_major_version_of_each_action():
    actions = {step["uses"] for step in STEPS if "uses" in step}

    assert all(flow["permissions"] == {"contents": "read"} for flow in WORKFLOWS.values())
    assert [key for key, job in JOBS.items() if "permissions" in job] == [("release", "publish")]
    assert [uses for uses in actions if not re.fullmatch(r"[\w/-]+@(release/)?v\d+", uses)] == []


def test_urls_name_one_repository_and_what_is_in_it():
    urls = PROJECT["project"]["urls"]
    files = [*PAGES, "CITATION.cff", ".github/ISSUE_TEMPLATE/config.yml"]
    text = "\n".join([*urls.values(), *map(read, files)])
    paths = re.findall(r"/(?:blob|tree)/main/(.+)", "\n".join(urls.values()))

    assert set(re.findall(rf"https://github\.com/[\w.-]+/{NAME}", text)) == {urls["Source"]}
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_test_that_the_promises_name_is_in_the_file_named_before_it():
    page = re.sub(r"\s+", " ", read("docs/guide/promises.rst"))
    named, path = [], ""
    for match in re.finditer(r"``(tests/[\w/]+\.py)?(?:::(\w+))?``", page):
        path = match[1] or path
        if match[2]:
            named.append((path, match[2]))

    assert len(named) > 30
    missing = [(path, name) for path, name in named if not re.search(rf"def {name}\(", read(path))]
    assert not missing
