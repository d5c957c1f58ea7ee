"""Which addresses pass: known cases of every kind, and properties over all of them."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.fetcher.address import first_refusal, origin, refusal

STEADY = settings(deadline=None, derandomize=True)
PUBLIC_V4 = ["8.8.8.8", "1.1.1.1", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.0.1", "223.255.255.255"]
PUBLIC_V6 = ["2606:4700::1111", "2a00:1450:4001:830::200e", "2400:cb00::1", "2003::1"]
CLOSED_V4 = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "10.0.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "carrier-grade NAT",
    "100.127.255.255": "carrier-grade NAT",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local",
    "192.0.0.8": "reserved",
    "192.88.99.1": "reserved",
    "198.18.0.1": "reserved",
    "192.0.2.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "255.255.255.255": "reserved",
}
CLOSED_V6 = {
    "::": "unspecified",
    "::1": "loopback",
    "::7f00:1": "not global unicast",  # IPv4-compatible, deprecated
    "fe80::1": "link-local",
    "fc00::1": "not global unicast",
    "fd00:ec2::254": "not global unicast",  # a metadata service
    "fec0::1": "not global unicast",
    "ff02::1": "not global unicast",
    "100::1": "not global unicast",
    "64:ff9b:1::1": "not global unicast",
    "2001::1": "Teredo",
    "2001:10::1": "reserved",
    "2001:20::1": "reserved",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "2002:0808:0808::1": "6to4",
    "2606:4700::200:5efe:808:808": "ISATAP",
    "2606:4700::5efe:7f00:1": "ISATAP",
    "fe80::1%eth0": "zone id",
    "2606:4700::1111%1": "zone id",
}


@pytest.mark.parametrize("address", PUBLIC_V4 + PUBLIC_V6)
def test_public_addresses_pass(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize(("address", "reason"), [*CLOSED_V4.items(), *CLOSED_V6.items()])
def test_closed_addresses_are_refused_with_their_kind(address: str, reason: str) -> None:
    assert refusal(address) == reason


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "[::1]", "1.2.3.4:80", "1.2.3.4/8"]
)
def test_what_is_no_plain_address_is_refused(text: str) -> None:
    assert refusal(text) == "not an IP address"


def _carriers(inner: IPv4Address) -> dict[str, IPv6Address]:
    number = int(inner)
    return {
        "mapped": IPv6Address((0xFFFF << 32) | number),
        "compatible": IPv6Address(number),
        "6to4": IPv6Address((0x2002 << 112) | (number << 80) | 1),
        "nat64": IPv6Address((0x0064_FF9B << 96) | number),
        "teredo server": IPv6Address((0x2001_0000 << 96) | (number << 64)),
        "teredo client": IPv6Address((0x2001_0000 << 96) | (number ^ 0xFFFFFFFF)),
        "isatap": IPv6Address((0x2606_4700 << 96) | (0x0200_5EFE << 32) | number),
    }


@given(st.sampled_from(sorted(CLOSED_V4)).map(IPv4Address))
@STEADY
def test_a_closed_ipv4_address_is_refused_in_every_ipv6_dress(inner: IPv4Address) -> None:
    for form, address in _carriers(inner).items():
        assert refusal(str(address)), form
        assert refusal(address.exploded), form


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
@STEADY
def test_mapped_and_nat64_are_judged_by_the_address_inside(inner: IPv4Address) -> None:
    carriers = _carriers(inner)
    assert refusal(str(carriers["mapped"])) == refusal(str(carriers["nat64"])) == refusal(str(inner))


@given(st.ip_addresses())
@STEADY
def test_nothing_passes_that_python_calls_closed(address: IPv4Address | IPv6Address) -> None:
    nat64 = isinstance(address, IPv6Address) and address in IPv6Network("64:ff9b::/96")
    if refusal(str(address)) is None and not nat64 and getattr(address, "ipv4_mapped", None) is None:
        assert address.is_global
        assert not any((address.is_multicast, address.is_private, address.is_loopback, address.is_link_local))


@given(st.lists(st.sampled_from(PUBLIC_V4 + PUBLIC_V6)), st.sampled_from([*CLOSED_V4, *CLOSED_V6]), st.integers(0, 9))
@STEADY
def test_one_bad_answer_spoils_the_name(good: list[str], bad: str, place: int) -> None:
    mixed = [*good[:place], bad, *good[place:]]
    assert first_refusal(mixed) == refusal(bad)
    assert first_refusal(good) == (None if good else "no address")


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("LocalHost", 80, "localhost:80"),
        ("127.0.0.1", 9000, "127.0.0.1:9000"),
        ("::1", 1, "[::1]:1"),
        ("[::1]", 1, "[::1]:1"),
    ],
)
def test_origins_have_one_spelling(host: str, port: int, expected: str) -> None:
    assert origin(host, port) == expected


def test_the_examples_are_addresses() -> None:
    assert all(ip_address(text) for text in [*PUBLIC_V4, *PUBLIC_V6, *CLOSED_V4, *CLOSED_V6])
