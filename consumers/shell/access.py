"""Whether Kafka lets us in, asked once before the work begins, so that a refusal ends the start in one clear line.

The client takes every failed login or handshake for an outage and tries it again for ever. That is right while a worker
runs: a password that is changed on one side after the other costs nothing then. At the start it is a mistake in the
settings.
"""

import logging
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, SaslAuthenticationFailedError, UnsupportedSaslMechanismError

from consumers.settings import ConsumerSettings
from consumers.shell import kafka_internals

_TIMEOUT_S = 4.0
#: By these words the client's errors of a failed handshake are known; they have no class of their own.
_TLS = ("SSL", "Handshake failed", "Invalid frame length")


class AccessRefused(Exception):
    """Kafka does not let us in, or the settings for it cannot be right. One line, without secrets."""


def require_access(settings: ConsumerSettings, timeout_s: float = _TIMEOUT_S) -> None:
    """Raise `AccessRefused` where trying again would not help; a broker that is away or slow is no refusal."""
    with suppress(KafkaError, OSError, ValueError):
        admin_client(settings, timeout_s).close()


def admin_client(settings: ConsumerSettings, timeout_s: float) -> KafkaAdminClient:
    """A connected client; `AccessRefused` where that is the reason for none, or what the client raises."""
    _require_files(settings)
    _require_login(settings)
    kafka_internals.mend()
    with _listening() as heard:
        try:
            return KafkaAdminClient(**settings.client(), bootstrap_timeout_ms=max(1, round(timeout_s * 1000)))
        except (KafkaError, OSError, ValueError) as error:
            if (reason := heard.refusal()) is None:
                raise
            raise AccessRefused(f"Kafka at {settings.bootstrap} does not let us in: {reason}") from error


def _require_login(settings: ConsumerSettings) -> None:
    if not settings.security_protocol.startswith("SASL"):
        return
    for name in ("sasl_mechanism", "sasl_username", "sasl_password"):
        if not getattr(settings, name):
            raise AccessRefused(f"{settings.security_protocol} needs {name}, which is not set")


def _require_files(settings: ConsumerSettings) -> None:
    if not settings.security_protocol.endswith("SSL"):
        return
    for name in ("ssl_cafile", "ssl_certfile", "ssl_keyfile"):
        file = getattr(settings, name)
        if file is not None and not Path(file).is_file():
            raise AccessRefused(f"{name}: there is no file {file}")
    if settings.ssl_keyfile is not None and settings.ssl_certfile is None:
        raise AccessRefused("ssl_keyfile is set, but not the certificate that it belongs to, ssl_certfile")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if settings.ssl_cafile is not None:
            context.load_verify_locations(settings.ssl_cafile)
    except (OSError, ValueError) as error:
        raise AccessRefused(f"ssl_cafile: {settings.ssl_cafile} holds no certificate in PEM: {error}") from error
    try:
        if settings.ssl_certfile is not None:
            password = settings.ssl_password.get_secret_value() if settings.ssl_password else ""
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password)
    except (OSError, ValueError) as error:
        raise AccessRefused(
            f"ssl_certfile {settings.ssl_certfile} cannot be used with ssl_keyfile {settings.ssl_keyfile} "
            f"and the ssl_password that is set or not set: {error}"
        ) from error


class _Ear(logging.Handler):
    """Keeps the errors of the attempts, which the client logs and does not hand out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the errors that the line names."""
        self._errors += [part for part in record.args or () if isinstance(part, BaseException)]

    def refusal(self) -> str | None:
        """Why no attempt can succeed, as far as they said it."""
        for error in self._errors:
            if isinstance(error, SaslAuthenticationFailedError | UnsupportedSaslMechanismError):
                return f"{type(error).__name__}: {error.args[0] if error.args else error}"
        for error in self._errors:
            if any(word in str(error) for word in _TLS):
                return str(error)
        return None


@contextmanager
def _listening() -> Iterator[_Ear]:
    """Hear what the client logs instead of showing it: forty lines about one wrong password."""
    logger, ear = logging.getLogger("kafka.net"), _Ear()
    shown, level = logger.propagate, logger.level
    logger.addHandler(ear)
    logger.propagate = False
    logger.setLevel(logging.WARNING)
    try:
        yield ear
    finally:
        logger.removeHandler(ear)
        logger.propagate = shown
        logger.setLevel(level)
