"""Secrets and personal data leave the rows before they are encoded. Pure.

What is looked at is every text of a row, keys of mappings aside, in the form in which it would be shipped: the `repr`
of an object too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tinylog._encode import plain

__all__ = ["PATTERNS", "Redactor", "redactor"]

MASK = "[redacted]"
Row = dict[str, Any]
Redactor = Callable[[Row], Row]

_SECRET_KEY = re.compile(
    r"(?i)(^|[_.-])(authorization|cookie|set-cookie|password|passwd|pwd|secret|token|api[_-]?key)$"
)
_ASSIGNED = re.compile(
    r"(?i)\b((?:password|passwd|pwd|secret|token|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)(?!\[redacted\])[^\s\"',;&}]+"
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic|digest)\s+(?=[\w~+/=.-]*[\d=._-])[\w~+/=.-]{8,}")
_HEADER = re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)(?!bearer|basic|digest)[^\s\"',;]+")
_TOKEN = re.compile(
    r"\b(?:p\.)?eyJ[\w-]{8,}(?:\.[\w-]+){1,2}"  # JWT, and Tinybird's
    r"|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{20,}"  # GitHub, GitLab
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bxox[abprs]-[\w-]{10,}|\bsk_(?:live|test)_\w{16,}"  # AWS, Slack, Stripe
)
_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_CARD = re.compile(r"(?<!\d)(?<!\d\.)\d(?:[ -]?\d){12,18}(?!\d|\.\d)")
_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_CARD_DIGITS = range(13, 20)


def _authorization(text: str) -> str:
    return _HEADER.sub(rf"\1{MASK}", _SCHEME.sub(rf"\1 {MASK}", text))


def _token(text: str) -> str:
    return _TOKEN.sub(MASK, _ASSIGNED.sub(rf"\1{MASK}", text))


def _email(text: str) -> str:
    return _EMAIL.sub(MASK, text)


def _card(text: str) -> str:
    return _CARD.sub(lambda match: MASK if _is_card(match[0]) else match[0], text)


def _is_card(text: str) -> bool:
    """Check the Luhn digit, which one in ten numbers that are no cards passes too."""
    digits = [int(digit) for digit in text if digit.isdigit()][::-1]
    checked = sum(digits[::2]) + sum(_LUHN_DOUBLED[digit] for digit in digits[1::2])
    return len(digits) in _CARD_DIGITS and checked % 10 == 0


PATTERNS: Mapping[str, Callable[[str], str]] = {
    "authorization": _authorization,
    "token": _token,
    "email": _email,
    "card": _card,
}
"""Ready-made patterns by name. `authorization` and `token` also mask whole values under keys such as `password`."""

_KEYED = frozenset({"authorization", "token"})


def redactor(choices: Iterable[str | Redactor]) -> Redactor:
    """Make one function of patterns and the application's own functions, applied in their order.

    Args:
        choices: names from `PATTERNS`, or functions from a row to a row.
    """
    chosen = list(choices)
    texts = [PATTERNS[choice] for choice in chosen if isinstance(choice, str)]
    keyed = bool(_KEYED & {choice for choice in chosen if isinstance(choice, str)})
    own = [choice for choice in chosen if callable(choice)]

    def redact(row: Row) -> Row:
        try:
            cleaned: Row = _walk(plain(row), texts, keyed=keyed)
            for function in own:
                cleaned = function(cleaned)
        except Exception as error:  # what cannot be redacted is not shipped
            return withheld(row, error)
        return cleaned if isinstance(cleaned, dict) else withheld(row, TypeError("redact did not return a row"))

    return redact


def withheld(row: Row, error: Exception) -> Row:
    """Make what is left of a row that could not be redacted: when, how grave, and that something was held back."""
    kept = ("timestamp", "level", "logger", "severity_text", "severity_number", "scope_name", "service_name", "id")
    text = f"[withheld: redaction raised {type(error).__name__}]"
    name = "body" if "body" in row else "message"
    return {**{field: row[field] for field in kept if field in row}, name: text}


def _walk(value: Any, texts: list[Callable[[str], str]], *, keyed: bool) -> Any:
    if isinstance(value, str):
        for pattern in texts:
            value = pattern(value)
        return value
    if isinstance(value, dict):
        return {
            name: MASK if keyed and item and _SECRET_KEY.search(name) else _walk(item, texts, keyed=keyed)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_walk(item, texts, keyed=keyed) for item in value]
    return value
