# The commands of the project; `make help` lists them. Every target makes the virtual environment if need be.

PYTHON ?= python3
VENV   ?= .venv
CONFIG ?=
PRESET ?=
MHZ    ?=
BOARD  ?= pynq_z1
MEMORY ?= ideal
MINUTES ?= 5
SEED   ?= 0
SBOM_EXTRAS ?= rtl,remote,uart,quantize,profile,tune
EXERCISE ?=
MACHINE ?=
SOLUTION ?=
PHOTO  ?= build/networks/photos/imagenet_01_559.jpg
BIN    := $(VENV)/bin

# Recipes read what the user gave from the environment, as "$$CONFIG": the shell then takes a space, a
# quote or a dollar in a path for what it is. All paths below are relative, so that the checkout may
# lie in a folder of any name; tools run as modules, because a script cannot name each interpreter.
override CONFIG := $(value CONFIG)
override BOARD := $(value BOARD)
override PHOTO := $(value PHOTO)
export CONFIG BOARD PHOTO
CONFIG_OPTION = $(if $(CONFIG),--config "$$CONFIG") $(if $(PRESET),--preset $(PRESET))

ifneq ($(words $(VENV)),1)
$(error VENV is '$(VENV)'; must be a path without spaces)
endif

.DEFAULT_GOAL := help
.PHONY: help sim photo exercise test test-slow test-configs networks test-pythons fuzz mutation formal bench bench-quick bench-area bench-clock rtl synth bitstream notebooks docs lint types dist sbom clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# ---- environment: one virtual environment, installed in steps -----------------------------------

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-rtl: pyproject.toml | $(BIN)/python
	@echo "Installing the project into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[rtl]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing the project and its test tools into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/installed-rtl

# ---- what people run ----------------------------------------------------------------------------

sim: $(VENV)/installed-rtl  ## build the RTL with Verilator and run the tutorials on it (PRESET= or CONFIG=, MEMORY=)
	$(BIN)/python tutorials/run_all.py --target tsim --memory $(MEMORY) $(CONFIG_OPTION)

photo: $(VENV)/installed-dev  ## SqueezeNet on the simulated RTL says what is in a photo (PHOTO=, MEMORY=)
	$(BIN)/python -m tests.networks build/networks squeezenet
	$(BIN)/python -m vta run build/networks/squeezenet.onnx --calibrate build/networks/photos --input "$$PHOTO" --target tsim --memory $(MEMORY) $(CONFIG_OPTION)

exercise: $(VENV)/installed-dev  ## grade an answer of the teaching kit (EXERCISE=, SOLUTION=1 for the solution)
	$(if $(SOLUTION),VTA_EXERCISE_ANSWERS=exercises/solutions) $(BIN)/python -m pytest -x --tb=short exercises/$(EXERCISE)

test: $(VENV)/installed-dev  ## the test suite
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow and not formal and not configs and not networks"

test-slow: $(VENV)/installed-dev  ## the tests that take minutes
	$(BIN)/python -m pytest -n auto -m slow

test-configs: $(VENV)/installed-dev  ## every machine of the configuration grid, model against RTL
	$(BIN)/python -m pytest tests/system/test_configuration_grid.py

networks: $(VENV)/installed-dev  ## real networks on photos, whole, against the integer interpreter and onnxruntime
	$(BIN)/python -m pytest -m networks tests/networks

test-pythons: $(VENV)/installed-dev  ## a part of the suite on Python 3.11, 3.12 and 3.13, as far as they are found
	$(BIN)/python -m tests.pythons.run_all
	$(BIN)/python -m pytest -m slow tests/pythons

fuzz: $(VENV)/installed-rtl  ## random programs, model against RTL, until they differ (MINUTES=, SEED=, PRESET= or CONFIG=)
	$(BIN)/python -m vta fuzz --minutes $(MINUTES) --seed $(SEED) --coverage $(CONFIG_OPTION)

