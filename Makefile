# make run: set everything up and open the app. make test: set everything up and pass all tests.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome || echo /usr/bin/chromium)
export CHROMIUM

.PHONY: setup run test lint format bench soak screenshots clean

setup: .venv/.ready
	@$(BIN)/python -m lib fetch

# Every file that is installed has its hash in a lock file; nothing is built, and nothing is looked up besides.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --only-binary :all: --require-hashes

.venv/.ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Candor needs Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -m venv .venv || { test "$$(id -u)" = 0 && apt-get update && apt-get install -y python3-venv && $(PYTHON) -m venv .venv; }
	$(INSTALL) -r requirements.lock
	@# A build of torch for GPUs needs libraries of its own, each at a version that torch names. The CPU's needs none.
	$(BIN)/python -m pip --disable-pip-version-check install --quiet torch==2.13.0
	@touch $@

.venv/.ready-for-tests: tests/requirements.lock .venv/.ready
	$(INSTALL) -r tests/requirements.lock
	@touch $@

# Look the newest allowed versions and all hashes up, after a change of requirements.txt or tests/requirements.txt.
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url \
	--custom-compile-command 'make lock'
# The CPU build of torch that some package mirrors have in place of the index's own.
TORCH_CPU := 6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
.PHONY: lock licences
lock: .venv/.ready-for-tests
	$(BIN)/$(LOCK) requirements.txt -o requirements.lock
	sed -i 's/^torch==2.13.0 \\$$/&\n    --hash=sha256:$(TORCH_CPU) \\/' requirements.lock
	$(BIN)/$(LOCK) requirements.txt tests/requirements.txt -c requirements.lock -o tests/requirements.lock
	sed -i 's/^torch==2.13.0 \\$$/&\n    --hash=sha256:$(TORCH_CPU) \\/' tests/requirements.lock
	$(MAKE) licences

run: setup
	$(BIN)/streamlit run app.py

# The browser tests need a Chromium: taken from the system, installed from Debian's packages where that is possible.
.PHONY: chromium
chromium:
	@test -x "$(CHROMIUM)" || { test "$$(id -u)" = 0 && apt-get update && apt-get install -y --no-install-recommends chromium; } \
		|| { echo "Install Chromium, or set CHROMIUM to its path."; exit 1; }

test: setup .venv/.ready-for-tests chromium lint
	$(BIN)/python -m pytest

lint: .venv/.ready-for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.ready-for-tests
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# make bench ONLY=engine runs one group.
bench: setup .venv/.ready-for-tests chromium
	@$(BIN)/python -m tests.benchmarks $(ONLY)

# Long proofs, an hour and a half on two cores. SOAK=10000 for shorter ones.
soak: setup .venv/.ready-for-tests
	$(BIN)/python -m tests.soak.wire $(or $(SOAK),1000000)
	$(BIN)/python -m tests.soak.serve $(SOAK)
	$(BIN)/python -m pytest -m soak

# The licences of everything that is installed.
licences: .venv/.ready-for-tests
	$(BIN)/python -m tests.licences

screenshots: setup .venv/.ready-for-tests chromium
	$(BIN)/python -m tests.screenshots

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
