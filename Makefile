# Everything a newcomer needs: `make demo`, then `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test chaos chaos-buffers swarm outage test-otel-oldest test-pythons test-servers test-http2 lint clean bench instructions

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

# The core and the processes on each Python that pyproject.toml admits, as far as it is on PATH (2 minutes each).
PYTHONS ?= python3.10 python3.11 python3.12 python3.13
CORE := $(patsubst %,tests/test_%.py,buffer_directory controls encode handler journal lane layout outcome pace \
	queue redact report settings spill_model structlog transport) tests/process

test-pythons:
	@set -e; for python in $(PYTHONS); do \
		command -v $$python > /dev/null || { echo "$$python: not found, skipped"; continue; }; \
		venv=$(VENV)/$$($$python -c 'import sys; print("python%d.%d" % sys.version_info[:2])'); \
		echo "== $$($$python -V), $$venv"; \
		if [ ! -e $$venv/.installed ] || [ pyproject.toml -nt $$venv/.installed ]; then \
			$$python -m venv $$venv; \
			$$venv/bin/pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt \
				--editable '.[structlog,otel,zstd]' pytest hypothesis responses gunicorn gevent; \
			touch $$venv/.installed; \
		fi; \
		$$venv/bin/python -m pytest --quiet $(CORE) $(ARGS); \
	done

# Servers that few applications have: Celery, uWSGI and eventlet, in an environment of its own (1 minute).
test-servers: $(VENV)/servers/.installed
	$(VENV)/servers/bin/python -m pytest -m servers tests/process $(ARGS)

$(VENV)/servers/.installed: pyproject.toml .ci/constraints.txt
	$(PYTHON) -m venv $(VENV)/servers
	$(VENV)/servers/bin/pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt \
		--editable . pytest hypothesis responses gunicorn gevent 'celery>=5.4' 'eventlet>=0.37' 'uwsgi>=2.0.26'
	@touch $@

# HTTP/2 through nginx, which says GOAWAY after every fifth request (1 minute). Needs nginx: apt-get install nginx-light
test-http2: $(VENV)/.installed
	$(BIN)/python -m tests.http2.nginx $(ARGS)

# Each store refuses every tenth call, and the process is killed three times (2 minutes).
chaos-buffers: $(VENV)/.installed
	$(BIN)/python -m tests.chaos.buffers $(ARGS)

# tinylog beside its peers (10 minutes): the table, results.md and the plots, in OUT. ARGS="--full" takes an hour.
OUT ?= build/benchmarks
BENCH = $(VENV)/bench
bench: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks --out $(OUT) $(ARGS)

$(BENCH)/.installed: pyproject.toml .ci/constraints.txt benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt \
		--editable '.[structlog,otel,speed]'
	@touch $@

# Instructions of a logging call against their limits (1 minute). Needs valgrind: apt-get install valgrind
instructions: $(VENV)/.installed
	$(BIN)/python -m benchmarks.instructions

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
