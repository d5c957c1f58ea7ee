"""Settings of the consumers: environment variables `VITRINE_CONSUMERS_*`."""

import re
import ssl
from typing import Annotated, Any, Literal

from pydantic import AnyHttpUrl, Field, SecretStr, TypeAdapter, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from consumers.core.limits import Limits
from consumers.core.retry import RetryPolicy

_MIB = 1024 * 1024
_RECONNECT_MS = 1000
_HTTP_URL = TypeAdapter(AnyHttpUrl)
_TOKEN = re.compile(r"[\x21-\x7e]{1,256}")
_LIMITS = Limits()
_POLICY = RetryPolicy()
#: The end of a retry topic's name says how long an event waits there: `.30s`, `.5m`, `.1h`.
_DELAY = re.compile(r".*\.(\d{1,5})([smh])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class ConsumerSettings(BaseSettings):
    """Everything a worker and a reader need to know."""

    # A wrong value may be a secret.
    model_config = SettingsConfigDict(env_prefix="VITRINE_CONSUMERS_", frozen=True, hide_input_in_errors=True)

    bootstrap: str = Field("127.0.0.1:9092", description="Kafka brokers, host:port, separated by commas.")
    api_version: str | None = Field(
        None, description="Kafka version to speak, such as 2.3. Only for brokers that it cannot be read from."
    )
    group: str = Field("vitrine", description="Consumer group.")
    group_instance_id: str | None = Field(None, description="Static membership: a name that is unique in the group.")
    topics: Annotated[tuple[str, ...], NoDecode] = Field(
        ("listings.new.high", "listings.new", "listings.new.low"),
        description="Topics of listing events, separated by commas.",
    )
    topic_weights: dict[str, int] = Field(
        {"listings.new.high": 8, "listings.new": 4, "listings.new.low": 1},
        description="Shares of the topics in work and memory where all of them have events waiting, as JSON; "
        "1 where nothing is said.",
    )
    retry_topics: Annotated[tuple[str, ...], NoDecode] = Field(
        ("listings.retry.30s", "listings.retry.5m", "listings.retry.30m"),
        description="Topics in which events wait for their second, third, ... try, separated by commas; "
        "the end of the name says how long: `.30s`, `.5m`, `.1h`.",
    )
    results_topic: str = Field("listings.enriched", description="Topic of the results.")
    dead_topic: str = Field("listings.dead", description="Topic of the dead letters.")
    offset_reset: Literal["earliest", "latest"] = Field(
        "earliest", description="Where to start in a partition without a committed offset."
    )
    isolation_level: Literal["read_committed", "read_uncommitted"] = Field(
        "read_committed", description="Whether events of open and aborted transactions are hidden."
    )
    session_timeout_s: float = Field(10.0, ge=1, description="Without a heartbeat for this time, a worker is replaced.")
    metadata_max_age_s: float = Field(
        30.0, gt=0, description="New partitions are noticed within this time, in seconds."
    )
    stall_s: float = Field(
        45.0, gt=0, description="A Kafka client that has not moved for this time is replaced, in seconds."
    )

    delivery: Literal["effectively_once", "transactional"] = Field(
        "effectively_once",
        description="`effectively_once`: results, then offsets; repeats after a crash have the same id. "
        "`transactional`: results and offsets in one Kafka transaction.",
    )
    transactional_id: str | None = Field(
        None, description="Name of this worker's transactions, unique among all workers; made up by default."
    )
    transaction_every_s: float = Field(
        1.0, gt=0, description="What is answered waits at most so long for its transaction, in seconds."
    )
    transaction_messages: int = Field(
        _LIMITS.transaction_messages, ge=1, description="Messages that one transaction may hold."
    )
    transaction_deadline_s: float = Field(
        15.0, gt=0, description="A transaction that takes longer is given up and its producer replaced, in seconds."
    )

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to Kafka."
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="SASL mechanism."
    )
    sasl_username: str | None = Field(None, description="SASL user.")
    sasl_password: SecretStr | None = Field(None, description="SASL password.")
    ssl_cafile: str | None = Field(None, description="File of trusted certificates, PEM.")
    ssl_certfile: str | None = Field(None, description="Client certificate for mTLS, PEM.")
    ssl_keyfile: str | None = Field(None, description="Its private key, PEM.")
    ssl_password: SecretStr | None = Field(None, description="Password of the private key.")
    ssl_check_hostname: bool = Field(True, description="Whether the broker's certificate must name its host.")

    serve_url: str = Field("http://127.0.0.1:8000", description="Where Serve answers.")
    serve_token: SecretStr | None = Field(
        None, description="Token of Serve's door, as `vitrine tokens new` showed it; with the right `enrich`."
    )
    serve_cafile: str | None = Field(
        None,
        description="File of certificates that Serve's must come from, PEM, for an https:// address; "
        "by default those that the system trusts.",
    )
    serve_certfile: str | None = Field(
        None, description="Client certificate for a proxy before Serve that asks for one, PEM."
    )
    serve_keyfile: str | None = Field(None, description="Its private key, PEM.")
    serve_idle_s: float = Field(
        60.0,
        gt=0,
        description="An answer stream without a byte for this time counts as broken, in seconds. "
        "Serve sends a blank line every 15 s while it works.",
    )
    capacity_every_s: float = Field(1.0, gt=0, description="How often Serve is asked for its capacity, in seconds.")

    max_in_flight: int = Field(
        _LIMITS.max_in_flight, ge=1, description="Events with Serve at a time, whatever capacity it tells."
    )
    max_in_flight_bytes: int = Field(
        _LIMITS.max_in_flight_bytes, ge=1, description="Bytes of events with Serve at a time."
    )
    window: int = Field(_LIMITS.window, ge=2, description="Offsets in work per partition, at most 4096.")
    poll_batch: int = Field(_LIMITS.poll_batch, ge=1, description="Records per poll.")
    buffered_high: int = Field(_LIMITS.buffered_high, ge=1, description="Events in memory at which fetching pauses.")
    buffered_low: int = Field(_LIMITS.buffered_low, ge=1, description="Events in memory at which fetching resumes.")
    buffered_bytes_high: int = Field(
        _LIMITS.buffered_bytes_high, ge=1, description="Bytes of events in memory at which fetching pauses."
    )
    buffered_bytes_low: int = Field(
        _LIMITS.buffered_bytes_low, ge=1, description="Bytes of events in memory at which fetching resumes."
    )
    fetch_max_bytes: int = Field(16 * _MIB, ge=1024, description="Bytes that one fetch from a broker may give.")
    commit_every_s: float = Field(_LIMITS.commit_every_s, gt=0, description="Seconds between commits.")
    commit_every: int = Field(_LIMITS.commit_every, ge=1, description="Finished events after which a commit is due.")
    commit_deadline_s: float = Field(
        _LIMITS.commit_deadline_s,
        gt=0,
        description="An unanswered commit counts as failed after this time, in seconds.",
    )
    item_deadline_s: float = Field(
        _LIMITS.item_deadline_s,
        gt=0,
        description="One try of an event may take this long, in seconds; the time in Serve's own queue counts.",
    )
    max_attempts: int = Field(_POLICY.max_attempts, ge=1, description="Tries of an event with transient errors.")
    alone_after_breaks: int = Field(
        _LIMITS.alone_after_breaks, ge=1, description="Broken streams after which an event travels alone."
    )
    drain_s: float = Field(25.0, ge=0, description="Time to finish what is in flight when stopping, in seconds.")
    publish_timeout_s: float = Field(30.0, gt=0, description="A result not acknowledged in this time is sent again.")
    max_message_bytes: int = Field(
        8 * _MIB,
        ge=1024,
        description="Largest message that the producer may send, before gzip. "
        "The broker's own limit, 1 MiB by default, counts after it.",
    )
    metrics_port: int | None = Field(None, description="Port of the Prometheus page; none by default, 0 for any.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Lowest level that is logged.")

    @field_validator("topics", "retry_topics", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("topic_weights")
    @classmethod
    def _weigh(cls, value: dict[str, int]) -> dict[str, int]:
        if any(weight < 1 for weight in value.values()):
            raise ValueError("a weight is at least 1")
        return value

    @field_validator("retry_topics")
    @classmethod
    def _name_their_delays(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        delays = [_delay_s(name) for name in value]
        if not value or delays != sorted(delays):
            raise ValueError("at least one retry topic is needed, and no wait may be shorter than the one before")
        return value

    @field_validator("serve_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        _HTTP_URL.validate_python(value)
        return value

    @field_validator("serve_token")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value().strip():
            return None
        if not _TOKEN.fullmatch(stripped := value.get_secret_value().strip()):
            raise ValueError("a token is one word of printable ASCII")
        return SecretStr(stripped)

    @field_validator("api_version", "group_instance_id", "transactional_id", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value or None

    def client(self) -> dict[str, Any]:
        """The arguments that all Kafka clients share."""
        options: dict[str, Any] = {
            "bootstrap_servers": [server.strip() for server in self.bootstrap.split(",")],
            "security_protocol": self.security_protocol,
            # The client's own 30 s outlive the group session: after an outage it would lose what it has not committed.
            "reconnect_backoff_max_ms": _RECONNECT_MS,
        }
        if self.api_version is not None:
            options["api_version"] = tuple(int(part) for part in self.api_version.split("."))
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password and self.sasl_password.get_secret_value()
        if self.security_protocol.endswith("SSL"):
            options["ssl_cafile"] = self.ssl_cafile
            options["ssl_certfile"] = self.ssl_certfile
            options["ssl_keyfile"] = self.ssl_keyfile
            # Without any, OpenSSL would ask for it at the terminal, and wait.
            options["ssl_password"] = self.ssl_password.get_secret_value() if self.ssl_password else ""
            options["ssl_check_hostname"] = self.ssl_check_hostname
        return options

    def serve_headers(self) -> dict[str, str]:
        """What every request to Serve carries."""
        return {} if self.serve_token is None else {"authorization": f"Bearer {self.serve_token.get_secret_value()}"}

    def serve_tls(self) -> ssl.SSLContext | bool:
        """How to check Serve's certificate, for httpx; raise `OSError` where a file cannot be used."""
        if self.serve_cafile is None and self.serve_certfile is None:
            return True
        context = ssl.create_default_context(cafile=self.serve_cafile)
        if self.serve_certfile is not None:
            # Without a password OpenSSL would ask for it at the terminal, and wait.
            context.load_cert_chain(self.serve_certfile, self.serve_keyfile, password="")
        return context

    def limits(self) -> Limits:
        """The bounds of the engine."""
        return Limits(
            max_in_flight=self.max_in_flight,
            max_in_flight_bytes=self.max_in_flight_bytes,
            item_deadline_s=self.item_deadline_s,
            alone_after_breaks=self.alone_after_breaks,
            window=self.window,
            poll_batch=self.poll_batch,
            weights=self.topic_weights,
            transactional=self.delivery == "transactional",
            transaction_every_s=self.transaction_every_s,
            transaction_messages=self.transaction_messages,
            buffered_high=self.buffered_high,
            buffered_low=self.buffered_low,
            buffered_bytes_high=self.buffered_bytes_high,
            buffered_bytes_low=self.buffered_bytes_low,
            commit_every_s=self.commit_every_s,
            commit_every=self.commit_every,
            commit_deadline_s=self.commit_deadline_s,
        )

    def policy(self) -> RetryPolicy:
        """What becomes of failed tries."""
        return RetryPolicy(max_attempts=self.max_attempts, delayed_s=tuple(map(_delay_s, self.retry_topics)))

    @property
    def retry_delays_s(self) -> dict[str, float]:
        """How long an event waits in each retry topic."""
        return {name: _delay_s(name) for name in self.retry_topics}


def _delay_s(topic: str) -> float:
    found = _DELAY.fullmatch(topic)
    if found is None:
        raise ValueError(f"the name of a retry topic ends in its delay, such as .30s, .5m or .1h; {topic!r} does not")
    return int(found[1]) * _UNITS[found[2]]
