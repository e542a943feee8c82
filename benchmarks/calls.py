"""The calls that are measured. Each is written out: a helper between would cost as much as what is measured."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from random import Random

SEED = 20_261_124
MESSAGE = "GET %s -> %d in %.1f ms"
PATHS = tuple(f"/api/v1/{what}/{number}" for what in ("orders", "customers", "carts", "search") for number in range(16))
STATUSES = (200, 200, 200, 200, 201, 204, 304, 404, 500)
TENANTS = tuple(f"tenant-{number:03d}" for number in range(40))

Fields = tuple[int, str, int, float, str, int, str]
Calls = Callable[[Callable[..., None], Iterable[Fields], "array[int] | None"], None]


def fields(numbers: range) -> Iterator[Fields]:
    """Make what the calls say, the same each time: number, path, status, milliseconds, request, user and tenant."""
    random = Random(SEED + numbers.start)
    for number in numbers:
        bits = random.getrandbits(128)
        yield (
            number,
            PATHS[bits & 63],
            STATUSES[bits % 9],
            (bits >> 8 & 0xFFFF) / 100,
            f"{bits:032x}",
            bits >> 24 & 0xFFFFF,
            TENANTS[bits % 40],
        )


def prepared(numbers: range) -> Iterable[Fields]:
    """Make them in advance. By columns: a list of tuples would be a load for the garbage collector."""
    columns: tuple[list, ...] = ([], [], [], [], [], [], [])
    for values in fields(numbers):
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return zip(*columns, strict=True)


def by_logging(log: Callable[..., None], rows: Iterable[Fields], durations: array[int] | None) -> None:
    """Call a logger of `logging`, and note how many nanoseconds each call took if there is an array for it."""
    if durations is None:
        for seq, path, status, ms, request, user, tenant in rows:
            extra = {"seq": seq, "request_id": request, "user_id": user, "tenant": tenant}
            log(MESSAGE, path, status, ms, extra=extra)
        return
    clock, place = time.perf_counter_ns, 0
    for seq, path, status, ms, request, user, tenant in rows:
        before = clock()
        log(
            MESSAGE,
            path,
            status,
            ms,
            extra={"seq": seq, "request_id": request, "user_id": user, "tenant": tenant},
        )
        durations[place] = clock() - before
        place += 1  # noqa: SIM113 - enumerate would make a tuple more


def by_structlog(log: Callable[..., None], rows: Iterable[Fields], durations: array[int] | None) -> None:
    """Call a logger of structlog, likewise."""
    if durations is None:
        for seq, path, status, ms, request, user, tenant in rows:
            log(MESSAGE, path, status, ms, seq=seq, request_id=request, user_id=user, tenant=tenant)
        return
    clock, place = time.perf_counter_ns, 0
    for seq, path, status, ms, request, user, tenant in rows:
        before = clock()
        log(MESSAGE, path, status, ms, seq=seq, request_id=request, user_id=user, tenant=tenant)
        durations[place] = clock() - before
        place += 1  # noqa: SIM113


def at_a_rate(rows: Iterable[Fields], rate: int, tick: float) -> Iterator[Fields]:
    """Hand rows out at a rate, asleep in between: what the caller's caches held is then gone, as in a real program.

    Args:
        rows: of which those that are due are handed out.
        rate: rows a second.
        tick: seconds to sleep at a time, for several rows each; 0 to sleep before each row.
    """
    began = time.perf_counter()
    for number, row in enumerate(rows):
        due = began + number / rate
        if due > time.perf_counter():
            time.sleep(max(due - time.perf_counter(), tick, 0))
        yield row


def calibrate() -> int:
    """Time a fixed piece of Python, about 40 ms of dict, str and call work: the machine's speed at this moment."""
    best = 0
    for _ in range(3):
        before = time.perf_counter_ns()
        _work()
        took = time.perf_counter_ns() - before
        best = min(best, took) if best else took
    return best


def _work() -> int:
    total = 0
    for number in range(62_000):
        row = {"seq": number, "path": PATHS[number & 63], "tenant": TENANTS[number % 40]}
        total += _length("%s %d" % (row["path"], row["seq"]), **row)  # noqa: UP031 - as logging does it
    return total


def _length(text: str, **row: object) -> int:
    return len(text) + len(row)
