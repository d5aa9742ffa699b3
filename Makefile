# `make demo` and `make test` do all their own set-up on a fresh machine.
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PEERS := $(VENV)/.installed-peers
PYTEST := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist worksteal
TRUNK := build/mobilenet_v2.safetensors

.PHONY: env demo test test-slow check benchmarks

env: $(STAMP)

# Of lightly only a loss and two heads are used, which need none of what it brings: PyTorch Lightning and more.
# torch and torchvision go first and alone: a range without a pin can pull a build of several gigabytes.
$(STAMP): pyproject.toml
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e ".[train,web,track,hub,dev]"
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps "lightly>=1.5"
	touch $(STAMP)

demo: env
	$(VENV)/bin/headstart demo

# Two workers with one thread each: two with two threads each would spin against each other.
test: env
	$(PYTEST) -m "not slow"

# What takes three seconds or more: whole runs that are killed and resumed, real image sets, browsers.
test-slow: env
	$(PYTEST) -m slow

check: env
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

$(PEERS): $(STAMP)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -e ".[train,bench]"
	touch $(PEERS)

$(TRUNK): | $(STAMP)
	mkdir -p build
	$(PYTHON) scripts/extract_mobilenet_trunk.py $@

# Counts over the whole zoo of networks, then sides in turns on the sets of $HEADSTART_DATA; writes tables into docs. Hours
# on a quiet machine; what build/*.jsonl holds is not measured again.
benchmarks: env $(PEERS) $(TRUNK)
	@test -d "$$HEADSTART_DATA" || { echo "HEADSTART_DATA='$$HEADSTART_DATA': a folder with hymenoptera.tar, cifar10.tar, rsscn7.tar, chest_xray.tar, documents.tar and wildfire_s2.tar is expected; set it to one"; exit 1; }
	$(PYTHON) benchmarks/layer_groups.py
	$(PYTHON) benchmarks/cut_coverage.py
	$(PYTHON) benchmarks/against.py
	$(PYTHON) benchmarks/default_strategy.py
	$(PYTHON) benchmarks/channels.py --write
	$(PYTHON) benchmarks/engines.py
	$(PYTHON) benchmarks/decode.py
	$(PYTHON) benchmarks/many_heads.py
	$(PYTHON) benchmarks/multi_depth.py
	$(PYTHON) benchmarks/ten_thousand.py
	$(PYTHON) benchmarks/store_memory.py
	$(PYTHON) benchmarks/imbalance.py
	$(PYTHON) benchmarks/label_errors.py
	$(PYTHON) benchmarks/duplicate_copies.py
	$(PYTHON) benchmarks/shortcuts.py
	$(PYTHON) benchmarks/drift.py
	$(PYTHON) benchmarks/drift_trained.py
	$(PYTHON) benchmarks/stored_views.py
	$(PYTHON) benchmarks/stored_views.py --cases head lite0 --sets cifar10 rsscn7 chest_xray --other-seeds 3
	$(PYTHON) benchmarks/tuning_recipe.py --decisions --write
	$(PYTHON) benchmarks/training_step.py --compile
	$(PYTHON) benchmarks/seed_coverage.py
	$(PYTHON) benchmarks/advise_seconds.py
	$(PYTHON) benchmarks/estimates.py
	$(PYTHON) benchmarks/shortlist_truth.py
