# `make` lists the targets. `make check` is what CI runs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run check test lint fmt docs deny fuzz generated write-generated bench bench-grid bench-indicators bench-operator bench-sweeps chaos sample parity charts write-charts image cluster cluster-down cluster-check

CARGO ?= cargo
JOB ?= examples/sma-crossover.yaml
FUZZ_SECONDS ?=
CRDS := backtestjobs backtestbudgets
CHAOS_SEEDS ?= 10
IMAGE ?= $(or $(CARGO_TARGET_DIR),target)/image/blockgrid.tar
# Release builds of `check` as image.sh makes them, where it makes an image: what both need is compiled once.
LIKE_IMAGE = if bash dev/cluster/node.sh able >/dev/null 2>&1; then \
	export CARGO_BUILD_TARGET=$$(rustc --print host-tuple) RUSTFLAGS="-C target-feature=+crt-static"; fi
# Written by `make parity` alone; nothing of the build needs Python.
VENV ?= target/venv

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what check needs and this machine lacks (root on Debian).
	@bash tools/setup.sh

run: ## Run a job on this machine: make run JOB=examples/sma-crossover.yaml.
	$(CARGO) run --release -- run $(JOB)

# One recipe, so that the steps keep their order under `make -j`; the tests come last, so that their summary ends the output.
check: ## Everything CI checks: setup, format, lints, docs, licences, generated files, the chart, the example, the image in pods, tests.
	@for step in setup fmt lint docs deny generated charts run fuzz cluster-check test; do echo "==> $$step"; \
	( export BLOCKGRID_IMAGE=$(abspath $(IMAGE)); case $$step in generated|run) $(LIKE_IMAGE);; esac; \
	exec $(MAKE) --no-print-directory $$step ); done

test: ## Run all tests.
	$(CARGO) test --workspace --no-fail-fast

chaos: ## Repeat the tests of the grid and of the operator under faults with seeds of their own and long outages: make chaos CHAOS_SEEDS=10.
	@for seed in $$(seq 1 $(CHAOS_SEEDS)); do echo "==> seed $$seed"; \
	BLOCKGRID_CHAOS_SEED=$$seed BLOCKGRID_CHAOS_LONG=1 $(CARGO) test -p blockgrid --test grid; \
	BLOCKGRID_CHAOS_SEED=$$seed BLOCKGRID_CHAOS_LONG=1 $(CARGO) test -p blockgrid-controller --test cluster; done

image: ## Write the image of the programs that run in pods, without Docker: localhost/blockgrid:dev in target/image/blockgrid.tar.
	@bash dev/cluster/image.sh $(IMAGE)

cluster: ## A Kubernetes of two nodes on this machine, Redis and S3 beside it (root on Linux); with KUBECONFIG set, that one is used and nothing started.
	@own=$$(bash dev/cluster/cluster.sh kubeconfig); \
	if [[ $${KUBECONFIG:-$$own} != "$$own" ]]; then echo "KUBECONFIG is set, so nothing is started: $$KUBECONFIG"; \
	else $(MAKE) --no-print-directory image && bash dev/cluster/cluster.sh up --nodes 2 --image $(IMAGE); fi

cluster-down: ## End the cluster of `make cluster`, and leave nothing of it.
	@bash dev/cluster/cluster.sh down --purge

cluster-check: ## Run the image in pods of a cluster of its own, and see that nothing is left of it; where no node can run it is skipped.
	@rm -f $(IMAGE); if why=$$(bash dev/cluster/build.sh find 2>&1 && bash dev/cluster/node.sh able 2>&1); \
	then $(MAKE) --no-print-directory image && bash dev/cluster/check.sh $(IMAGE); else echo "skipped: $$why"; fi

lint: ## Clippy over everything; a warning is an error.
	$(CARGO) clippy --workspace --all-targets -- -D warnings

fmt: ## Fail if a file is not formatted.
	$(CARGO) fmt --all --check

docs: ## Build the API documentation; a warning is an error.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

deny: ## Licences, sources and versions of dependencies, if cargo-deny is installed.
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; \
	else echo "skipped: cargo-deny is not installed (compiling it takes minutes): cargo install --locked cargo-deny"; fi

