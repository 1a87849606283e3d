# Thin names for the scripts in scripts/. `make test` needs nothing but Rust, Python and Node.

SHELL := /bin/bash
.PHONY: help test run fmt lint doc ui clients browser bench fuzz soak deny msrv

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

test: ## everything that has to pass; installs what it needs
	scripts/test.sh

run: ## build and start logmon (DEMO=1 for traffic to look at)
	cargo run --release -p logmon -- run $(if $(DEMO),--demo)

fmt: ## format the Rust sources
	cargo fmt --all

lint: ## formatting, clippy, documentation, dependencies of the core, shell scripts
	scripts/lint.sh

ui: ## build the page into logmon-bin/ui/dist
	scripts/ui.sh build

clients: ## deliver with real Fluentd clients
	scripts/clients.sh

browser: ## use the page in a real browser
	scripts/browser.sh

bench: ## the criterion benches
	cargo bench -p logmon-benches

fuzz: ## each fuzz target for SECONDS=60
	scripts/fuzz.sh $(or $(SECONDS),60)

soak: ## the long form of the fault, model and crash tests (LOGMON_SOAK_SECONDS=1800)
	scripts/soak.sh

deny: ## licences, sources and duplicates of the dependencies
	scripts/deny.sh

msrv: ## check with the oldest Rust that is supported
	scripts/msrv.sh
