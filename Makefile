# Everything a newcomer needs: `make demo`, then `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test chaos swarm outage test-otel-oldest lint clean

demo: $(VENV)/.installed
	$(BIN)/tinylog demo $(if $(KEEP),--keep)

test: $(VENV)/.installed
	$(BIN)/python -m pytest $(ARGS)

# Workers are killed while the server fails in every way (2 minutes), then ledgers are held against the table (1 minute).
chaos: $(VENV)/.installed
	$(BIN)/python -m tests.chaos.crash $(ARGS)
	$(BIN)/python -m tests.chaos.ledger

# 64 processes share a limit of 100 requests/s (1.5 minutes).
swarm: $(VENV)/.installed
	$(BIN)/python -m tests.chaos.swarm $(ARGS)

# The memory of a process in an outage of 10 minutes.
outage: $(VENV)/.installed
	$(BIN)/python -m tests.chaos.outage $(ARGS)

# The oldest OpenTelemetry SDK that pyproject.toml admits, in an environment of its own.
test-otel-oldest: $(VENV)/otel-oldest/.installed
	$(VENV)/otel-oldest/bin/python -m pytest $(wildcard tests/test_otel_*.py) $(ARGS)

$(VENV)/otel-oldest/.installed: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)/otel-oldest
	grep -v -e opentelemetry -e wrapt .ci/constraints.txt > $(VENV)/otel-oldest/constraints.txt
	$(VENV)/otel-oldest/bin/pip install --quiet --disable-pip-version-check \
		--constraint $(VENV)/otel-oldest/constraints.txt --editable '.[dev,structlog]' pytest setuptools\<81 \
		opentelemetry-sdk==1.30.0 opentelemetry-distro==0.51b0 opentelemetry-instrumentation-requests==0.51b0
	@touch $@

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# tinybird-sdk's client needs the standard library alone; its dependencies would bring Tinybird's whole command line.
$(VENV)/.installed: pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("tinylog needs Python 3.10 or newer, $(PYTHON) is " + sys.version.split()[0]) if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt --editable '.[test]'
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		$(BIN)/pip install --quiet --disable-pip-version-check --no-deps tinybird-sdk==0.4.0; fi
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
