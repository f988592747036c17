PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 3
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

# Unless one of these variables says who may sign in, visitors of the console say who they are and are believed
TRYING_OUT := $(if $(HOST)$(AUTH_MODE)$(JWT_SECRET)$(CONSOLE_TRUSTS_VISITORS),,CONSOLE_TRUSTS_VISITORS=true )

# What is compiled once is there for the next process: it is a quarter of a start, and two thirds of collecting the tests
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve demo test chaos bench bench-compare check format install install-dev lock clean

serve: install ## run the service with embedded stores, on port 3051
	$(TRYING_OUT)$(BIN)/workflow-orchestrator serve

demo: install ## run the service with simulated neighbouring services, and watch it work
	$(BIN)/workflow-orchestrator demo

test: install-dev ## run all tests, in WORKERS processes (ARGS: paths, -k words)
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

chaos: install-dev ## run the long chaos test (CHAOS_KILLS, CHAOS_SECONDS, CHAOS_SEED, CHAOS_FORMS), ten minutes of overload, and five minutes of erasures against archives
	$(BIN)/python -m tests.chaos.campaign
	CHAOS_OVERLOAD_SECONDS=600 $(BIN)/python -m pytest -s tests/chaos/test_overload.py
	CHAOS_ERASE_SECONDS=300 $(BIN)/python -m pytest -s tests/chaos/test_erase_against_archives.py

bench: install-dev ## run a short form of all benchmarks; results go to benchmarks/results (ARGS: --long, --rounds N, names)
	$(BIN)/python -m benchmarks $(ARGS)

bench-compare: install-dev ## benchmark the commit REV and this tree alternately (ARGS: --rounds N, names)
	$(BIN)/python -m benchmarks.compare $(REV) $(ARGS)

check: install-dev ## check lint, format, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## fix lint findings and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.installed ## create the virtual environment for running the service

install-dev: $(VENV)/.installed-dev ## add what development needs to the virtual environment

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

lock: ## pin all versions again (needs uv; no registry address is written)
	$(COMPILE) pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --group build --output-file requirements-build.lock
	$(COMPILE) --constraint requirements.lock --constraint requirements-build.lock \
		--extra dev --group build pyproject.toml --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
