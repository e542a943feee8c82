"""How ``tinylog dev`` guesses and extends schemas, and takes explicit ones."""

TIME = "2026-01-02T03:04:05Z"


def test_guessed_types(dev_server, fresh_name):
    """A newcomer's first query filters by time and sums numbers: wrong types make it fail."""
    row = {
        "timestamp": TIME, "level": "INFO", "n": 1, "f": 1.5, "ok": True,
        "started": "2026-01-02T03:04:05.123456789+02:00", "tags": ["a"], "none": None, "items": [{"a": 1}],
        "http.status": 200, "1st": "x", "nums": [1, None], "empty": [],
    }  # fmt: skip
    dev_server.send(fresh_name, [row])
    assert dev_server.types(fresh_name) == {
        "timestamp": "DateTime64(6)",
        "level": "Nullable(String)",
        "n": "Nullable(Int64)",
        "f": "Nullable(Float64)",
        "ok": "Nullable(Bool)",
        "started": "Nullable(DateTime64(9))",
        "tags": "Array(String)",
        "items": "Nullable(String)",
        "http_status": "Nullable(Int64)",
        "_1st": "Nullable(String)",
        "nums": "Array(Nullable(Int64))",
        "empty": "Array(String)",
    }
    stored = dev_server.sql(f"SELECT timestamp, started, items, http_status, ok FROM {fresh_name}")
    assert stored == [
        {
            "timestamp": "2026-01-02 03:04:05.000000",
            "started": "2026-01-02 01:04:05.123456789",
            "items": '[{"a":1}]',
            "http_status": 200,
            "ok": True,
        }
    ]


def test_types_that_differ_between_rows(dev_server, fresh_name):
    """The first batch decides, so it must be looked at as a whole."""
    rows = [
        {"a": 1, "b": 1, "c": TIME, "d": [], "e": 2**64 - 1},
        {"a": 1.5, "b": "x", "c": "soon", "d": [1], "e": 2**64},
    ]
    assert dev_server.send(fresh_name, rows)["quarantined_rows"] == 0
    types = dev_server.types(fresh_name)
    assert [types[name] for name in "abcde"] == [
        "Nullable(Float64)", "Nullable(String)", "Nullable(String)", "Array(Int64)", "Nullable(String)"
    ]  # fmt: skip


def test_nested_objects_become_columns(dev_server, fresh_name):
    """A logger's context is nested, and must be queryable without JSON functions."""
    dev_server.send(fresh_name, [{"ctx": {"user": {"id": 7}, "ip": "::1"}, "ctx_ip": "other"}])
    found = dev_server.sql(f"SELECT ctx_user_id, ctx_ip, ctx_ip_2 FROM {fresh_name}")
    assert found == [{"ctx_user_id": 7, "ctx_ip": "::1", "ctx_ip_2": "other"}]
    paths = {c["name"]: c["jsonpath"] for c in dev_server.get(f"/v0/datasources/{fresh_name}").json()["columns"]}
    assert paths == {"ctx_user_id": "$.ctx.user.id", "ctx_ip": "$.ctx.ip", "ctx_ip_2": "$.ctx_ip"}


def test_awkward_field_names(dev_server, fresh_name):
    """Applications name fields as they like; none may clash with the server's own columns or break its SQL."""
    row = {"": 1, "`": 2, "a\\b": 3, "_": 4, "__2": 5, "insertion_date": 6, "c__error": 7, "tinylog:row": 8, "'; --": 9}
    dev_server.send(fresh_name, [row])
    counts = dev_server.send(fresh_name, [row, dict.fromkeys(row, "x")])
    assert counts == {"successful_rows": 1, "quarantined_rows": 1}
    stored = dev_server.sql(f"SELECT * FROM {fresh_name} LIMIT 1")[0]
    assert sorted(stored.values()) == list(range(1, 10))
    assert len(dev_server.sql(f"SELECT c__error AS e FROM {fresh_name}_quarantine")[0]["e"]) == 9


def test_new_fields_become_columns(dev_server, fresh_name):
    """Someone who adds an extra field to a log line looks for it at once."""
    dev_server.send(fresh_name, [{"n": 1}])
    dev_server.send(fresh_name, [{"n": 2, "user": "ada", "ctx": {"k": 1}}])
    assert dev_server.sql(f"SELECT n, user, ctx_k FROM {fresh_name} ORDER BY n") == [
        {"n": 1, "user": None, "ctx_k": None},
        {"n": 2, "user": "ada", "ctx_k": 1},
    ]


