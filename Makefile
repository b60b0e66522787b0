# Dispatch: `make help` lists the commands. Nothing is needed but Python 3.11 and its venv module.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TESTS ?= tests
JOBS ?= 2

BIN := .venv/bin
# Every package is pinned, the indirect ones too: nothing is to be worked out, nothing to be built.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar on --only-binary :all: --no-deps
RUNTIME := .venv/.runtime
DEV := .venv/.dev
TYPED := $(wildcard app sandbox embedded config.py wsgi.py)

.PHONY: help run test lint format bench clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1|/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

run: $(RUNTIME) ## start everything for a demonstration on embedded parts; Ctrl-C stops it
	@exec $(BIN)/python -m embedded.run

test: lint ## set up, lint and run every test (TESTS=tests/inbound JOBS=4 narrow and widen it)
	@# What real processes and clocks failed on a busy machine is run once more, alone; a defect fails twice.
	$(BIN)/python -m pytest -n $(JOBS) $(TESTS) || $(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(TESTS)

lint: $(DEV) ## ruff, mypy and the import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(TYPED)
	$(BIN)/lint-imports --no-cache

format: $(DEV) ## sort imports and format the code
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(DEV) ## measure the incoming path beside a naive minimum
	$(BIN)/python -m bench.inbound

clean: ## remove .venv, caches and the demonstration's data
	rm -rf .venv instance tests/artefacts .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	@sh .ci/venv "$(PYTHON)"

$(RUNTIME): requirements.txt | .venv/bin/python
	@echo "Installing what Dispatch needs into .venv (once; about 15 seconds)"
	@$(PIP) -r requirements.txt
	@touch $@

$(DEV): requirements-dev.txt requirements.txt | .venv/bin/python
	@echo "Installing what Dispatch and its tests need into .venv (once; about 40 seconds)"
	@$(PIP) -r requirements-dev.txt
	@touch $@ $(RUNTIME)
