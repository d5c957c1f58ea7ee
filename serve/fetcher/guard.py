"""Whether a photo may be fetched from an address. Pure: no sockets; names are resolved by whoever asks.

URLs are read more strictly than HTTP libraries do: where two readers could see two hosts in one text, it is refused.
What is fetched afterwards is made from the parts of the verdict, never from the text again, so that no second reader
comes into it.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import quote

import idna

from serve.fetcher.address import first_refusal, origin, refusal, spelled_v4
from serve.fetcher.policy import FetchPolicy

#: All addresses of a host, as text; `OSError` where it has none.
Resolve = Callable[[str, int], Iterable[str]]
ALLOWED = "allowed"
#: Characters of a URL; events carry up to 4096, signed redirects may be longer.
LONGEST_URL = 8192
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"//([^/?#]*)([^#]*)", re.DOTALL)
_HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([0-9]{0,5}))?")
#: A label of a name; underscores are no host names, but are in use.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
#: What a resolver of the system would read as a number, and so the whole host as an IPv4 address.
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: Characters that stay as they are in path and query.
_PLAIN = "/?%:@!$&'()*+,;=~[]|^"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the guard says of a URL, and what it read in it."""

    allowed: bool
    #: `allowed`, or why not: short, and fit for the public.
    reason: str
    #: As far as they could be read: lower case, ASCII, IPv6 without brackets.
    scheme: str = ""
    host: str = ""
    port: int | None = None
    #: Path and query as they go over the wire, ASCII.
    target: str = ""
    #: The checked addresses, the only ones to connect to; where refused, the one that was the reason, if it was one.
    addresses: tuple[str, ...] = ()

    @property
    def netloc(self) -> str:
        """Host and, unless it is the scheme's own, port: what the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port in {None, _DEFAULT_PORTS.get(self.scheme)} else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL in its one spelling."""
        return f"{self.scheme}://{self.netloc}{self.target}"

    def refused(self, reason: str, address: str | None = None) -> "Verdict":
        """The same, refused."""
        return replace(self, allowed=False, reason=reason, addresses=() if address is None else (address,))