mutation: $(VENV)/installed-dev  ## break the RTL in many ways; the differential test must notice
	$(BIN)/python -m tests.mutation.run_all

formal: $(VENV)/installed-dev  ## the proofs of docs/hardware/formal.md
	$(BIN)/python -m pytest -n auto --durations=0 tests/formal

bench: $(VENV)/installed-dev  ## the measurements of docs/benchmarks.md, and a line of docs/history.jsonl; worse figures are an error
	$(BIN)/python tests/bench/run_all.py

bench-quick: $(VENV)/installed-dev  ## cycles of the tutorials against the last line of docs/history.jsonl, a minute
	$(BIN)/python -m tests.bench.bench_quality --quick --dry

bench-area: $(VENV)/installed-dev  ## area and longest paths of machines by Yosys, and a line of docs/history.jsonl (MACHINE=)
	$(BIN)/python -m tests.bench.bench_area $(if $(MACHINE),--machine $(MACHINE))

bench-clock: $(VENV)/installed-dev  ## the clock on an ECP5, best of some seeds of the placer; hours (PRESET= or CONFIG=, SEEDS=)
	$(BIN)/python -m tests.bench.bench_clock $(CONFIG_OPTION) $(if $(SEEDS),--seeds $(SEEDS))

rtl: $(VENV)/installed-rtl  ## write the Verilog of the machine into build/rtl (PRESET= or CONFIG=)
	$(BIN)/python -m vta.hw.emit $(CONFIG_OPTION) -o build/rtl

synth: $(VENV)/installed-dev  ## resources on the part of a board, by Yosys (BOARD=, CONFIG=, PATHS=)
	$(BIN)/python -m vta.boards.synth "$$BOARD" $(CONFIG_OPTION) $(if $(PATHS),--paths $(PATHS))

bitstream: $(VENV)/installed-dev  ## the bitstream of a board, or all but the vendor's tool (BOARD=, CONFIG=, MHZ=)
	$(BIN)/python -m vta.boards.bitstream "$$BOARD" $(CONFIG_OPTION) $(if $(MHZ),--mhz $(MHZ))

notebooks: $(VENV)/installed-dev  ## run the tutorials as notebooks on the simulated RTL, into build/docs/notebooks
	$(BIN)/python -m docs.site.notebooks

docs: notebooks  ## the documentation as a site in build/docs/html; a warning or a broken link is an error
	$(BIN)/python -m docs.site

lint: $(VENV)/installed-dev  ## style of the Python
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

types: $(VENV)/installed-dev  ## types of the installed wheel, which also tests the packaging
	rm -rf build/types build/lib && mkdir -p build/types
	$(BIN)/python -m build --wheel --outdir build/types .
	$(BIN)/python -m pip install --quiet --no-deps --target build/types/site build/types/*.whl
	cd build/types && MYPYPATH=site $(if $(filter /%,$(BIN)),,../../)$(BIN)/python -m mypy --config-file ../../pyproject.toml -p vta

dist: $(VENV)/installed-dev  ## source distribution and wheel into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

sbom: dist  ## what an installation of that wheel with its extras consists of, as CycloneDX, into dist/
	rm -rf build/sbom
	$(BIN)/python -m venv build/sbom
	build/sbom/bin/python -m pip install --quiet --disable-pip-version-check "$$(echo dist/*.whl)[$(SBOM_EXTRAS)]"
	build/sbom/bin/python -m pip uninstall --quiet --yes pip setuptools
	sed "s/^dynamic = .*/version = \"$$($(BIN)/python -c 'import vta; print(vta.__version__)')\"/" pyproject.toml > build/sbom/pyproject.toml
	$(BIN)/python -m cyclonedx_py environment --mc-type application --pyproject build/sbom/pyproject.toml \
		--output-reproducible --output-format JSON --output-file dist/sbom.cdx.json build/sbom/bin/python

clean:  ## remove what was built, but not the environment
	rm -rf build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
