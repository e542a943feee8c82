"""The SQL API of ``tinylog dev``: reads everything, changes nothing."""

import csv

import pytest
import requests

from tests._devserver import DEADLINE


def _error(server, query):
    response = server.get("/v0/sql", q=query)
    assert response.status_code == 400, response.text
    return response.json()["error"]


def test_json_is_the_default(dev_server):
    """Clients read meta, data, rows and statistics."""
    answer = dev_server.get("/v0/sql", q="SELECT number AS n FROM numbers(2);").json()
    assert answer["meta"] == [{"name": "n", "type": "UInt64"}]
    assert answer["data"] == [{"n": 0}, {"n": 1}]
    assert answer["rows"] == 2
    assert set(answer["statistics"]) == {"elapsed", "rows_read", "bytes_read"}


def test_formats(dev_server):
    """The clause selects the format, and spreadsheets want CSV."""
    query = "SELECT number AS n, 'a,b' AS s FROM numbers(2) FORMAT "
    response = dev_server.get("/v0/sql", q=query + "CSVWithNames")
    assert response.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(response.text.splitlines())) == [["n", "s"], ["0", "a,b"], ["1", "a,b"]]
    assert dev_server.get("/v0/sql", q=query + "JSONEachRow").text.splitlines()[1] == '{"n":1,"s":"a,b"}'
    assert dev_server.get("/v0/sql", q=query + "Pretty").headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "body",
    [{"data": {"q": "SELECT 1 AS x"}}, {"data": b"SELECT 1 AS x", "headers": {"Content-Type": "text/plain"}}],
    ids=["form", "text"],
)
def test_post(dev_server, body):
    """Long queries do not fit into a URL."""
    headers = {**dev_server.headers, **body.get("headers", {})}
    response = requests.post(f"{dev_server.url}/v0/sql", data=body["data"], headers=headers, timeout=DEADLINE)
    assert response.json()["data"] == [{"x": 1}]


def test_quotes_and_comments_are_no_second_statement(dev_server):
    """A semicolon in a text is data."""
    assert dev_server.sql("SELECT 'a; b' AS x -- c; d\n /* ; */ ;") == [{"x": "a; b"}]


FORBIDDEN = [
    "INSERT INTO {name} VALUES (1)",
    "DROP TABLE {name}",
    "ALTER TABLE {name} DELETE WHERE 1",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "SET readonly = 0",
    "KILL QUERY WHERE 1",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE {name}",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_execution_time = 1000",
    "SELECT 1 INTO OUTFILE '/tmp/tinylog_dev_outfile'",
    "SELECT file('/etc/hostname')",
    "SELECT `file`('/etc/hostname')",
    "SELECT \u201cfile\u201d('/etc/hostname')",
    "SELECT /* x */ file /* y */ ('/etc/hostname')",
    "SELECT * FROM file('/etc/hostname', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a Int8')",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'a Int8')",
    "SELECT * FROM sqlite('/tmp/x', 'y')",
    "DESCRIBE file('/etc/hostname', 'LineAsString')",
    "WITH 1 AS x INSERT INTO {name} SELECT x",
    "",
]


@pytest.mark.parametrize("query", FORBIDDEN)
def test_nothing_but_reading(dev_server, fresh_name, query):
    """The console takes SQL from web pages and scripts: it must not write rows, read files or call out."""
    dev_server.send(fresh_name, [{"n": 1}])
    assert _error(dev_server, query.format(name=fresh_name))
    assert dev_server.sql(f"SELECT count() AS c FROM {fresh_name}") == [{"c": 1}]


def test_errors_are_clickhouse_words(dev_server):
    """The message must help to repair the query, and must not spoil the next one."""
    assert "nope" in _error(dev_server, "SELECT nope")
    assert _error(dev_server, "SELECT number, throwIf(number = 100000) FROM numbers(1000000) FORMAT CSV")
    assert dev_server.sql("SELECT 1 AS x") == [{"x": 1}]


def test_show_and_describe(dev_server, fresh_name):
    """They are how one finds out what there is."""
    dev_server.send(fresh_name, [{"n": 1}])
    assert {"name": fresh_name} in dev_server.sql("SHOW TABLES")
    assert dev_server.sql(f"DESCRIBE {fresh_name}")[0]["name"] == "n"


def test_tokens(dev_server):
    """Tinybird's tools ask Tinybird Local for its tokens, without having one."""
    tokens = requests.get(f"{dev_server.url}/tokens", timeout=DEADLINE).json()
    assert tokens == dict.fromkeys(("user_token", "admin_token", "workspace_admin_token"), dev_server.token)