class _Refused(Exception):
    """Never leaves this module."""

    def __init__(self, reason: str, address: IPv4Address | IPv6Address | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.address = None if address is None else str(address)


def check(url: str, resolver: Resolve, policy: FetchPolicy | None = None) -> Verdict:
    """The verdict on a URL with the answers of the resolver; never raises, whatever the URL or the resolver does."""
    policy = policy or FetchPolicy()
    verdict = screen(url, policy)
    if not verdict.allowed or verdict.scheme not in _DEFAULT_PORTS or verdict.port is None:
        return verdict
    if is_address(verdict.host):
        return judge(verdict, [verdict.host], policy)
    try:
        answers = [str(answer) for answer in resolver(verdict.host, verdict.port)]
    except Exception:  # noqa: BLE001 - a resolver that fails, however, is no reason to let anything through
        return verdict.refused("the name cannot be resolved")
    return judge(verdict, answers, policy)


def screen(url: str, policy: FetchPolicy) -> Verdict:
    """What can be said without a resolver. Where it allows an http address, `judge` has the last word."""
    verdict = Verdict(allowed=True, reason=ALLOWED)
    try:
        scheme, rest = _split(url)
        verdict = replace(verdict, scheme=scheme)
        if scheme == "s3":
            return replace(verdict, host=_bucket(rest, policy))
        if scheme == "file":
            return verdict if policy.files else verdict.refused("files are not read")
        if scheme not in _DEFAULT_PORTS:
            return verdict.refused("only https, s3 and, by setting, file addresses are read")
        authority, target = _authority(rest)
        host, port = _host_port(authority, _DEFAULT_PORTS[scheme])
        verdict = replace(verdict, host=host, port=port)
        verdict = replace(verdict, host=_host(host), target=_target(target))
        _check_port(verdict, policy)
    except _Refused as no:
        return verdict.refused(no.reason, no.address)
    return verdict


def judge(verdict: Verdict, answers: Iterable[str], policy: FetchPolicy) -> Verdict:
    """The verdict with the addresses of its host: one that is not global refuses it, unless the origin is listed."""
    addresses = tuple(dict.fromkeys(answers))
    if bad := next((address for address in addresses if not is_address(address)), None):
        return verdict.refused("not an IP address", bad)
    if not addresses:
        return verdict.refused("no address")
    if not listed(verdict.host, verdict.port or 0, policy) and (reason := first_refusal(addresses)):
        return verdict.refused(reason, next(address for address in addresses if refusal(address)))
    return replace(verdict, addresses=addresses)


def listed(host: str, port: int, policy: FetchPolicy) -> bool:
    """Whether the policy names this very origin."""
    return origin(host, port) in {value.lower() for value in policy.origins}


def is_address(host: str) -> bool:
    """Whether the host is an IP address rather than a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_clean(text: str) -> bool:
    """Whether the text is free of what some readers of URLs drop and others keep: control characters, line ends."""
    return not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text)


def _split(url: str) -> tuple[str, str]:
    if len(url) > LONGEST_URL:
        raise _Refused(f"longer than {LONGEST_URL} characters")
    if not is_clean(url):
        raise _Refused("a control character in the URL")
    if (parts := _SCHEME.fullmatch(url)) is None:
        raise _Refused("not a URL")
    return parts[1].lower(), parts[2]


def _bucket(rest: str, policy: FetchPolicy) -> str:
    bucket, _, key = rest.removeprefix("//").partition("/")
    if not rest.startswith("//") or bucket not in policy.buckets or not key:
        raise _Refused("the bucket is not listed")
    return bucket


def _authority(rest: str) -> tuple[str, str]:
    if "\\" in rest:
        raise _Refused("a backslash in the URL")
    if (parts := _AUTHORITY.match(rest)) is None:
        raise _Refused("not a URL")
    if not parts[1]:
        raise _Refused("no host")
    if "@" in parts[1]:
        raise _Refused("the URL carries credentials")
    return parts[1], parts[2]


def _host_port(authority: str, default: int) -> tuple[str, int]:
    if (parts := _HOST_PORT.fullmatch(authority)) is None:
        raise _Refused("not a host and port")
    port = int(parts[2] or default)
    if not 0 < port < 65536:
        raise _Refused(f"port {port} is not allowed")
    return parts[1], port


def _host(text: str) -> str:
    if text.startswith("["):
        return _host_v6(text[1:-1])
    name = (text if text.isascii() else _ascii(text)).lower()
    if "%" in name:
        raise _Refused("the host is percent-encoded")
    labels = name.removesuffix(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return _host_v4(name)
    if name.endswith("."):
        raise _Refused("the host ends in a dot")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _Refused("not a host name")
    return name


def _host_v4(name: str) -> str:
    plain = spelled_v4(name.removesuffix("."))
    if plain is None:
        raise _Refused("not an IPv4 address")
    if str(plain) != name:
        raise _Refused(refusal(str(plain)) or "an IPv4 address in an unusual spelling", plain)
    return name


def _host_v6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise _Refused("not an IPv6 address") from error
    if address.scope_id is not None:
        raise _Refused("zone id", address)
    return str(address)


def _ascii(name: str) -> str:
    """The name in its ASCII form. Characters that stand for others (full-width, circled, ligatures) are refused."""
    if unicodedata.normalize("NFKC", name) != name or any(dot in name for dot in "\u3002\uff0e\uff61"):
        raise _Refused("the host is written with look-alikes of other characters")
    try:
        return idna.encode(name.lower()).decode("ascii")
    except (UnicodeError, ValueError, IndexError) as error:
        raise _Refused("not an international host name") from error


def _target(text: str) -> str:
    text = _STRAY_PERCENT.sub("%25", text)
    return quote(text if text.startswith("/") else f"/{text}", safe=_PLAIN)


def _check_port(verdict: Verdict, policy: FetchPolicy) -> None:
    port = verdict.port or 0
    if listed(verdict.host, port, policy):
        return
    if verdict.scheme != "https":
        raise _Refused("plain http is not allowed")
    if port not in policy.ports:
        raise _Refused(f"port {port} is not allowed")
