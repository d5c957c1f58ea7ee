"""Keeps secrets out of logs, results and dead letters. Pure; both rooms that write such things use it.

Hidden are values that are known to be secret, in every spelling in which they travel, and whatever looks like one:
user and password in addresses, signatures and tokens in their queries, `Authorization` headers, bearer tokens.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import BaseModel, SecretBytes, SecretStr

HIDDEN = "[hidden]"
#: A shorter value would be found in half of all words, and protects nothing.
SHORTEST = 4
_ENDS = r"\s&;,\"'<>()\[\]{}\\"
_PATTERNS = (
    (re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,20}://)[^\s/?#\"'<>\\]*@"), rf"\1{HIDDEN}@"),
    (
        re.compile(
            r"(?i)(?<![\w%.-])([\w.%-]{0,64}?(?:token|secret|signature|passw(?:or)?d|credential|api[-_]?key|auth|session)"
            rf"[\w.%-]{{0,64}}=)[^{_ENDS}]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(rf"(?i)([?&;](?:sig|key|pwd|hmac|jwt|awsaccesskeyid|policy|key-pair-id)=)[^{_ENDS}]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(authorization\\?[\"']?\s*[:=,]\s*b?\\?[\"']?)[^\"'\r\n\\]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}"), rf"\1{HIDDEN}"),
)


class Redaction:
    """Hides secrets in texts; what is hidden stays hidden when it is done twice. Thread-safe."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """`secrets` are values to hide wherever they occur; those under `SHORTEST` characters are passed over."""
        spellings = {one for secret in secrets for one in _spellings(secret) if len(one) >= SHORTEST}
        longest_first = sorted(spellings, key=lambda one: (-len(one), one))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


#: Hides what looks like a secret, without knowing any.
redacted = Redaction()


class RedactedFormatter(logging.Formatter):
    """Formats by another formatter and hides secrets in the whole line: message, arguments, fields and stacks."""

    def __init__(self, inner: logging.Formatter, redaction: Redaction) -> None:
        super().__init__()
        self._inner = inner
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        """The line. One that cannot be formatted is named and not shown: logging would print its arguments."""
        try:
            return self._redaction(self._inner.format(record))
        except Exception as error:  # noqa: BLE001 - whatever a formatter or an argument raises
            place = {"logger": record.name, "line": record.lineno, "reason": type(error).__name__}
            return json.dumps({"message": "a line of the log could not be written", **place})


class RedactingFilter(logging.Filter):
    """Hides secrets in the records of handlers that somebody else has set up."""

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record; it always passes."""
        try:
            record.msg, record.args = self._redaction(record.getMessage()), None
        except Exception:  # noqa: BLE001 - whatever an argument raises
            record.msg, record.args = "a line of the log could not be written", None
        if record.exc_info:
            record.exc_text = self._redaction(logging.Formatter().formatException(record.exc_info))
        return True


def secrets_of(settings: BaseModel) -> tuple[str, ...]:
    """Every secret value in the settings, and the passwords within secret addresses."""
    return tuple(dict.fromkeys(_secrets(settings)))


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield from _parts(value.get_secret_value())
    elif isinstance(value, SecretBytes):
        yield from _parts(value.get_secret_value().decode("utf-8", "replace"))
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _secrets(one)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _secrets(one)


def _parts(secret: str) -> Iterator[str]:
    yield secret
    if "://" not in secret:
        return
    try:
        password = urlsplit(secret).password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)


def _spellings(secret: str) -> Iterator[str]:
    """As it is, in addresses, in JSON, and as Python shows it."""
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    for shown in (repr(secret)[1:-1], repr(secret.encode("utf-8", "backslashreplace"))[2:-1]):
        yield shown
        yield json.dumps(shown)[1:-1]
