# make run: set everything up and open the app. make test: set everything up and pass all tests.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome || echo /usr/bin/chromium)
export CHROMIUM

.PHONY: setup run test lint format bench soak screenshots clean

setup: .venv/.ready
	@$(BIN)/python -m lib fetch

.venv/.ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Candor needs Python 3.11 or newer."; exit 1; }
	@$(PYTHON) -m venv .venv || { test "$$(id -u)" = 0 && apt-get update && apt-get install -y python3-venv && $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements.txt
	@touch $@

.venv/.ready-for-tests: tests/requirements.txt .venv/.ready
	$(BIN)/python -m pip install --quiet -r requirements.txt -r tests/requirements.txt
	@touch $@

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

screenshots: setup .venv/.ready-for-tests chromium
	$(BIN)/python -m tests.screenshots

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
