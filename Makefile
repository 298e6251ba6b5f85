# Every target makes what it needs in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 1
SECONDS ?= 30
ZONES := America/New_York Europe/Paris Asia/Kathmandu Australia/Lord_Howe
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install

.DEFAULT_GOAL := help
.PHONY: help run test check format bench chaos oracle models docs clean

help: ## Show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Vigie needs Python 3.11 or later; found %d.%d. Name another one with: make PYTHON=python3.12 …" % sys.version_info[:2] or 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.run

run: $(VENV)/.run ## Run everything in one process with simulated sales: page and API on http://127.0.0.1:8080
	$(BIN)/vigie up --demo

test: $(VENV)/.dev ## Run all tests (real Kafka, Redis, Prometheus and Chromium where the machine has them)
	$(BIN)/pytest

check: $(VENV)/.dev ## Lint, types, import direction, generated documents, alert rules and their tests, webhook vectors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m vigie.schemas --check docs
	$(BIN)/vigie rules check
	set -e; for zone in UTC $(ZONES); do VIGIE_BUSINESS__TIMEZONE=$$zone $(BIN)/vigie rules test; done
	$(BIN)/vigie sources conformance

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## Write the generated documents anew (schemas, AsyncAPI, KPI catalogue)
	$(BIN)/python -m vigie.schemas --write docs

bench: $(VENV)/.dev ## Measure against peers on a real Kafka; writes docs/performance.md
	$(BIN)/python -m bench

chaos: $(VENV)/.dev ## Kill and stop workers and the broker under load: make chaos SEED=7 SECONDS=30
	$(BIN)/python -m bench.chaos --seed $(SEED) --seconds $(SECONDS)

oracle: $(VENV)/.dev ## Compare every reading with DuckDB on the public data sets (VIGIE_DATA)
	$(BIN)/python -m bench.oracle

models: $(VENV)/.dev ## Predictions on the public data sets beside their targets and a batch model; writes docs/models.md
	$(BIN)/python -m bench.models --write docs

clean: ## Remove .venv and what tests have left
	rm -rf $(VENV) .venv-bench .kafka .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
