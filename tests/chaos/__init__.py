"""Runs against a hostile server, each a program of its own: ``python -m tests.chaos.crash --help``.

They are programs, not tests, since they fork workers from a process without threads, and since ``make chaos``,
``make swarm`` and ``make outage`` run them for longer than a test may. `test_chaos.py` runs each for a short while.
"""
