"""Settings: where they come from, what they accept, and errors that help."""

from __future__ import annotations

import json
import logging
import logging.config
import traceback

import pytest

from tests.conftest import TOKEN
from tinylog import ConfigurationError, TinybirdHandler
from tinylog._resolve import _CONNECTION, option_fields, resolve
from tinylog.settings import Options


def settings(environ=None, **options):
    return resolve({"token": TOKEN, **options}, environ or {})


def test_defaults_need_only_a_token():
    """A user starts with one setting."""
    made = settings()
    assert made.connection.host == "https://api.tinybird.co"
    assert (made.retry.max_attempts, made.http.compression, made.queue.when_full) == (5, "gzip", "drop_newest")


def test_arguments_win_over_the_environment_over_defaults():
    """A deployment can tune by environment what the code leaves open."""
    environ = {
        "TINYLOG_MAX_QUEUE_ROWS": "7",
        "TINYLOG_FLUSH_INTERVAL": "0.5",
        "TINYLOG_STATIC_FIELDS": "service=shop, env=test",
    }
    made = settings(environ, flush_interval=2)
    assert (made.queue.max_rows, made.batch.flush_interval) == (7, 2.0)
    assert made.door.static_fields == {"service": "shop", "env": "test"}


@pytest.mark.parametrize("name", option_fields())
def test_every_setting_has_a_variable_that_is_checked(name):
    """No setting can be misspelt in the environment without an error that names the variable."""
    variable = f"TINYLOG_{name.upper()}"
    if name == "spill":  # any text is a directory
        assert settings({variable: "/x"}).spill.place == "/x"
        return
    with pytest.raises(ConfigurationError, match=rf"^{name} \(from {variable}\): expected"):
        settings({variable: "=nonsense="})


def test_type_checkers_know_every_setting():
    """An editor completes exactly the settings that exist."""
    # `transport` is a parameter of its own, since it may be an object.
    assert {*Options.__annotations__, "transport"} == {*option_fields(), *_CONNECTION}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("max_queue_rows", 0, "max_queue_rows: expected a whole number of 1 or more, got 0"),
        ("max_queue_rows", True, "got True"),
        ("max_queue_rows", "many", "got 'many'"),
        ("max_queue_bytes", "64 parsecs", "such as 8388608 or '8MiB', got '64 parsecs'"),
        ("when_full", "explode", "expected 'drop_newest' | 'drop_oldest' | 'block', got 'explode'"),
        ("flush_interval", 0, "expected a number of seconds above 0"),
        ("flush_interval", float("nan"), "expected a number of seconds"),
        ("timeout", -1, "expected a number of seconds"),
        ("ack_level", "LOUD", "expected a level such as 'ERROR' or 40, got 'LOUD'"),
        ("compression", "br", "expected 'gzip' | 'zstd' | None"),
        ("static_fields", ["a"], "expected a mapping"),
        ("static_fields", {"level": 1}, "static_fields: 'level' is a field of the record itself"),
        ("spill", "ftp://bucket", "expected a directory"),
        ("allow_http", "maybe", "allow_http: expected true or false, got 'maybe'"),
        ("max_batch_byte", 1, "unknown setting 'max_batch_byte': did you mean 'max_batch_bytes'?"),
        ("max_row_bytes", "5MiB", "max_row_bytes (5242880) is above max_batch_bytes (4194304)"),
        ("max_queue_bytes", "2MiB", "max_batch_bytes (4194304) is above max_queue_bytes (2097152)"),
        ("host", "http://example.com", "would send the token unencrypted; use https, or set allow_http"),
        ("host", "ftp://example.com", "expected a base URL"),
        ("host", "https://", "expected a base URL"),
        ("host", "https://x:99999999", "expected a base URL"),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(option, value, message):
    """Somebody who mistypes a setting in a `dictConfig` reads which one, what it was, and what is expected."""
    handler = {"class": "tinylog.TinybirdHandler", "datasource": "logs", "token": TOKEN, option: value}
    with pytest.raises(ValueError, match="Unable to configure handler") as caught:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "handlers": {"tinybird": handler}})
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert message in str(caught.value.__cause__)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", ["my-logs", "logs; DROP", "", None, 7])
def test_a_bad_data_source_name_is_named(name):
    """A Data Source's name that the API would refuse is refused at once."""
    with pytest.raises(ConfigurationError, match=r"datasource: expected a Data Source's name"):
        TinybirdHandler(name, token=TOKEN)


