# What a person types. `make` alone lists it.
# Queries are checked against the committed cache, whatever database the shell points to.
export SQLX_OFFLINE := true

.DEFAULT_GOAL := help
.PHONY: help setup setup-tests up demo test lint bench interop sqlx clean

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## fetch what the build needs (idempotent)
	@./scripts/setup.sh

# What the tests need besides.
setup-tests:
	@./scripts/setup.sh --tests

up: setup ## run the whole backend here, on a local chain, until Ctrl-C
	@cargo run --quiet --bin kinitro -- up --samples

demo: setup ## play one cycle end to end and show its result
	@cargo run --bin kinitro -- demo

test: setup-tests ## all tests, to the end; the last line has the totals
	@python3 scripts/run_tests.py --workspace

lint: setup ## formatting, clippy, the dependencies, the deployment files
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	python3 scripts/check_dependencies.py
	python3 scripts/check_deploy.py

bench: setup ## measure (ONLY=<prefix> to choose); writes target/bench.json
	@cargo bench --quiet --package kinitro --bench mesh -- $(ONLY)

interop: setup-tests ## run the Python bittensor SDK, old and new, against the chain and the backend
	@cargo build --quiet --bin kinitro
	@python3 interop/run.py "$${CARGO_TARGET_DIR:-target}/debug/kinitro"

sqlx: setup ## renew the offline cache of the checked queries after changing one
	@./scripts/prepare_queries.sh

clean: ## remove what builds, set-up and `make up` made
	cargo clean
	rm -rf .vendor .kinitro
