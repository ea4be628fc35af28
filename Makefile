# One Makefile, the same verbs for people and for CI. `make help` lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench soak fuzz docs lock clean

help:  ## this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "athena needs Python 3.11 or newer; say which one: make PYTHON=python3.12 setup"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python requirements/run.txt pyproject.toml
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

# What an example needs: $(VENV)/.mmocr, .iat, .tts, .embed. One after another, since they share one environment.
EXAMPLES := $(addprefix $(VENV)/.,mmocr iat tts embed)
$(EXAMPLES): $(VENV)/.%: $(VENV)/.run requirements/%.txt
	$(PIP) --require-hashes --no-deps -r requirements/$*.txt
	@touch $@

setup: $(VENV)/.run  ## create .venv with the athena command in it

demo: $(VENV)/.mmocr  ## serve examples/02-mmocr, send it a picture, print what was read on it
	$(BIN)/python examples/02-mmocr/demo.py

test: $(VENV)/.dev $(EXAMPLES)  ## run the tests
	$(BIN)/python -m pytest

check: $(VENV)/.dev  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## measure against FastAPI+uvicorn, MOSEC, LitServe and BentoML, side by side
	$(BIN)/python -m benchmarks

soak: $(VENV)/.dev  ## the long tests: ten minutes of half load with client aborts
	$(BIN)/python -m pytest -m soak tests/reliability

fuzz: $(VENV)/.dev  ## throw bytes at every decoder for a minute each
	$(BIN)/python -m fuzz --seconds 60

docs: $(VENV)/.dev  ## check that the documents name every setting, error code and command
	$(BIN)/python -m pytest tests/docs

lock: $(VENV)/.dev  ## resolve the dependencies anew (needs the uv package)
	$(PIP) uv
	$(BIN)/python requirements/lock.py

clean:  ## remove the environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache benchmarks/.venvs
