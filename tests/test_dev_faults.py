"""``tinylog dev --fault``: each kind of trouble is what it says, on real sockets, and can be had again."""

import gzip
import json
import re
import socket

import pytest
import requests

from tests._devserver import DEADLINE, running_dev_server, tinylog
from tests._waiting import eventually
from tinylog.dev._faults import Dice, Windows, parse_fault, rejects_connection
from tinylog.errors import ConfigurationError


def _faulty(*specs, seed=1):
    return running_dev_server("--seed", str(seed), *(part for spec in specs for part in ("--fault", spec)))


def _rows(server, name="logs"):
    """The number of rows, which is 0 when there is no such Data Source."""
    if server.get(f"/v0/datasources/{name}").status_code == 404:
        return 0
    return server.sql(f"SELECT count() AS n FROM {name}")[0]["n"]


def _outcome(server):
    """What a client sees of one request: the status, or the name of the exception."""
    try:
        return server.post("logs", [{"n": 1}]).status_code
    except requests.RequestException as error:
        return type(error).__name__


def _counts(server):
    """The server's own counts, over all seconds."""
    report = requests.get(f"{server.url}/v0/_faults", timeout=DEADLINE).json()
    names = {name for second in report["seconds"] for name in second} - {"second"}
    return report, {name: sum(second.get(name, 0) for second in report["seconds"]) for name in names}


BAD_SPECS = {
    "": "expected 503:0.1, ",
    "503:": "expected 503:0.1, ",
    "error:0.1": "expected 503:0.1, ",
    "stall:2:0.1": "expected 503:0.1, ",
    "down:5s": "expected 503:0.1, ",
    "200:0.1": "a status from 400 to 599",
    "503:1.5": "a probability from 0 to 1",
    "reset:2": "a probability from 0 to 1",
    "413>much": "a number of bytes",
    "429@0/s": "at least 1 request a second",
    "down:5s/5s": "shorter than the period",
}


@pytest.mark.parametrize("spec", BAD_SPECS)
def test_a_bad_spec_is_named_with_what_is_expected(spec):
    """Who mistypes a fault would otherwise believe that a shipper has stood it."""
    with pytest.raises(ConfigurationError, match=re.escape(f"--fault {spec!r}: ")) as caught:
        parse_fault(spec)
    assert BAD_SPECS[spec] in str(caught.value)


def test_a_bad_spec_ends_the_command():
    """A server that starts without the fault that was asked for proves nothing."""
    process = tinylog("dev", "--fault", "503:2")
    output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, output) == (2, "")
    assert "--fault '503:2': expected a probability" in errors


def test_faults_are_announced_and_touch_the_events_api_only():
    """Who forgot that faults are on must be able to see it, and everybody to look at the rows by SQL."""
    with _faulty("503", seed=7) as server:
        line = next(line for line in server.printed if line.startswith("faults "))
        assert "--seed 7 " in line
        assert line.endswith(" 503")
        assert server.sql("SELECT 1 AS one") == [{"one": 1}]
        assert server.get("/v0/datasources").status_code == 200
        assert _outcome(server) == 503


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_status_stores_nothing_and_answers_as_the_api_does(status):
    """A client's reading of errors is tried on what Tinybird documents, and its retries must not duplicate."""
    with _faulty(str(status)) as server:
        response = server.post("logs", [{"n": 1}])
        assert response.status_code == status
        assert isinstance(response.json()["error"], str)
        assert response.headers.get("Retry-After") == ("1" if status == 429 else None)
        assert _rows(server) == 0


def test_a_status_can_depend_on_the_body():
    """A poison row, or too large a batch, must fail every time and its neighbours never, compressed or not."""
    with _faulty("400~poison", "413>1KB") as server:
        assert server.post("logs", [{"a": "poison"}]).status_code == 400
        squeezed = gzip.compress(b'{"a": "poison"}')
        assert server.post("logs", squeezed, headers={"Content-Encoding": "gzip"}).status_code == 400
        squeezed = gzip.compress(json.dumps({"a": "x" * 2000}).encode())
        assert server.post("logs", squeezed, headers={"Content-Encoding": "gzip"}).status_code == 413
        assert server.post("logs", [{"a": "fine"}]).status_code == 200
        assert server.post("logs", b"not gzip", headers={"Content-Encoding": "gzip"}).status_code == 400
        assert _rows(server) == 1


