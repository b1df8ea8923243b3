# Everything a developer or CI does, by name. `make help` lists it.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv --quiet
LOCK   := $(BIN)/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

.DEFAULT_GOAL := help
.PHONY: help install dev lock demo check format generate hooks browser test test-long bench clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-11s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- install ----------------------------------------------------------------------------------------------------------

install: $(VENV)/.runtime ## what running needs, in .venv (leaves .venv/bin/jalon)
dev: $(VENV)/.dev ## what checking and testing need as well

$(BIN)/uv: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Jalon needs Python 3.11 or newer; '$(PYTHON)' is older or missing. Try: make PYTHON=python3.11 …" >&2; exit 1; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "'$(PYTHON) -m venv' does not work here. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.txt > $(VENV)/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(VENV)/uv.txt
	@touch $@

# The development lock holds all that the runtime lock does: once it is in, `install` leaves it.
$(VENV)/.runtime: requirements.txt pyproject.toml $(BIN)/uv
	@if [ -e $(VENV)/.dev ]; then $(MAKE) --no-print-directory dev; else \
		echo "Installing into $(VENV) …"; \
		$(UV) pip install --require-hashes --requirement requirements.txt && \
		$(UV) pip install --no-deps --build-constraints requirements-dev.txt --editable .; fi
	@touch $@

$(VENV)/.dev: requirements-dev.txt pyproject.toml $(BIN)/uv
	@echo "Installing into $(VENV) …"
	@$(UV) pip sync --require-hashes requirements-dev.txt
	@$(UV) pip install --no-deps --build-constraints requirements-dev.txt --editable .
	@touch $@

lock: ## resolve the dependencies anew, for Python 3.11 to 3.13 (UPGRADE=1: to the newest)
	@$(LOCK) pyproject.toml --output-file requirements.txt
	@$(LOCK) pyproject.toml --extra kafka --group dev --constraint requirements.txt --output-file requirements-dev.txt

# --- run --------------------------------------------------------------------------------------------------------------

demo: install ## four shoppers' journeys, live, on a throwaway Jalon
	@$(BIN)/jalon demo

# --- check ------------------------------------------------------------------------------------------------------------

check: dev ## style, types, import rules, generated files, house rules
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tools.generate --check
	@$(BIN)/python -m tools.house

format: dev ## put the code in its form
	@$(BIN)/ruff check --fix --quiet
	@$(BIN)/ruff format --quiet

generate: dev ## write the generated files anew: OpenAPI, diagrams, the table of settings
	@$(BIN)/python -m tools.generate

hooks: dev ## let git run `make check` before each commit
	@$(BIN)/pre-commit install

# --- test -------------------------------------------------------------------------------------------------------------

# The page is tested in the system's Chromium, or else in the one that Playwright can download.
browser: dev
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } > /dev/null || \
		$(BIN)/playwright install chromium || \
		{ echo "The tests of the page need Chromium. On Debian and Ubuntu: apt-get install chromium" >&2; exit 1; }

# Most tests wait for processes that they start, kill or stop: several files at a time, each run with its own servers.
TESTERS ?= 3

test: dev browser ## all tests, on real Kafka and Postgres (ARGS='-k words' for some)
	@$(BIN)/pytest -m "not long and not bench" -n $(TESTERS) --dist loadfile $(ARGS)

test-long: dev ## the tests that take minutes: kills and soaks
	@$(BIN)/pytest -m long $(ARGS)

bench: dev ## measure the hot paths against bare ones in the same minute
	@$(BIN)/pytest -m bench -s $(ARGS)

clean: ## remove caches (not .venv, not data)
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
