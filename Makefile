# The only commands that the README and CI call.
#   make run    set up, then serve the page on http://127.0.0.1:7860
#   make test   set up, then run every test, with a real browser
#   make check  what to run before a commit: format, lint, types, import contracts, fast tests
#   make fix    let the tools mend format and lint
#   make bench  interleaved timings against an independent implementation

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
SOURCES := app.py sr_core hub zoo ratings ui bench tests
TYPED := app.py sr_core hub zoo ratings ui bench

.PHONY: run test check fix bench setup browser clean

run: $(VENV)/.run
	$(BIN)/python app.py

test: $(VENV)/.dev browser
	$(BIN)/python -m pytest

check: $(VENV)/.dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	if command -v node >/dev/null; then $(BIN)/pyright; else $(BIN)/mypy $(TYPED); fi
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q -m "not slow and not browser"

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(VENV)/.dev
	$(BIN)/python -m bench

setup: $(VENV)/.dev

# A browser for the tests of the page: any Chromium or Chrome that is there, otherwise Debian's.
browser:
	@for name in chromium chromium-browser google-chrome; do command -v $$name >/dev/null && exit 0; done; \
	command -v apt-get >/dev/null || { \
		echo "make test needs Chromium or Google Chrome for the tests of the page; please install one." >&2; exit 1; }; \
	sudo=$$( [ "$$(id -u)" = 0 ] || echo sudo ); \
	$$sudo apt-get update -q && $$sudo apt-get install -q -y --no-install-recommends chromium

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Python 3.11 is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "The module venv does not work here; on Debian, install python3-venv." >&2; exit 1; }

$(VENV)/.run: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.dev: requirements.txt requirements-workshop.txt requirements-dev.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements-dev.txt
	touch $(VENV)/.run $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .import_linter_cache
