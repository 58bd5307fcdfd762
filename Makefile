# Hedgerow: `make run` is the published experiment on this host's kernel, `make test` the proof that it is sound.
# Everything is set up first, and quickly where it is already.

.PHONY: help setup setup-tests run test test-all lint bench docs lock clean

help:
	@echo 'make setup   install what is missing; leaves .venv/bin/orchestrator'
	@echo 'make run     run scenarios/paper.yaml in network namespaces (root, or sudo)'
	@echo 'make setup-tests   the same, with the tools that test it'
	@echo 'make test    lint, types and every layer of tests (root, or sudo)'
	@echo 'make test-all   the same, with every simulation in full (hours)'
	@echo 'make lint    ruff and mypy'
	@echo 'make bench   what the hedger itself costs (root, or sudo)'
	@echo 'make docs    write the pages of commands and keys in docs/ from the code'
	@echo 'make lock    choose newer versions for requirements.lock and tests/requirements.lock'
	@echo 'make clean   remove .venv, caches and built files; results stay'

setup:
	@.ci/setup

setup-tests:
	@.ci/setup --tests

run: setup
	@.ci/as-owner mkdir -p results
	@.ci/as-root .venv/bin/orchestrator run scenarios/paper.yaml --backend netns

test: lint
	@.ci/test

test-all: lint
	@HEDGEROW_LONG=1 .ci/test

lint: setup-tests
	@.ci/as-owner .venv/bin/ruff check .
	@.ci/as-owner .venv/bin/ruff format --check .
	@.ci/as-owner .venv/bin/mypy

bench: setup
	@.ci/as-owner mkdir -p results
	@.ci/as-root .venv/bin/orchestrator bench

docs: setup-tests
	@.ci/as-owner env PYTHONPATH=tests .venv/bin/python -m support.cli_reference
	@.ci/as-owner env PYTHONPATH=tests .venv/bin/python -m support.scenario_reference
	@.ci/as-owner env PYTHONPATH=tests .venv/bin/python -m support.run_folder_reference

lock:
	@.ci/lock

# What root left in the caches (kernels, bytecode) takes root to remove.
clean:
	@rubbish="$$(find . -name __pycache__ -not -path './.venv/*' -not -path './results/*') \
	    .venv .cache build images/client/hedgerow_client/native/build .pytest_cache .mypy_cache .ruff_cache .hypothesis hedgerow.egg-info"; \
	rm -rf $$rubbish 2>/dev/null || .ci/as-root rm -rf $$rubbish
