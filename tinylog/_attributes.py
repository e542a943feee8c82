"""OpenTelemetry attribute values as text, the way Tinybird's Collector exporter writes them. Pure.

The exporter's rows have maps of text to text: bool `true`/`false`, int in decimal, double in its shortest form, list
and map as JSON, bytes as base64, nothing as an empty text.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import orjson

from tinylog._encode import WORD_MAX, WORD_MIN, encode_value

__all__ = ["attribute_dict", "attribute_map", "attribute_text"]

_DEPTH = 5  # of lists and maps in which bytes are looked for
_TINY, _HUGE = 1e-6, 1e21  # outside of these, Go's shortest form has an exponent


def attribute_map(attributes: Mapping[str, Any] | None) -> dict[str, str]:
    """Turn attributes into a map of text to text."""
    texts = attribute_dict(attributes)
    named = True
    for name, value in texts.items():
        named = named and type(name) is str
        if type(value) is not str:
            texts[name] = attribute_text(value)
    return texts if named else {str(name): text for name, text in texts.items()}


def attribute_dict(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Copy attributes. OpenTelemetry's own mapping is slow to read, but for its copy."""
    if not attributes:
        return {}
    copy = getattr(attributes, "copy", None)
    return dict(attributes) if copy is None else copy()


def attribute_text(value: Any) -> str:
    """Turn one value into text, never raising."""
    if type(value) is int and WORD_MIN <= value <= WORD_MAX:
        return str(value)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    text = encode_value(_with_base64(value, _DEPTH))  # true, 42, [1,2] or {"a":1}; other objects become a JSON text
    return str(orjson.loads(text)) if text.startswith('"') else text


def _with_base64(value: Any, depth: int) -> Any:
    """Write bytes inside of lists and maps as the Collector does; what is deeper, or a cycle, stays as it is."""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if depth and type(value) in {list, tuple}:
        return [_with_base64(item, depth - 1) for item in value]
    if depth and type(value) is dict:
        return {name: _with_base64(item, depth - 1) for name, item in value.items()}
    return value


def _float_text(value: float) -> str:
    """Go's `strconv.FormatFloat(f, 'f' or 'e', -1, 64)`, as the Collector's JSON of a double."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    shortest = repr(value)
    if value == 0 or _TINY <= abs(value) < _HUGE:
        return _plain(shortest).removesuffix(".0")
    mantissa, _, exponent = shortest.partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0') or '0'}"


def _plain(shortest: str) -> str:
    """Write a number without exponent."""
    if "e" not in shortest:
        return shortest
    from decimal import Decimal  # noqa: PLC0415 - rare

    return format(Decimal(shortest), "f")
