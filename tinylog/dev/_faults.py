"""Trouble on demand: what ``tinylog dev --fault`` understands, and what it does to a request. Pure.

==================  =====================================================================================
``503:0.1``         one request in ten is answered with this status, and its rows are not stored
``400~TEXT``        the same, when the body (decompressed) contains this text
``413>1MB``         the same, when the body (decompressed) is larger
``429@100/s``       each Data Source takes so many requests a second; the others are answered with a 429
``reset:0.02``      the connection is reset before the rows are read
``cut:0.02``        the rows are stored, then the connection is closed half-way through the answer
``stall:2s:0.05``   nothing happens for so long; then the request goes on, whether or not the client waited
``down:5s/20s``     every connection is reset in the last 5 of every 20 seconds
==================  =====================================================================================

A number after the last colon is a probability; without one the fault always happens. They are looked at in this
order: ``down``, ``reset``, ``stall``, ``429@``, the statuses as they were given, the server itself, ``cut``.

The dice of a request depend on the seed, its number in the order of arrival, and the place of the fault among the
others. A client that sends one request after another has the same trouble each time. With several at once the sequence
is the same, but which of them gets which place in it is a matter of their timing.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from random import Random

from tinylog import _parse as parse
from tinylog.errors import ConfigurationError

__all__ = ["Fault", "Refusal", "Windows", "is_cut", "parse_fault", "refusal", "rejects_connection", "stall_seconds"]

_MAX_STATUS = 599
_SECONDS = r"\d+(?:\.\d+)?"
_CHANCE = r"(?::(?P<chance>\d*\.?\d+))?"


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of trouble.

    Args:
        spec: As it was written.
        kind: ``status``, ``rate``, ``reset``, ``cut``, ``stall`` or ``down``.
        chance: From 0 to 1.
        status: To answer with.
        text: That the body must contain.
        above: Bytes that the body must exceed.
        rate: Requests a second.
        seconds: To wait, or to be away.
        period: Seconds after which it begins again.
    """

    spec: str
    kind: str
    chance: float = 1.0
    status: int = 0
    text: bytes = b""
    above: int = -1
    rate: int = 0
    seconds: float = 0.0
    period: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer instead of the server's own."""

    status: int
    error: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Dice:
    """Chance, the same for the same request of each run.

    Args:
        seed: Of the run.
        number: Of the request, in the order of arrival.
    """

    seed: int
    number: int

    def hit(self, place: int, fault: Fault) -> bool:
        """Tell whether a fault, at its place among the others, happens."""
        # One generator for each question, so that a fault more, or one that was not asked, changes no other answer.
        roll = Random(f"{self.seed} {self.number} {place}").random()  # noqa: S311 - dice, not secrets
        return roll < fault.chance


class Windows:
    """Counts the requests for each Data Source in the current second."""

    def __init__(self) -> None:
        self._second = -1
        self._counts: dict[str, int] = {}

    def count(self, name: str, now: float) -> int:
        """Count one.

        Args:
            name: The Data Source.
            now: Seconds.

        Returns:
            How many there were in this second, this one included.
        """
        if int(now) != self._second:
            self._second, self._counts = int(now), {}
        self._counts[name] = self._counts.get(name, 0) + 1
        return self._counts[name]


def rejects_connection(faults: Sequence[Fault], dice: Dice, elapsed: float) -> str:
    """Tell whether the connection is to be reset: ``down`` or ``reset``, else nothing.

    Args:
        faults: All faults.
        dice: Of this request.
        elapsed: Seconds since the server started.
    """
    for fault in faults:
        if fault.kind == "down" and elapsed % fault.period >= fault.period - fault.seconds:
            return "down"
    return "reset" if any(_hits(faults, dice, "reset")) else ""


def stall_seconds(faults: Sequence[Fault], dice: Dice) -> float:
    """How long nothing happens."""
    return sum(fault.seconds for fault in _hits(faults, dice, "stall"))


def is_cut(faults: Sequence[Fault], dice: Dice) -> bool:
    """Tell whether the answer is to break off."""
    return any(_hits(faults, dice, "cut"))


