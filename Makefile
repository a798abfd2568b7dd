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
# Processes of pytest, more than cores: many tests wait for a server. Those that share one stay together
# (tests/conftest.py).
WORKERS ?= $(shell echo $$(($$(nproc) + 2)))
# End to end each has a tenant, whose pods need the cores too.
TENANTS ?= $(shell echo $$(($$(nproc) + 1)))

# Bytecode is kept, whatever the environment says: tests start many processes.
export PYTHONDONTWRITEBYTECODE :=

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

.PHONY: demo-mail
demo-mail: ## One more message arrives in the demo's mailbox
	$(BIN)/python -m guestpost_demo mail --cluster $(CLUSTER) --port $(PORT)

.PHONY: test
test: setup check build ## Everything: checks, unit, integration, end to end and browser tests
	$(PYTEST) -n $(WORKERS) tests/browser tests/integration tests/reliability $(ARGS)
# Pods are mostly waited for, and these tests only compute.
	$(MAKE) --jobs=2 e2e unit-every-python

##@ A local Kubernetes
.PHONY: cluster
cluster: setup ## Start the local cluster CLUSTER (default: demo)
	$(LOCALKUBE) up --name $(CLUSTER) --port $(PORT)

.PHONY: cluster-status
cluster-status: ## What runs, and where
	$(LOCALKUBE) status

.PHONY: cluster-env
cluster-env: ## kubectl and helm for CLUSTER in your shell: eval "$(make -s cluster-env)"
	@$(LOCALKUBE) env --name $(CLUSTER)

.PHONY: cluster-down
cluster-down: ## Stop the local cluster CLUSTER and leave nothing behind
	$(LOCALKUBE) down --name $(CLUSTER)

.PHONY: control-plane
control-plane: ## API server, etcd and controllers alone, without root: eval "$(make -s control-plane)"
	@$(LOCALKUBE) control-plane up

.PHONY: control-plane-down
control-plane-down: ## Stop it and remove its data
	@$(LOCALKUBE) control-plane down

.PHONY: images
images: setup ## Build the container images that changed and import them into CLUSTER
	$(LOCALKUBE) images --name $(CLUSTER)

##@ Develop
.PHONY: setup
setup: ## Install what the project needs on this machine (seconds when it is there)
	dev/bootstrap

.PHONY: build
build: setup ## Build the programs and images that tests need, with progress
	$(LOCALKUBE) build

.PHONY: check
check: ## Format, lint, types, layers, lock file, rules of the repository
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	"$$(dev/bootstrap --print-uv)" lock --check --quiet
	$(BIN)/python dev/check_repository.py

.PHONY: audit
audit: setup ## Known vulnerabilities of every locked package; asks osv.dev
	dev/audit

.PHONY: format
format: ## Write the format and the fixes that are safe
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: unit
unit: ## Pure functions and templates, in seconds
	$(PYTEST) -n $(WORKERS) tests/unit $(ARGS)

.PHONY: unit-every-python
unit-every-python: ## The same on each supported Python that this machine has
	nice -n 5 $(PYTEST) -n 2 tests/unit $(ARGS)
	nice -n 5 dev/unit-other-pythons

.PHONY: integration
integration: ## Against a real API server, PostgreSQL and the stand-ins for Google
	$(PYTEST) -n $(WORKERS) tests/integration $(ARGS)

.PHONY: browser
browser: ## The CRM's pages and jobs in Chromium
	$(PYTEST) -n 2 tests/browser $(ARGS)

.PHONY: reliability
reliability: ## Every lifecycle with every fault; make test tries each day another part of it (RELIABILITY_PART=2/80)
	RELIABILITY_PART=$${RELIABILITY_PART:-1/1} $(PYTEST) -s tests/reliability $(ARGS)

.PHONY: e2e
e2e: ## On the real local cluster, with real pods and a real browser (cluster: test)
	E2E_CLUSTER=$(if $(filter file,$(origin CLUSTER)),test,$(CLUSTER)) $(PYTEST) -n $(TENANTS) tests/e2e $(ARGS)

# Those that can be run by themselves.
BENCHMARKS = $(patsubst benchmarks/%.py,%,$(shell grep -l __main__ benchmarks/*.py))
.PHONY: bench
bench: ## One benchmark, as JSON lines: make bench NAME=…; without a name it says which there are
	@test -n "$(filter $(NAME),$(BENCHMARKS))" || { echo 'which one? make bench NAME=… with $(BENCHMARKS)' >&2; exit 2; }
	@$(BIN)/python benchmarks/$(NAME).py $(ARGS)

.PHONY: hooks
hooks: setup ## Let git check each commit and its message (once per clone)
	$(BIN)/pre-commit install

.PHONY: promises
promises: ## What customers are promised, the tests that prove it, and their results
	$(PYTEST) -q -n $(WORKERS) --promises tests $(ARGS)

.PHONY: verify-receipt
verify-receipt: setup ## Check the ErasureReceipt RECEIPT, a file or a name in the cluster (KEYS: a file of public keys)
	@test -n "$(RECEIPT)" || { echo 'which one? make verify-receipt RECEIPT=erasure-… [KEYS=keys.pem]' >&2; exit 2; }
	@$(BIN)/python -m guestpost_operator verify-receipt $(if $(KEYS),--keys $(KEYS)) $(RECEIPT)

.PHONY: docs
docs: ## Write what is generated: docs/api.md from the CRDs, the chart's table of values
	$(BIN)/python dev/api_docs.py
	$(BIN)/python dev/chart_docs.py

.PHONY: messages
messages: setup ## Find the CRM's texts, keep the catalogues of its other languages
	$(BIN)/python dev/messages.py

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  \033[36m%-20s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
