# make run    the main experiment            make test   the test suite
# make bench  the benchmark suite            make check  lint and types
# The first call makes .venv and installs requirements.lock; later calls do nothing of the kind.
#   make TORCH=cpu run   installs a torch without CUDA (smaller; resolved anew instead of locked)
#   make PYTHON=python3.12 run   picks the interpreter

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
TORCH ?= locked
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready-$(TORCH)

.PHONY: run test slow bench check format lock clean

run: $(READY)
	$(BIN)/xaibench

# One process a core, one thread each: most tests are too small to share
test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto

slow: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto -m slow

bench: $(READY)
	$(BIN)/pytest -q tests/benchmarks --benchmark-only -m "" --override-ini "addopts=--strict-markers" --benchmark-json=results/bench.json
	$(BIN)/python tests/benchmarks/benchmark_table.py results/bench.json

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Names, versions and hashes only: no address of any index
lock: $(READY)
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--extra dev pyproject.toml --output-file requirements.lock --upgrade

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "xaibench needs Python 3.11 or newer; none was found (make PYTHON=/path/to/python run)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
ifeq ($(TORCH),cpu)
	$(BIN)/uv pip install --python $(BIN)/python --torch-backend cpu --editable '.[dev]'
else
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes --requirement requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --editable .
endif
	@rm -f $(VENV)/ready-* && touch $@
