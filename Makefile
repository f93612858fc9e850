# Nothing but Python 3.11 to 3.13 and make is assumed; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*?## ' $(MAKEFILE_LIST) | awk -F ':.*?## ' '{printf "  %-18s %s\n", $$1, $$2}'

REQUIREMENTS := requirements/development.txt

$(STAMP): pyproject.toml $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, \
	this is %d.%d; name another one: make PYTHON=python3.13" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $(REQUIREMENTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

venv: $(STAMP) ## Install everything into .venv

demo: $(STAMP) ## Collect the six sources from the sandbox, cold and warm; then draw the dashboards from a week of it
	$(BIN)/python -m sandbox.demo
	$(BIN)/python -m sandbox.week --output preview/week.jsonl.gz
	$(BIN)/metta-checks assets preview --record preview/week.jsonl.gz --out preview --label "sample data"
	@echo
	@echo "The dashboards, drawn from a week of the sandbox: open preview/index.html"

check: $(STAMP) ## Lint, types and the tests that the change at hand concerns; at most 90 seconds
	$(BIN)/python -m tools.check

test: browser ## Lint, types and all tests
	$(BIN)/python -m tools.check --all

coverage: browser ## Run all tests with coverage of metta_checks; fails below the figure in pyproject.toml
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q --cov

browser: $(STAMP) ## Find a Chromium for the tests of the previews, or install Debian's where that is allowed
	@$(BIN)/python -m tools.browser || echo "the tests in a real browser will be skipped"

lint: $(STAMP) ## Ruff, language, generated files in step, assets
	$(BIN)/python -m tools.check --only lint

types: $(STAMP) ## Mypy
	$(BIN)/python -m tools.check --only types

generate: $(STAMP) ## Write all generated files
	$(BIN)/python -m tools.generate

chaos: $(STAMP) ## At least 5,000 refreshes under faults, judged by the truth; figures and exit code
	$(BIN)/python -m chaos

explore: $(STAMP) ## The property tests with 1,000 new random examples each; exits 1 on a finding
	HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -n 2 --dist loadgroup -q -m hypothesis --timeout 1200

fuzz: $(STAMP) ## Ten minutes of fuzzing every parser, record and source; exits 1 on a finding
	$(BIN)/python -m fuzz --seconds 600

audit: $(STAMP) ## Known vulnerabilities of the pinned versions (needs the network)
	$(BIN)/python -m pip_audit --requirement $(REQUIREMENTS) --require-hashes --disable-pip

requirements: $(STAMP) ## Resolve the dependencies again, with hashes; `make requirements UPGRADE=1` takes newer versions
	$(BIN)/python -m tools.requirements $(if $(UPGRADE),--upgrade)

bench: $(STAMP) ## Print requests, bytes, CPU and memory beside their budgets
	$(BIN)/python -m benchmarks

docs: $(STAMP) ## Build the documentation as a site into build/site; a warning fails
	$(BIN)/python -m tools.site

changelog: $(STAMP) ## Draft the next section of CHANGELOG.md from the fragments in changelog.d
	$(BIN)/towncrier build --draft --version unreleased

build: $(STAMP) ## Build the wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .

validate: $(STAMP) ## Run ddev's validators (ddev needs Python 3.13; without one it says so)
	$(BIN)/python -m tools.ddev

test-wheel: $(STAMP) ## The wheel as the Agent installs it, on every Python and constraint set at hand
	$(BIN)/python -m pytest -q tests/contract/test_wheel.py

test-skypilot: $(STAMP) ## Against the real SkyPilot API server (large download)
	tests/peers/skypilot/run.sh

test-kubernetes: $(STAMP) ## Against a real kube-apiserver (built in about four minutes)
	tests/peers/kubernetes/run.sh

test-prometheus: $(STAMP) ## Against a real Prometheus (small download)
	tests/peers/prometheus/run.sh

e2e: $(STAMP) ## ddev env test: the check in a real Agent, where a Docker engine runs
	$(BIN)/python -m tools.ddev e2e

clean: ## Remove what was built and installed
	rm -rf $(VENV) .venvs .cache dist build preview .mypy_cache .pytest_cache .ruff_cache .hypothesis

.PHONY: help venv docs demo check test lint types coverage browser generate chaos explore fuzz audit requirements bench changelog build validate test-wheel test-skypilot test-kubernetes test-prometheus e2e clean