fuzz: ## Run the fuzzers for a moment; an hour each: make fuzz FUZZ_SECONDS=3600.
	@bash tools/fuzz.sh $(FUZZ_SECONDS)

generated: ## Fail if a generated file is not what the code generates.
	$(CARGO) run --release --quiet -- indicators --markdown | diff -u docs/indicators.md -
	$(CARGO) run --release --quiet -- metrics --markdown | diff -u docs/metrics.md -
	for kind in $(CRDS); do $(CARGO) run --release --quiet -- crds --name $$kind | diff -u charts/blockgrid/files/crds/$$kind.yaml -; done

write-generated: ## Write the generated files anew.
	$(CARGO) run --release --quiet -- indicators --markdown > docs/indicators.md
	$(CARGO) run --release --quiet -- metrics --markdown > docs/metrics.md
	mkdir -p charts/blockgrid/files/crds
	for kind in $(CRDS); do $(CARGO) run --release --quiet -- crds --name $$kind > charts/blockgrid/files/crds/$$kind.yaml; done

bench: ## Benchmarks of the engine and of candles at rest.
	$(CARGO) bench -p blockgrid-engine
	$(CARGO) bench -p blockgrid-datasets

bench-indicators: ## Time the indicators beside TA-Lib's, in turn (Python and PyPI; never part of check).
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet numpy "TA-Lib==0.8.2"
	$(CARGO) build --release -p blockgrid-engine --example time_indicators
	$(VENV)/bin/python bench/indicators/bench.py --program $${CARGO_TARGET_DIR:-target}/release/examples/time_indicators $(BENCH)

bench-grid: ## Time the grid of `blockgrid up`: latency, start, scaling, what a killed worker costs (never part of check; BENCH="--only latency").
	cargo build --release --package blockgrid --package blockgrid-worker
	python3 bench/grid/bench.py --program $${CARGO_TARGET_DIR:-target}/release/blockgrid $(BENCH)

bench-operator: ## Time the operator on a control plane of this machine: latency, calls of the API, failover, ten thousand jobs (never part of check; BENCH="--only latency").
	cargo build --release --package blockgrid-worker --package blockgrid-controller
	python3 bench/operator/bench.py --programs $${CARGO_TARGET_DIR:-target}/release $(BENCH)

bench-sweeps: ## Time sweeps beside vectorbt's and others, in turn (Python and PyPI; never part of check; BENCH="--quick" to try).
	python3 -m venv $(VENV)-sweeps
	$(VENV)-sweeps/bin/pip install --quiet --requirement bench/sweeps/requirements.txt
	$(VENV)-sweeps/bin/pip install --quiet --requirement bench/sweeps/requirements-peers.txt || echo "the peers cannot be installed: going on without them"
	$(CARGO) build --release
	$(VENV)-sweeps/bin/python bench/sweeps/bench.py --program $${CARGO_TARGET_DIR:-target}/release/blockgrid $(BENCH)

sample: ## Write the small sample data set anew (deterministic).
	$(CARGO) run --release -p blockgrid-datasets --example make_sample -- datasets/sample

parity: ## Make the expected numbers of vectorbt, backtesting.py and TA-Lib anew (Python 3.11, PyPI; never part of check; vectorbt_indicators.py says what it needs).
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --requirement scripts/requirements-parity.txt "TA-Lib==0.8.2"
	for script in parity_vectorbt parity_backtesting talib/expected; do $(VENV)/bin/python scripts/$$script.py; done
	git diff --stat -- engine/tests/fixtures

charts: ## Lint, render and check the Helm chart, and hold it against a real API server; what needs a missing tool is skipped.
	@bash charts/blockgrid/tests/check.sh
	@if bash dev/cluster/build.sh find >/dev/null 2>&1; then folder=$$(mktemp -d); export CLUSTER_DIR=$$folder/cluster; \
	trap 'bash dev/cluster/cluster.sh down --purge; rm -rf $$folder' EXIT; \
	bash dev/cluster/cluster.sh up --until $$$$ >/dev/null && source $$CLUSTER_DIR/env && bash charts/blockgrid/tests/server.sh; \
	else echo "skipped: Kubernetes is not built: bash tools/setup.sh"; fi

write-charts: ## Write the expected renderings of the Helm chart anew.
	@bash charts/blockgrid/tests/check.sh --write
	git diff --stat -- charts
