"""A Kafka cluster for trying things out: librdkafka's own, in memory, which lives as long as this process.

python examples/scale/cluster.py        # prints its bootstrap servers
"""

import sys

from confluent_kafka import Producer

mock = Producer({"test.mock.num.brokers": 1, "log_level": 0})
print(",".join(f"{broker.host}:{broker.port}" for broker in mock.list_topics(timeout=10).brokers.values()), flush=True)
sys.stdin.read()  # until its input ends
