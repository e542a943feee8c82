"""Secrets and personal data do not leave the process."""

from __future__ import annotations

import dataclasses

import pytest

from tests._server import error
from tinylog._redact import redactor

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

SECRETS = [
    ("authorization", "GET / Authorization: Bearer abc.def-123456", "abc.def-123456"),
    ("authorization", "authorization=Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("authorization", "{'Authorization': 'ApiKey-s3cr3t-value'}", "s3cr3t"),
    ("authorization", "Proxy-Authorization: Digest 0123456789abcdef", "0123456789abcdef"),
    ("token", f"token is {JWT}", JWT),
    ("token", f"p.{JWT}", "eyJ"),
    ("token", "clone with ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_"),
    ("token", "key AKIAIOSFODNN7EXAMPLE", "AKIA"),
    ("token", "https://x/?token=hunter2&a=1", "hunter2"),
    ("token", 'password: "correct-horse"', "correct-horse"),
    ("token", "api_key=k-12345", "k-12345"),
    ("email", "mail to jane.doe+x@mail.example.co.uk now", "jane.doe"),
    ("card", "paid by 4111 1111 1111 1111.", "4111"),
    ("card", "amex 378282246310005", "378282"),
    ("card", "5500-0000-0000-0004", "5500"),
]

HARMLESS = [
    ("authorization", "basic authentication is on; the bearer of bad news"),
    ("token", "token expired; the password is wrong"),
    ("email", "user@localhost, a @ b, @decorator"),
    ("card", "order 1234567890123456, took 1411111111111112.5 ns, id 4111111111111112"),
    ("card", "2026-11-24T05:45:12.123456Z"),
]


@pytest.mark.parametrize(("name", "text", "secret"), SECRETS)
def test_secrets_are_masked_wherever_they_stand(name, text, secret):
    """A secret in a message, in a nested field, or in the repr of an object, is not in the row."""

    @dataclasses.dataclass
    class Holder:
        inner: str

    class Thing:
        def __repr__(self):
            return f"<Thing {text}>"

    row = redactor([name])({"message": text, "deep": [{"a": (text, Holder(text))}], "thing": Thing()})
    assert secret not in repr(row)
    assert repr(row).count("[redacted]") >= 4


@pytest.mark.parametrize(("name", "text"), HARMLESS)
def test_what_only_looks_like_a_secret_stays(name, text):
    """A log that is masked beyond need is of no use."""
    assert redactor([name])({"message": text}) == {"message": text}


def test_values_under_telling_names_are_masked_whole():
    """A password without any pattern of its own is known by its key."""
    row = {
        "password": "x",
        "headers": {"X-Api-Key": 7, "cookie": "a=b", "accept": "*"},
        "db.password": "p",
        "tokens": 3,
    }
    assert redactor(["token"])(row) == {
        "password": "[redacted]",
        "headers": {"X-Api-Key": "[redacted]", "cookie": "[redacted]", "accept": "*"},
        "db.password": "[redacted]",
        "tokens": 3,
    }


def test_own_functions_come_after_the_patterns():
    """An application's own rule sees what the patterns have left."""

    def own(row):
        return {**row, "message": row["message"].replace("[redacted]", "(mail)")}

    assert redactor(["email", own])({"message": "a@b.example"}) == {"message": "(mail)"}


@pytest.mark.parametrize("own", [lambda row: 1 / 0, lambda row: None])
def test_a_function_that_fails_ships_nothing_of_the_row(own):
    """A bug in a redaction rule does not ship what it should have masked, and the row still tells of itself."""
    row = redactor([own])({"level": "INFO", "logger": "a", "message": "secret", "card": "secret"})
    assert row["level"] == "INFO"
    assert "withheld" in row["message"]
    assert "secret" not in repr(row)


def test_the_row_on_the_wire_and_on_disk_is_masked(make_logger, server, tmp_path):
    """Neither the server nor a spill file ever sees the secret; plain values in the settings are enough."""
    server.answer = error(400)
    logger, handler = make_logger(redact="email, token", max_attempts=1)
    logger.error("login of %s failed", "jane@example.com", extra={"password": "hunter2", "n": float("nan")})
    handler.flush()
    shipped = repr(server.requests) + "".join(p.read_text() for p in (tmp_path / "spill").rglob("*.ndjson"))
    assert "login of [redacted] failed" in shipped
    assert "jane@" not in shipped
    assert "hunter2" not in shipped
    assert server.requests[0].rows[0]["n"] == "NaN"
