# Needs only make and Python 3.11 or newer. Each target creates .venv if it is missing and installs
# what it needs from constraints.txt. `make` alone lists the targets.

PYTHON ?= python3
# Passed to pytest, as in: make test ARGS="-k bounds"
ARGS ?=
# Data and number of seeds of the benchmark of features, as in: make bench-features DATA=digits
DATA ?= digits orl-faces mnist-5k fashion cifar10 cancer covertype-like
SEEDS ?= 5
# Trainings that make faults kills, and damaged files that it reads.
KILLS ?= 200
FILES ?= 10000
# Random cases of make adversary, and the seed of the first one (random if empty).
CASES ?= 1000
SEED ?=

VENV := .venv
BIN := $(VENV)/bin
# One thread per process: tests run in one process per core, and results do not depend on the machine.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest -n auto --maxprocesses 8

# Two pips running at once would break the environment that they share.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test slow check coverage faults adversary mutants docs bench bench-features bench-few-labels \
	bench-accuracy-seconds clean

help:
	@echo "make demo    digits, end to end: a grid search, a table, two pictures in demo/"
	@echo "make test    the tests, except the slow ones"
	@echo "make slow    the slow tests"
	@echo "make check   style, types, layers, tests, scikit-learn's checks"
	@echo "make coverage   the tests, except the slow ones, with coverage of lines and branches"
	@echo "make faults  kills trainings and damages files at random, in half an hour"
	@echo "make adversary  random parameters, inputs, files and processes, in 15 minutes (CASES=100 SEED=3)"
	@echo "make mutants  puts faults into the package one at a time, which a test must detect"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make bench   measurements of speed, in about a quarter of an hour"
	@echo "make bench-features   features against rivals, takes hours (DATA=digits SEEDS=2)"
	@echo "make bench-few-labels, make bench-accuracy-seconds   accuracy with few labels; against seconds"
	@echo "make clean   remove everything that the other targets made, including .venv"

demo: $(VENV)/installed-plot
	@mkdir -p demo
	@echo "==> Running examples/plot_digits_pipeline.py"
	@$(BIN)/python examples/plot_digits_pipeline.py demo
	@echo "==> The pictures are in demo/"

test: $(VENV)/installed-test
	@echo "==> Running the tests, except the slow ones"
	@$(PYTEST) -m "not slow" $(ARGS)

slow: $(VENV)/installed-test
	@echo "==> Running the slow tests"
	@$(PYTEST) -m slow $(ARGS)

check: $(VENV)/installed-dev
	@echo "==> Style"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "==> Types"
	@$(BIN)/mypy
	@echo "==> Layers"
	@$(BIN)/lint-imports --no-logo
	@echo "==> Tests, with warnings as errors"
	@$(PYTEST) -m "not slow"
	@echo "==> scikit-learn's checks again, with array API dispatch"
	@SCIPY_ARRAY_API=1 $(PYTEST) tests/estimators/test_common.py \
		tests/estimators/test_baselines_common.py

coverage: $(VENV)/installed-dev
	@echo "==> Running the tests, except the slow ones, with coverage of branches"
	@$(PYTEST) -m "not slow" --cov $(ARGS)

faults: $(VENV)/installed-test
	@$(ONE_THREAD) $(BIN)/python -m tests.reliability.faults --kills $(KILLS) --files $(FILES)

adversary: $(VENV)/installed-test
	@$(ONE_THREAD) $(BIN)/python -m tests.reliability.adversary \
		--cases $(CASES) $(if $(SEED),--seed $(SEED))

mutants: $(VENV)/installed-test
	@$(ONE_THREAD) $(BIN)/python -m tests.reliability.mutants $(ARGS)

docs: $(VENV)/installed-docs
	@echo "==> Building the documentation; the gallery runs every example"
	@MPLBACKEND=Agg $(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	@echo "==> Open docs/_build/html/index.html"

bench: $(VENV)/installed-plot
	@$(BIN)/python benchmarks/speed.py

# After an interruption, these resume from their finished parts. CIFAR-10 is read from the file CIFAR10.
bench-features: $(VENV)/installed-plot
	@$(ONE_THREAD) CIFAR10=$(CIFAR10) $(BIN)/python benchmarks/features.py \
		--resume --data $(DATA) --seeds $(SEEDS)

bench-few-labels: $(VENV)/installed-plot
	@$(ONE_THREAD) CIFAR10=$(CIFAR10) $(BIN)/python benchmarks/few_labels.py --resume

bench-accuracy-seconds: $(VENV)/installed-plot
	@$(ONE_THREAD) CIFAR10=$(CIFAR10) $(BIN)/python benchmarks/accuracy_seconds.py --resume

clean:
	rm -rf $(VENV) demo build dist *.egg-info docs/_build docs/api docs/auto_examples \
		docs/sg_execution_times.rst .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find skdim tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is touched only after success, so that a failed install is repeated.
$(VENV)/made:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || { \
		echo "skdim needs Python 3.11 or newer, but '$(PYTHON)' is missing or older."; \
		echo "Use another one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "==> Creating $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo "This Python cannot create environments. On Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }
	@touch $@

# setuptools first and no build isolation, so that the build also uses constraints.txt.
$(VENV)/installed-%: $(VENV)/made pyproject.toml constraints.txt skdim/about.py
	@echo "==> Installing skdim[$*] into $(VENV) (torch is large: minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--no-build-isolation --editable ".[$*]"
	@touch $@
