# Each target sets up what it needs in .venv: `make demo` works in a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
SOURCES := pyproject.toml README.md LICENSE $(shell find vepscore scorers weights -type f -not -path '*/__pycache__/*')
CODE := vepscore scorers tests examples
DEMO := examples/01_synthetic_demo

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test coverage test-ci test-slow test-accelerators lint format reference checkpoint clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/installed  ## Score a synthetic genome with the embedded checkpoint, show the effects, write a report
	PATH="$(CURDIR)/$(BIN):$$PATH" $(DEMO)/run.sh demo
	$(BIN)/python $(DEMO)/show.py demo

# Tests of one file run in one process, so that its fixtures are set up once.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest
SIDE_BY_SIDE := $(PYTEST) --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/installed-test  ## Run the quick tests: a quarter of an hour on two cores
	$(SIDE_BY_SIDE) -m "not slow" $(COVERAGE)

coverage: COVERAGE := --cov --cov-report=term:skip-covered
coverage: test  ## Run the quick tests, and fail if they cover too little of the code

test-ci: $(VENV)/installed-test  ## Run the slow tests that .ci/run adds to the quick ones
	$(SIDE_BY_SIDE) -m "slow and ci"

test-slow: $(VENV)/installed-slow  ## Run all slow tests: one to two hours
	$(SIDE_BY_SIDE) -m "slow and not alone"; beside=$$?; \
	  $(PYTEST) -m "slow and alone" && exit $$beside

# The compilers for GPUs and TPUs take several GB; they are in an environment of their own.
ACCELERATORS := .venv-accelerators
test-accelerators: $(ACCELERATORS)/installed  ## Compile a run for GPUs and TPUs that are not there
	JAX_PLATFORMS=cpu $(ACCELERATORS)/bin/python -m pytest -s tests/accelerators

lint: $(VENV)/installed-test  ## Check style, formatting, spelling and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/codespell
	$(BIN)/mypy

format: $(VENV)/installed-test  ## Format the code in place
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

reference: $(VENV)/installed-test  ## Write the reference of the command line, vepscore/cli/README.md
	$(BIN)/python -m tests.cli_reference

# FRACTION=0.01 runs a hundredth of the steps, as a smoke test. The background takes a quarter of an hour on two cores.
FRACTION ?= 1
TRAINING := examples/06_training
checkpoint: $(VENV)/installed-test  ## Train the embedded checkpoint again, from the files in DATA=FOLDER, in build/
	@test -n "$(DATA)" || { echo "error: DATA is not set: make checkpoint DATA=FOLDER" >&2; exit 1; }
	for number in 1 2; do \
	  $(BIN)/python $(TRAINING)/train_embedded.py $(TRAINING)/first.toml "$(DATA)" -o build/first \
	    --fraction $(FRACTION) --teacher $$number || exit; \
	done
	$(BIN)/python $(TRAINING)/train_embedded.py $(TRAINING)/recipe.toml "$(DATA)" -o build/tracks \
	  --fraction $(FRACTION) --start build/first
	$(BIN)/python $(TRAINING)/train_embedded.py $(TRAINING)/splicing.toml "$(DATA)" -o build/splicing \
	  --fraction $(FRACTION) --student build/tracks/student
	$(BIN)/python $(TRAINING)/draw_background.py "$(DATA)/hg38_native.fa.gz" "$(DATA)/refseq_hg38.gtf.gz" \
	  --snvs 2000 --indels 2000 -o build/background.vcf.gz
	$(BIN)/vepscore calibrate build/background.vcf.gz -r "$(DATA)/hg38_native.fa.gz" -g "$(DATA)/refseq_hg38.gtf.gz" \
	  -c build/splicing/checkpoint -o build/splicing/checkpoint

clean:  ## Remove everything that make has made
	rm -rf $(VENV) $(ACCELERATORS) demo build dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than Python 3.11; try make PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# pip reinstalls a folder each time, so these run only if a file has changed.
$(VENV)/installed: $(SOURCES) | $(BIN)/python
	$(PIP) install --quiet '.[report]'
	@touch $@

$(VENV)/installed-test: $(SOURCES) | $(BIN)/python
	$(PIP) install --quiet --upgrade 'pip>=25.1'  # dependency groups
	$(PIP) install --quiet '.[all]' --group dev
	@touch $(VENV)/installed $@

$(ACCELERATORS)/installed: $(SOURCES)
	$(PYTHON) -m venv $(ACCELERATORS)
	$(ACCELERATORS)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(ACCELERATORS)/bin/python -m pip install --quiet '.[all,cuda,tpu]' --group test
	@touch $@

$(VENV)/installed-slow: $(VENV)/installed-test
	$(PIP) install --quiet --group fuzz --group workflows
	@touch $@
