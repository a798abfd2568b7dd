# Every task of this project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Name of the local cluster that a target works with; several stand side by side. `current` is the
# kubeconfig's cluster instead.
CLUSTER ?= demo
PORT ?= 8080
# Extra arguments for pytest, such as ARGS='-k drift -x'.
ARGS ?=
WORKERS ?= 2

LOCALKUBE := PYTHONPATH=dev/cluster python3 -m localkube
BIN := .venv/bin
PYTEST := $(BIN)/pytest

##@ Use it
.PHONY: demo
demo: setup ## A cluster, the operator by Helm, a tenant, mail flowing: prints the address to open
	$(BIN)/python -m guestpost_demo up --cluster $(CLUSTER) --port $(PORT)

.PHONY: demo-down
demo-down: setup ## Remove the demo and its cluster
	$(BIN)/python -m guestpost_demo down --cluster $(CLUSTER) --port $(PORT)

.PHONY: test
test: setup check ## Everything: checks, unit, integration, end to end and browser tests
	$(MAKE) unit integration e2e
	$(MAKE) unit-other-pythons

##@ A local Kubernetes
.PHONY: cluster
cluster: setup ## Start the local cluster CLUSTER (default: demo)
	$(LOCALKUBE) up --name $(CLUSTER) --port $(PORT)

.PHONY: cluster-status
cluster-status: ## What runs, and where
	$(LOCALKUBE) status

.PHONY: cluster-down
cluster-down: ## Stop the local cluster CLUSTER and leave nothing behind
	$(LOCALKUBE) down --name $(CLUSTER)

.PHONY: images
images: setup ## Build the container images that changed and import them into CLUSTER
	$(LOCALKUBE) images --name $(CLUSTER)

##@ Develop
.PHONY: setup
setup: ## Install what the project needs on this machine (seconds when it is there)
	dev/bootstrap

.PHONY: check
check: ## Format, lint, types, layers, lock file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python dev/check_repository.py

.PHONY: format
format: ## Write the format and the fixes that are safe
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: unit
unit: ## Pure functions and templates, in seconds
	$(PYTEST) -n $(WORKERS) tests/unit $(ARGS)

.PHONY: unit-other-pythons
unit-other-pythons: ## The unit tests on the other supported Pythons that this machine has
	dev/unit-other-pythons

.PHONY: integration
integration: ## Against a real API server, PostgreSQL and the stand-ins for Google
	$(PYTEST) -n $(WORKERS) tests/integration $(ARGS)

.PHONY: e2e
e2e: ## On the real local cluster, with real pods and a real browser (cluster: test)
	E2E_CLUSTER=$(if $(filter file,$(origin CLUSTER)),test,$(CLUSTER)) $(PYTEST) tests/e2e $(ARGS)

.PHONY: bench
bench: ## One benchmark, as JSON lines: make bench NAME=provision|ready|notify
	@test -n "$(NAME)" || { echo 'which one? make bench NAME=provision|ready|notify' >&2; exit 2; }
	@$(BIN)/python benchmarks/$(NAME).py $(ARGS)

.PHONY: promises
promises: ## What customers are promised, the tests that prove it, and their results
	$(PYTEST) -q --promises tests $(ARGS)

.PHONY: docs
docs: ## Write what is generated: docs/api.md from the CRDs, the chart's table of values
	$(BIN)/python dev/api_docs.py
	$(BIN)/python dev/chart_docs.py

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  \033[36m%-20s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