def test_a_rate_limit_counts_each_data_source_and_tells_the_client():
    """A client that paces itself lives by these headers, and one noisy Data Source must not stop another."""
    with _faulty("429@2/s") as server:
        answers = [server.post("logs", [{"n": 1}])]
        while answers[-1].status_code != 429:
            answers.append(server.post("logs", [{"n": 1}]))
        assert all(answer.headers["X-RateLimit-Limit"] == "2" for answer in answers)
        assert all(answer.headers["X-RateLimit-Reset"] == "1" for answer in answers)
        assert answers[0].headers["X-RateLimit-Remaining"] == "1"
        assert answers[-1].headers["X-RateLimit-Remaining"] == "0"
        assert [answer.headers.get("Retry-After") for answer in answers][-2:] == [None, "1"]
        assert server.post("others", [{"n": 1}]).status_code == 200
        assert _rows(server) == len(answers) - 1
        report, counts = _counts(server)
        assert report["faults"] == ["429@2/s"]
        assert counts == {"requests": len(answers) + 1, "200": len(answers), "429": 1}


def test_windows_of_the_rate_limit():
    """The limit is for each second and each Data Source, or a client would be refused for ever."""
    windows = Windows()
    used = [windows.count(name, now) for name, now in [("a", 1.0), ("a", 1.9), ("b", 1.9), ("a", 2.0), ("b", 2.1)]]
    assert used == [1, 2, 1, 1, 1]


def test_reset_stores_nothing():
    """The connection must really be reset, as a load balancer does it, and nothing may have arrived."""
    with _faulty("reset") as server:
        head = f"POST /v0/events?name=logs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), DEADLINE) as client:
            client.sendall(f'{head}Content-Length: 8\r\n\r\n{{"n": 1}}'.encode())
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert _rows(server) == 0
        assert _counts(server)[1] == {"requests": 1, "reset": 1}
        assert server.stop() == 0
        assert server.process.stderr.read() == ""


def test_cut_stores_the_rows_and_breaks_off_the_answer():
    """The case that makes duplicates: it arrived, and the client cannot know."""
    with _faulty("cut") as server:
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            server.post("logs", [{"n": 1}])
        assert _rows(server) == 1
        assert server.post("logs", b"no JSON").status_code == 400  # stored nothing, and says so in full
        assert server.stop() == 0
        assert server.process.stderr.read() == ""


def test_stall_goes_on_when_the_client_has_gone():
    """A client that gives up too early sends again what arrives all the same."""
    with _faulty("stall:1s") as server:
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{server.url}/v0/events?name=logs", data=b'{"n": 1}', headers=server.headers, timeout=0.1)
        eventually(lambda: _rows(server) == 1)
        assert _outcome(server) == 200


def test_down_is_for_part_of_each_period():
    """An outage must come and go, so that what was kept can be seen to arrive."""
    faults = [parse_fault("down:5s/20s")]
    told = [rejects_connection(faults, Dice(1, 1), elapsed) for elapsed in (0.0, 14.9, 15.0, 19.9, 20.0, 35.0)]
    assert told == ["", "", "down", "down", "", "down"]
    with _faulty("down:1000s/1000.1s") as server:
        eventually(lambda: _outcome(server) == "ConnectionError")
        assert server.sql("SELECT 1 AS one") == [{"one": 1}]


def test_the_same_seed_gives_the_same_trouble():
    """A failure that a run has found must be there the next time, or nobody can mend it."""
    runs = []
    for seed in (1, 1, 2):
        with _faulty("503:0.3", "500:0.2", "reset:0.2", "cut:0.2", seed=seed) as server:
            runs.append([_outcome(server) for _ in range(40)])
            _, counts = _counts(server)
        assert counts["requests"] == 40
        assert counts["reset"] == runs[-1].count("ConnectionError")
        assert counts["cut"] == runs[-1].count("ChunkedEncodingError")
        assert counts["503"] == runs[-1].count(503)
    assert runs[0] == runs[1] != runs[2]
    assert {200, 500, 503, "ConnectionError", "ChunkedEncodingError"} == set(runs[0])


def test_another_fault_leaves_the_others_where_they_were():
    """Who adds a fault to narrow a failure down must not shuffle the ones that caused it."""
    fault = parse_fault("reset:0.5")
    dice = [Dice(3, number) for number in range(100)]
    alone = [rejects_connection([fault], each, 0.0) for each in dice]
    assert alone == [rejects_connection([fault, parse_fault("503:0.5")], each, 0.0) for each in dice]
    assert {"", "reset"} == set(alone)
