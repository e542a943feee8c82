"""What a response means, and what is owed to the rows: a table. Pure.

The statuses and their meaning: https://www.tinybird.co/docs/api-reference/events-api.
"""

from __future__ import annotations

import enum
from http import HTTPStatus
from typing import Any

import orjson

from tinylog.protocols import Delivery, Failure, Response

__all__ = ["Action", "Verdict", "action", "explain", "quarantined_rows", "verdict"]


class Verdict(enum.Enum):
    """What a response says about the request."""

    WRITTEN = "written"
    TAKEN = "accepted"
    TOO_LARGE = "too_large"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    STALE = "stale"
    UNSURE = "no_answer"
    MISCONFIGURED = "misconfigured"
    PARTIAL = "partial"


class Action(enum.Enum):
    """What to do with the rows of a request."""

    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    SPLIT = "split"
    RETRY = "retry"
    RESEND = "resend"
    """Once more, at once, on a new connection."""
    HOLD = "hold"
    """Keep the rows, pause the route, tell a person."""
    DEAD_LETTER = "dead_letter"
    DROP = "drop"


_ACTIONS: dict[Verdict, tuple[Action, Action]] = {
    #                       acknowledged        fire-and-forget
    Verdict.WRITTEN: (Action.DELIVERED, Action.DELIVERED),
    Verdict.TAKEN: (Action.ACCEPTED, Action.ACCEPTED),
    Verdict.TOO_LARGE: (Action.SPLIT, Action.SPLIT),
    Verdict.REJECTED: (Action.SPLIT, Action.DROP),
    Verdict.UNAVAILABLE: (Action.RETRY, Action.DROP),
    Verdict.STALE: (Action.RETRY, Action.RESEND),
    Verdict.UNSURE: (Action.RETRY, Action.DROP),
    Verdict.MISCONFIGURED: (Action.HOLD, Action.HOLD),
    Verdict.PARTIAL: (Action.DEAD_LETTER, Action.DROP),
}

_FAILURES = {
    Failure.NOT_SENT: Verdict.UNAVAILABLE,
    Failure.STALE: Verdict.STALE,
    Failure.NO_ANSWER: Verdict.UNSURE,
}

_STATUSES = {
    HTTPStatus.OK: Verdict.WRITTEN,
    HTTPStatus.ACCEPTED: Verdict.TAKEN,
    HTTPStatus.UNAUTHORIZED: Verdict.MISCONFIGURED,
    HTTPStatus.FORBIDDEN: Verdict.MISCONFIGURED,
    HTTPStatus.NOT_FOUND: Verdict.MISCONFIGURED,
    HTTPStatus.REQUEST_TIMEOUT: Verdict.UNAVAILABLE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Verdict.TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY: Verdict.PARTIAL,
    HTTPStatus.TOO_MANY_REQUESTS: Verdict.UNAVAILABLE,
}

# What a status means that the table above does not name, by its hundreds. A 2xx that is neither 200 nor 202 comes
# from something that is not the Events API, as a wrong host.
_CLASSES = {
    2: Verdict.MISCONFIGURED,
    3: Verdict.MISCONFIGURED,
    4: Verdict.REJECTED,
    5: Verdict.UNAVAILABLE,
}


def verdict(response: Response) -> Verdict:
    """Class a response."""
    if response.failure is not None:
        return _FAILURES[response.failure]
    status = response.status or 0
    if status // 100 == 2 and _said(response) is None:  # noqa: PLR2004 - a login page of a proxy, for example
        return Verdict.MISCONFIGURED
    return _STATUSES.get(status) or _CLASSES.get(status // 100, Verdict.UNSURE)  # type: ignore[call-overload]


def action(outcome: Verdict, delivery: Delivery) -> Action:
    """Look up what the rows are owed."""
    return _ACTIONS[outcome][delivery is Delivery.FIRE_AND_FORGET]


def quarantined_rows(response: Response, rows: int) -> int:
    """Count the rows that the server accepted but put into the quarantine table; at most `rows`."""
    count = (_said(response) or {}).get("quarantined_rows")
    return max(0, min(rows, count)) if isinstance(count, int) else 0


def explain(response: Response) -> str:
    """Put a response in words: the status or failure, and what the server said."""
    if response.failure is not None:
        return response.detail or response.failure.value
    said = (_said(response) or {}).get("error", response.body.decode("utf-8", "replace"))
    return f"HTTP {response.status}: {str(said).strip()[:500]}".rstrip(": ")


def _said(response: Response) -> dict[str, Any] | None:
    """Read the JSON object that every answer of the API is; None for anything else."""
    try:
        said = orjson.loads(response.body)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
