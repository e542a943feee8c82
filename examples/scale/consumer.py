"""Stands in for Tinybird's Kafka connector: reads a topic and sends its rows to the Events API.

    python examples/scale/consumer.py BOOTSTRAP ROWS        # ends after so many rows

A batch is committed when the database has written it: one that is read twice after a crash has the same ids.
"""

import os
import sys

import requests
from confluent_kafka import Consumer, TopicPartition

bootstrap, wanted = sys.argv[1], int(sys.argv[2])
consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "tinybird", "enable.auto.commit": False})
partitions = consumer.list_topics("app_logs", timeout=10).topics["app_logs"].partitions
consumer.assign([TopicPartition("app_logs", number, 0) for number in partitions])
session = requests.Session()
session.headers["Authorization"] = f"Bearer {os.environ['TINYBIRD_TOKEN']}"
sent = 0
while sent < wanted:
    messages = [message for message in consumer.consume(5000, timeout=1.0) if not message.error()]
    if not messages:
        continue
    answer = session.post(
        f"{os.environ['TINYBIRD_URL']}/v0/events",
        params={"name": "app_logs", "wait": "true"},
        data=b"\n".join(message.value() for message in messages),
        timeout=30,
    )
    answer.raise_for_status()
    consumer.commit(asynchronous=False)
    sent += len(messages)
print(f"{sent} rows are in Tinybird")
consumer.close()
