"""The URL guard: every spelling of a closed address is refused, and nobody reads another host than was checked.

`VITRINE_SOAK_EXAMPLES` sets the number of examples of the fuzz.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import product
from urllib.parse import urlsplit

import httpcore
import httpx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from serve.errors import AddressRefused, SourceUnreachable
from serve.fetcher.address import refusal, spelled_v4
from serve.fetcher.breaker import BreakerRules
from serve.fetcher.guard import ALLOWED, LONGEST_URL, Verdict, check, screen
from serve.fetcher.http_source import HttpSource
from serve.fetcher.policy import FetchPolicy

CLOSED_V4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "168.63.129.16/32",
]
CLOSED_V6 = ["::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fc00::/7", "fe80::/10"]
LOOKALIKES = {"fullwidth": 0xFF10, "circled": None, "bold": 0x1D7CE, "arabic": 0x0660}


FUZZ = settings(max_examples=int(os.environ.get("VITRINE_SOAK_EXAMPLES", "300")))


def public(host: str, port: int) -> list[str]:
    return ["8.8.8.8"]


def asked_for_nothing(host: str, port: int) -> list[str]:
    raise AssertionError("the resolver was asked")


def closed_v4() -> st.SearchStrategy[IPv4Address]:
    return st.one_of([st.ip_addresses(v=4, network=IPv4Network(net)) for net in CLOSED_V4])


def closed_v6() -> st.SearchStrategy[IPv6Address]:
    return st.one_of([st.ip_addresses(v=6, network=IPv6Network(net)) for net in CLOSED_V6])


def number(value: int, base: str, zeros: int) -> str:
    match base:
        case "hex":
            return f"0x{'0' * zeros}{value:x}"
        case "HEX":
            return f"0X{'0' * zeros}{value:X}"
        case "oct":
            return f"0{'0' * zeros}{value:o}"
    return str(value)


@st.composite
def spelled(draw: st.DrawFn, addresses: st.SearchStrategy[IPv4Address]) -> tuple[str, IPv4Address]:
    """An IPv4 address as one to four numbers, each in a base of its own, perhaps with a dot at the end."""
    address = draw(addresses)
    count = draw(st.integers(1, 4))
    octets = list(address.packed)
    values = [*octets[: count - 1], int.from_bytes(octets[count - 1 :], "big")]
    bases = draw(st.lists(st.sampled_from(["dec", "hex", "HEX", "oct"]), min_size=count, max_size=count))
    zeros = draw(st.integers(0, 5))
    text = ".".join(number(value, base, zeros) for value, base in zip(values, bases, strict=True))
    return text + draw(st.sampled_from(["", "."])), address


@FUZZ
@given(spelled(closed_v4()))
def test_a_closed_ipv4_address_is_refused_in_every_spelling(case: tuple[str, IPv4Address]) -> None:
    text, address = case
    verdict = check(f"https://{text}/a.jpg", asked_for_nothing)
    assert not verdict.allowed
    assert verdict.reason == refusal(str(address))
    assert verdict.addresses == (str(address),)


@FUZZ
@given(spelled(st.ip_addresses(v=4)))
def test_only_the_plain_spelling_of_a_public_ipv4_address_passes(case: tuple[str, IPv4Address]) -> None:
    text, address = case
    verdict = check(f"https://{text}/a.jpg", asked_for_nothing)
    assert verdict.allowed == (text == str(address) and refusal(str(address)) is None)


@FUZZ
@given(spelled(st.ip_addresses(v=4)))
def test_numbers_are_read_as_the_system_reads_them(case: tuple[str, IPv4Address]) -> None:
    text = case[0].removesuffix(".")
    assert spelled_v4(text) == IPv4Address(socket.inet_aton(text)) == case[1]


@given(st.from_regex(r"[0-9a-fxX.]{1,20}", fullmatch=True))
def test_what_the_system_reads_as_an_address_never_passes_as_a_name(host: str) -> None:
    try:
        meant = IPv4Address(socket.inet_aton(host))
    except OSError:
        assume(False)
    verdict = check(f"https://{host}/", public)
    assert verdict.allowed == (host == str(meant) and refusal(host) is None)


def dressed(inner: IPv4Address) -> Iterator[IPv6Address]:
    value = int(inner)
    yield IPv6Address((0xFFFF << 32) | value)  # mapped
    yield IPv6Address(value)  # compatible
    yield IPv6Address((0xFFFF << 48) | value)  # translated (SIIT)
    yield IPv6Address((0x2002 << 112) | (value << 80) | 1)  # 6to4
    yield IPv6Address((0x0064_FF9B << 96) | value)  # NAT64
    yield IPv6Address((0x0064_FF9B_0001 << 80) | value)  # NAT64, local use
    yield IPv6Address((0x2001_0000 << 96) | (value << 64))  # Teredo, server
    yield IPv6Address((0x2001_0000 << 96) | (value ^ 0xFFFFFFFF))  # Teredo, client
    yield IPv6Address((0x2606_4700 << 96) | (0x0200_5EFE << 32) | value)  # ISATAP
    yield IPv6Address((0x2606_4700 << 96) | (0x0000_5EFE << 32) | value)


def written(address: IPv6Address) -> Iterator[str]:
    tail = IPv4Address(int(address) & 0xFFFFFFFF)
    head = address.exploded.rsplit(":", 2)[0]
    yield from (str(address), address.exploded, address.exploded.upper(), f"{head}:{tail}")


@given(closed_v4())
def test_a_closed_ipv4_address_is_refused_in_every_ipv6_dress(inner: IPv4Address) -> None:
    for address in dressed(inner):
        for text in written(address):
            verdict = check(f"https://[{text}]/a.jpg", asked_for_nothing)
            assert not verdict.allowed, text
            # The same as an answer of a resolver, alone and beside a good one.
            for answers in ([text], ["8.8.8.8", text], [text, "2606:4700::1111"]):
                assert not check("https://photos.example/", lambda *_, found=answers: found).allowed, text


@given(closed_v6())
def test_a_closed_ipv6_address_is_refused_in_every_spelling(address: IPv6Address) -> None:
    for text in written(address):
        assert not check(f"https://[{text}]/a.jpg", asked_for_nothing).allowed
        assert not check("https://photos.example/", lambda *_, found=text: ["1.1.1.1", found]).allowed


@given(closed_v4(), st.sampled_from(sorted(LOOKALIKES)), st.sampled_from([".", "\u3002", "\uff0e", "\uff61"]))
def test_lookalikes_of_digits_and_dots_are_refused(address: IPv4Address, kind: str, dot: str) -> None:
    def like(digit: str) -> str:
        if kind == "circled":
            return "\u24ea" if digit == "0" else chr(0x2460 + int(digit) - 1)
        return chr((LOOKALIKES[kind] or 0) + int(digit))

    text = "".join(dot if char == "." else like(char) for char in str(address))
    for host in (text, str(address).replace(".", dot)):
        # Arabic digits are letters of a name to some readers; the answers of the resolver decide there.
        verdict = check(f"https://{host}/", lambda *_: [str(address)])
        assert not verdict.allowed


METADATA = {
    "169.254.169.254": "link-local",
    "100.100.100.200": "carrier-grade NAT",
    "168.63.129.16": "cloud metadata",
    "fd00:ec2::254": "not global unicast",
    "fd20:ce::254": "not global unicast",
    "192.0.0.192": "reserved",
}


@pytest.mark.parametrize(("address", "reason"), METADATA.items())
@pytest.mark.parametrize("host", ["metadata.google.internal", "photos.example"])
def test_metadata_services_are_refused_by_whatever_name(host: str, address: str, reason: str) -> None:
    verdict = check(f"https://{host}/latest/meta-data/", lambda *_: [address])
    assert (verdict.allowed, verdict.reason, verdict.addresses) == (False, reason, (address,))


HOSTILE = {
    "": "not a URL",
    "a.jpg": "not a URL",
    "//photos.example/a": "not a URL",
    "https:photos.example/a": "not a URL",
    "https:/photos.example/a": "not a URL",
    "https:///photos.example/a": "no host",
    "https://": "no host",
    "https://?x": "no host",
    "https://#@photos.example/": "no host",
    "https://:443/": "not a host name",
    "https://user:pw@photos.example/": "the URL carries credentials",
    "https://8.8.8.8@10.0.0.1/": "the URL carries credentials",
    "https://@photos.example/": "the URL carries credentials",
    "https://photos.example\\@10.0.0.1/": "a backslash in the URL",
    "https:\\\\10.0.0.1\\a": "a backslash in the URL",
    "https://photos.example/a\\..\\b": "a backslash in the URL",
    " https://photos.example/": "not a URL",
    "https ://photos.example/": "not a URL",
    "https://photos.example /a": "not a host name",
    "https://photos.exa mple/a": "not a host name",
    "https://photos.example\t/a": "a control character in the URL",
    "ht\ntps://photos.example/a": "a control character in the URL",
    "https://photos.example/a\r\nHost: 10.0.0.1": "a control character in the URL",
    "https://photos.example/\x00": "a control character in the URL",
    "https://photos.example/\x85": "a control character in the URL",
    "https://photos.example/\u2028": "a control character in the URL",
    "https://photos.example/\udcff": "a control character in the URL",
    "https://%31%32%37.0.0.1/": "the host is percent-encoded",
    "https://photos.example%00.evil.example/": "the host is percent-encoded",
    "https://photos.example%2f@evil/": "the URL carries credentials",
    "https://photos.example./": "the host ends in a dot",
    "https://photos..example/": "not a host name",
    "https://.photos.example/": "not a host name",
    "https://-photos.example/": "not a host name",
    f"https://{'a' * 64}.example/": "not a host name",
    f"https://{'a.' * 127}example/": "not a host name",
    "https://1.2.3.4.5/": "not an IPv4 address",
    "https://1.2.3.256/": "not an IPv4 address",
    "https://4294967296/": "not an IPv4 address",
    "https://photos.example.0x7f/": "not an IPv4 address",
    "https://8.8.8.8./": "an IPv4 address in an unusual spelling",
    "https://[fe80::1%25eth0]/": "zone id",
    "https://[fe80::1%eth0]/": "zone id",
    "https://[2606:4700::1111%1]/": "zone id",
    "https://[::1": "not a host and port",
    "https://[::1]x/": "not a host and port",
    "https://[8.8.8.8]/": "not an IPv6 address",
    "https://[v1.x]/": "not an IPv6 address",
    "https://2606:4700::1111/": "not a host and port",
    "https://photos.example:443:443/": "not a host and port",
    "https://photos.example:+443/": "not a host and port",
    "https://photos.example:\u0664\u0664\u0663/": "not a host and port",
    "https://photos.example:0/": "port 0 is not allowed",
    "https://photos.example:22/": "port 22 is not allowed",
    "https://photos.example:65979/": "port 65979 is not allowed",
    "https://photos\u3002example/": "the host is written with look-alikes of other characters",
    "https://photo\uff53.example/": "the host is written with look-alikes of other characters",
    "https://\u212aelvin.example/": "the host is written with look-alikes of other characters",
    "https://pho\u200dtos.example/": "not an international host name",
    "https://\u2603.example/": "not an international host name",
    "http://photos.example/": "plain http is not allowed",
    "http://8.8.8.8/": "plain http is not allowed",
    "ftp://photos.example/": "only https, s3 and, by setting, file addresses are read",
    "gopher://127.0.0.1:70/": "only https, s3 and, by setting, file addresses are read",
    "javascript:alert(1)": "only https, s3 and, by setting, file addresses are read",
    "data:image/png;base64,AAAA": "only https, s3 and, by setting, file addresses are read",
    "file:///etc/passwd": "files are not read",
    "s3://unlisted/key": "the bucket is not listed",
    "s3:unlisted/key": "the bucket is not listed",
    "https://photos.example/" + "a" * LONGEST_URL: f"longer than {LONGEST_URL} characters",
}


@pytest.mark.parametrize(("url", "reason"), HOSTILE.items(), ids=[ascii(url)[:60] for url in HOSTILE])
def test_hostile_urls_are_refused_with_the_reason_and_without_a_resolver(url: str, reason: str) -> None:
    verdict = check(url, asked_for_nothing)
    assert (verdict.allowed, verdict.reason) == (False, reason)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("https://photos.example", "https://photos.example/"),
        ("HTTPS://Photos.Example:443/A.jpg?x=1#part", "https://photos.example/A.jpg?x=1"),
        ("https://photos.example:/a", "https://photos.example/a"),
        ("https://photos.example:8443?q=a b", "https://photos.example:8443/?q=a%20b"),
        ("https://b\u00fccher.example/\u00fc%20%zz", "https://xn--bcher-kva.example/%C3%BC%20%25zz"),
        ("https://[2606:4700:0::1111]/a", "https://[2606:4700::1111]/a"),
        ("https://my_bucket.s3.example/a@b", "https://my_bucket.s3.example/a@b"),
        ("https://1and1.example/", "https://1and1.example/"),
        ("https://0x7f.example/", "https://0x7f.example/"),
    ],
)
def test_good_urls_pass_in_one_spelling(url: str, plain: str) -> None:
    verdict = check(url, public)
    assert (verdict.allowed, verdict.reason, verdict.url) == (True, ALLOWED, plain)


def test_a_listed_origin_may_be_local_and_plain_but_only_at_its_port() -> None:
    policy = FetchPolicy(origins=("127.0.0.1:9000", "Photos.local:80"))
    assert check("http://127.0.0.1:9000/a", asked_for_nothing, policy).addresses == ("127.0.0.1",)
    assert check("http://photos.local/a", lambda *_: ["10.0.0.1"], policy).addresses == ("10.0.0.1",)
    for url in ("http://127.0.0.1:9001/", "https://photos.local/", "http://127.1:9000/", "http://a.photos.local/"):
        assert not check(url, lambda *_: ["10.0.0.1"], policy).allowed, url


def test_listed_buckets_and_folders_are_allowed_without_an_address(tmp_path: object) -> None:
    policy = FetchPolicy(buckets=("listed",), files=True)
    for url in ("s3://listed/a b/\u00fc?versionId=1", "file:///photos/a.jpg"):
        verdict = check(url, asked_for_nothing, policy)
        assert (verdict.allowed, verdict.addresses) == (True, ())


PIECES = (
    ["https", "HTTPS", "http", "s3", "file", "https\t", "", "\ufeffhttps"],
    ["://", ":", ":/", ":///", ":\\\\", "://\\", ":////"],
    ["", "a@", "u:p@", "8.8.8.8@", "photos.example\\@", "photos.example#@", "photos.example?@", "%40", "@@"],
    [
        "photos.example",
        "PHOTOS.example.",
        "127.0.0.1",
        "8.8.8.8",
        "0x8.8.8.8",
        "[::1]",
        "[2606:4700::1111]",
        "[::ffff:8.8.8.8]",
        "b\u00fccher.example",
        "xn--bcher-kva.example",
        "xn--.example",
        "\u2488.example",
        "a\u00adb.example",
        "photos.example%2eevil",
        "stra\u00dfe.example",
        "",
    ],
    ["", ":", ":443", ":0443", ":8443", ":443443", ":-1", ": 443", ":4\u06643"],
    ["", "/", "/a.jpg", "?a", "#b", "/../..//x", "/@10.0.0.1", "\\@10.0.0.1", "/%0d%0aHost:x", "/\u00fc \u2028", ";x"],
)


def urls() -> st.SearchStrategy[str]:
    """Grammatical ones made of hostile parts, the same with some characters more, and any text."""
    built = st.tuples(*map(st.sampled_from, PIECES)).map("".join)
    spoiled = st.tuples(built, st.integers(0, 40), st.text(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] :]
    )
    return st.one_of(built, spoiled, st.text(max_size=60), st.text(max_size=60).map("https://".__add__))


answers = st.lists(st.one_of(st.ip_addresses().map(str), st.text(max_size=10), st.none(), st.integers(), st.binary()))


@FUZZ
@given(urls(), st.one_of(answers, st.sampled_from([OSError(), UnicodeError(), RuntimeError(), KeyError("x")])))
def test_the_guard_answers_whatever_it_is_asked(url: str, found: object) -> None:
    def resolver(host: str, port: int) -> list[str]:
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[return-value]

    for policy in (None, FetchPolicy(buckets=("photos.example",), files=True, origins=("photos.example:443",))):
        verdict = check(url, resolver, policy)
        assert isinstance(verdict, Verdict)
        assert verdict.allowed == (verdict.reason == ALLOWED)
        if policy is None and verdict.allowed:
            assert verdict.scheme == "https"
            assert verdict.addresses
            assert not any(map(refusal, verdict.addresses))


def seen_by_others(url: str) -> list[tuple[str, int]]:
    """Host and port as other readers of URLs see them; none where they refuse it."""
    seen = []
    split = urlsplit(url)
    if split.hostname is not None and split.hostname.isascii():
        seen.append((split.hostname, split.port or 443))
    as_httpx = httpx.URL(url)
    seen.append((as_httpx.raw_host.decode(), as_httpx.port or 443))
    if url.isascii():
        as_core = httpcore.URL(url)
        seen.append((as_core.host.decode().lower(), as_core.port or 443))
    return [(str(IPv6Address(host)) if ":" in host else host, port) for host, port in seen]


@FUZZ
@given(urls())
def test_no_other_reader_sees_another_host_in_an_allowed_url(url: str) -> None:
    verdict = check(url, public)
    if verdict.allowed:
        assert seen_by_others(url) == [(verdict.host, verdict.port)] * len(seen_by_others(url))


def test_most_of_the_hostile_parts_are_refused_and_some_are_not() -> None:
    """The fuzz above sees both sides."""
    found = [check("".join(parts), public).allowed for parts in product(*(part[:6] for part in PIECES))]
    assert 0 < sum(found) < len(found) / 10


class Wire:
    """The network under the HTTP library: notes where it would connect to, and lets nobody through."""

    def __init__(self) -> None:
        self.connected: list[tuple[str, int]] = []

    async def connect_tcp(self, host: str, port: int, *_: object) -> None:
        self.connected.append((host, port))
        raise httpcore.ConnectError("nobody is let through")


@pytest.fixture(scope="module")
def wire() -> Iterator[tuple[asyncio.Runner, HttpSource, Wire, list[str]]]:
    asked: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["8.8.8.8", "2606:4700::1111"]

    policy = FetchPolicy(breaker=BreakerRules(trip_after=10**9))
    source = HttpSource(policy, resolver, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    wire = Wire()
    source._pool._network_backend._plain = wire  # type: ignore[attr-defined]
    with asyncio.Runner() as runner:
        yield runner, source, wire, asked


@FUZZ
@given(urls())
def test_the_http_library_connects_to_what_was_checked_and_nowhere_else(
    wire: tuple[asyncio.Runner, HttpSource, Wire, list[str]], url: str
) -> None:
    runner, source, network, asked = wire
    network.connected.clear()
    asked.clear()
    verdict = check(url, lambda *_: ["8.8.8.8", "2606:4700::1111"])
    try:
        runner.run(source.fetch(url, deadline=float("inf")))
    except AddressRefused:
        assert not verdict.allowed
        assert network.connected == []
    except SourceUnreachable:
        assert verdict.allowed
        assert network.connected == [(address, verdict.port) for address in verdict.addresses]
        assert asked in ([], [verdict.host])


def test_screening_alone_names_no_address() -> None:
    assert screen("https://photos.example/", FetchPolicy()).addresses == ()
