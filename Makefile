# Needs make and Python 3.11 or newer, nothing else: each target makes .venv where it is missing,
# installs what it needs from constraints.txt, and runs. `make` alone lists the targets.

PYTHON ?= python3
# Passed on to pytest, as in: make test ARGS="-k bounds"
ARGS ?=
# Which data and seeds the benchmark of features takes, as in: make bench-features DATA=digits
DATA ?= digits orl-faces mnist-5k fashion cifar10 cancer covertype-like
SEEDS ?= 5
# How often make faults kills a training, and how many damaged files it reads.
KILLS ?= 200
FILES ?= 10000
# How many random cases make adversary tries, and the seed of the first one: SEED=3, else at random.
CASES ?= 1000
SEED ?=

VENV := .venv
BIN := $(VENV)/bin
# One thread a process: the tests run in one process a core, and results do not hang on the machine.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest -n auto --maxprocesses 8

# Two pips at once would break the environment they share.
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test slow check coverage faults adversary mutants docs bench bench-features bench-few-labels \
	bench-accuracy-seconds clean

help:
	@echo "make demo    digits, end to end: a grid search, a table, two pictures in demo/"
	@echo "make test    the tests, but for the slow ones"
	@echo "make slow    the slow tests"
	@echo "make check   style, types, floors, tests, scikit-learn's contract"
	@echo "make coverage   the tests, but for the slow ones, and which lines and branches they reach"
	@echo "make faults  trainings killed at random and files damaged at random, in half an hour"
	@echo "make adversary  random parameters, inputs, files and processes, in 15 minutes (CASES=100 SEED=3)"
	@echo "make mutants  faults put into the package one at a time, which some test must notice"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make bench   the measurements of speed, in about a quarter of an hour, and one table"
	@echo "make bench-features   features against rivals, for hours (DATA=digits SEEDS=2)"
	@echo "make bench-few-labels, make bench-accuracy-seconds   features with few labels; against seconds"
	@echo "make clean   remove all that the other targets made, .venv too"

demo: $(VENV)/installed-plot
	@mkdir -p demo
	@echo "==> Running examples/plot_digits_pipeline.py"
	@$(BIN)/python examples/plot_digits_pipeline.py demo
	@echo "==> The pictures are in demo/"

test: $(VENV)/installed-test
	@echo "==> Running the tests, but for the slow ones"
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
	@echo "==> Floors"
	@$(BIN)/lint-imports --no-logo
	@echo "==> Tests, with warnings as errors"
	@$(PYTEST) -m "not slow"
	@echo "==> scikit-learn's contract once more, with array API dispatch on"
	@SCIPY_ARRAY_API=1 $(PYTEST) tests/estimators/test_common.py \
		tests/estimators/test_baselines_common.py

coverage: $(VENV)/installed-dev
	@echo "==> Running the tests, but for the slow ones, with coverage of branches"
	@$(PYTEST) -m "not slow" --cov $(ARGS)

faults: $(VENV)/installed-test
	@$(ONE_THREAD) $(BIN)/python -m tests.reliability.faults --kills $(KILLS) --files $(FILES)

adversary: $(VENV)/installed-test
	@$(ONE_THREAD) $(BIN)/python -m tests.reliability.adversary \
		--cases $(CASES) $(if $(SEED),--seed $(SEED))

mutants: $(VENV)/installed-test
	@$(ONE_THREAD) $(BIN)/python -m tests.reliability.mutants $(ARGS)

docs: $(VENV)/installed-docs
	@echo "==> Building the documentation, the gallery runs every example"
	@MPLBACKEND=Agg $(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	@echo "==> Open docs/_build/html/index.html"

bench: $(VENV)/installed-plot
	@$(BIN)/python benchmarks/speed.py

# What is done is kept: after an interruption it goes on. CIFAR-10 is read from the file CIFAR10.
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

# A stamp is touched only after all went well, so that a failed install is begun again.
$(VENV)/made:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || { \
		echo "skdim needs Python 3.11 or newer, but '$(PYTHON)' is missing or older."; \
		echo "Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "==> Making $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { \
		echo "This Python cannot make environments. On Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }
	@touch $@

# setuptools first and no build isolation: so the build, too, takes the version of constraints.txt.
$(VENV)/installed-%: $(VENV)/made pyproject.toml constraints.txt skdim/about.py
	@echo "==> Installing skdim[$*] into $(VENV) (torch is large: minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--no-build-isolation --editable ".[$*]"
	@touch $@
