"""Sub-interpreters: refused in words, without harm to the main interpreter."""

from __future__ import annotations

import pytest

from tests.process._run import messages, run, run_file

ATTEMPT = """
    import os, sys
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    reader, writer = os.pipe()
    other = interpreters.create()
    code = [
        "import os, sys",
        f"sys.path[:] = {sys.path!r}",
        "try:",
        "    import MODULE",
        "except ImportError as error:",
        f"    os.write({writer}, (type(error).__name__ + ': ' + str(error)).encode())",
    ]
    interpreters.run_string(other, chr(10).join(code))
    interpreters.destroy(other)
    os.close(writer)
    print(os.read(reader, 10000).decode())
    """


@pytest.mark.parametrize("module", ["tinylog", "tinylog.structlog", "tinylog.settings"])
def test_an_import_in_a_sub_interpreter_says_why_not(server, spill, tmp_path, module):
    """Whoever runs under mod_wsgi or uWSGI with sub-interpreters reads what to do, not of a crash in orjson."""
    status, stdout, stderr = run_file(server, spill, tmp_path, ATTEMPT.replace("MODULE", module))
    assert (status, stderr) == (0, "")
    assert stdout.startswith("SubinterpreterError: tinylog does not work in a sub-interpreter")
    assert "single-interpreter = true" in stdout


def test_the_main_interpreter_is_unharmed(server, spill):
    """A program that uses tinylog and also makes sub-interpreters logs on, before and after."""
    body = '    log.info("before")\n' + ATTEMPT.replace("MODULE", "tinylog") + '\n    log.error("after")\n'
    status, stdout, stderr = run(server, spill, body)
    assert (status, stderr) == (0, "")
    assert "SubinterpreterError" in stdout
    assert messages(server) == ["after", "before"]


def test_the_error_is_an_import_error(server, spill):
    """An application in which tinylog is optional catches ImportError, as for any package that cannot be had."""
    body = """
    from tinylog.errors import SubinterpreterError, TinylogError
    assert issubclass(SubinterpreterError, ImportError) and issubclass(SubinterpreterError, TinylogError)
    """
    assert run(server, spill, body)[0] == 0
