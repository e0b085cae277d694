# Everything sets itself up from a bare clone: Python 3.11 or newer, pip and git are enough.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

.venv/ready: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@uv=$$(command -v uv) || { $(BIN)/python -m pip install --quiet uv && uv=$(BIN)/uv; }; \
	if [ -n "$$uv" ]; then \
	  VIRTUAL_ENV=.venv $$uv pip install --quiet --require-hashes -r requirements.lock && \
	  VIRTUAL_ENV=.venv $$uv pip install --quiet --no-deps --no-build-isolation -e . ; \
	else \
	  $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

setup: .venv/ready ## install into .venv, from the lock file

test: .venv/ready ## all tests
	$(BIN)/pytest

check: .venv/ready ## format, lint, types, import contract, wheel
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m build --wheel --no-isolation --outdir build/wheel

lock: ## write requirements.lock anew
	uv pip compile pyproject.toml --group dev --universal --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements.lock

clean: ## remove what was made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache

.PHONY: help setup test check lock clean
