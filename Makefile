# Every target works on a fresh clone; the steps themselves are in tools/.
#   PYTHON=python3.12   the interpreter for .venv (default: the newest one found, 3.11 or later)
#   DATA=./data         where `make run` keeps its store
#   LANES="unit s3"     only these lanes of `make test` and `make long`
#   SUITE=PATH          the copy of ceph/s3-tests that `make conformance` runs
#   BENCH=small         only this benchmark of `make bench`, or these
#   UPDATE=1            `make bench` writes benchmarks/baseline.json
#   SEED=1234           repeat a run of `make test`, `make long` or `make torture`
#   SECONDS=600         how long `make torture` goes on
PYTHON ?=
DATA ?= ./data
LANES ?=
SEED ?=
BENCH ?=
UPDATE ?=
SUITE ?=
SECONDS ?= 600

VENV := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help run build dev check test long torture bench conformance clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## make .venv and the C kernels; leaves .venv/bin/fastobj ready
	@PYTHON="$(PYTHON)" sh tools/bootstrap.sh build

run: build ## build, then start a server on ./data
	@$(VENV)/fastobj server $(DATA)

dev: ## build, with the tools for tests and checks
	@PYTHON="$(PYTHON)" sh tools/bootstrap.sh dev

check: dev ## formats, lint, types and the rules of the house
	@$(VENV)/python -m tools.check

test: dev ## check, then every lane of tests (at most 15 minutes)
	@SEED="$(SEED)" $(VENV)/python -m tools.lanes $(LANES)

long: dev ## the tests marked long, lane by lane
	@SEED="$(SEED)" $(VENV)/python -m tools.lanes --long $(LANES)

torture: dev ## attack stores for SECONDS (SEED=1234 to repeat), and say what was counted
	@$(VENV)/python -m tools.torture --seconds "$(SECONDS)" $(if $(SEED),--seed "$(SEED)")

bench: dev ## run the benchmarks (BENCH=kernels for one, UPDATE=1 for a new baseline)
	@$(VENV)/python -m tools.bench $(if $(UPDATE),--update) $(BENCH)

conformance: dev ## run ceph/s3-tests over HTTP and HTTPS (SUITE=PATH of a copy of it)
	@$(VENV)/python -m tools.s3tests --http --https $(if $(SUITE),--suite "$(SUITE)")

clean: ## remove all that was built; keeps stores and client environments
	rm -rf .venv build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .benchmarks
	rm -f src/fastobj/_ext/*.so
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
