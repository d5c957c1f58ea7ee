# Every target creates or refreshes .venv by itself; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV_VERSION := 0.13.9
DEMO ?=
CHAOS ?=
PHOTOS ?= ../shared
RECIPE ?= style
EXAMPLES ?= 20000
WORKERS ?= 2
SOAK := tests/unit/test_consumers_engine_properties.py tests/unit/test_consumers_group_machine.py tests/unit/test_serve_probe.py tests/unit/test_serve_guard.py

# Where Python may keep no bytecode, each of the many processes of a demo or a test would compile torch and Ray anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test chaos check schemas bench soak train lock clean

help:  ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## create or refresh .venv (6 GB with torch; seconds when nothing changed)

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -e .
	@touch $@

demo: $(STAMP)  ## the whole way on this machine: events -> Kafka -> Ray Serve -> S3 -> pictures in out/demo
	$(BIN)/vitrine demo $(DEMO)

# Files of unit tests run side by side; what starts real servers has the machine to itself.
test: $(STAMP)  ## all tests (unit, integration, acceptance), or TESTS=tests/unit/test_serve_plan.py
ifdef TESTS
	$(BIN)/python -m pytest $(TESTS)
else
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/unit; unit=$$?; \
	$(BIN)/python -m pytest tests/integration tests/acceptance && exit $$unit
endif

chaos: $(STAMP)  ## 20,000 events through real servers that are killed, frozen and cut meanwhile (25 minutes; CHAOS=--seed 7)
	$(BIN)/python -m deploy.loadtest.chaos $(CHAOS)

check: $(STAMP)  ## lint, format, strict types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

schemas: $(STAMP)  ## write the JSON Schemas, the AsyncAPI document and the settings table from the code
	$(BIN)/python -m deploy.contracts

bench: $(STAMP)  ## figures, as ratios within one run
	$(BIN)/python -m deploy.bench

soak: $(STAMP)  ## state machines of the consumers for long: EXAMPLES=20000 of each; all hostile photos
	VITRINE_SOAK_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest --timeout=0 $(SOAK)

train: $(STAMP)  ## train a bundled net again (RECIPE=product, style, ...) on PHOTOS, a folder with photos/ and masks/
	$(BIN)/python -m models.training $(RECIPE) --data $(PHOTOS) --weights models/weights

lock: $(STAMP)  ## resolve requirements.lock anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --all-extras --python-version 3.11 pyproject.toml -o requirements.lock

clean:  ## remove what the targets made
	rm -rf $(VENV) .vitrine out dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
