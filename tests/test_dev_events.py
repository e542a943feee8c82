"""The Events API of ``tinylog dev``."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import zstandard

from tests._devserver import DEADLINE

TIME = "2026-01-02T03:04:05.678901Z"


def _count(server, name):
    return server.sql(f"SELECT count() AS n FROM {name}")[0]["n"]


def test_wait_true_is_readable_at_once(dev_server, fresh_name):
    """A 200 that is not readable yet makes every script that sends and then queries flaky."""
    for number in range(5):
        assert dev_server.send(fresh_name, [{"n": number}]) == {"successful_rows": 1, "quarantined_rows": 0}
        assert _count(dev_server, fresh_name) == number + 1


def test_wait_false_answers_202_and_is_written_in_order(dev_server, fresh_name):
    """Rows that were accepted must arrive, and before rows that are sent after them."""
    for number in range(20):
        assert dev_server.send(fresh_name, [{"n": number}], wait=False)["successful_rows"] == 1
    dev_server.send(fresh_name, [{"n": 20}])
    assert [row["n"] for row in dev_server.sql(f"SELECT n FROM {fresh_name} ORDER BY n")] == list(range(21))


def test_wait_false_counts_quarantined_rows(dev_server, fresh_name):
    """A client that reports quarantined rows must hear of them without waiting too."""
    dev_server.send(fresh_name, [{"n": 1}])
    counts = dev_server.send(fresh_name, [{"n": 2}, {"n": "x"}], wait=False)
    assert counts == {"successful_rows": 1, "quarantined_rows": 1}


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("zstd", zstandard.compress),
        ("gzip", lambda body: gzip.compress(body[:10]) + gzip.compress(body[10:])),
        ("zstd", lambda body: zstandard.compress(body[:10]) + zstandard.compress(body[10:])),
    ],
    ids=["gzip", "zstd", "gzip members", "zstd frames"],
)
def test_compressed_bodies(dev_server, fresh_name, encoding, compress):
    """Compression is on by default in most clients: without it they could not be tried locally."""
    body = b"".join(b'{"n": %d}\n' % number for number in range(1000))
    response = dev_server.post(fresh_name, compress(body), headers={"Content-Encoding": encoding})
    assert response.json() == {"successful_rows": 1000, "quarantined_rows": 0}
    assert dev_server.sql(f"SELECT sum(n) AS total FROM {fresh_name}") == [{"total": 499500}]


def test_format_json_spans_lines(dev_server, fresh_name):
    """One pretty-printed object is what people paste into curl."""
    response = dev_server.post(fresh_name, json.dumps({"a": 1, "b": "x"}, indent=2), format="json")
    assert response.json()["successful_rows"] == 1
    assert dev_server.sql(f"SELECT a, b FROM {fresh_name}") == [{"a": 1, "b": "x"}]


BAD_BODIES = {
    "malformed": b'{"a": 1}\n{"a": \n',
    "not an object": b'{"a": 1}\n[1]\n',
    "invalid UTF-8": b'{"a": "\xff"}',
    "NaN": b'{"a": NaN}',
    "empty": b"\n\n",
    "too deep": b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_bad_body_is_400_and_nothing_is_inserted(dev_server, fresh_name, body):
    """Half a batch inserted with a 400 would be duplicated by the client that repairs and resends it."""
    dev_server.send(fresh_name, [{"a": 0}])
    response = dev_server.post(fresh_name, body)
    assert response.status_code == 400, response.text
    assert response.json()["error"]
    assert _count(dev_server, fresh_name) == 1


@pytest.mark.parametrize(
    ("params", "headers", "body"),
    [
        ({"name": ""}, {}, b'{"a": 1}'),
        ({"name": "1abc"}, {}, b'{"a": 1}'),
        ({"name": "a-b"}, {}, b'{"a": 1}'),
        ({"name": "x; DROP TABLE y"}, {}, b'{"a": 1}'),
        ({"name": "x_quarantine"}, {}, b'{"a": 1}'),
        ({"name": "ok", "format": "csv"}, {}, b'{"a": 1}'),
        ({"name": "ok"}, {"Content-Encoding": "br"}, b'{"a": 1}'),
        ({"name": "ok"}, {"Content-Encoding": "gzip"}, b'{"a": 1}'),
        ({"name": "ok"}, {"Content-Encoding": "gzip"}, gzip.compress(b'{"a": 1}')[:-4]),
        ({"name": "ok"}, {"Content-Encoding": "zstd"}, b'{"a": 1}'),
        ({"name": "ok"}, {"Content-Encoding": "zstd"}, zstandard.compress(b'{"a": 1}\n' * 100)[:-6]),
        ({"name": "ok"}, {}, b"{}"),
    ],
)
def test_bad_request_is_400(dev_server, params, headers, body):
    """A client's mistake must be told apart from trouble that a retry cures."""
    response = dev_server.post(params.pop("name"), body, headers=headers, **params)
    assert response.status_code == 400, response.text
    assert response.json()["error"]
    assert dev_server.get("/v0/datasources/ok").status_code == 404


