# Everything a contributor types. Needs Python 3.11 or newer, make and the package registry.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOCK := requirements/dev.lock
INSTALLED := $(VENV)/.installed
# The directory tree that `make demo` loads.
DEMO_PATH ?= /usr
# The seeds that `make simulate` runs.
SEEDS ?= 1-200
# What `make chaos` does: for how long, and which faults (all, or some with commas).
MINUTES ?= 30
FAULTS ?=
# Arguments for `make test` (pytest's), `make bench` and `make simulate`.
ARGS ?=
# Only `make lock` uses it; the lock it writes holds every other version.
UV_VERSION := 0.13.9

# The suite runs with the invariants too costly for production.
export FASTNESS_EXPENSIVE_CHECKS ?= 1
demo cluster-demo chaos bench simulate bugs: export FASTNESS_EXPENSIVE_CHECKS = 0

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo cluster-demo test lint format types layers tests bench simulate chaos bugs lock clean

help: ## List what can be made
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: $(INSTALLED) ## Create .venv from the hashed lock (again only when the lock changed)

# A changed lock gets a fresh environment: what it no longer names must not linger.
$(INSTALLED): $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is older than Python 3.11: run make PYTHON=python3.11 or newer" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation --editable .
	$(BIN)/python -m pip --disable-pip-version-check check
	@touch $@

demo: setup ## Load DEMO_PATH (default /usr) into the files example, serve it, kill, prove it right
	$(BIN)/fastness demo $(DEMO_PATH)

cluster-demo: setup ## Start a real cluster on this machine, load DEMO_PATH, kill members, prove it right
	$(BIN)/python -m examples.files.cluster --path $(DEMO_PATH) $(ARGS)

test: lint tests ## Everything CI runs: formatting, lint, types, layers, tests

lint: format types layers ## Formatting, ruff, mypy and the layers, without the tests

format: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

layers: setup
	@report="$$($(BIN)/lint-imports)" || { echo "$$report"; exit 1; }; echo "$$report" | tail -n 1

tests: setup
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

bench: setup ## Measure beside raw RocksDB, LMDB, SQLite, Redis, PostgreSQL, etcd, and a cluster, in one run
	$(BIN)/python -m benchmarks $(ARGS)

simulate: setup ## Run SEEDS (default 1-200) of a simulated cluster under faults, over all cores
	$(BIN)/fastness simulate --seeds $(SEEDS) $(ARGS)

chaos: setup ## Hurt a real cluster on this machine for MINUTES (30) with FAULTS (all), and judge it
	$(BIN)/python -m fastness.testing.chaos --minutes $(MINUTES) $(if $(FAULTS),--fault $(FAULTS)) $(ARGS)

bugs: setup ## Plant each bug of the simulator and see that a checker notices (takes minutes)
	$(BIN)/python -m fastness.testing.simulation.bugs $(ARGS)

lock: ## Renew the lock from pyproject.toml
	$(PYTHON) -m venv --clear .lock-tool
	.lock-tool/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	.lock-tool/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --upgrade \
		--generate-hashes --no-emit-index-url --no-emit-find-links --no-header --all-extras \
		--annotation-style=line pyproject.toml --output-file $(LOCK)
	rm -rf .lock-tool

clean: ## Remove the environment and every cache
	rm -rf $(VENV) .lock-tool .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