@pytest.mark.parametrize("token", ["", None, " "])
def test_no_token_says_where_to_get_one(token):
    """Somebody without a token learns the ways to have one, without an account too."""
    with pytest.raises(ConfigurationError, match=r"token: none found.*TINYBIRD_TOKEN.*tinylog dev"):
        resolve({"token": token}, {})


def test_a_damaged_token_is_refused_without_showing_it():
    """A token that was copied wrongly is an error that does not leak it."""
    with pytest.raises(ConfigurationError, match="value hidden") as caught:
        resolve({"token": "p.abc def"}, {})
    assert "p.abc" not in str(caught.value)
    assert resolve({"token": "p.abc\n"}, {}).connection.token.reveal() == "p.abc"


def test_credentials_in_the_host_are_not_shown():
    """A password in a URL is refused without being repeated."""
    with pytest.raises(ConfigurationError) as caught:
        settings(host="https://user:hunter2@example.com")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("https://api.us-east.tinybird.co/", "https://api.us-east.tinybird.co"),
        ("api.us-east.tinybird.co", "https://api.us-east.tinybird.co"),
        ("localhost:7181", "http://localhost:7181"),
        ("http://127.0.0.1:7181", "http://127.0.0.1:7181"),
        ("http://[::1]:7181", "http://[::1]:7181"),
    ],
)
def test_hosts(host, expected):
    """A host can be written the way people write it."""
    assert settings(host=host).connection.host == expected


def test_plain_http_can_be_allowed():
    """A private network can be chosen on purpose, by argument or by environment."""
    assert settings(host="http://tinybird.internal", allow_http=True).connection.host == "http://tinybird.internal"
    environ = {"TINYLOG_ALLOW_HTTP": "yes", "TINYBIRD_URL": "http://tinybird.internal"}
    assert settings(environ).connection.host == "http://tinybird.internal"


def test_environment_of_tinybird_is_understood():
    """The variables that Tinybird's own SDKs read work here too, the URL before the host."""
    environ = {"TINYBIRD_TOKEN": "p.env", "TINYBIRD_HOST": "https://b.example", "TINYBIRD_URL": "https://a.example"}
    made = resolve({}, environ)
    assert (made.connection.host, made.connection.token.reveal()) == ("https://a.example", "p.env")


def tinyb(folder, **content):
    (folder / ".tinyb").write_text(json.dumps(content))


def test_the_nearest_tinyb_is_used(tmp_path, monkeypatch):
    """Whoever has logged in with Tinybird's command line needs no settings at all."""
    tinyb(tmp_path, host="https://api.us-east.tinybird.co", token="p.file")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    made = resolve({}, {})
    assert (made.connection.host, made.connection.token.reveal()) == ("https://api.us-east.tinybird.co", "p.file")


def test_the_token_of_tinyb_is_sent_to_no_other_host(tmp_path):
    """A stored token never leaves for a host that it does not belong to."""
    tinyb(tmp_path, host="https://api.us-east.tinybird.co", token="p.file")
    with pytest.raises(ConfigurationError, match="token: none found"):
        resolve({"host": "https://elsewhere.example"}, {})
    assert resolve({"token": "p.mine"}, {}).connection.host == "https://api.tinybird.co"


def test_a_broken_tinyb_is_as_none(tmp_path):
    """A damaged file cannot break an application that has its own settings."""
    (tmp_path / ".tinyb").write_text("{")
    assert resolve({"token": "p.mine"}, {}).connection.token.reveal() == "p.mine"


def test_settings_show_no_token():
    """Settings can be printed and logged."""
    assert TOKEN not in repr(settings())
    assert TOKEN not in str(settings().connection.token)