@pytest.mark.parametrize(
    ("authorization", "status"),
    [({}, 401), ({"Authorization": "Bearer nope"}, 403), ({"Authorization": "Basic x"}, 401)],
)
def test_missing_and_wrong_tokens(dev_server, authorization, status):
    """A shipper's handling of a revoked token could not be tried without these."""
    response = requests.post(
        f"{dev_server.url}/v0/events?name=x", data=b'{"a": 1}', headers=authorization, timeout=DEADLINE
    )
    assert response.status_code == status
    assert dev_server.token not in response.text


def test_token_in_the_url(dev_server, fresh_name):
    """Browsers' beacons cannot set headers."""
    params = {"name": fresh_name, "token": dev_server.token}
    response = requests.post(f"{dev_server.url}/v0/events", data=b'{"a": 1}', params=params, timeout=DEADLINE)
    assert response.status_code == 202


def test_unknown_path_and_foreign_host(dev_server):
    """Unknown calls must fail in JSON, and no web page may reach the server through a name of its own."""
    assert dev_server.get("/v0/nope").status_code == 404
    assert "error" in dev_server.get("/v0/nope").json()
    assert (
        requests.get(f"{dev_server.url}/tokens", headers={"Host": "evil.example"}, timeout=DEADLINE).status_code == 400
    )


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("", bytes), ("gzip", gzip.compress), ("zstd", zstandard.compress)],
    ids=["plain", "gzip bomb", "zstd bomb"],
)
def test_too_large_is_413(dev_server, fresh_name, encoding, pack):
    """A client that splits on 413 needs one, however small the compressed body is."""
    body = pack(b'{"a": "%s"}\n' % (b"x" * 20_000_000))
    headers = {"Content-Encoding": encoding} if encoding else {}
    response = dev_server.post(fresh_name, body, headers=headers)
    assert response.status_code == 413
    assert dev_server.get(f"/v0/datasources/{fresh_name}").status_code == 404


