# Thin: each target is the tools it needs and one line of real work.
.PHONY: demo demo-down test test-all lint bench
SHELL := /bin/bash
# Test hosts need root, and programs that an ordinary PATH leaves out.
TOOLS := env PATH="$(CURDIR)/.venv/bin:$$PATH:/usr/sbin"
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
ROOT := $(SUDO) $(TOOLS)

demo:
	@.ci/bootstrap
	@$(ROOT) school demo

demo-down:
	@[ ! -x .venv/bin/school ] || $(ROOT) school demo --down
	@$(SUDO) rm -rf .venv

# Lint, then everything but what is marked slow, two files at a time: a scenario mostly waits.
test: lint
	@.ci/bootstrap test
	@$(ROOT) pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 30 --durations-min 10

test-all: lint
	@.ci/bootstrap test
	@$(ROOT) pytest

lint:
	@.ci/bootstrap
	@$(TOOLS) ruff check
	@$(TOOLS) ruff format --check
	@$(TOOLS) mypy
	@$(TOOLS) yamllint --strict .
	@$(TOOLS) ansible-lint -q

bench:
	@.ci/bootstrap test
	@$(ROOT) school bench
