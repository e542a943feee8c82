"""Tell harmless SQL from the rest. Pure functions.

The sessions that run users' queries are read-only already. ClickHouse's ``readonly`` leaves these doors open, all
of them seen with chdb-core 26.9: several statements in one text, ``INTO OUTFILE``, the scalar function
``file('/any/path')``, ``DESCRIBE url(...)`` and ``KILL QUERY``. They are closed here, on tokens, not on raw text.
"""

import re
from collections.abc import Iterator

from tinylog.dev._problems import RequestError

DEFAULT_FORMAT = "JSON"

_TOKEN = re.compile(
    r"""
      (?P<skip>    \s+ | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/ )
    | (?P<text>    '(?:[^'\\]|\\.|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | \u2018[^\u2019]*\u2019 )
    | (?P<quoted>  `(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*" | \u201c[^\u201d]*\u201d )
    | (?P<word>    \w+ )
    | (?P<other>   . )
    """,
    re.DOTALL | re.VERBOSE,
)
_READING = frozenset({"select", "with", "from", "explain", "describe", "desc", "show", "exists", "("})
_FORBIDDEN_CALLS = frozenset({"file", "url", "s3", "python", "executable", "remote", "remotesecure"})
_TYPES = {
    "json": "application/json",
    "jsoneachrow": "application/x-ndjson",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "tabseparated": "text/tab-separated-values",
    "parquet": "application/octet-stream",
    "arrow": "application/octet-stream",
    "native": "application/octet-stream",
    "rowbinary": "application/octet-stream",
}

Token = tuple[str, str]


def check_query(sql: str) -> str:
    """Refuse SQL that could do more than read Data Sources.

    Args:
        sql: One statement, with or without a ``FORMAT`` clause and a final semicolon.

    Returns:
        The format that the answer will have.

    Raises:
        RequestError: 400, with the reason.
    """
    tokens = list(_tokens(sql))
    while tokens and tokens[-1] == ("other", ";"):
        tokens.pop()
    if not tokens:
        raise RequestError(400, "The query is empty: send SQL in the parameter q or as the body")
    if tokens[0][1].lower() not in _READING:
        raise RequestError(400, f"Only reading queries are allowed, not {tokens[0][1].upper()}")
    _check_tokens(tokens)
    if tokens[0][1].lower() in ("describe", "desc") and ("other", "(") in tokens:
        raise RequestError(400, "DESCRIBE takes the name of a Data Source, not a function")
    return _format(tokens)


def check_fragment(sql: str) -> str:
    """Refuse a type, an expression or a key that could end its clause and start another.

    Returns:
        The fragment, stripped.

    Raises:
        RequestError: 400, with the reason.
    """
    tokens, depth = list(_tokens(sql)), 0
    _check_tokens(tokens)
    for _, text in tokens:
        depth += {"(": 1, ")": -1}.get(text, 0)
        if depth < 0 or text == ";":
            break
    if depth or not tokens or ("other", ";") in tokens or "--" in sql or "/*" in sql or "#" in sql:
        raise RequestError(400, f"Not a valid SQL expression: {sql.strip()!r}")
    return sql.strip()


def content_type(output_format: str) -> str:
    """The media type of ClickHouse's format of that name."""
    name = output_format.lower()
    if name in _TYPES:
        return _TYPES[name]
    kind = next((media for prefix, media in _TYPES.items() if name.startswith(prefix)), "text/plain")
    return kind if kind.startswith("application") else f"{kind}; charset=utf-8"


def _tokens(sql: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(sql):
        if match.lastgroup and match.lastgroup != "skip":
            yield match.lastgroup, match.group()


def _check_tokens(tokens: list[Token]) -> None:
    for (kind, text), following in zip(tokens, [*tokens[1:], ("other", "")], strict=True):
        if text == ";":
            raise RequestError(400, "Only one statement at a time is allowed")
        if kind == "word" and text.lower() == "outfile":
            raise RequestError(400, "INTO OUTFILE is not allowed")
        if following[1] != "(":
            continue
        if kind == "quoted":  # it could spell a forbidden name with escapes
            raise RequestError(400, f"Call functions by their bare name, not {text}")
        if text.lower() in _FORBIDDEN_CALLS:
            raise RequestError(400, f"The function {text}() is not allowed here")


def _format(tokens: list[Token]) -> str:
    # FORMAT ends a statement, so it is the last word but one; a column may well be called format.
    match tokens[-2:]:
        case [("word", clause), ("word", name)] if clause.lower() == "format" and len(tokens) > 2:  # noqa: PLR2004
            return name
    return DEFAULT_FORMAT
