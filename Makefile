# Dispatch: `make help` lists the commands. Nothing is needed but Python 3.11 and its venv module.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= $(shell command -v python3.11 || command -v python3)
TESTS ?= tests
JOBS ?= 3
FAULT ?=

BIN := .venv/bin
# Every package is pinned and hashed, the indirect ones too: nothing is to be worked out, nothing to
# be built, and nothing else than what was looked at gets in.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --progress-bar on --only-binary :all: --no-deps
DEMO := .venv/.demo
DEV := .venv/.dev
# The tool that works out and pins what pyproject.toml asks for; for whoever changes that.
UV := uv==0.13.9
TYPED := $(wildcard app sandbox embedded deploy config.py wsgi.py)

.PHONY: help run test faults lint format bench lock clean

help: ## list the commands
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1|/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done

run: $(DEMO) ## start everything for a demonstration on embedded parts; Ctrl-C stops it
	@exec $(BIN)/python -m embedded.run

test: lint ## set up, lint and run every test (TESTS=tests/inbound JOBS=4 narrow and widen it)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(TESTS)

faults: $(DEV) ## break every part in every way and print the table: half an hour (FAULT=web_killed: one)
	$(BIN)/python -m pytest --faults tests/faults -k "$(FAULT)"

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
	$(BIN)/python -m bench.steps

lock: .venv/bin/python ## pin what pyproject.toml asks for, keeping what is pinned (LOCK=--upgrade: not)
	@$(PIP) --quiet $(UV)
	@PATH="$(BIN):$$PATH" sh .ci/lock $(LOCK)

clean: ## remove .venv, caches and the demonstration's data
	rm -rf .venv instance tests/artefacts .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	@sh .ci/venv "$(PYTHON)"

$(DEMO): requirements-demo.txt | .venv/bin/python
	@echo "Installing what Dispatch needs into .venv (once; about 15 seconds)"
	@$(PIP) --require-hashes -r requirements-demo.txt
	@touch $@

$(DEV): requirements-dev.txt | .venv/bin/python
	@echo "Installing what Dispatch and its tests need into .venv (once; about 40 seconds)"
	@$(PIP) --require-hashes -r requirements-dev.txt
	@touch $@ $(DEMO)
