# `make help` lists the targets.
#
#   ARGS      further arguments for the program a target runs: make conform ARGS="--backend torch"
#   PYTHON    the interpreter that .venv is made from
#   VENV      where the environment goes
#   PIP_ARGS  further arguments for pip, such as another index
#   JOBS      pytest's worker processes
#   PY        an interpreter that has everything already: nothing is created or installed then

PYTHON   ?= $(shell command -v python3.11 || command -v python3)
VENV     ?= .venv
PIP_ARGS ?=
JOBS     ?= 2
# A file's tests share what one worker has judged, traced or compiled. In the order of the files, since
# those with few tests, which would come last, are the long ones.
XDIST    := -n $(JOBS) --dist loadfile --no-loadscope-reorder
ARGS     ?=

# TensorFlow writes to stderr about every CPU feature and every absent GPU; errors still show.
export TF_CPP_MIN_LOG_LEVEL ?= 3
# lion_tf is about Keras on TensorFlow, whatever a user's ~/.keras/keras.json prefers.
export KERAS_BACKEND = tensorflow

ifdef PY
  ALL_READY :=
  DEV_READY :=
  PORTS :=
  ZIG :=
  export PYTHONPATH := $(CURDIR):$(CURDIR)/adapters:$(CURDIR)/conformance
  CONFORMANCE := $(PY) -c 'import sys; from lion_conformance.cli import main; sys.exit(main())'
else
  PY := $(VENV)/bin/python
  ALL_READY := $(VENV)/.all-installed
  DEV_READY := $(VENV)/.dev-installed
  PORTS := lion-pytorch pytorch_optimizer torch-optimi timm bitsandbytes adv_optm mlx mlx-cpu \
    llm-foundry zetascale flashoptim dadaptation deepspeed tf_keras
  # What flashoptim and deepspeed cannot be imported without, and brings no framework.
  PORTS_NEED := triton einops hjson msgpack ninja psutil py-cpuinfo pydantic setuptools tqdm
  ZIG := ziglang
  CONFORMANCE := $(VENV)/bin/lion-conformance
endif

