# The commands of the house. `make install` is quick when nothing changed; every other target installs first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# faiss-cpu and faiss-gpu own the same module: a GPU machine says FAISS=gpu, and the one excludes the other.
FAISS ?= cpu
# Milvus Lite, which some tests need, brings faiss-cpu.
MILVUS := $(if $(filter cpu,$(FAISS)),milvus-lite,milvus)
STAMP := $(VENV)/.installed-$(FAISS)

.PHONY: install packages demo serve test test-scale test-gpu crash check bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"expected Python 3.11 or newer, got {sys.version.split()[0]}: set PYTHON=")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { echo "make: expected python's venv module (Debian: apt-get install python3-venv)" >&2; exit 2; }
	@test -z "$(wildcard $(VENV)/.installed-*)" || $(BIN)/pip uninstall --quiet --yes faiss-cpu faiss-gpu
	@rm -f $(VENV)/.installed-*
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$(FAISS),$(MILVUS),train,export,dev]'
	@touch $@

demo: install
	$(BIN)/python -m service.demo

serve: install
	$(BIN)/reid-service serve

# What the tests start beside Python. Root on Debian gets what is missing; anybody else is told, and those tests are skipped.
packages:
	@missing=""; for name in chromium mosquitto rsync redis-server; do \
	  PATH="$$PATH:/usr/sbin" command -v $$name >/dev/null || missing="$$missing $$name"; done; \
	test -z "$$missing" && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null && exit 0; fi; \
	echo "make: some tests will be skipped without:$$missing (Debian: apt-get install$$missing)" >&2

# Two files of tests at a time: much of what they do is to wait for a service, a broker or a disk.
test: install packages
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Five hundred random cases over one service on Redis, over two, and in Milvus Lite over either store; fifty over a cluster: hours.
test-scale: install packages
	SCALE_EXAMPLES=500 $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/service/gallery/redis tests/service/gallery/milvus

# Minutes on a machine with a GPU (make install FAISS=gpu); elsewhere each test is skipped and says why.
test-gpu: install
	$(BIN)/python -m pytest tests/gpu tests/search/test_device.py

# Kill a gallery a thousand times under load, one over Redis two hundred times, and look for what they had acknowledged:
# 3 minutes, and 5.
crash: install packages
	$(BIN)/python -m tests.faults.crasher --kills 1000
	$(BIN)/python -m tests.faults.crasher --redis --kills 200

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One benchmark alone: make bench ONLY=search
bench: install
	$(BIN)/python -m benchmarks $(ONLY)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
