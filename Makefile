# `make demo` and `make test` need Python 3.11 or newer and nothing set up before.
# PYTHON=... picks another interpreter.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
ANNOUNCE := Installing into $(VENV); PyTorch is large, this takes some minutes at the first time

.DEFAULT_GOAL := help
.PHONY: help demo test lint types imports clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/.demo ## simulate rooms, fit without labels, track an unseen talker, draw it: demo_out/
	$(BIN)/doatrack demo --out demo_out

test: $(VENV)/.test ## run the tests and the examples in docstrings
	$(BIN)/python -m pytest

lint: $(VENV)/.dev ## check style and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev ## check types
	$(BIN)/mypy

imports: $(VENV)/.dev ## check that modules import downwards only
	$(BIN)/lint-imports --no-logo

clean: ## remove the virtual environment and what was built
	rm -rf $(VENV) build dist demo_out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is made anew when the requirements change; its stamps are written last, so a broken-off
# installation is started again.
$(VENV)/.made: pyproject.toml constraints.txt
	@python=; for name in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "doatrack needs Python 3.11 or newer, and none was found (python3 is: $$(python3 --version 2>&1 || echo missing))." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.12 demo" >&2; exit 1; \
	fi; \
	rm -rf $(VENV); \
	$$python -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$$python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.demo: $(VENV)/.made
	@echo "$(ANNOUNCE)"
	$(PIP) -e '.[plot]'
	@touch $@

$(VENV)/.test: $(VENV)/.made
	@echo "$(ANNOUNCE)"
	$(PIP) -e '.[plot,live,scale,onnx,test]'
	@touch $@

$(VENV)/.dev: $(VENV)/.made
	@echo "$(ANNOUNCE)"
	$(PIP) -e '.[plot,live,scale,onnx,test,dev]'
	@touch $@