PYTEST  := $(PY) -m pytest
SOURCES := $(wildcard lion_ref adapters conformance tests benchmarks examples docs hatch_build.py release.py)
KERNEL  := $(wildcard adapters/lion_cpu/kernel/*.h adapters/lion_cpu/kernel/*.cpp hatch_build.py)
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help conform conform-thorough ports exhaustive test slow gpu coverage bench lint format mypy docs site wheel wheels dist release clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile

# The stamps are older than their inputs after a change to pyproject.toml, constraints.txt or the CPU
# kernel, which an install compiles, and only then is anything installed again.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lion-ref needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.all-installed: pyproject.toml constraints.txt $(KERNEL) | $(VENV)/bin/python
	@echo "Installing lion-ref[all] into $(VENV); the frameworks are large, so this takes minutes."
	$(INSTALL) -e '.[all]'
	@touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt $(KERNEL) | $(VENV)/bin/python
	@echo "Installing lion-ref[dev] into $(VENV); the frameworks are large, so this takes minutes."
	$(INSTALL) -e '.[dev]'
	@touch $(VENV)/.all-installed $@

# make itself exits with 2 whenever a command fails; the command's own status (1: something fell
# short, 2: could not run) is in make's last line.
conform: $(ALL_READY) ## compare every backend with the reference, bit for bit, in a minute and a half
	@mkdir -p build/conformance
	$(CONFORMANCE) run --html build/conformance/report.html --json build/conformance/report.json $(ARGS)

conform-thorough: override ARGS += --thorough
conform-thorough: conform ## the same in all cases and runs, which takes ten minutes

# Without what they depend on: torch and the rest are there, and timm would bring torchvision, which
# in turn may bring another build of torch.
ports: $(ALL_READY) ## install other projects' Lions, judge them, write docs/ports.md
ifdef PORTS
	$(INSTALL) --no-deps $(PORTS)
	$(INSTALL) $(PORTS_NEED)
endif
	$(CONFORMANCE) ports --markdown docs/ports.md $(ARGS)

# Each is resumable: what a kill leaves is gone on with by the next run.
exhaustive: $(DEV_READY) ## judge every adapter on every pair in 16 bits, write docs/certificates: hours
	@for dtype in bfloat16 float16; do \
	  for port in "--backend numpy" "--backend torch" "--backend jax" "--backend tensorflow" \
	    "--backend array-api" tests.lion_torch.ptx_port:sm_80 tests.lion_torch.ptx_port:sm_90; do \
	    $(CONFORMANCE) exhaustive $$port --dtype $$dtype --out docs/certificates $(ARGS) || exit; \
	  done; done
	$(PY) -m tests.repo.certificates

test: $(DEV_READY) ## run the tests that need neither a GPU nor patience
	$(PYTEST) -m "not gpu and not slow and not pages" $(XDIST) $(ARGS)

slow: $(DEV_READY) ## run the wide tests: millions of elements, whole exponent ranges
	$(PYTEST) -m "slow and not gpu" $(ARGS)

gpu: $(DEV_READY) ## run the tests that need a GPU
	$(PYTEST) -m gpu $(ARGS)

coverage: $(DEV_READY) ## run the tests and list the lines and branches they leave out
	$(PYTEST) -m "not gpu and not slow and not pages" $(XDIST) --cov --cov-report=term --cov-report=html:build/coverage $(ARGS)

bench: $(DEV_READY) ## run the benchmarks of the adapters, in turn
	@scripts="$(sort $(wildcard benchmarks/*_step.py))"; \
	test -n "$$scripts" || { echo "no benchmarks/*_step.py" >&2; exit 2; }; \
	for script in $$scripts; do echo "== $$script"; $(PY) $$script $(ARGS) || exit $$?; done

lint: $(DEV_READY) ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy $(SOURCES)

format: $(DEV_READY) ## let ruff rewrite what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

mypy: $(DEV_READY) ## the types alone
	$(PY) -m mypy $(SOURCES)

# The documentation is the Markdown and the docstrings: what can go wrong in it is an example that
# no longer runs and a link that leads nowhere. Other projects' Lions need not be installed.
docs: $(DEV_READY) ## run the examples in docstrings and every code block of the pages
	$(PYTEST) --ignore-glob='*/ports/published/[!_]*' --doctest-modules $(wildcard lion_ref adapters conformance) tests/repo/test_pages.py $(ARGS)

# Without that, Material advertises another generator.
site: export NO_MKDOCS_2_WARNING = true
site: $(DEV_READY) ## build the site into build/site; a link that leads nowhere is an error
	$(PY) -m mkdocs build --strict --site-dir build/site $(ARGS)
	@echo "built: build/site/index.html"

wheel: $(DEV_READY) ## build into dist/ and test the wheel that was built
	rm -rf dist
	$(PY) -m build --no-isolation --outdir dist .
	LION_DIST=dist $(PYTEST) tests/repo/test_wheel.py tests/repo/test_wheel_kernel.py $(ARGS)

# All from one Linux machine: ziglang is a compiler with the C libraries of all platforms (100 MB).
# The first wheel for Windows takes a minute more, in which zig compiles that library.
wheels: $(DEV_READY) ## build the sdist and every platform's wheel into dist/, and judge their kernels
ifdef ZIG
	$(INSTALL) $(ZIG)
endif
	rm -rf dist
	$(PY) -m build --no-isolation --sdist --outdir dist .
	@for platform in $$($(PY) -c 'import hatch_build; print(*hatch_build.PLATFORMS)'); do \
	  LION_REF_PLATFORM=$$platform $(PY) -m build --no-isolation --wheel --outdir dist . || exit; done
	LION_DIST=dist $(PYTEST) tests/lion_cpu/test_platforms.py $(ARGS)

# The wheel is this machine's: what goes to an index are those of `make wheels`.
dist: $(DEV_READY) ## build the sdist, this machine's wheel and the vectors into dist/, and check them
	rm -rf dist
	$(PY) -m build --no-isolation --outdir dist .
	$(PY) -m twine check --strict dist/*
	$(PY) -m check_wheel_contents dist/*.whl
	$(CONFORMANCE) vectors export dist --zip
	$(PY) release.py --sums dist

release: $(DEV_READY) ## go through the checklist of a release: versions, dist, every extra on every Python
	$(PY) release.py $(ARGS)

# The CPU kernel beside its sources is the environment's: what is installed from here loads it.
clean: ## remove what was built or cached; the environment stays
	rm -rf build dist htmlcov .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(wildcard lion_ref adapters conformance tests benchmarks examples) -name __pycache__ -type d -prune -exec rm -rf {} +
