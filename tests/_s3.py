"""moto's S3 as a real HTTP endpoint in a process of its own, which can be told to refuse calls.

Run as a program it prints its address, then obeys lines: `every N` has each N-th call refused (0: none).
"""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import subprocess
import sys
import urllib.request

BUCKET = "buf"


class S3:
    """Speaks to the process."""

    def __init__(self, process):
        self.process = process
        self.endpoint = process.stdout.readline().strip()

    def place(self, prefix, **options):
        """The URL of a prefix, for `spill`."""
        mine = {
            "endpoint": self.endpoint,
            "region": "us-east-1",
            "access_key_id": "key-id",
            "secret_access_key": "hush-hush",
            **options,
        }
        return f"s3://{BUCKET}/{prefix}?" + "&".join(f"{name}={value}" for name, value in mine.items())

    def every(self, number):
        """Refuse each of so many calls; gives the number of batches that were put before."""
        self.process.stdin.write(f"every {number}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@contextlib.contextmanager
def running_s3():
    """A server with an empty bucket."""
    command = [sys.executable, "-W", "ignore", "-m", "tests._s3"]
    root = pathlib.Path(__file__).parent.parent
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=root) as process:
        try:
            s3 = S3(process)
            urllib.request.urlopen(
                urllib.request.Request(f"{s3.endpoint}/{BUCKET}", method="PUT", headers={"Host": "localhost"})
            ).close()
            yield s3
        finally:
            process.kill()


def _serve():
    from moto.server import DomainDispatcherApplication, ThreadedMotoServer  # noqa: PLC0415 - in its process only

    calls, every, stored = itertools.count(1), [0], []

    class Refusing(DomainDispatcherApplication):
        def __call__(self, environ, start_response):
            if every[0] and next(calls) % every[0] == 0:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start_response("403 Forbidden", [("Content-Length", "0")])
                return [b""]
            if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith(".ndjson"):
                stored.append(1)
            return super().__call__(environ, start_response)

    # Where the server's thread looks it up.
    sys.modules[ThreadedMotoServer.__module__].DomainDispatcherApplication = Refusing
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    with contextlib.redirect_stdout(sys.stderr):
        server.start()
    host, port = server.get_host_and_port()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        every[0] = int(line.split()[1])
        sys.stdout.write(f"{len(stored)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
