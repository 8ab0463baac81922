# Two commands: `make run` boots the kernel, `make test` tests everything. Both set up what they need, once.

PROFILE ?= full
PYTHON  ?= python3
ARGS    ?=
TESTS   ?=
DOCS    ?=

VENV := .venv
BIN  := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: run trace test check check-style check-types check-layers check-rings check-probes docs bench probes clean help

run: $(VENV)/run.stamp ## boot the kernel: make run [PROFILE=step-by-step] [ARGS=...]
	@$(BIN)/ekernel run --profile $(PROFILE) $(ARGS)

trace: $(VENV)/run.stamp ## boot it and print each page fault and allocation where it happened
	@$(BIN)/ekernel run --profile $(PROFILE) --trace faults,frames,heap $(ARGS)

# The tests start hundreds of commands, each of which would compile all of ekernel anew where bytecode is not kept.
test: $(VENV)/dev.stamp ## run the tests (all of them when CI is set): make test [TESTS=tests/linker]
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/pytest -n auto $(TESTS)

check: $(VENV)/dev.stamp ## lint, type check, and check that imports go downwards, in no ring, and native code is as its source
	@$(MAKE) --no-print-directory -j 3 check-style check-types check-layers check-rings check-probes

check-style check-types check-layers check-rings check-probes: $(VENV)/dev.stamp
check-style: ; @$(BIN)/ruff check .
check-types: ; @$(BIN)/mypy
check-layers: ; @$(BIN)/lint-imports --no-logo
check-rings: ; @$(BIN)/pytest -qq tests/test_architecture.py
check-probes: ; @$(BIN)/python -m tests.emu.engine.assembling --check

docs: $(VENV)/dev.stamp ## write the numbers in README and docs anew, as the commands in them print them now
	@$(BIN)/python -m tests.documentation.refresh $(DOCS)

bench: $(VENV)/run.stamp ## run every benchmark
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file; done

probes: $(VENV)/dev.stamp ## assemble the engine's native code again, after its source was changed (on x86-64)
	@$(BIN)/python -m tests.emu.engine.assembling

clean: ## remove what was built, and the environment
	rm -rf build $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

help: ## say what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "ekernel needs Python 3.11 or newer: '$(PYTHON)' is older or missing. Name another with make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "'$(PYTHON) -m venv' failed; on Debian and Ubuntu it comes with the package python3-venv" >&2; exit 1; }

$(VENV)/run.stamp: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/run.stamp
