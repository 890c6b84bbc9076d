# Everything a contributor types. `make check` and `make test` are exactly what CI runs.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PACKAGES := config storage ml node run_node.py tests docs benchmarks
JOBS ?= 2
FUZZ_SECONDS ?= 60
BENCH ?=

.PHONY: help install demo demo-viewer test test-fast test-peers fuzz bench check format lint types imports docs clean

help:  ## What can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# what runs the node, and beside it what people need who change it: newcomers wait for the first alone
$(VENV)/program: setup.cfg constraints.txt
	@echo "installing into $(VENV): some minutes, and 2 GB or more, most of it PyTorch"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

$(VENV)/installed: $(VENV)/program pyproject.toml
	$(PIP) --editable '.[dev,docs,train,export]'
	touch $@

install: $(VENV)/installed  ## Make .venv and install the project and its tools in it

demo: $(VENV)/program  ## Run the main job: a node, a small PACS, three synthetic studies, their reports
	$(BIN)/midline demo --out demo-output

demo-viewer: $(VENV)/program  ## The same in Orthanc and OHIF, where they are installed; see docs/viewer.md
	$(BIN)/midline demo --viewer --out demo-output

test: install  ## All tests that need nothing from outside
	$(BIN)/pytest --quiet --numprocesses $(JOBS) --dist worksteal

test-fast: install  ## Unit tests only
	$(BIN)/pytest --quiet --numprocesses $(JOBS) --dist worksteal tests/unit

test-peers: install  ## Tests against third-party DICOM software; see tests/peers
	$(BIN)/pytest --quiet -m peers --numprocesses $(JOBS) --dist loadfile

fuzz: install  ## Foreign bytes at both doors, FUZZ_SECONDS each; see tests/fuzz
	$(PIP) --editable '.[fuzz]'
	$(BIN)/python -m tests.fuzz.receive -max_total_time=$(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz.series -max_total_time=$(FUZZ_SECONDS)

bench: install  ## Measure everything beside other software: hours; BENCH="--quick" for minutes
	$(BIN)/python -m benchmarks $(BENCH)

check: lint types imports  ## Style, types, direction of imports

lint: install
	$(BIN)/ruff check $(PACKAGES)
	$(BIN)/ruff format --check $(PACKAGES)

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

docs: install  ## Write the documents that are made from the code, and the site into build/site
	$(BIN)/midline config example --out config/midline.example.toml
	$(BIN)/midline config reference --out docs/settings.md
	$(BIN)/midline doctor --reference docs/doctor.md
	$(BIN)/midline schemas --out docs/schemas
	$(BIN)/python -m tests.support.commands_page docs/commands.md
	$(BIN)/midline conformance --out docs/conformance.md
	$(BIN)/midline conformance --air --out docs/air-capabilities.md
	$(BIN)/python -m benchmarks.pages
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

format: install  ## Put the code into its form
	$(BIN)/ruff check --fix $(PACKAGES)
	$(BIN)/ruff format $(PACKAGES)

clean:  ## Remove what can be made again
	rm -rf $(VENV) build dist *.egg-info demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
