"""From a structlog event dict to what a layout takes, so that both doors write the same rows. Changes no event dict.

structlog is not imported: its keys are plain text, and an event dict is a plain mapping.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, cast

from tinylog._encode import encode_value
from tinylog._layout import DELIVERY_KEY, Details, exception_fields

__all__ = [
    "CALLSITE",
    "CONSUMED",
    "Event",
    "outside",
    "process_name",
    "read_level",
    "read_name",
    "structlogs_variable",
    "task_name",
]

_LEVELS = {
    "debug": ("DEBUG", logging.DEBUG),
    "info": ("INFO", logging.INFO),
    "msg": ("INFO", logging.INFO),
    "log": ("INFO", logging.INFO),
    "warn": ("WARNING", logging.WARNING),
    "warning": ("WARNING", logging.WARNING),
    "err": ("ERROR", logging.ERROR),
    "error": ("ERROR", logging.ERROR),
    "exception": ("ERROR", logging.ERROR),
    "fatal": ("CRITICAL", logging.CRITICAL),
    "critical": ("CRITICAL", logging.CRITICAL),
    "notset": ("NOTSET", logging.NOTSET),
}
_MESSAGE_KEYS = ("event", "message", "msg")  # the latter two are what `EventRenamer` is mostly used for
CONSUMED = frozenset(
    {"level", "logger", "exc_info", "stack_info", "stacklevel", "positional_args", "_record", "_from_structlog"}
) | {DELIVERY_KEY}
CALLSITE = {
    "pathname": ("pathname", str),
    "module": ("module", str),
    "func_name": ("funcName", str),
    "lineno": ("lineno", int),
    "thread": ("thread", int),
    "thread_name": ("threadName", str),
    "process": ("process", int),
    "process_name": ("processName", str),
}
"""The keys of structlog's `CallsiteParameterAdder`, the names that `logging` has for them, and their types."""

_YEAR_10000 = 253_402_300_800  # seconds; a number beyond it is of another unit, such as milliseconds
_COPIED = tuple(attribute for attribute, _ in CALLSITE.values())


class Event:
    """Has the attributes of a `logging.LogRecord` that layouts read, at a fraction of its cost.

    Args:
        event_dict: as it comes.
        logger: the logger's name; without one, as with structlog's own loggers, the calling module's is used.
        level: the level's name and number.
    """

    # The names are those of logging.LogRecord.
    def __init__(self, event_dict: Mapping[str, Any], logger: str | None, level: tuple[str, int]) -> None:
        record = event_dict.get("_record")
        extras = {key: value for key, value in event_dict.items() if key not in CONSUMED}
        self.levelname, self.levelno = level
        self.stack_info: str | None = None
        if isinstance(record, logging.LogRecord) and not _is_structlogs(record):
            self._copy(record)
        else:
            self._look_around(event_dict)
        self.name: str = logger or self.name
        for key in CALLSITE.keys() & extras.keys():
            attribute, kind = CALLSITE[key]
            if type(extras[key]) is kind:
                setattr(self, attribute, extras.pop(key))
        created = _read_time(extras["timestamp"]) if "timestamp" in extras else None
        if created is not None:
            del extras["timestamp"]
        self.created: float = created or getattr(record, "created", None) or time.time()
        self._take_stack(event_dict, extras)
        self.message, self.trouble = _take_message(event_dict, extras)
        self.details = Details(extras, _take_exception(event_dict, extras))

    def as_record(self) -> logging.LogRecord:
        """Pass for a record."""
        return cast("logging.LogRecord", self)

    def _copy(self, record: logging.LogRecord) -> None:
        for attribute in _COPIED:
            setattr(self, attribute, getattr(record, attribute))
        self.name = record.name
        self.taskName = getattr(record, "taskName", None)

    def _look_around(self, event_dict: Mapping[str, Any]) -> None:
        frame = _caller(event_dict.get("stacklevel"))
        self.pathname, self.module = _file(frame.f_code.co_filename)
        self.funcName = frame.f_code.co_name  # as logging names it
        self.lineno = frame.f_lineno
        self.name = str(frame.f_globals.get("__name__") or "")
        thread: tuple[int, str] | None = _structlogs("_ASYNC_CALLING_THREAD")
        self.thread, self.threadName = thread or (threading.get_ident(), threading.current_thread().name)
        self.process = os.getpid()
        self.processName = process_name()
        self.taskName = task_name()
        if event_dict.get("stack_info") and not isinstance(event_dict["stack_info"], str):
            self.stack_info = "Stack (most recent call last):\n" + "".join(traceback.format_stack(frame)).rstrip("\n")

    def _take_stack(self, event_dict: Mapping[str, Any], extras: dict[str, Any]) -> None:
        """Find the text of the stack, before or after structlog's `StackInfoRenderer`."""
        text = event_dict.get("stack_info")
        if isinstance(text, str):
            self.stack_info = text
        elif isinstance(extras.get("stack"), str):
            self.stack_info = extras.pop("stack")


def read_level(method: str, event_dict: Mapping[str, Any]) -> tuple[str, int]:
    """Find the level's name and number, as `logging` knows them."""
    record = event_dict.get("_record")
    if isinstance(record, logging.LogRecord):
        return record.levelname, record.levelno
    level = event_dict.get("level")
    if isinstance(level, int) and not isinstance(level, bool):
        return logging.getLevelName(level), level
    known = _LEVELS.get(level) or _LEVELS.get(level.lower()) if isinstance(level, str) else _LEVELS.get(method)
    return known or _own_level(level if isinstance(level, str) else method, method)


def _own_level(name: str, method: str) -> tuple[str, int]:
    number = logging.getLevelName(name.upper())
    return name.upper(), number if isinstance(number, int) else _LEVELS.get(method, _LEVELS["info"])[1]