def test_bad_rows_are_quarantined_and_neighbours_are_not(dev_server, fresh_name):
    """One bad value must not cost the batch, and its owner must be able to find out why."""
    dev_server.send(fresh_name, [{"timestamp": TIME, "n": 0, "tags": ["a"], "f": 0.5}])
    good = [{"timestamp": TIME, "n": number} for number in range(1, 1001)]
    bad = [
        {"timestamp": "yesterday", "n": 1},
        {"timestamp": TIME, "n": "many", "f": {"x": 1}},
        {"timestamp": TIME, "n": 1.5},
        {"timestamp": TIME, "tags": "a"},
        {"n": 2},
        {"timestamp": None, "n": 10**30},
    ]
    rows = good[:]
    for index, row in enumerate(bad):
        rows.insert(index * 150, row)
    assert dev_server.send(fresh_name, rows) == {"successful_rows": 1000, "quarantined_rows": 6}
    assert dev_server.sql(f"SELECT count() AS c, sum(n) AS s FROM {fresh_name}") == [{"c": 1001, "s": 500500}]
    reasons = dev_server.sql(f"SELECT c__error_column AS columns, c__error AS errors, n FROM {fresh_name}_quarantine")
    assert [row["columns"] for row in reasons] == [
        ["timestamp"], ["n", "f"], ["n"], ["tags"], ["timestamp"], ["timestamp", "n"]
    ]  # fmt: skip
    assert reasons[1]["errors"][0] == "value 'many' on column 'n' is not Int64"
    assert reasons[5]["n"] == str(10**30)


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        ("UInt8", [0, 255, "7"], [256, -1, "", "x", 1.5]),
        ("Int64", [-(2**63), 2**63 - 1], [2**63, 10**30]),
        ("Array(UInt8)", [[1, 2], []], [[1, 300], [None]]),
        ("Map(LowCardinality(String), UInt8)", [{"a": 1}], [{"a": 300}, {"a": "x"}]),
        ("Map(LowCardinality(String), String)", [{"a": "x"}, {}], [["x"], 5]),
        ("UUID", ["61f0c404-5cb3-11e7-907b-a6006ad3dba0"], ["nope", 5]),
        ("Decimal(9, 2)", [1.25, "3.5"], ["x", 10**12]),
        ("Enum8('a' = 1, 'b' = 2)", ["a"], ["c"]),
        ("DateTime64(3)", [TIME, "2026-01-02 03:04:05"], ["x", {}]),
        ("LowCardinality(String)", ["x", 5, {"a": 1}], [None]),
        ("Bool", [True, False], ["x", 2]),
    ],
)
def test_types_take_what_fits_only(dev_server, fresh_name, type_, good, bad):
    """A value that is stored as another one, as 300 in a UInt8, is worse than a value in quarantine."""
    assert dev_server.create(fresh_name, f"`v` {type_} `json:$.v`").status_code == 200
    rows = [{"v": value} for pair in zip(good, good, strict=True) for value in pair] + [{"v": value} for value in bad]
    counts = dev_server.send(fresh_name, rows)
    assert counts == {"successful_rows": 2 * len(good), "quarantined_rows": len(bad)}
    assert _count(dev_server, fresh_name) == 2 * len(good)
    assert _count(dev_server, f"{fresh_name}_quarantine") == len(bad)


def test_text_survives(dev_server, fresh_name):
    """Whatever an application logs, it must come back, or the log is no evidence."""
    texts = ["é 漢字 🙂 \u2028", "tab\t newline\n nul\x00", "quote ' \" ` \\ \\n", "'; DROP TABLE x --", "{{}} ${x}"]
    dev_server.send(fresh_name, [{"n": number, "text": text} for number, text in enumerate(texts)])
    assert [row["text"] for row in dev_server.sql(f"SELECT text FROM {fresh_name} ORDER BY n")] == texts


def test_lone_surrogates_and_huge_integers(dev_server, fresh_name):
    """They are valid JSON, so a row with one must not take its neighbours down, nor lose digits."""
    body = '{"n": 1, "text": "a\\ud800b", "id": 123456789012345678901234567890}\n{"n": 2, "text": "\\ud83d\\ude42"}\n'
    assert dev_server.post(fresh_name, body).json() == {"successful_rows": 2, "quarantined_rows": 0}
    rows = dev_server.sql(f"SELECT text, id FROM {fresh_name} ORDER BY n")
    assert rows == [{"text": "a\ufffdb", "id": "123456789012345678901234567890"}, {"text": "🙂", "id": None}]


def test_concurrent_first_batches(dev_server, fresh_name):
    """Several workers that start together must not trip over the creation of the Data Source."""
    with ThreadPoolExecutor(8) as pool:
        batches = [[{"worker": worker, f"only_{worker}": row} for row in range(50)] for worker in range(8)]
        assert (
            sum(counts["successful_rows"] for counts in pool.map(lambda b: dev_server.send(fresh_name, b), batches))
            == 400
        )
    assert _count(dev_server, fresh_name) == 400
    assert len(dev_server.types(fresh_name)) == 9


def test_ten_megabytes(dev_server, fresh_name):
    """The limit must be reachable: shippers fill bodies to just below it."""
    rows = [{"n": number, "text": "x" * 1000} for number in range(9000)]
    assert dev_server.send(fresh_name, rows)["successful_rows"] == 9000
