# Lockstep: `make demo` for the main job, `make test` for everything that is checked.
# Each target sets up what it needs and is quick when that exists.

# The first interpreter that runs and is new enough; a name on the PATH may be a shim without one behind it.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo lab test check e2e drills bench controlplane sbom openapi clean

help:
	@echo 'make demo [KEEP=1]   the whole path on a real control plane; KEEP=1 leaves it running'
	@echo 'make test            lint, types, unit, property and end-to-end tests'
	@echo 'make check           the fast part of that, without a control plane'
	@echo 'make bench [ARGS=..] the benchmarks, with their figures against their targets; also make bench speed'
	@echo 'make drills [ARGS=..] every failure drill, hours with the full counts; ARGS="1b --real-kills 40" for one'
	@echo 'make sbom            what is in the image, as CycloneDX JSON'
	@echo 'make openapi         docs/openapi.json, from the types that the service decodes and answers'
	@echo 'make setup           only the Python environment'
	@echo 'make lab [WITH=..]   a cluster to try things on; WITH=lws,jobset,kwok adds those controllers'
	@echo 'make controlplane    only the programs of the real control plane, which demo and test build when missing'

setup: $(READY)

$(READY): requirements-dev.lock pyproject.toml
	@test -n '$(PYTHON)' && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'error: Python 3.11 or later is needed; name one with make PYTHON=/path/to/python' >&2; exit 1; }
	@echo 'setting up $(VENV) with $(PYTHON)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

controlplane: $(READY)
	@$(BIN)/python -m deploy.local.build controlplane controllers kwok

demo: $(READY)
	@$(BIN)/python -m deploy.local.demo $(if $(KEEP),--keep)

lab: $(READY)
	@$(BIN)/python -m deploy.local $(if $(WITH),--with $(WITH)) $(ARGS)

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -m 'not e2e'

e2e: $(READY) controlplane
	@$(BIN)/python -m pytest -m e2e

test: check e2e

drills: $(READY) controlplane
	@$(BIN)/python -m tests.drills $(ARGS)

# `make bench quality` names a part; without a word behind `bench` all of them run.
ifeq (bench,$(firstword $(MAKECMDGOALS)))
PARTS := $(wordlist 2,$(words $(MAKECMDGOALS)),$(MAKECMDGOALS))
.PHONY: $(PARTS)
$(PARTS): bench
	@:
endif

bench: $(READY)
	@$(BIN)/python -m benchmarks $(PARTS) $(ARGS)

sbom: $(READY)
	@mkdir -p out
	@$(BIN)/cyclonedx-py requirements deploy/image/requirements.lock --pyproject pyproject.toml \
	  --output-reproducible --of JSON -o out/lockstep.cdx.json
	@echo 'written: out/lockstep.cdx.json'

openapi: $(READY)
	@$(BIN)/python -m scheduler.extender.openapi

clean:
	rm -rf $(VENV) out .pytest_cache .mypy_cache .ruff_cache .hypothesis
