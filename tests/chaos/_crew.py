"""Worker processes that log, and what they leave behind for the checks."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import multiprocessing
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tinylog import Stats, TinybirdHandler

fork = multiprocessing.get_context("fork")

POISON = "POISON"
POISON_EVERY = 2003  # rows; a prime, so that it falls anywhere in a batch
LIFE = 10_000_000  # numbers that the rows of one life may have
SCHEMA = "`n` Nullable(Int64) `json:$.n`, `id` Nullable(String) `json:$.id`, `level` String `json:$.level`"
TABLE = "chaos"


@dataclass
class Crew:
    """Four workers or more, of which each new one is a new life with numbers of its own.

    Attributes:
        folder: promises, spill directory and ledgers.
        options: of the handlers.
        preloaded: a handler made before the fork, which every second life uses, as under ``gunicorn --preload``.
    """

    folder: Path
    options: dict
    burst: int = 50
    pause: float = 0.06
    rows: int | None = None
    ack_every: int = 1
    preloaded: TinybirdHandler | None = None
    alive: list = field(default_factory=list)
    lives: int = 0
    killed: int = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.alive:  # none, unless something went wrong
            process.kill()

    def start(self):
        """Begin a new life."""
        self.lives += 1
        process = fork.Process(target=self._live, args=(self.lives,))
        process.start()
        self.alive.append(process)

    def kill_one(self, random: Random):
        """End a life in the middle of whatever it does, and begin another."""
        victim = random.choice(self.alive)
        victim.kill()
        victim.join()
        assert victim.exitcode == -signal.SIGKILL, victim
        self.alive.remove(victim)
        self.killed += 1
        self.start()

    def stop(self):
        """Let everybody come to an end by himself."""
        for process in self.alive:
            process.terminate()
        self.join()

    def join(self):
        """Wait until everybody has come to an end by himself."""
        for process in self.alive:
            process.join()
            assert process.exitcode == 0, process
        self.alive.clear()

    def _live(self, life: int):
        stopping, parent = [], os.getppid()
        signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
        _quieten(self.folder)
        handler = self.preloaded if self.preloaded and life % 2 else TinybirdHandler(TABLE, **self.options)
        log = logging.Logger("chaos")
        log.addHandler(handler)
        promises = os.open(self.folder / f"{life}.promised", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        for count in itertools.count() if self.rows is None else range(self.rows):
            number = life * LIFE + count
            extra = {"n": number, "mark": POISON} if is_poison(number) else {"n": number}
            log.log(logging.INFO if count % self.ack_every else logging.ERROR, "row %d", number, extra=extra)
            os.write(promises, b"%d\n" % number)
            if count % self.burst == self.burst - 1:
                if stopping or os.getppid() != parent:
                    break
                time.sleep(self.pause)
        handler.close()
        _keep_ledger(handler, self.folder / f"{life}.stats")

    def promised(self) -> set[int]:
        """The numbers of all rows for which the logging call returned."""
        found = set()
        for path in self.folder.glob("*.promised"):
            found.update(int(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n"))
        return found

    def ledgers(self) -> list[Stats]:
        """The ledgers of those who came to an end by themselves, the one who drained included."""
        return [Stats(**json.loads(path.read_text())) for path in sorted(self.folder.glob("*.stats"))]


def drain(folder: Path, options: dict, deadline: float):
    """Have a process of its own send what the others have left; gives the files that it could not send in time."""
    process = fork.Process(target=_drain, args=(folder, options, deadline))
    process.start()
    process.join()
    assert process.exitcode == 0, process
    return left(options)


def _drain(folder: Path, options: dict, deadline: float):
    _quieten(folder)
    handler = TinybirdHandler(TABLE, **options)
    logging.Logger("chaos").addHandler(handler)
    handler.handle(logging.makeLogRecord({"levelno": logging.ERROR, "levelname": "ERROR", "msg": "drain"}))
    end = time.monotonic() + deadline
    handler.flush()
    while left(options) and time.monotonic() < end:
        time.sleep(0.1)
    handler.close()
    _keep_ledger(handler, folder / "drain.stats")


def _keep_ledger(handler: TinybirdHandler, path: Path):
    stats = handler.stats()
    path.write_text(json.dumps(dataclasses.asdict(dataclasses.replace(stats, dropped=dict(stats.dropped)))))


def left(options: dict) -> list[str]:
    """Names of the files that wait to be sent."""
    # A name with a dot: its process died before it was renamed, and so before any row in it was promised.
    files = (path for path in Path(options["spill"]).glob("*") if path.is_file())
    return [path.name for path in files if not path.name.startswith(".")]


def is_poison(number: int) -> bool:
    """Tell whether the server refuses a row for ever."""
    return number % POISON_EVERY == 0


def dead_letters(options: dict) -> set[int]:
    """The numbers of all rows that were set aside."""
    files = (Path(options["spill"]) / "dead").glob("*.ndjson")
    return {json.loads(line).get("n") for path in files for line in path.read_bytes().splitlines()}


def say(text: str):
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _quieten(folder: Path):
    """Keep the warnings of many processes out of the way, but at hand."""
    logger = logging.getLogger("tinylog")
    handler = logging.FileHandler(folder / "tinylog.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
