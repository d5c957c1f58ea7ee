"""Kafka in memory, at the level of the kafka-python API: for tests that need every kind of trouble at will.

`FakeBroker` is one synchronous object with a clock of its own that the test moves. What it claims to do as Kafka
does is held by `tests/support/kafka_contract.py`, which runs over it and over the real broker.
"""

from tests.support.fake_kafka.broker import FakeBroker
from tests.support.fake_kafka.consumer import FakeConsumer
from tests.support.fake_kafka.faults import CommitFate, EndFate, Hung, SendFate
from tests.support.fake_kafka.producer import FakeProducer

__all__ = ["CommitFate", "EndFate", "FakeBroker", "FakeConsumer", "FakeProducer", "Hung", "SendFate"]
