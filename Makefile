# `make` alone lists what there is. Everything runs in .venv, made on first use.
PYTHON ?= python3
VENV ?= .venv

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CORE := $(VENV)/core.stamp
DEV := $(VENV)/dev.stamp

.PHONY: help setup demo test test-slow exactness mutations lint format types notebooks readme docs pictures package clean
.DELETE_ON_ERROR:

help:
	@echo "make setup      all that the others need, installed into .venv"
	@echo "make demo       restore a photograph and write pictures to demo/ (minutes)"
	@echo "make test       tests and docstring examples, without the slow ones"
	@echo "make test-slow  the slow ones"
	@echo "make exactness  the samplers' exactness tests at 20 fresh seeds; SEEDS=first:end for others"
	@echo "make mutations  break a formula at a time: the exactness tests must notice"
	@echo "make lint       ruff: rules and layout; 'make format' mends what it can"
	@echo "make types      mypy"
	@echo "make notebooks  run notebooks/*.py and write the .ipynb beside each"
	@echo "make readme     run the README's Python code"
	@echo "make docs       build the documentation into build/site; run its Python code in small"
	@echo "make pictures   make the documentation's pictures anew (minutes)"
	@echo "make package    build wheel and sources, and try them with each Python there is (minutes)"
	@echo "make clean      remove what the above wrote, .venv excepted"

$(CORE): pyproject.toml
	@echo "Installing bdip into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --editable .
	@touch $@

$(DEV): $(CORE)
	@echo "Installing what tests and checks need into $(VENV) ..."
	@$(PIP) install --editable '.[dev]'
	@touch $@

# What all the others but `demo` need.
setup: $(DEV)

demo: $(CORE)
	@$(BIN)/python -m bdip demo --output demo

# Files side by side, one a core: what takes the time is compiling, on one core each.
SIDE_BY_SIDE ?= -n auto --maxprocesses 4 --dist loadfile

test: $(DEV)
	@$(BIN)/python -m pytest -q --durations=5 $(SIDE_BY_SIDE)

test-slow: $(DEV)
	@$(BIN)/python -m pytest -q --durations=5 -m slow

SEEDS ?= 1000:1020

exactness: $(DEV)
	@$(BIN)/python -m pytest -q --durations=5 tests/exactness --exactness-seeds $(SEEDS)

mutations: $(DEV)
	@$(BIN)/python -m tests.mutations

lint: $(DEV)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(DEV)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(DEV)
	@$(BIN)/mypy

# A notebook is committed with its outputs, so that it must stay small. All share their compiled programs, which are in
# no folder that a run before this one could have filled.
notebooks: $(DEV)
	@cache=$$(mktemp -d); trap 'rm -rf "$$cache"' EXIT; \
	for script in $(wildcard notebooks/*.py); do \
		echo "Running $$script ..."; \
		BDIP_CACHE="$$cache" $(BIN)/jupytext --quiet --to ipynb --set-kernel python3 --execute "$$script" || exit 1; \
		size=$$(wc -c < "$${script%.py}.ipynb"); \
		if [ "$$size" -gt 300000 ]; then \
			echo "$${script%.py}.ipynb has $$size bytes: draw fewer or smaller figures (limit 300000)."; \
			exit 1; \
		fi; \
	done

readme: $(DEV)
	@BDIP_CACHE=off $(BIN)/python tests/readme_code.py README.md

# Nothing is loaded from elsewhere while the pages are built, nor by the pages.
docs: $(DEV)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@BDIP_CACHE=off $(BIN)/python -m tests.docs_code

pictures: $(DEV)
	@$(BIN)/python docs/make_pictures.py

package: $(DEV)
	@$(BIN)/python -m tests.package

clean:
	@rm -rf demo build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
