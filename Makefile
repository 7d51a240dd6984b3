# Two commands matter: `make run` starts a node, `make test` sets itself up and tests everything.
# `make help` lists the others.

CARGO ?= cargo
PYTHON ?= python3
# Seconds that each fuzz target gets, and minutes for the end-to-end suites.
FUZZ_SECONDS ?= 5
E2E_MINUTES ?= 25
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

.DEFAULT_GOAL := help
.PHONY: help run build dist test test-unit test-e2e fuzz-smoke sim bench-zookeeper bench-kafka fmt lint deny docs

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

run: build ## build and start a node: data in ./data, loopback only
	$(TARGET)/release/polyport serve

build: ## the release program: target/release/polyport
	$(CARGO) build --release -p polyport

dist: ## the program as it is shipped: smaller and faster, slow to build
	$(CARGO) build --profile dist -p polyport

test: ## set up what is missing, then all tests; one line of counts at the end
	@.ci/test

test-unit: ## unit, property and transcript tests of the crates
	@.ci/test unit

fuzz-smoke: ## every fuzz target for $(FUZZ_SECONDS) seconds
	@FUZZ_SECONDS=$(FUZZ_SECONDS) .ci/test fuzz

test-e2e: ## real clients against the program, one node and three
	@E2E_MINUTES=$(E2E_MINUTES) .ci/test e2e

sim: ## simulated clusters under faults; SEEDS=0..1000, SEED=42 to replay one
	$(CARGO) run --release -p polyport-sim -- $(if $(SEED),--replay $(SEED),--seeds $(or $(SEEDS),0..1000))

bench-zookeeper: ## the same load on Polyport and on the real ZooKeeper; BENCH=--quick for a short one
	@.ci/setup debian
	$(CARGO) build --release -p polyport -p polyport-bench-zookeeper
	$(PYTHON) bench/zookeeper.py $(BENCH)

bench-kafka: ## the same load on Polyport and on a real Kafka; BENCH=--quick for a short one
	@.ci/setup debian
	$(if $(POLYPORT),,$(CARGO) build --release -p polyport)
	$(PYTHON) bench/kafka.py $(BENCH)

fmt: ## format the code
	$(CARGO) fmt --all

lint: ## formatting and clippy, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

deny: ## licences, sources and banned crates, by deny.toml
	$(PYTHON) .ci/licences.py

docs: ## docs/configuration.md from the code
	POLYPORT_WRITE_DOCS=1 $(CARGO) test -q -p polyport-config --test documentation
