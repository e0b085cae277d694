# Everything sets itself up from a bare clone: Python 3.11 or newer with pip, and git, are enough.
.DEFAULT_GOAL := help
BIN := .venv/bin

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

.venv/ready: requirements.lock pyproject.toml .ci/setup
	@echo 'setting up .venv …' >&2
	@.ci/setup

setup: .venv/ready ## install into .venv, from the lock file

demo: .venv/ready ## the main job: a real pipeline on real data, and a worker killed on its way
	@$(BIN)/python examples/demo.py

test: .venv/ready ## all tests, on up to four processes
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

check: .venv/ready ## format, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/ready ## the aims beside plain baselines, in about five minutes
	$(BIN)/python -m benchmarks $(PARTS)

bench-peers: .venv/ready ## what other orchestrators take for the same
	$(BIN)/python -m benchmarks peers

bench-all: .venv/ready ## all figures, and docs/performance.md anew (about an hour)
	$(BIN)/python -m benchmarks --all --write

MINUTES ?= 10
soak: .venv/ready ## half of the capacity for MINUTES: what memory does
	$(BIN)/python -m benchmarks soak --minutes $(MINUTES)

lock: .venv/ready ## write requirements.lock anew
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file requirements.lock

differential: .venv/ready ## ask datacontract-cli about our test contracts anew (needs 400 MB)
	$(BIN)/python -m tests.differential.record

faults: .venv/ready ## size L of the fault campaign, and its page: 75 minutes, goes on where it was stopped
	$(BIN)/python -m tests.faults.campaign
	$(BIN)/python -m tests.faults.campaign --page docs/reliability.md

tree: .venv/ready ## draw the tree in docs/architecture.md anew
	$(BIN)/python -m tests.architecture.tree

clean: ## remove what was made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf examples/*/out examples/*/.headwater
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup demo test check bench bench-peers bench-all soak lock differential faults tree clean
