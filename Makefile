# make help says what there is. Needs Python 3.11 or newer, make and a package index.

PYTHON ?= python3
PYTHON_LOWEST ?= $(firstword $(shell command -v python3.11) $(PYTHON))
WORKERS ?= 2

DEMO := .venv
DEV := .venv-dev
LOWEST := .venv-lowest
PACKAGE := pyproject.toml README.md LICENSE $(shell find mlmarket data/samples -type f -not -name '*.pyc' 2>/dev/null)

# Every package comes from a lock with its hash; the package itself is built with the locked hatchling.
INSTALL := -m pip install --quiet --disable-pip-version-check
LOCKED := $(INSTALL) --no-deps --require-hashes --only-binary :all:
HERE := $(INSTALL) --no-deps --no-build-isolation

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check format api lock upgrade test-lowest test-spark wheel clean

help:
	@echo "make demo         install into $(DEMO) and run one night on the sample shop"
	@echo "make test         all checks: format, lint, types, import contracts, tests, notebooks, coverage"
	@echo "make format       rewrite the code in the project's format"
	@echo "make api          rewrite docs/api.md, the list of public names"
	@echo "make test-lowest  the tests on Python 3.11 with the oldest allowed dependencies"
	@echo "make test-spark   the tests on a Spark of several processes; needs Java 17"
	@echo "make lock         write the lock files anew after a change of pyproject.toml"
	@echo "make upgrade      the same, with the newest allowed versions"
	@echo "make wheel        build the sdist and the wheel into dist/"
	@echo "make clean        delete environments, caches and outputs"
	@echo "PYTHON=$(PYTHON) is the interpreter of new environments: make demo PYTHON=python3.13"

# --- the demo -------------------------------------------------------------------------------------

demo: $(DEMO)/package.stamp
	$(DEMO)/bin/mlmarket demo
	@echo "The results are in $(CURDIR)/demo"

$(DEMO)/locked.stamp: requirements.lock
	$(call new_environment,$(DEMO),$(PYTHON))
	$(DEMO)/bin/python $(LOCKED) --requirement requirements.lock
	$(call need_openmp,$(DEMO))
	@touch $@

$(DEMO)/package.stamp: $(DEMO)/locked.stamp $(PACKAGE)
	$(DEMO)/bin/python $(HERE) --force-reinstall .
	@touch $@

# --- development ----------------------------------------------------------------------------------

test: check

check: $(DEV)/package.stamp
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports
	$(DEV)/bin/python -m pytest --numprocesses $(WORKERS) -m "not spark" --cov --cov-report=term-missing:skip-covered

format: $(DEV)/package.stamp
	$(DEV)/bin/ruff format .
	$(DEV)/bin/ruff check --fix .

api: $(DEV)/package.stamp
	$(DEV)/bin/python docs/api.py

wheel: $(DEV)/package.stamp
	$(DEV)/bin/python -m hatchling build --directory dist

$(DEV)/locked.stamp: requirements-dev.lock
	$(call new_environment,$(DEV),$(PYTHON))
	$(DEV)/bin/python $(LOCKED) --requirement requirements-dev.lock
	$(call need_openmp,$(DEV))
	@touch $@

$(DEV)/package.stamp: $(DEV)/locked.stamp pyproject.toml
	$(DEV)/bin/python $(HERE) --editable .
	@touch $@

# --- Spark ----------------------------------------------------------------------------------------

# One process: it starts a master, two workers and an executor on each.
test-spark: $(DEV)/spark.stamp
	$(DEV)/bin/python -m pytest -m spark tests/engines/spark

# PySpark is a source archive of 400 MB; pip keeps the wheel that it builds of it.
$(DEV)/spark.stamp: requirements-spark.lock $(DEV)/package.stamp
	$(DEV)/bin/python $(INSTALL) --no-deps --require-hashes --no-build-isolation \
		--requirement requirements-spark.lock
	@touch $@

# --- dependencies ---------------------------------------------------------------------------------

# uv does not read pip's settings: an index that is set for pip is handed on.
PIP_INDEX = $(or $(PIP_INDEX_URL),$(shell $(DEV)/bin/python -m pip config get global.index-url 2>/dev/null))
lock upgrade $(LOWEST)/package.stamp: export UV_DEFAULT_INDEX ?= $(PIP_INDEX)
UV := $(DEV)/bin/uv pip compile --quiet
LOCK_OPTIONS = $(UV) $(NEWER) --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--annotation-style line --custom-compile-command "make lock"
LOCK = $(LOCK_OPTIONS) pyproject.toml

upgrade: NEWER := --upgrade
lock upgrade: $(DEV)/locked.stamp
	$(LOCK) --group build --output-file requirements.lock
	$(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock
	$(LOCK_OPTIONS) --constraint requirements-dev.lock --group pyproject.toml:spark --output-file requirements-spark.lock

# What servers, notebooks, killed processes and whole nights of journeys show does not depend on the
# age of a dependency.
NOT_BY_VERSION := --ignore tests/engines --ignore tests/notebooks --ignore tests/nightly/test_whole_nights.py \
	--ignore tests/nightly/test_authoring.py --ignore tests/nightly/test_delivery.py \
	--ignore tests/nightly/test_minute.py --ignore tests/nightly/test_privacy.py \
	--ignore tests/orchestration/state/test_killed.py --ignore tests/orchestration/handover/test_faults.py \
	--ignore tests/orchestration/telling/test_template_previews.py

test-lowest: $(LOWEST)/package.stamp
	$(LOWEST)/bin/python -m pytest --numprocesses $(WORKERS) -m "not spark" $(NOT_BY_VERSION)

$(LOWEST)/package.stamp: $(DEV)/locked.stamp pyproject.toml
	@$(PYTHON_LOWEST) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo "The lowest versions are tested on Python 3.11; $(PYTHON_LOWEST) is another." >&2; \
		echo "Fix: make test-lowest PYTHON_LOWEST=/path/to/python3.11" >&2; exit 2; }
	$(call new_environment,$(LOWEST),$(PYTHON_LOWEST))
	rm -f $(LOWEST)/requirements.txt
	$(UV) --resolution lowest-direct --python $(LOWEST)/bin/python --group dev --no-header \
		--generate-hashes --output-file $(LOWEST)/requirements.txt pyproject.toml
	$(LOWEST)/bin/python $(LOCKED) --requirement $(LOWEST)/requirements.txt
	$(LOWEST)/bin/python $(HERE) --editable .
	@touch $@

# --- housekeeping ---------------------------------------------------------------------------------

clean:
	rm -rf $(DEMO) $(DEV) $(LOWEST) demo dist build .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call new_environment,FOLDER,PYTHON)
define new_environment
	@$(2) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "mlmarket needs Python 3.11 or newer; $(2) is older or missing." >&2; \
		echo "Fix: name another one, such as make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 2; }
	@$(2) -c 'import ensurepip, venv' || { \
		echo "$(2) cannot make virtual environments." >&2; \
		echo "Fix: install its venv module, on Debian: apt-get install python3-venv" >&2; exit 2; }
	$(2) -m venv $(1)
	@echo "Installing what the lock names into $(1): a minute or two, over 1 GB."
endef

# $(call need_openmp,FOLDER)
define need_openmp
	@$(1)/bin/python -c 'import lightgbm' || { \
		echo "LightGBM does not load. It needs OpenMP, which slim images lack." >&2; \
		echo "Fix: apt-get install libgomp1, or dnf install libgomp, or brew install libomp" >&2; exit 2; }
endef
