# Everything runs in .venv, which the first target that needs it sets up. Another interpreter, and other releases
# of what LOTDB stands on, get an environment of their own beside it. All paths are relative: a checkout may lie
# in a folder with spaces in its name.

PYTHON ?= python3
# newest, lowest (the oldest releases that the pyproject.toml files allow), pre (pre-releases too) or wheels (the
# newest, and our own packages as wheels in place of links to their sources)
RELEASES ?= newest
ARGS ?=
# Processes that share the tests: one more than two cores are, because some of the time is waiting for the disk.
# Each has to collect all tests.
JOBS ?= 3

VENV := .venv$(patsubst %,-%,$(filter-out python3,$(notdir $(PYTHON))))$(patsubst %,-%,$(filter-out newest,$(RELEASES)))

# Python keeps what it has compiled, also where that is switched off for the shell. The tests start some hundred
# processes, and pytest rewrites each file of tests: without it, all of that is compiled anew by each of them.
export PYTHONDONTWRITEBYTECODE :=

PACKAGES := lotdb-core lotdb-backend-blob lotdb-backend-zarr lotdb-ingest
PROJECTS := pyproject.toml $(PACKAGES:%=%/pyproject.toml)
VENV_PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
PEER_PYTHON := $(VENV)/peer/bin/python
PEER := $(VENV)/peer/.installed

# The stamp holds the folder that it was made in: the editable installs of a moved or copied checkout still
# point to the old place, so there the environment is rebuilt. Wheels do not follow their sources either.
ifneq ($(filter-out wheels,$(RELEASES)) $(shell cat $(INSTALLED) 2>/dev/null),$(RELEASES) $(shell pwd -P))
.PHONY: $(INSTALLED)
MOVED := --clear
endif

.DEFAULT_GOAL := help
.PHONY: help venv demo demo-scale test test-all kits lint types check bench torture pictures build clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

venv: $(INSTALLED)  ## set up .venv; done by itself when needed

$(INSTALLED): $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "LOTDB needs Python 3.11 or newer, and '$(PYTHON)' is not; name one with: make PYTHON=python3.13" >&2; \
	    exit 1; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(MOVED) $(VENV)
	@$(VENV_PYTHON) -m pip install --quiet --upgrade 'pip>=25.1'
	@$(INSTALL.$(RELEASES))
	@pwd -P > $(INSTALLED)

EDITABLE := $(PACKAGES:%=--editable ./%)
PIP_INSTALL := $(VENV_PYTHON) -m pip install --quiet
INSTALL.newest = $(PIP_INSTALL) --group dev && $(PIP_INSTALL) --no-build-isolation $(EDITABLE)
INSTALL.pre = $(PIP_INSTALL) --pre --group dev && $(PIP_INSTALL) --pre --no-build-isolation $(EDITABLE)
INSTALL.wheels = $(PIP_INSTALL) --group dev && $(PIP_INSTALL) --no-build-isolation $(PACKAGES:%=./%)
# Of a package only releases that have a wheel for this interpreter: an older one would have to be compiled.
INSTALL.lowest = $(PIP_INSTALL) uv && $(VENV)/bin/uv pip install --quiet --python $(VENV_PYTHON) \
	--resolution lowest-direct --only-binary :all: $(PACKAGES:%=--no-binary %) --group dev $(EDITABLE)

demo: $(INSTALLED)  ## the main job, on a real recording; run it twice
	@$(VENV_PYTHON) examples/gait.py

STORAGE ?= sqlite
demo-scale: $(INSTALLED)  ## a recorder, a monitor and four workers on one database (STORAGE=file, or a URL)
	@$(VENV_PYTHON) examples/many_processes.py $(STORAGE) $(ARGS)

test: $(INSTALLED)  ## run the tests but for the slow ones (some of them: make test ARGS="-k blob")
	@$(VENV_PYTHON) -m pytest --numprocesses $(JOBS) -m "not slow" $(ARGS)

test-all: $(INSTALLED)  ## run all tests, the slow ones too (these alone: make test-all ARGS="-m slow")
	@$(VENV_PYTHON) -m pytest --numprocesses $(JOBS) $(ARGS)

kits: $(INSTALLED)  ## the conformance kits and the tests of the zarr backend alone
	@$(VENV_PYTHON) -m pytest --numprocesses $(JOBS) tests/kit tests/zarr tests/ingest $(ARGS)

crosswise:  ## let each of PYTHONS="python3.11 python3.13", and the lowest releases, read what the others write
	@for python in $(PYTHONS); do $(MAKE) --no-print-directory venv PYTHON=$$python || exit; done
	@$(MAKE) --no-print-directory venv venv-lowest
	@LOTDB_PYTHONS=$$(printf '%s:' $(foreach python,$(PYTHONS),.venv-$(notdir $(python))/bin/python)).venv-lowest/bin/python \
	    .venv/bin/python -m pytest tests/releases $(ARGS)

lint: $(INSTALLED)  ## ruff
	@$(VENV_PYTHON) -m ruff check

types: $(INSTALLED)  ## mypy
	@$(VENV_PYTHON) -m mypy

check: lint types test  ## lint, types and test: what a change must pass

bench: $(INSTALLED) $(PEER)  ## compare speed and size with other libraries and with the machine's limits (ARGS="--help")
	@$(VENV_PYTHON) -m benchmarks --peer $(PEER_PYTHON) $(ARGS)

torture: $(INSTALLED) $(PEER)  ## kill, cut, fill up, damage and wear out databases, for about an hour (ARGS="--help")
	@$(VENV_PYTHON) -m torture --peer $(PEER_PYTHON) $(ARGS)

# lotdb 1.1.3 has an environment of its own: it is imported by the same name.
$(PEER): $(INSTALLED)
	@echo "setting up lotdb 1.1.3, to compare with"
	@$(VENV_PYTHON) -m venv --clear $(VENV)/peer
	@$(PEER_PYTHON) -m pip install --quiet 'lotdb[io,measurements]==1.1.3'
	@$(PEER_PYTHON) -m pip install --quiet --only-binary :all: icechunk || echo "icechunk is left out"
	@$(PEER_PYTHON) -m pip install --quiet --only-binary :all: signac-flow h5py || echo "signac-flow is left out"
	@touch $(PEER)

pictures: $(INSTALLED)  ## the pictures of docs/looking.md; those of HTML need Chromium
	@$(VENV_PYTHON) docs/make_pictures.py

build: $(INSTALLED)  ## sdists and wheels of the five distributions, in dist/
	@rm -rf dist
	@set -e; for project in $(PACKAGES) .; do \
	    $(VENV_PYTHON) -m build --no-isolation --outdir dist "$$project"; \
	done

clean:  ## remove .venv, caches, builds and what the examples wrote
	@rm -rf .venv .venv-* build dist examples/output benchmarks/output torture/output
	@rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