def test_missing_fields_are_null(dev_server, fresh_name):
    """Log rows lack fields often; that must not send them to quarantine."""
    dev_server.send(fresh_name, [{"timestamp": TIME, "a": 1, "tags": ["x"]}])
    assert dev_server.send(fresh_name, [{"timestamp": TIME}])["quarantined_rows"] == 0
    assert {"a": None, "tags": []} in dev_server.sql(f"SELECT a, tags FROM {fresh_name}")


def test_explicit_schema(dev_server, fresh_name):
    """The OpenTelemetry template's Data Sources must work here as they do in Tinybird."""
    schema = """
        `Timestamp` DateTime64(9) `json:$.timestamp` CODEC(Delta(8), ZSTD(1)),
        `TimestampTime` DateTime `json:$.timestamp`,
        `ServiceName` LowCardinality(String) `json:$.service_name` DEFAULT 'unknown',
        `Attributes` Map(LowCardinality(String), String) `json:$.attributes`,
        `EventsTimestamp` Array(DateTime64(9)) `json:$.events_timestamp[:]`,
        `Links` Array(String) `json:$.links[:].id`,
        `Dotted` Nullable(String) `json:$.['a.b']`,
        `Row` String `json:$`
    """
    created = dev_server.create(
        fresh_name, schema, engine="MergeTree", engine_partition_key="toDate(TimestampTime)",
        engine_sorting_key="ServiceName, TimestampTime, Timestamp", engine_ttl="TimestampTime + toIntervalDay(9999)",
    )  # fmt: skip
    assert created.status_code == 200, created.text
    time = "2026-01-02T03:04:05.123456789Z"
    row = {"timestamp": time, "attributes": {"k": "v"}, "events_timestamp": [time], "links": [{"id": "x"}], "a.b": "c"}
    bad = {"timestamp": time, "attributes": None, "events_timestamp": [], "links": []}
    assert dev_server.send(fresh_name, [row, bad, {**row, "new": 1}]) == {"successful_rows": 2, "quarantined_rows": 1}
    stored = dev_server.sql(f"SELECT * EXCEPT Row, JSONExtractString(Row, 'a.b') AS row FROM {fresh_name}")
    assert stored[0] == {
        "Timestamp": "2026-01-02 03:04:05.123456789",
        "TimestampTime": "2026-01-02 03:04:05",
        "ServiceName": "unknown",
        "Attributes": {"k": "v"},
        "EventsTimestamp": ["2026-01-02 03:04:05.123456789"],
        "Links": ["x"],
        "Dotted": "c",
        "row": "c",
    }
    described = dev_server.get(f"/v0/datasources/{fresh_name}").json()
    assert described["engine"]["partition_key"] == "toDate(TimestampTime)"
    assert "`Dotted` Nullable(String) `json:$.['a.b']`" in described["schema"]["sql_schema"]
    assert described["statistics"]["row_count"] == 2


def test_described_schema_can_create_its_twin(dev_server, fresh_name):
    """What is worked out locally must be usable for a real Data Source, as it is printed."""
    dev_server.send(fresh_name, [{"timestamp": TIME, "a.b": [1], "c": {"d 'x'": 1}, "é": 1}])
    schema = dev_server.get(f"/v0/datasources/{fresh_name}").json()["schema"]["sql_schema"]
    assert dev_server.create(f"{fresh_name}_twin", schema).status_code == 200
    assert dev_server.types(f"{fresh_name}_twin") == dev_server.types(fresh_name)


def test_bad_schemas_are_refused(dev_server, fresh_name):
    """A typo must be told, and no schema may carry other SQL into the engine."""
    for schema in (
        "", "a", "a Nope", "a String DEFAULT file('/etc/hostname')", "a String `json:$.a[0]`",
        "a String) ENGINE = File(CSV, '/tmp/x') --", "a Int8 DEFAULT (1; DROP TABLE x)", "a String, a String",
    ):  # fmt: skip
        response = dev_server.create(fresh_name, schema)
        assert response.status_code == 400, schema
        assert response.json()["error"]
    assert dev_server.create(fresh_name, "a String", engine="File(CSV)").status_code == 400
    assert dev_server.create(fresh_name, "a String", engine_sorting_key="a) SETTINGS x = (1").status_code == 400
    assert dev_server.create(fresh_name, "a String").status_code == 200
    assert dev_server.create(fresh_name, "a String").status_code == 409


def test_listing(dev_server, fresh_name):
    """Without a list nobody knows what there is to query."""
    dev_server.send(fresh_name, [{"n": 1}])
    listed = {source["name"]: source for source in dev_server.get("/v0/datasources").json()["datasources"]}
    assert listed[fresh_name]["statistics"]["row_count"] == 1
    assert f"{fresh_name}_quarantine" not in listed
    assert dev_server.get("/v0/datasources/nope").status_code == 404
