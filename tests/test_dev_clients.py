"""Unmodified public clients against ``tinylog dev``."""

import shutil
import subprocess

import pytest
from verdin.client import Client
from verdin.query import QueryError


@pytest.fixture
def verdin(dev_server):
    """A client of verdin's, pointed at the server."""
    client = Client(dev_server.token, dev_server.url)
    yield client
    for api in (client.api.events, client.api.query, client.api.datasources):
        api.session.close()


def test_verdin_sends_and_queries(verdin, fresh_name):
    """Who uses verdin must be able to try it here by changing its URL only."""
    rows = [{"n": 1, "text": "é"}, {"n": 2, "text": "x"}]
    response = verdin.api.events.send(fresh_name, rows, wait=True, compress=True)
    assert (response.successful_rows, response.quarantined_rows) == (2, 0)
    verdin.api.datasources.append(fresh_name, '{"n": 3}\n', format="ndjson")
    assert verdin.api.query.query(f"SELECT sum(n) AS total FROM {fresh_name}").data == [{"total": 6}]
    named = verdin.api.query.query(f"SELECT n, text FROM {fresh_name} ORDER BY n", format="CSVWithNames")
    assert named.data[0] == {"n": "1", "text": "é"}
    assert fresh_name in [source["name"] for source in verdin.api.datasources.list().datasources]
    source = verdin.datasource(fresh_name)
    source.append_ndjson([{"n": 4}])
    source.truncate()
    assert verdin.api.query.query(f"SELECT count() AS c FROM {fresh_name}").data == [{"c": 0}]
    for api in (source._events_api, source._datasources_api):
        api.session.close()
    with pytest.raises(QueryError, match="nope"):
        verdin.sql("SELECT nope").json()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl(dev_server, fresh_name):
    """The documentation's first example is curl."""
    curl = ["curl", "-sS", "--fail-with-body", "-H", f"Authorization: Bearer {dev_server.token}"]
    sent = subprocess.run(
        [*curl, f"{dev_server.url}/v0/events?name={fresh_name}&wait=true", "-d", '{"n": 1}\n{"n": 2}'],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert sent.stdout == '{"successful_rows":2,"quarantined_rows":0}'
    query = [
        *curl,
        f"{dev_server.url}/v0/sql",
        "-G",
        "--data-urlencode",
        f"q=SELECT sum(n) FROM {fresh_name} FORMAT CSV",
    ]
    assert subprocess.run(query, check=True, capture_output=True, text=True).stdout == "3\n"


def test_tinybird_sdk(dev_server, fresh_name, tmp_path):
    """Who uses Tinybird's own SDK must be able to try it here by changing its URL only."""
    sdk = pytest.importorskip("tinybird_sdk.api.api", reason="tinybird-sdk is not installed")
    api = sdk.TinybirdApi({"base_url": dev_server.url, "token": dev_server.token})
    assert api.ingest_batch(fresh_name, [{"n": 1}, {"n": 2}]) == {"successful_rows": 2, "quarantined_rows": 0}
    assert api.ingest(fresh_name, {"n": "x"}, {"wait": False}) == {"successful_rows": 0, "quarantined_rows": 1}
    file = tmp_path / "more.ndjson"
    file.write_text('{"n": 3}\n')
    assert api.append_datasource(fresh_name, {"file": str(file)})["quarantine_rows"] == 0
    assert api.sql(f"SELECT sum(n) AS total FROM {fresh_name}")["data"] == [{"total": 6}]
    api.truncate_datasource(fresh_name)
    assert api.sql(f"SELECT count() AS c FROM {fresh_name}")["data"] == [{"c": 0}]
    with pytest.raises(sdk.TinybirdApiError) as caught:
        api.sql("SELECT nope")
    assert caught.value.status_code == 400
