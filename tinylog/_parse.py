"""From what people write in a `dictConfig`, an environment variable or an argument to a checked value.

A parser takes a native value or its text and raises `ValueError` saying what it expected; the caller adds the name of
the setting and the value.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["boolean", "byte_size", "field_map", "level", "name_of", "one_of", "seconds", "share", "whole_number"]

T = TypeVar("T")
Parser = Callable[[Any], T]

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1024, "mi": 1024**2, "gi": 1024**3}
_SIZE = re.compile(r"(\d+)\s*([kmg]?i?)b?", re.IGNORECASE)
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


def whole_number(minimum: int) -> Parser[int]:
    """Accept a whole number of at least `minimum`."""

    def parse(value: Any) -> int:
        text = value.strip() if isinstance(value, str) else value
        number = int(text) if isinstance(text, str) and text.lstrip("-").isdecimal() else text
        if isinstance(number, bool) or not isinstance(number, int) or number < minimum:
            raise ValueError(f"expected a whole number of {minimum} or more")
        return number

    return parse


def byte_size(minimum: int) -> Parser[int]:
    """Accept a number of bytes, or a text such as `64MiB` or `8 MB`."""
    plain = whole_number(minimum)

    def parse(value: Any) -> int:
        sized = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        number = int(sized[1]) * _UNITS[sized[2].lower()] if sized else value
        try:
            return plain(number)
        except ValueError:
            raise ValueError(f"expected a number of bytes of {minimum} or more, such as 8388608 or '8MiB'") from None

    return parse


def seconds(*, zero: bool = False) -> Parser[float]:
    """Accept a finite number of seconds above zero, or from zero on."""

    def parse(value: Any) -> float:
        number = _number(value)
        if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
            raise ValueError(f"expected a number of seconds {'from' if zero else 'above'} 0")
        return number

    return parse


def share(value: Any) -> float:
    """Accept a number from 0 to 1."""
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("expected a number from 0 to 1")
    return number


def _number(value: Any) -> float:
    """Read a number; NaN, which fails every check, when it is none."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan


def one_of(*choices: str | None) -> Parser[str | None]:
    """Accept one of a few words; `None` may also be written `"none"`."""
    words = " | ".join(repr(choice) for choice in choices)

    def parse(value: Any) -> str | None:
        word = value.strip().lower() if isinstance(value, str) else value
        if word == "none" and None in choices:
            return None
        if not (word is None or isinstance(word, str)) or word not in choices:
            raise ValueError(f"expected {words}")
        return word

    return parse


def boolean(value: Any) -> bool:
    """Accept true or false, also as the usual words."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("expected true or false")


def level(value: Any) -> int:
    """Accept a logging level by name or number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    word = str(value).strip()
    number = logging.getLevelName(word.upper())
    if word.isdecimal():
        return int(word)
    if isinstance(number, int):
        return number
    raise ValueError("expected a level such as 'ERROR' or 40")


def field_map(value: Any) -> dict[str, Any]:
    """Accept a mapping with text keys, or `name=value,name=value`."""
    if isinstance(value, str):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if all(name.strip() and equals for name, equals, _ in pairs):
            return {name.strip(): text.strip() for name, _, text in pairs}
    elif isinstance(value, Mapping) and all(isinstance(name, str) and name for name in value):
        return dict(value)
    raise ValueError("expected a mapping of field names to values, or 'name=value,name=value'")


def name_of(value: Any) -> str:
    r"""Accept a Data Source's name (`^\w+$`, as Tinybird's Collector exporter requires)."""
    if isinstance(value, str) and re.fullmatch(r"\w+", value, re.ASCII):
        return value
    raise ValueError("expected a Data Source's name: letters, digits and underscores")
