"""The spill directory against a model: any order of writes, crashes, claims, deliveries, damage and full disks."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule

from tinylog._diagnostics import Diagnostics
from tinylog.buffers import DirectoryBuffer
from tinylog.buffers._lockfile import lock
from tinylog.errors import BufferUnavailableError
from tinylog.protocols import Batch, Delivery, Route
from tinylog.settings import SpillPolicy
from tinylog.testing import FakeClock

ROUTES = [Route("logs", Delivery.ACK), Route("audit", Delivery.ACK)]


class SpillModel(RuleBasedStateMachine):
    """What was put, journaled and not yet delivered is what can be claimed: no row more, no row less.

    A process is a buffer of its own on the same directory. It crashes as a killed process does: its descriptors close,
    and with them go its locks.
    """

    claims = Bundle("claims")
    journals = Bundle("journals")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.buffers = [self.process() for _ in range(2)]
        self.number = 0
        self.stored = Counter()  # row -> copies that must come back
        self.damaged = set()

    def process(self):
        policy = SpillPolicy(max_files=10_000, max_bytes=10**9)
        return DirectoryBuffer(self.folder, policy, self.clock, Diagnostics(self.clock))

    def teardown(self):
        for buffer in self.buffers:
            buffer.reset()
        shutil.rmtree(self.folder)

    def lines(self, rows):
        made = [b'{"n":%d}\n' % (self.number + index) for index in range(rows)]
        self.number += rows
        self.clock.advance(0.001)
        return made

    @rule(who=st.integers(0, 1), route=st.sampled_from(ROUTES), rows=st.integers(1, 5), full=st.booleans())
    def put(self, who, route, rows, full):
        lines = self.lines(rows)
        batch = Batch(route, b"".join(lines), rows)
        if full:
            refused = mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "No space left on device"))
            with refused, pytest.raises(BufferUnavailableError):
                self.buffers[who].put(batch)
            return
        assert self.buffers[who].put(batch) == 0
        self.stored.update((route, line) for line in lines)

    @rule(target=journals, who=st.integers(0, 1), route=st.sampled_from(ROUTES))
    def begin_journal(self, who, route):
        self.clock.advance(0.001)
        return self.buffers[who].journal(route), route, self.buffers[who], []

    def lives(self, owner):
        return any(owner is buffer for buffer in self.buffers)

    @rule(journal=journals, rows=st.integers(1, 3), full=st.booleans())
    def append(self, journal, rows, full):
        file, route, owner, lines = journal
        if not self.lives(owner):
            return
        write = os.write
        for line in self.lines(rows):
            if full:
                torn = mock.patch("os.write", side_effect=lambda handle, data: write(handle, data[:3]))
                with torn, pytest.raises(BufferUnavailableError):
                    file.append(line)
            else:
                file.append(line)
                lines.append(line)
                self.stored[route, line] += 1

    @rule(journal=consumes(journals), keep=st.booleans())
    def end_journal(self, journal, keep):
        file, route, owner, lines = journal
        if not self.lives(owner):
            return
        if keep and lines:
            file.promote()
        else:
            file.discard()
            self.stored.subtract((route, line) for line in lines)

    @rule(target=claims, who=st.integers(0, 1), route=st.sampled_from(ROUTES))
    def claim(self, who, route):
        claim = self.buffers[who].claim(route)
        if claim is None:
            return multiple()
        assert claim.batch.route == route
        assert claim.batch.rows == claim.batch.data.count(b"\n") > 0
        return claim, self.buffers[who]

    @rule(claim=consumes(claims), delivered=st.booleans())
    def end_claim(self, claim, delivered):
        claim, owner = claim
        if not self.lives(owner):
            return
        if delivered:
            claim.done()
            for line in claim.batch.data.splitlines(keepends=True):
                assert self.stored[claim.batch.route, line] > 0
                self.stored[claim.batch.route, line] -= 1
        else:
            claim.release()

    @rule(who=st.integers(0, 1), torn=st.booleans())
    def crash(self, who, torn):
        self.buffers[who].reset()
        self.buffers[who] = self.process()
        if torn:
            for journal in self.folder.glob("*.journal"):
                if self.is_free(journal):
                    with journal.open("ab") as file:
                        file.write(b'{"n":')

    def is_free(self, path):
        handle = lock(path)
        if handle is None:
            return False
        os.close(handle)
        return True

    @rule(flip=st.booleans())
    def damage(self, flip):
        whole = (path for path in sorted(self.folder.glob("*.ndjson")) if path not in self.damaged)
        path = next(filter(self.is_free, whole), None)
        if path is None:
            return
        self.damaged.add(path)
        data = path.read_bytes()
        datasource = path.name.split("~")[1]
        route = next(route for route in ROUTES if route.datasource == datasource)
        path.write_bytes(data.replace(b'"n"', b'"m"', 1) if flip else data[:-4])
        self.stored.subtract((route, line) for line in data.splitlines(keepends=True))


def drained(machine):
    """Let every process die, and deliver what is left."""
    for buffer in machine.buffers:
        buffer.reset()
    found = Counter()
    last = machine.process()
    for route in ROUTES:
        while (claim := last.claim(route)) is not None:
            found.update((route, line) for line in claim.batch.data.splitlines(keepends=True))
            claim.done()
    return found


class Drained(SpillModel):
    """At the end of every run, everything that was promised and not delivered comes back once."""

    def teardown(self):
        try:
            assert drained(self) == +self.stored
        finally:
            super().teardown()


Drained.TestCase.settings = settings(
    max_examples=int(os.environ.get("SPILL_EXAMPLES", "60")), stateful_step_count=50, deadline=None
)
test_any_order_of_calls = Drained.TestCase
