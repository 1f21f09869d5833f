# The two commands that do all: `make demo` and `make test`. Both set up what they need.
PYTHON ?= $(shell command -v python3.11 || echo python3)
BIN := .venv/bin
STAMP := .venv/.installed
SHELL := /bin/sh
.DEFAULT_GOAL := help
# What was measured is kept, and told in the README, also when it misses its bar.
BENCH = ended=0; $(BIN)/python -m bench $* || ended=$$?; PYTHONPATH=. $(BIN)/python docs/generate.py && exit $$ended

.PHONY: help setup demo test chaos chaos-rollout check coverage docs vectors up down bench clean

help: ## what there is
	@grep -E '^[a-z-]+%?:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP) ## install what is locked into .venv

$(STAMP): requirements.lock pyproject.toml clients/python/pyproject.toml $(wildcard native/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 is needed, which '$(PYTHON)' is not: install it, or name it as in 'make setup PYTHON=/path/to/python3.11'." >&2; exit 1; }
	@echo "Setting up .venv with the locked dependencies (about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . -e clients/python
	@touch $(STAMP)

demo: setup ## the whole loop on a real Kafka and Postgres, ending with what was saved and why
	@$(BIN)/python -m demo

test: setup check ## every test, on the real broker and database where it matters
	@[ -n "$$LLMOPT_BOOTSTRAP_SERVERS" ] || $(BIN)/python -m infra.kafka.install
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

chaos: setup ## twenty minutes of kills, pauses, jumps at 50,000 events a second; CHAOS_SEED=N repeats them
	@$(BIN)/python -m infra.kafka.install
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-1200} $(BIN)/python -m pytest -q -s tests/integration/pipeline/test_chaos.py

chaos-rollout: setup ## 10,000 whole rollouts with every fault at any point; CHAOS_SEED=N repeats them
	@CHAOS_RUNS=$${CHAOS_RUNS:-10000} $(BIN)/python -m pytest -q -s tests/properties/test_rollout_faults.py

check: setup ## formatting, lint, types, import rules
	@echo "Checking formatting, lint, types and import rules ..."
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted as it must be: run '$(BIN)/ruff format'." >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@said=$$($(BIN)/lint-imports --no-logo) || { echo "$$said"; exit 1; }
	@echo "All in order."

coverage: setup ## the branches of processors/ that no test takes; fails when there are any
	@$(BIN)/python -m pytest -q --cov --cov-report=term-missing:skip-covered --cov-fail-under=100 processors tests/processors

docs: setup ## fill in the tables that documents take from the program
	@PYTHONPATH=. $(BIN)/python docs/generate.py

vectors: setup ## write the test vectors for cohorts again, which other languages check
	@$(BIN)/python clients/vectors/generate.py
	@$(BIN)/python clients/vectors/million.py

up: setup ## Kafka, registry, Postgres and topics, kept running for hands-on use
	@$(BIN)/llmopt dev up

down: setup ## stop what `make up` started
	@$(BIN)/llmopt dev down

bench: setup ## every bench; keeps what it measured in bench/results.json and the README
	@$(BENCH)

bench-%: setup ## one bench, such as bench-ingest; kept in the same places
	@$(BENCH)

clean: ## stop what `make up` started; remove its data, .venv, Kafka's jars and the caches
	@echo "Stopping what runs here, then removing data, .venv, Kafka's jars and caches ..."
	@if [ -x $(BIN)/llmopt ]; then $(BIN)/llmopt dev down >/dev/null 2>&1 || true; fi
	@rm -rf .venv .local .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage infra/kafka/libs *.egg-info native/*.so clients/python/*.egg-info build
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
