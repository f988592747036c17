PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 3
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

# Visitors of the console say who they are, unless something is said of who is let in
TRYING_OUT := $(if $(HOST)$(AUTH_MODE)$(JWT_SECRET)$(CONSOLE_TRUSTS_VISITORS),,CONSOLE_TRUSTS_VISITORS=true )

.PHONY: serve demo test chaos bench bench-compare check format install install-dev lock clean

serve: install ## run the service, embedded, on port 3051
	$(TRYING_OUT)$(BIN)/workflow-orchestrator serve

demo: install ## run it with simulated neighbours and watch it work
	$(BIN)/workflow-orchestrator demo

test: install-dev ## run every test, in WORKERS processes (ARGS: paths, -k words)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: install-dev ## the long chaos test (CHAOS_KILLS, CHAOS_SECONDS, CHAOS_SEED, CHAOS_FORMS), ten minutes of overload, five of erasures against archives
	$(BIN)/python -m tests.chaos.campaign
	CHAOS_OVERLOAD_SECONDS=600 $(BIN)/python -m pytest -s tests/chaos/test_overload.py
	CHAOS_ERASE_SECONDS=300 $(BIN)/python -m pytest -s tests/chaos/test_erase_against_archives.py

bench: install-dev ## measure, a short form of all, into benchmarks/results (ARGS: --long, --rounds N, names)
	$(BIN)/python -m benchmarks $(ARGS)

bench-compare: install-dev ## measure the commit REV and this tree in turns (ARGS: --rounds N, names)
	$(BIN)/python -m benchmarks.compare $(REV) $(ARGS)

check: install-dev ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## rewrite the code in the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.installed ## make the virtual environment for running

install-dev: $(VENV)/.installed-dev ## and for working on it

$(VENV)/.installed: requirements.lock requirements-build.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
		-r requirements-build.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	touch $@

lock: ## pin the versions anew (needs uv; no registry's address is written)
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --group build --output-file requirements-build.lock
	$(COMPILE) --constraint requirements.lock --constraint requirements-build.lock \
		--extra dev --group build pyproject.toml --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
