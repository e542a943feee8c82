"""The server that every contender sends to: it keeps the requests, and counts only when it is asked.

``python -m benchmarks.sink`` prints its address and serves until its standard input ends; at a ``--port`` of one's
choice it serves until it is interrupted. Beside the contenders' paths it has ``GET /_report?expected=N`` and
``POST /_reset?latency=0.02&fault=mixed``; other faults are 503, 429 and reset.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from benchmarks import decoders, places
from benchmarks.wire import Answer, Arrived, Connection

FAULT_EVERY = 3  # requests
FAULTS = {
    "503": (Answer(503, body=b'{"error":"unavailable"}'),),
    "429": (Answer(429, {"Retry-After": "1"}, b'{"error":"too many requests"}'),),
    "reset": (Answer(0),),
}
FAULTS["mixed"] = (*FAULTS["503"], *FAULTS["429"], *FAULTS["reset"])


@dataclass
class Sink:
    """What arrived since the last reset, and how to answer meanwhile."""

    latency: float = 0.0
    faults: Iterator[Answer] | None = None
    kept: list[Arrived] = field(default_factory=list)
    requests: int = 0
    faulted: int = 0
    size: int = 0

    def serve(self, arrived: Arrived) -> Answer:
        """Answer one request; what is answered with a fault is not kept."""
        if arrived.path.startswith("/_"):
            return self._control(arrived)
        self.requests += 1
        self.size += arrived.size
        if self.faults is not None and self.requests % FAULT_EVERY == 0:
            self.faulted += 1
            fault = next(self.faults)
            return Answer(fault.status, fault.headers, fault.body, self.latency)
        if arrived.method == "POST":
            self.kept.append(arrived)
        if "wait=true" in arrived.path:
            rows = decoders.decompress(arrived.headers, arrived.body).count(b"\n")
            written = b'{"successful_rows":%d,"quarantined_rows":0}' % rows
            return Answer(200, {"Content-Type": "application/json"}, written, self.latency)
        return Answer(*decoders.answer(arrived.path, arrived.headers), self.latency)

    def _control(self, arrived: Arrived) -> Answer:
        url = urlsplit(arrived.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/_reset":
            fault = asked.get("fault")
            self.latency = float(asked.get("latency", 0))
            self.faults = itertools.cycle(FAULTS[fault]) if fault else None
            self.kept, self.requests, self.faulted, self.size = [], 0, 0, 0
            return Answer(body=b"{}")
        return Answer(body=json.dumps(self.report(int(asked["expected"]))).encode())

    def report(self, expected: int) -> dict:
        """Count what arrived, by the number that each call's row carries.

        Args:
            expected: how many calls there were; they are numbered from 0.
        """
        counts = bytearray(expected)
        rows = duplicates = strange = 0
        troubles = []
        for arrived in self.kept:
            try:
                numbers = decoders.sequences(
                    arrived.path, arrived.headers, decoders.decompress(arrived.headers, arrived.body)
                )
            except Exception as error:
                troubles.append(f"{arrived.path}: {type(error).__name__}: {error}")
                continue
            rows += len(numbers)
            for number in numbers:
                if not 0 <= number < expected:
                    strange += 1
                elif counts[number]:
                    duplicates += 1
                else:
                    counts[number] = 1
        return {
            "rows": rows,
            "distinct": sum(counts),
            "duplicates": duplicates,
            "strange": strange,
            "missing": _ranges(counts),
            "requests": self.requests,
            "faulted": self.faulted,
            "wire_bytes": self.size,
            "undecodable": len(troubles),
            "troubles": troubles[:3],
        }


def _ranges(counts: bytearray) -> list[tuple[int, int]]:
    """Give the numbers that did not arrive, as ranges without their ends."""
    found, end = [], 0
    while (start := counts.find(0, end)) >= 0:
        end = counts.find(1, start)
        end = len(counts) if end < 0 else end
        found.append((start, end))
    return found


async def serve(port: int) -> None:
    """Serve until standard input ends, which it does with the process that holds its other end; at a port, for ever."""
    sink = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(sink.serve), "127.0.0.1", port, backlog=1024)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    if port:
        await server.serve_forever()
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Pin this process to the core that is not measured, and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    asked = parser.parse_args()
    places.pin(places.side_core())
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(asked.port))


if __name__ == "__main__":
    main()
