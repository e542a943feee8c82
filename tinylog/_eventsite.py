"""The short way from a structlog event dict to a line of the flat layout; see `_callsite`.

The line is, byte for byte, the one that `_event`, `_layout` and `_encode` make (`tests/test_callsite.py`).
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import time
from _thread import get_ident
from collections.abc import Callable, Hashable, Mapping
from math import isfinite
from threading import current_thread
from typing import Any

import orjson

from tinylog._callsite import FAITHFUL, MAX_SITES, fragment_of, has_short_way
from tinylog._context import TRACING, new_id, span_ids, stamper
from tinylog._encode import dump_line
from tinylog._event import CALLSITE, CONSUMED, Event, outside, process_name, structlogs_variable, task_name
from tinylog._layout import FLAT_FIELDS
from tinylog.settings import Settings

__all__ = ["ShortEventWay", "short_event_way"]

ShortEventWay = Callable[[Mapping[str, Any], str | None, tuple[str, int], bool], bytes | None]
"""Encodes an event dict with its logger's name, its level and whether it is critical; None when it has to go the long
way. May raise what the application's objects raise; then, too, the long way knows what to do."""

_OURS = frozenset({"event", "level", "logger", "timestamp"})
_LENGTH = len("2026-11-24T05:45:12.123456Z")


def short_event_way(settings: Settings) -> ShortEventWay | None:  # noqa: C901 - the hottest code
    """Make the short way; None when there is none."""
    if not has_short_way(settings):
        return None
    static_fields, max_bytes = settings.door.static_fields, settings.door.max_row_bytes
    sites: dict[Hashable, tuple[orjson.Fragment, Any]] = {}
    special = {*_OURS, *CONSUMED, *CALLSITE, *FLAT_FIELDS, *static_fields, "msg", "exception", "stack"}
    stamp = stamper()
    moved = structlogs_variable("_ASYNC_CALLING_STACK")  # set when an asynchronous method moved us to another thread

    def short(  # noqa: C901, PLR0912 - likewise
        event_dict: Mapping[str, Any], name: str | None, level: tuple[str, int], critical: bool
    ) -> bytes | None:
        message = event_dict.get("event")
        given = event_dict.get("timestamp")
        timestamp = stamp(time.time()) if given is None else given if _is_canonical(given) else None
        elsewhere = moved is not None and moved.get(None) is not None
        if type(message) is not str or timestamp is None or elsewhere:
            return None
        frame = outside(sys._getframe(1))  # noqa: SLF001 - as logging does
        code, line = frame.f_code, frame.f_lineno
        # The code object is kept, so that its id stays its own.
        key = (id(code), line, name, level, get_ident(), current_thread().name, os.getpid(), process_name())
        site = sites.get(key)
        if site is None:
            # Of an event without fields: this one's may speak for it alone, such as a `thread_name`.
            common = fragment_of(Event({}, name, level).as_record(), static_fields)
            if common is None:
                return None
            if len(sites) >= MAX_SITES:
                sites.clear()
            site = sites[key] = (common, code)
        row: dict[str, Any] = {"timestamp": timestamp, "level": site[0]}
        task = task_name()
        if task is not None:
            row["task_name"] = task
        row["message"] = message
        if TRACING in sys.modules:
            ids = span_ids()
            if ids is not None:
                row["trace_id"], row["span_id"], _ = ids
        if critical:
            row["id"] = new_id()
        odd = False
        for field, value in event_dict.items():
            if field in special or type(field) is not str:
                if field in _OURS:
                    continue
                return None
            if type(value) not in FAITHFUL:
                if value is None:
                    continue
                odd = odd or type(value) is not float or not isfinite(value)
            row[field] = value
        encoded = dump_line(row)
        return None if (odd and b"null" in encoded) or len(encoded) > max_bytes else encoded

    return short


def _is_canonical(timestamp: Any) -> bool:
    """Tell whether a time is written as rows have it, as by `TimeStamper(utc=True)`."""
    usual = type(timestamp) is str and len(timestamp) == _LENGTH and timestamp.endswith("Z")
    if not usual or timestamp[10] != "T" or timestamp[19] != "." or not timestamp.isascii():
        return False
    dt.datetime.fromisoformat(timestamp[:-1])  # raises for what is no time
    return True
