# Every target is what CI runs. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help quickstart setup format check test coverage golden schema bench stop clean
PYTHON ?= python3
VENV   ?= .venv
# Two more than there are cores: many tests wait for servers and jobs.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 2 )))
BIN    := $(VENV)/bin

help:        ## List the targets
	@grep -E '^[a-z]+: +.*##' Makefile | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -U pip
	$(BIN)/pip install -q -e '.[local,examples]'
	@touch $@

$(VENV)/.developer: $(VENV)/.installed
	$(BIN)/pip install -q --group dev
	@touch $@

quickstart: $(VENV)/.installed ## Install into .venv and apply the flagship example, end to end
	$(BIN)/python examples/flights/fetch.py
	$(BIN)/mlform apply -chdir examples/flights -auto-approve
	@echo
	@echo "It serves now. Ask it:      $(BIN)/python examples/flights/ask.py"
	@echo "Plan again (nothing to do): $(BIN)/mlform plan -chdir examples/flights"
	@echo "Take it down:               make stop"

stop:        ## Stop the server of the quick start and forget what it recorded
	$(BIN)/mlform destroy -chdir examples/flights -auto-approve

setup: $(VENV)/.developer ## Install everything a developer needs into .venv

format: setup ## Rewrite the code in the one style
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

check: setup ## Everything that reads but does not run: style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup  ## Every test, on every core
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

coverage: setup ## The same with coverage of the engine, which takes half as long again
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(WORKERS) --dist loadfile
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered --skip-empty --fail-under=90

golden: setup ## Rewrite the golden files; read the diff before you commit it
	$(BIN)/pytest -q --golden=update -k golden

schema: setup ## Rewrite the generated contracts in schema/
	$(BIN)/python schema/generate.py

bench: setup ## The benchmarks, side by side with the peers that are installed
	$(BIN)/python benchmarks/run.py

clean:       ## Remove the virtual environment and everything generated
	rm -rf $(VENV) .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
