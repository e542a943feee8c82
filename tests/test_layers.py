"""The structure: a module imports only from layers below its own, and importing tinylog stays cheap."""

from __future__ import annotations

import ast
import graphlib
import pathlib
import subprocess
import sys

import tinylog

ROOT = pathlib.Path(tinylog.__file__).parent
LAYERS = [
    {"errors", "_main_interpreter", "protocols", "_kafka", "_place", "_parse"},
    {
        "_sources",
        "settings",
        "_resolve",
        "_redact",
        "_callsite",
        "_controls",
        "_encode",
        "_attributes",
        "_context",
        "_layout",
        "_event",
        "_eventsite",
        "_outcome",
        "_halving",
        "_backoff",
    }
    | {
        "_circuit",
        "_stats",
        "_clock",
        "_compress",
        "_diagnostics",
        "_guard",
        "_uwsgi",
        "_lifecycle",
        "_sigterm",
        "_pace",
        "_report",
    },
    {"_chunk", "_inflight", "_journal", "_queue", "_transport", "transports", "buffers"},
    {"_exporter", "_replay"},
    {"_lane", "_processor", "_registry", "_door"},
    {"handler", "structlog", "otel", "testing", "_conformance", "_transportconformance"},
    {"__init__"},
    {"cli", "schema", "dev", "demo"},
]


def modules():
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield path, ".".join(parts).removesuffix(".__init__")


def imports(path):
    """Names of the modules of tinylog that a file imports, at any depth of nesting."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tinylog":
            base = node.module.removeprefix("tinylog").removeprefix(".")
            for alias in node.names:
                name = f"{base}.{alias.name}" if base else alias.name
                known = (ROOT / (name.replace(".", "/") + ".py")).exists() or (ROOT / name.replace(".", "/")).is_dir()
                yield name if known else base or "__init__"


def layer(module):
    top = module.partition(".")[0]
    return next(index for index, names in enumerate(LAYERS) if top in names)


def test_a_module_imports_only_from_its_own_layer_or_below():
    """Whoever reads a module needs to know nothing of those above it."""
    wrong = [
        f"{module} -> {target}"
        for path, module in modules()
        for target in imports(path)
        if layer(target) > layer(module)
    ]
    assert wrong == []


def test_there_are_no_cycles():
    """Modules can be read, and tested, one after another."""
    graph = {module: {target for target in imports(path) if target != module} for path, module in modules()}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert len(order) >= len(graph)


def test_importing_tinylog_loads_nothing_heavy():
    """An application does not pay for what it does not use, and no executor can refuse work at exit (pitfall 7)."""
    code = "import sys, tinylog; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {
        "obstore",
        "confluent_kafka",
        "pycurl",
        "chdb",
        "opentelemetry",
        "structlog",
        "starlette",
        "uvicorn",
        "click",
        "zstandard",
        "isal",
        "numpy",
        "pandas",
    }
    assert not heavy & {name.partition(".")[0] for name in loaded}
    assert not {"asyncio", "multiprocessing", "concurrent.futures"} & loaded


def test_sizes():
    """Functions and files stay small enough to be read at a sitting."""
    for path, module in modules():
        text = path.read_text()
        assert text.count("\n") <= 300, module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno - node.lineno < 60, f"{module}.{node.name}"
