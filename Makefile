# make run: set everything up and open the app. make test: set everything up and pass all tests.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome || echo /usr/bin/chromium)
export CHROMIUM

.PHONY: setup run test test-in-browser test-elsewhere check unit lint format bench soak screenshots clean

setup: .venv/.ready
	@$(BIN)/python -m lib fetch

# Every file that is installed has its hash in a lock file; nothing is built, and nothing is looked up besides.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --only-binary :all: --require-hashes
NEEDS_CUDA := $(BIN)/python -c 'import importlib.metadata as m; exit(not [x for x in m.requires("torch") if "cuda" in x])'

.venv/.ready: requirements.lock requirements-cpu.lock requirements-gpu.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Candor needs Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -m venv .venv || { test "$$(id -u)" = 0 && apt-get update && apt-get install -y python3-venv && $(PYTHON) -m venv .venv; }
	@# The CPU build of torch where pip finds one at hand (its setting find-links). The package index has only a build for
	@# GPUs for Linux, of several GB with CUDA's libraries, without which it does not load.
	@$(INSTALL) --no-index -r requirements-cpu.lock 2>/dev/null || true
	$(INSTALL) -r requirements.lock
	@if $(NEEDS_CUDA); then echo $(INSTALL) -r requirements-gpu.lock; $(INSTALL) -r requirements-gpu.lock; fi
	@# The command `candor`, which runs this checkout.
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-index --no-build-isolation -e .
	@touch $@

.venv/.ready-for-tests: tests/requirements.lock tests/browser_js/package-lock.json .venv/.ready
	$(INSTALL) -r tests/requirements.lock
	@# npm, too, checks every file that it installs against a hash, and runs none of their scripts.
	cd tests/browser_js && ../../$(BIN)/npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

# Make the lock files again, after a change of requirements.txt or tests/requirements.txt. Versions stay where they still
# fit; `make lock UPGRADE=--upgrade` takes the newest of what requirements.txt does not name. requirements-cpu.lock is kept
# by hand: after a change of torch's version it names the hash of that version's CPU build.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--custom-compile-command 'make lock' $(UPGRADE)
.PHONY: lock licences
lock: .venv/.ready-for-tests
	$(LOCK) requirements.txt -o requirements.lock
	$(LOCK) requirements.txt tests/requirements.txt -c requirements.lock -o tests/requirements.lock
	@# --no-config: without what pyproject.toml says of the CPU build.
	grep '^torch==' requirements.txt | $(LOCK) --no-config - --no-emit-package torch -c requirements.lock -o requirements-gpu.lock
	$(MAKE) .venv/.ready-for-tests licences

run: setup
	$(BIN)/streamlit run app.py

# The browser tests need a Chromium: taken from the system, installed from Debian's packages where that is possible.
.PHONY: chromium
chromium:
	@test -x "$(CHROMIUM)" || { test "$$(id -u)" = 0 && apt-get update && apt-get install -y --no-install-recommends chromium; } \
		|| { echo "Install Chromium, or set CHROMIUM to its path."; exit 1; }

# Side by side, as the browser's tests mostly wait. Each half computes on one thread, as several that wait for each
# other take many times as long while the other half, or Chromium, has their cores.
test-in-browser test-elsewhere: export OMP_NUM_THREADS := 1
test: setup .venv/.ready-for-tests chromium
	@$(MAKE) --no-print-directory -j3 lint test-in-browser test-elsewhere

test-in-browser:
	$(BIN)/python -m pytest -m "browser and not soak" tests/e2e

test-elsewhere:
	$(BIN)/python -m pytest -m "not browser and not soak" --ignore=tests/e2e

# Files that try hundreds of inputs, or wait: for `make test`. pytest heeds --ignore only below a directory that it is
# given, so that files which it is given by name are left out of the list itself.
THOROUGH := $(addprefix tests/lib/,$(addsuffix .py,\
	test_bounds test_contexts_command test_doubts_command test_evaluate_command test_evaluate_faults core/test_serialization \
	contexts/test_recipe evaluation/test_ready json_answers/test_fields \
	statistics/test_bootstrap statistics/test_calibration statistics/test_discrimination statistics/test_recalibration \
	statistics/test_selective statistics/test_verdict \
	display/test_token_map_view tokenizers/test_chat_templates tokenizers/test_foreign_files wire/test_envelopes \
	wire/test_fuzz wire/test_hostile wire/test_law wire/test_spelling_check))
UNIT := tests/architecture $(filter-out %/engines %/serve %/store %/models %/jobs %/studies %/conftest.py $(THOROUGH), \
	$(wildcard tests/lib/*))

# Within a minute: lint, and the quick tests that need no model, no server and no browser.
check: .venv/.ready-for-tests
	@$(MAKE) --no-print-directory -j2 lint unit

unit:
	HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -m "not browser and not model and not soak" $(UNIT) $(addprefix --ignore=,$(THOROUGH))

lint: .venv/.ready-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/node tests/browser_js/node_modules/typescript/bin/tsc -p tests/browser_js

format: .venv/.ready-for-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# make bench ONLY=engine runs one group.
bench: setup .venv/.ready-for-tests chromium
	@$(BIN)/python -m tests.benchmarks $(ONLY)

# Long proofs, two hours on two cores. SOAK=10000 for shorter ones.
soak: setup .venv/.ready-for-tests
	$(BIN)/python -m tests.soak.wire $(or $(SOAK),1000000)
	$(BIN)/python -m tests.soak.serve $(SOAK)
	$(BIN)/python -m tests.soak.foreign 1000
	$(BIN)/python -m tests.soak.published
	$(BIN)/python -m pytest -m soak

# The licences of everything that is installed.
licences: .venv/.ready-for-tests
	$(BIN)/python -m tests.licences

screenshots: setup .venv/.ready-for-tests chromium
	$(BIN)/python -m tests.screenshots

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
