"""TLS, logins, certificates and ACLs against the real broker."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from consumers.settings import ConsumerSettings
from consumers.shell.access import AccessRefused, require_access
from deploy.errors import ServiceFailed, ToolMissing
from deploy.services.kafka_topics import require_kafka
from tests.support.fake_serve import FakeServe
from tests.support.secure_kafka import KEY_PASSWORD, PASSWORD, SUBJECT, USER, Authority, Rule, SecureKafka
from tests.support.servers import missing
from tests.support.worker_process import DEAD, EVENTS, RESULTS, RETRY, WorkerProcess

pytestmark = pytest.mark.real
SECRETS = (PASSWORD, KEY_PASSWORD, "not-the-password")


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    kafka = SecureKafka(tmp_path_factory.mktemp("kafka-secure"))
    try:
        kafka.start()
        yield kafka
    except ToolMissing as error:
        missing(str(error))
    finally:
        kafka.stop()


@pytest.fixture
def worker(kafka: SecureKafka, tmp_path: Path) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(kafka.bootstrap, tmp_path)
    yield worker
    worker.kill()


def needed(worker: WorkerProcess) -> list[Rule]:
    """All that a worker must be allowed to do; the table in consumers/SECURITY.md."""
    return [
        Rule("GROUP", worker.group, "READ"),
        Rule("TOPIC", worker.names[EVENTS], "READ"),
        Rule("TOPIC", worker.names[RETRY], "READ"),
        Rule("TOPIC", worker.names[RETRY], "WRITE"),
        Rule("TOPIC", worker.names[RESULTS], "WRITE"),
        Rule("TOPIC", worker.names[DEAD], "WRITE"),
    ]


# -- the ways in --


@pytest.mark.parametrize("way", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "certificate"])
def test_a_worker_runs_with_the_least_rights(kafka: SecureKafka, worker: WorkerProcess, way: str) -> None:
    if way == "certificate":
        user, settings = SUBJECT, kafka.mtls(kafka.authority.issue(SUBJECT, password=KEY_PASSWORD))
        settings["ssl_password"] = KEY_PASSWORD
    else:
        user, settings = USER, kafka.sasl(way)
    kafka.allow(needed(worker), user)
    events = {f"e{n}": f"{'flaky' if n % 5 == 0 else 'fine'}-{n}" for n in range(20)}
    worker.produce({**events, "b": "bad-1"})
    with FakeServe() as serve:
        worker.start(serve, **settings, log_level="DEBUG")
        assert worker.visible(len(events)) == Counter(events.keys())
        worker.wait(lambda: worker.lag() == 0)
        assert worker.stop() == 0
    assert [letter["vitrine-error-code"] for letter in worker.dead()] == [b"bad_listing"]
    assert not [secret for secret in SECRETS if secret in worker.text()]


# -- what is refused --


@dataclass(frozen=True)
class Refusal:
    """Settings that cannot work, and what the one line says."""

    settings: dict[str, str]
    says: str


def refusals(kafka: SecureKafka, other: Authority) -> dict[str, Refusal]:
    issue = kafka.authority.issue
    strange, locked = other.issue("stranger"), issue("locked", password=KEY_PASSWORD)
    mixed = (issue("one")[0], issue("another")[1])
    return {
        "wrong SCRAM password": Refusal(kafka.sasl(password="not-the-password"), "SaslAuthenticationFailed"),
        "wrong PLAIN password": Refusal(kafka.sasl("PLAIN", "not-the-password"), "Invalid username or password"),
        "no password": Refusal(kafka.sasl(password=""), "sasl_password, which is not set"),
        "unknown authority": Refusal({**kafka.sasl(), "ssl_cafile": str(other.file)}, "CERTIFICATE_VERIFY_FAILED"),
        "another host name": Refusal(kafka.sasl(host="localhost"), "not valid for 'localhost'"),
        "no client certificate": Refusal(kafka.mtls(None), "BAD_CERTIFICATE"),
        "expired client certificate": Refusal(kafka.mtls(issue("late", days=-1)), "CERTIFICATE_UNKNOWN"),
        "foreign client certificate": Refusal(kafka.mtls(strange), "CERTIFICATE_UNKNOWN"),
        "locked key": Refusal(kafka.mtls(locked), "ssl_password"),
        "key of another": Refusal(kafka.mtls(mixed), "KEY_VALUES_MISMATCH"),
        "missing file": Refusal({**kafka.sasl(), "ssl_cafile": "/no/such.pem"}, "there is no file /no/such.pem"),
        "no certificates in the file": Refusal({**kafka.sasl(), "ssl_cafile": str(locked[1])}, "no certificate in PEM"),
        "TLS forgotten": Refusal({"bootstrap": kafka.sasl()["bootstrap"]}, "Invalid frame length"),
        "TLS where there is none": Refusal({**kafka.sasl(), "bootstrap": kafka.bootstrap}, "Handshake failed"),
    }


def test_a_refusal_is_one_clear_line(
    kafka: SecureKafka, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, refusal in refusals(kafka, Authority(tmp_path, "other authority")).items():
        with pytest.raises(AccessRefused) as caught:
            require_access(ConsumerSettings(**refusal.settings), timeout_s=1.5)
        line = str(caught.value)
        assert refusal.says in line, name
        assert "\n" not in line, name
        assert not [secret for secret in SECRETS if secret in line], name
    # Neither the client's own lines, forty for each, nor a question at the terminal.
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("kafka.net").propagate


def test_a_broker_that_is_away_is_no_refusal() -> None:
    require_access(ConsumerSettings(bootstrap="127.0.0.1:1"), timeout_s=0.5)


@pytest.mark.parametrize("name", ["wrong SCRAM password", "unknown authority", "no client certificate"])
def test_a_refused_worker_ends_at_once(kafka: SecureKafka, worker: WorkerProcess, tmp_path: Path, name: str) -> None:
    refusal = refusals(kafka, Authority(tmp_path, "other authority"))[name]
    with FakeServe() as serve:
        assert worker.start(serve, **refusal.settings).wait(30) == 1
    (line,) = worker.log()
    assert (line["level"], line["action"]) == ("CRITICAL", "access_refused")
    assert refusal.says in line["message"]
    assert not [secret for secret in SECRETS if secret in worker.text()]


def test_the_command_line_says_it_too(kafka: SecureKafka) -> None:
    require_kafka(ConsumerSettings(**kafka.sasl()))
    with pytest.raises(ServiceFailed, match="does not let us in: SaslAuthenticationFailed"):
        require_kafka(ConsumerSettings(**kafka.sasl(password="not-the-password")), timeout_s=1.5)


def test_settings_show_no_secrets(kafka: SecureKafka) -> None:
    settings = ConsumerSettings(**kafka.sasl(), ssl_password=KEY_PASSWORD)
    assert not [secret for secret in SECRETS if secret in f"{settings!r}{settings}{settings.model_dump_json()}"]


# -- rights that are taken away --


@dataclass(frozen=True)
class Loss:
    """A right, and what a worker says that has it no more."""

    rule: Callable[[WorkerProcess], Rule]
    says: dict[str, object]
    metrics: tuple[str, ...]


LOSSES = {
    "group": Loss(
        lambda w: Rule("GROUP", w.group, "READ"),
        {"action": "commit_failed", "error": "GroupAuthorizationFailedError"},
        ("commit_failures_total",),
    ),
    # The commit of what was fetched before, or the next fetch: whichever meets it first.
    "reading events": Loss(
        lambda w: Rule("TOPIC", w.names[EVENTS], "READ"),
        {"error": "TopicAuthorizationFailedError"},
        ("poll_failures_total", "commit_failures_total"),
    ),
    "reading retries": Loss(
        lambda w: Rule("TOPIC", w.names[RETRY], "READ"),
        {"error": "TopicAuthorizationFailedError"},
        ("poll_failures_total", "commit_failures_total"),
    ),
    "writing retries": Loss(
        lambda w: Rule("TOPIC", w.names[RETRY], "WRITE"), {"code": "publish_failed"}, ("retries_total",)
    ),
    "writing results": Loss(
        lambda w: Rule("TOPIC", w.names[RESULTS], "WRITE"), {"code": "publish_failed"}, ("retries_total",)
    ),
    "writing dead letters": Loss(
        lambda w: Rule("TOPIC", w.names[DEAD], "WRITE"), {"code": "publish_failed"}, ("retries_total",)
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_right_that_is_taken_away_and_given_back(kafka: SecureKafka, worker: WorkerProcess, name: str) -> None:
    loss = LOSSES[name]
    rule = loss.rule(worker)
    kafka.allow(needed(worker))
    with FakeServe() as serve:
        worker.start(serve, **kafka.sasl())
        worker.produce({"e0": "fine-0"})
        worker.visible(1)
        worker.wait(lambda: worker.lag() == 0)
        kafka.forbid([rule])
        worker.produce({"e1": "fine-1", "l1": "late-1", "b1": "bad-1"})
        worker.wait_said(**loss.says)
        assert sum(worker.metric(name) for name in loss.metrics) > 0
        kafka.allow([rule])
        assert worker.visible(3) == Counter(["e0", "e1", "l1"])
        worker.wait(lambda: worker.lag() == 0)
        assert worker.stop() == 0
    # A producer that is replaced may leave a message behind that it did not know of: with the same id.
    assert {letter["vitrine-event-id"] for letter in worker.dead()} == {b"b1"}
    assert len({letter["vitrine-dead-id"] for letter in worker.dead()}) == 1


def test_no_right_beyond_these_is_missing_for_transactions(kafka: SecureKafka, worker: WorkerProcess) -> None:
    name = f"{worker.group}.txn"
    kafka.allow([*needed(worker), Rule("TRANSACTIONAL_ID", name, "WRITE")])
    events = {f"e{n}": f"fine-{n}" for n in range(10)}
    worker.produce({**events, "l": "late-1", "b": "bad-1"})
    with FakeServe() as serve:
        worker.start(serve, **kafka.sasl(), delivery="transactional", transactional_id=name)
        assert worker.visible(11) == Counter([*events, "l"])
        # The mark at the end of a transaction stands in the retry topic after the last record.
        worker.wait(lambda: worker.lag() <= 1)
        assert worker.stop() == 0
    assert [letter["vitrine-event-id"] for letter in worker.dead()] == [b"b"]


def test_a_transactional_worker_without_its_right_says_so(kafka: SecureKafka, worker: WorkerProcess) -> None:
    name = f"{worker.group}.txn"
    kafka.allow(needed(worker))
    worker.produce({"e": "fine-1"})
    with FakeServe() as serve:
        worker.start(serve, **kafka.sasl(), delivery="transactional", transactional_id=name)
        worker.wait(lambda: "TransactionalIdAuthorizationFailed" in worker.text())
        kafka.allow([Rule("TRANSACTIONAL_ID", name, "WRITE")])
        assert worker.visible(1) == Counter(["e"])
        worker.wait(lambda: worker.lag() == 0)


# -- a password that changes while the worker runs --


def test_a_password_that_stops_working_costs_no_event(kafka: SecureKafka, worker: WorkerProcess) -> None:
    kafka.allow(needed(worker))
    with FakeServe() as serve:
        worker.start(serve, **kafka.sasl())
        worker.produce({"e0": "fine-0"})
        worker.visible(1)
        worker.wait(lambda: worker.lag() == 0)
        try:
            kafka.set_password("another one")
            # Connections that are open stay open; a restart of the broker ends them.
            kafka.broker.kill(1)
            kafka.broker.restart(1)
            worker.produce({"e1": "fine-1"})
            worker.wait(lambda: "SaslAuthenticationFailedError" in worker.text())
        finally:
            kafka.set_password(PASSWORD)
        assert worker.visible(2) == Counter(["e0", "e1"])
        worker.wait(lambda: worker.lag() == 0)
        assert worker.stop() == 0
    assert not [secret for secret in SECRETS if secret in worker.text()]
