"""The short way from a `logging.LogRecord` to a line of the flat layout.

What the records of a line of code and a thread have in common is encoded once; only the rest is encoded for each
record. The line is, byte for byte, the one that `_layout` and `_encode` make (`tests/test_callsite.py`); whatever is
out of the ordinary is left to them.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Hashable, Mapping
from math import isfinite
from operator import itemgetter
from typing import Any

import orjson

from tinylog._context import ENDINGS, MICROS, MILLI, NO_STAMP, TRACING, new_id, span_ids, stamped
from tinylog._encode import dump_line, fragment
from tinylog._guard import is_chatter
from tinylog._layout import (
    DELIVERY_KEY,
    FLAT_FIELDS,
    RECORD_ATTRIBUTES,
    ack_threshold,
    context_fields,
    is_critical,
    site_fields,
)
from tinylog.settings import DoorOptions, Settings, SourceControls

__all__ = ["FAITHFUL", "MAX_SITES", "ShortWay", "fragment_of", "has_short_way", "short_way"]

ShortWay = Callable[[logging.LogRecord], tuple[bytes | None, bool]]
"""Encodes a record, and tells whether it is critical; no line when the record has to go the long way.

Raises whatever the application's objects raise, or make impossible. Then, too, the long way knows what to do.
"""

MAX_SITES = 2_000  # remembered ones; one too many, and all are forgotten
_LogRecord = logging.LogRecord

# Together these are all attributes that `logging` gives to a record. So one that has as many attributes as an earlier
# one, these among them and the same extra ones, has no others.
_SITE = itemgetter(
    *("name", "levelname", "levelno", "pathname", "module", "lineno", "funcName"),
    *("process", "processName", "thread", "threadName", "exc_info", "exc_text", "stack_info"),
)
_HAS_TASK = "taskName" in logging.makeLogRecord({}).__dict__  # since Python 3.12
_REST = itemgetter(
    *("created", "msg", "args", "taskName" if _HAS_TASK else "created"), *("filename", "msecs", "relativeCreated")
)

FAITHFUL = frozenset({str, int, bool})  # types that orjson writes as they are, or not at all
_FORMATTED = ("message", "asctime")  # attributes that another handler's formatter leaves

# What is remembered of a site: its fields; how many attributes its last record had, the extra ones among them (None
# when they cannot be written as they are) and those of a formatter; whether it is critical.
_Site = tuple[orjson.Fragment, int, tuple[str, ...] | None, tuple[str, ...], bool]


def has_short_way(settings: Settings) -> bool:
    """Tell whether the settings ask for nothing that only the long way does."""
    return settings.door.layout == "flat" and settings.controls == SourceControls()


def short_way(settings: Settings) -> ShortWay | None:  # noqa: C901 - the hottest code of all
    """Make the short way; None when there is none."""
    if not has_short_way(settings):
        return None
    options = settings.door
    sites: dict[Hashable, _Site] = {}
    recent, max_bytes = NO_STAMP, options.max_row_bytes

    def short(record: logging.LogRecord) -> tuple[bytes | None, bool]:  # noqa: C901, PLR0912 - likewise
        nonlocal recent
        attributes = record.__dict__
        created, msg, args, task_name, _, _, _ = _REST(attributes)
        key = _SITE(attributes)
        site = sites.get(key)
        if site is None or site[1] != len(attributes):
            site = _learn(sites, key, record, options)
        common, _, extras, formatted, critical = site
        if extras is None or type(msg) is not str or type(record) is not _LogRecord:
            return None, critical

        second, start, text = recent  # as `stamper` does it, without the call
        past = int((created - second) * MICROS + 0.5) - start
        if 0 <= past < MILLI:
            timestamp = text + ENDINGS[past]
        else:
            timestamp, recent = stamped(created)
        row: dict[str, Any] = {"timestamp": timestamp, "level": common}
        odd = False
        if _HAS_TASK and task_name is not None:
            row["task_name"] = task_name
            odd = type(task_name) is not str
        row["message"] = msg % args if args else msg
        if TRACING in sys.modules:
            ids = span_ids()
            if ids is not None:
                row["trace_id"], row["span_id"], _ = ids
        if critical:
            row["id"] = new_id()

        try:
            for name in extras:
                value = attributes[name]
                if type(value) not in FAITHFUL:
                    if value is None:
                        continue
                    odd = odd or type(value) is not float or not isfinite(value)
                row[name] = value
            for name in formatted:
                attributes[name]
        except KeyError:  # as many attributes as the last record, but others
            _learn(sites, key, record, options)
            return None, critical
        line = dump_line(row) if odd else orjson.dumps(row, None, orjson.OPT_APPEND_NEWLINE)
        return (None if (odd and b"null" in line) or len(line) > max_bytes else line), critical

    return short


def _learn(sites: dict[Hashable, _Site], key: Hashable, record: logging.LogRecord, options: DoorOptions) -> _Site:
    attributes = record.__dict__
    taken = {*FLAT_FIELDS, *options.static_fields}
    extras = tuple(name for name in attributes if name not in RECORD_ATTRIBUTES)
    usual = not any(type(name) is not str or name in taken for name in extras)
    usual = usual and (_HAS_TASK or "taskName" not in attributes)
    rare = record.exc_info or record.exc_text or record.stack_info is not None or DELIVERY_KEY in attributes
    formatted = tuple(name for name in _FORMATTED if name in attributes)
    critical = is_critical(record.levelno, ack_threshold(options), None)
    common = fragment_of(record, options.static_fields)
    if common is None or rare or not usual or is_chatter(record.name):
        return orjson.Fragment(b""), 0, None, (), critical
    if len(sites) >= MAX_SITES:
        sites.clear()
    site = sites[key] = (common, len(attributes), extras, formatted, critical)
    return site


def fragment_of(record: logging.LogRecord, static_fields: Mapping[str, Any]) -> orjson.Fragment | None:
    """Encode what comes after `"level":`, up to the thread's name; None when there is no level."""
    fields = {**site_fields(record, static_fields), **context_fields(record)}
    fields.pop("task_name", None)
    return fragment(fields, "level")
