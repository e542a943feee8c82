"""The example of the big set-up, run small: processes, Kafka, a consumer, `tinylog dev`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "examples" / "scale"


def start(script, *arguments, **variables):
    command = [sys.executable, str(FOLDER / script), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env={**os.environ, **variables}, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_rows_of_several_processes_reach_the_table_through_kafka(dev_server):
    """Whoever follows the example sees every row of every process, once."""
    cluster = start("cluster.py")
    bootstrap = cluster.stdout.readline().strip()
    where = {"TINYBIRD_URL": dev_server.url, "TINYBIRD_TOKEN": dev_server.token}
    apps = [start("app.py", "200", TINYLOG_TRANSPORT=f"kafka://{bootstrap}/app_logs", **where) for _ in range(3)]
    for app in apps:
        assert (app.communicate(timeout=60), app.returncode) == (("", ""), 0)
    consumer = start("consumer.py", bootstrap, "600", **where)
    printed, errors = consumer.communicate(timeout=60)
    assert (printed, errors) == ("600 rows are in Tinybird\n", "")
    cluster.communicate(timeout=60)
    [found] = dev_server.sql(
        "SELECT count() AS c, uniqExact(id) AS ids, uniqExact(process_id) AS processes FROM app_logs FORMAT JSON"
    )
    assert {name: int(value) for name, value in found.items()} == {"c": 600, "ids": 600, "processes": 3}