def read_name(logger: Any, event_dict: Mapping[str, Any]) -> str | None:
    """Find the logger's name; None when nobody gave it one."""
    record = event_dict.get("_record")
    in_record = None if record is None else getattr(record, "name", None)
    for name in (event_dict.get("logger"), in_record, getattr(logger, "name", None)):
        if name and isinstance(name, str):
            return name
    return None


def _take_message(event_dict: Mapping[str, Any], extras: dict[str, Any]) -> tuple[str, str | None]:
    """Remove the message from the extra fields; give its text, and say why if it could not be formatted."""
    key = next((key for key in _MESSAGE_KEYS if key in extras), None)
    value = extras.pop(key) if key is not None else ""
    arguments = event_dict.get("positional_args")
    try:
        text = value if isinstance(value, str) else str(value)
        if not arguments:
            return text, None
        single = len(arguments) == 1 and isinstance(arguments[0], Mapping) and arguments[0]
        return text % (arguments[0] if single else tuple(arguments)), None
    except Exception as error:
        raw = encode_value(value).strip('"')
        return (f"{raw} {encode_value(arguments)}" if arguments else raw), f"{type(error).__name__}: {error}"


def _take_exception(event_dict: Mapping[str, Any], extras: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Find the exception, before or after structlog's `format_exc_info` and `dict_tracebacks`."""
    info = event_dict.get("exc_info")
    if info:
        if isinstance(info, BaseException):
            info = (type(info), info, info.__traceback__)
        return exception_fields(info if isinstance(info, tuple) else sys.exc_info(), None)
    formatted = extras.get("exception")
    if isinstance(formatted, str):
        del extras["exception"]
        kind, error, _ = current = sys.exc_info()
        same = kind is not None and "".join(traceback.format_exception_only(kind, error)).rstrip("\n") in formatted
        return exception_fields(current if same else None, formatted)
    if isinstance(formatted, list) and formatted and isinstance(formatted[0], Mapping) and "exc_type" in formatted[0]:
        del extras["exception"]
        return _structured(formatted)
    return None, None, None


def _structured(stacks: list[Mapping[str, Any]]) -> tuple[str | None, str | None, str | None]:
    """Read what `dict_tracebacks` made. It names types without their module, so the exception itself is preferred."""
    text = encode_value(stacks)
    name, message = str(stacks[0]["exc_type"]), str(stacks[0].get("exc_value", ""))
    kind, _, _ = current = sys.exc_info()
    known = exception_fields(current, text)
    same = kind is not None and kind.__name__ == name and known[1] == message
    return known if same else (name, message, text)


def _read_time(value: Any) -> float | None:
    """Read a time as structlog's `TimeStamper` writes it; None for what is no complete time."""
    try:
        if isinstance(value, str):
            value = dt.datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
        if isinstance(value, dt.datetime):
            return _nearest(value) if value.tzinfo is None else value.timestamp()
        return float(value) if type(value) in {int, float} and 0 < value < _YEAR_10000 else None
    except (ValueError, OverflowError, OSError):
        return None


def _nearest(naive: dt.datetime) -> float:
    """Guess the zone of a time without one: `TimeStamper` writes local time or UTC, and both alike."""
    now = time.time()
    choices = naive.timestamp(), naive.replace(tzinfo=dt.timezone.utc).timestamp()
    return min(choices, key=lambda choice: abs(choice - now))


def _caller(stacklevel: Any) -> FrameType:
    """Find the frame that logged, also when structlog's asynchronous methods moved the work to another thread."""
    frame = _structlogs("_ASYNC_CALLING_STACK") or sys._getframe(1)  # noqa: SLF001 - as logging does
    return outside(frame, stacklevel - 1 if isinstance(stacklevel, int) else 0)


def outside(frame: FrameType, skip: int = 0) -> FrameType:
    """Go up to the first frame that is neither ours nor structlog's, and to as many beyond it as are to be skipped."""
    looked_at, internal = None, True
    while frame.f_back is not None:
        if frame.f_globals is not looked_at:  # several frames of a module in a row need one look
            looked_at = frame.f_globals
            internal = _is_internal(looked_at.get("__name__") or "")
        if not internal and skip <= 0:
            break
        skip -= not internal
        frame = frame.f_back
    return frame


def structlogs_variable(name: str) -> ContextVar[Any] | None:
    """Find a context variable of structlog's, which may be missing in other versions of it."""
    return getattr(sys.modules.get("structlog.contextvars"), name, None)


def _structlogs(variable: str) -> Any:
    found = structlogs_variable(variable)
    return found.get(None) if found is not None else None


@lru_cache(maxsize=1024)
def _is_internal(module: str) -> bool:
    return module.partition(".")[0] in {"structlog", "logging", "tinylog"}


@lru_cache(maxsize=1024)
def _file(name: str) -> tuple[str, str]:
    """Give a source file's path and module, as logging does."""
    path = os.path.normcase(name)
    return path, Path(path).stem


def _is_structlogs(record: logging.LogRecord) -> bool:
    """Tell whether structlog made the record and left its own callsite in it."""
    return Path(record.pathname).parent.name == "structlog"


def process_name() -> str:
    """Name the process, as logging does: without loading `multiprocessing`."""
    multiprocessing = sys.modules.get("multiprocessing")
    return str(multiprocessing.current_process().name) if multiprocessing is not None else "MainProcess"


def task_name() -> str | None:
    """Name the current task of asyncio, if there is one."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:  # noqa: SLF001 - documented; `current_task` would raise
        return None
    task = asyncio.current_task()
    return None if task is None else str(task.get_name())
