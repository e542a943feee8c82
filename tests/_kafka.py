"""librdkafka's mock cluster: a real listener, in a process of its own, that fails when told to.

Run as a program it prints its address, then obeys lines: `refuse N` has the next N produce requests refused, `down` and
`up` are the broker's.
"""

from __future__ import annotations

import contextlib
import ctypes
import pathlib
import subprocess
import sys

PRODUCE = 0  # request key
NOT_ENOUGH_REPLICAS = 19
POLICY_VIOLATION = 44  # is not tried again


class Cluster:
    """Speaks to the process."""

    def __init__(self, process):
        self.process = process
        self.servers = process.stdout.readline().strip()

    def tell(self, *words):
        """Have it do something."""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"


@contextlib.contextmanager
def running_kafka():
    """A cluster of one broker."""
    command = [sys.executable, "-m", "tests._kafka"]
    root = pathlib.Path(__file__).parent.parent
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            yield Cluster(process)
        finally:
            process.kill()


def _library():
    import confluent_kafka  # noqa: PLC0415 - in the server's process only

    folder = pathlib.Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    return ctypes.CDLL(str(next(folder.glob("librdkafka*"))))


def _serve():
    library, void = _library(), ctypes.c_void_p
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = void
    library.rd_kafka_mock_cluster_new.restype = void
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    why = ctypes.create_string_buffer(512)
    handle = void(library.rd_kafka_new(0, void(library.rd_kafka_conf_new()), why, ctypes.c_size_t(512)))
    cluster = void(library.rd_kafka_mock_cluster_new(handle, 1))
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 100)
    sys.stdout.write(library.rd_kafka_mock_cluster_bootstraps(cluster).decode() + "\n")
    sys.stdout.flush()
    for line in sys.stdin:
        verb, *rest = line.split()
        if verb == "refuse":
            errors = [POLICY_VIOLATION] * int(rest[0])
            array = (ctypes.c_int * len(errors))(*errors)
            library.rd_kafka_mock_push_request_errors_array(
                cluster, ctypes.c_int16(PRODUCE), ctypes.c_size_t(len(errors)), array
            )
        elif verb == "tenth":  # of so many produce requests
            errors = ([0] * 9 + [POLICY_VIOLATION]) * (int(rest[0]) // 10)
            array = (ctypes.c_int * len(errors))(*errors)
            library.rd_kafka_mock_push_request_errors_array(
                cluster, ctypes.c_int16(PRODUCE), ctypes.c_size_t(len(errors)), array
            )
        elif verb == "down":
            library.rd_kafka_mock_broker_set_down(cluster, 1)
        elif verb == "up":
            library.rd_kafka_mock_broker_set_up(cluster, 1)
        sys.stdout.write("ok\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