def rate_headers(faults: Sequence[Fault], used: int) -> dict[str, str]:
    """The headers that tell a client of the rate limit, if there is one; each answer has them."""
    rates = [fault.rate for fault in faults if fault.kind == "rate"]
    if not rates:
        return {}
    limit = min(rates)
    # The window is a second long, and the header whole seconds.
    headers = {"Limit": limit, "Remaining": max(0, limit - used), "Reset": 1}
    return {f"X-RateLimit-{name}": str(value) for name, value in headers.items()}


def refusal(faults: Sequence[Fault], dice: Dice, used: int, body: bytes) -> Refusal | None:
    """Find the first fault that answers.

    Args:
        faults: All faults.
        dice: Of this request.
        used: Requests for the same Data Source in this second, this one included.
        body: Decompressed.
    """
    for fault in faults:
        if fault.kind == "rate" and used > fault.rate:
            return _refuse(fault)
    for fault in _hits(faults, dice, "status"):
        if len(body) > fault.above and fault.text in body:
            return _refuse(fault)
    return None


def _refuse(fault: Fault) -> Refusal:
    headers = {"Retry-After": "1"} if fault.status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return Refusal(fault.status, f"{_phrase(fault.status)} (tinylog dev --fault {fault.spec!r})", headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _hits(faults: Sequence[Fault], dice: Dice, kind: str) -> list[Fault]:
    return [fault for place, fault in enumerate(faults) if fault.kind == kind and dice.hit(place, fault)]


def parse_fault(spec: str) -> Fault:
    """Read a fault as it is written on the command line.

    Raises:
        ConfigurationError: Names the text and what is expected.
    """
    for pattern, make in _FORMS:
        found = re.fullmatch(pattern, spec.strip(), re.DOTALL)
        if found:
            fault = make(spec.strip(), found)
            _check(fault)
            return fault
    raise _bad(
        spec, "expected 503:0.1, 400~TEXT, 413>1MB, 429@100/s, reset:0.02, cut:0.02, stall:2s:0.05 or down:5s/20s"
    )


def _status(spec: str, found: re.Match[str]) -> Fault:
    text, size = found["text"] or "", found["size"]
    try:
        above = parse.byte_size(0)(size) if size else -1
    except ValueError as error:
        raise _bad(spec, f"{error}, after the >") from None
    return Fault(spec, "status", _chance(found), int(found["status"]), text.encode(), above)


def _rate(spec: str, found: re.Match[str]) -> Fault:
    return Fault(spec, "rate", status=HTTPStatus.TOO_MANY_REQUESTS, rate=int(found["rate"]))


def _broken(spec: str, found: re.Match[str]) -> Fault:
    return Fault(spec, found["kind"], _chance(found))


def _stall(spec: str, found: re.Match[str]) -> Fault:
    return Fault(spec, "stall", _chance(found), seconds=float(found["seconds"]))


def _down(spec: str, found: re.Match[str]) -> Fault:
    return Fault(spec, "down", seconds=float(found["seconds"]), period=float(found["period"]))


_FORMS: tuple[tuple[str, Callable[[str, re.Match[str]], Fault]], ...] = (
    (rf"(?P<status>\d{{3}})(?:~(?P<text>.+?)|>(?P<size>[^:]+))?{_CHANCE}", _status),
    (r"429@(?P<rate>\d+)/s", _rate),
    (rf"(?P<kind>reset|cut){_CHANCE}", _broken),
    (rf"stall:(?P<seconds>{_SECONDS})s{_CHANCE}", _stall),
    (rf"down:(?P<seconds>{_SECONDS})s/(?P<period>{_SECONDS})s", _down),
)


def _chance(found: re.Match[str]) -> float:
    return 1.0 if found["chance"] is None else float(found["chance"])


def _check(fault: Fault) -> None:
    if fault.kind == "status" and not HTTPStatus.BAD_REQUEST <= fault.status <= _MAX_STATUS:
        raise _bad(fault.spec, "expected a status from 400 to 599")
    if fault.chance > 1:
        raise _bad(fault.spec, "expected a probability from 0 to 1 after the last colon")
    if fault.kind == "rate" and not fault.rate:
        raise _bad(fault.spec, "expected at least 1 request a second")
    if fault.kind == "down" and not 0 < fault.seconds < fault.period:
        raise _bad(fault.spec, "expected the time away to be shorter than the period, as in down:5s/20s")


def _bad(spec: str, expected: str) -> ConfigurationError:
    return ConfigurationError(f"--fault {spec!r}: {expected}")
