"""Which network addresses a source photo may come from. Pure: no resolver, no socket.

An address passes only if it is global unicast. Addresses that carry an IPv4 address inside (mapped, NAT64) are judged
by that one; the old tunnel forms (6to4, Teredo, ISATAP) lead wherever their sender likes and are refused whole.
Other spellings of IPv4 addresses, which resolvers of the system understand (`0x7f.1`), are told by `spelled_v4`.
Source: the IANA special-purpose address registries (RFC 6890 and later entries). The list stands here because the
answers of `ipaddress.is_global` differ between patch releases of Python.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_CLOSED_V4 = {
    "unspecified": ("0.0.0.0/8",),
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    "carrier-grade NAT": ("100.64.0.0/10",),
    "loopback": ("127.0.0.0/8",),
    "link-local": ("169.254.0.0/16",),
    # Public by its number, but answered by the host of a virtual machine (Azure), credentials among the answers.
    "cloud metadata": ("168.63.129.16/32",),
    "reserved": ("192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "240.0.0.0/4"),
    "documentation": ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"),
    "multicast": ("224.0.0.0/4",),
}
#: Closed parts of 2000::/3, the only block from which global unicast addresses are given out.
_CLOSED_V6 = {
    "Teredo": ("2001::/32",),
    "reserved": ("2001::/23",),
    "documentation": ("2001:db8::/32", "3fff::/20"),
    "6to4": ("2002::/16",),
}
_NETS_V4 = [(reason, IPv4Network(net)) for reason, nets in _CLOSED_V4.items() for net in nets]
_NETS_V6 = [(reason, IPv6Network(net)) for reason, nets in _CLOSED_V6.items() for net in nets]
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
#: Interface identifiers of ISATAP (RFC 5214), local and global form; the IPv4 address follows.
_ISATAP = (0x00005EFE, 0x02005EFE)
#: Characters of one number of an IPv4 address; a label of a host has no more.
_LONGEST_NUMBER = 63
_NAMED_V6 = {IPv6Address("::"): "unspecified", IPv6Address("::1"): "loopback"}


def refusal(address: str) -> str | None:
    """Why the IP address, as text, must not be connected to; None if it may be."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "not an IP address"
    return _refusal_v4(parsed) if isinstance(parsed, IPv4Address) else _refusal_v6(parsed)


def first_refusal(addresses: Iterable[str]) -> str | None:
    """The reason against the first bad address. One bad answer spoils the name, for a resolver may mix good and bad."""
    addresses = list(addresses)
    if not addresses:
        return "no address"
    return next((reason for reason in map(refusal, addresses) if reason), None)


def spelled_v4(host: str) -> IPv4Address | None:
    """The address that `inet_aton` reads in the host: one to four numbers, decimal, octal or hexadecimal, or None."""
    parts = host.split(".")
    numbers = [_number(part) for part in parts]
    if len(parts) > 4 or None in numbers:
        return None
    *heads, tail = [number for number in numbers if number is not None]
    room = 256 ** (4 - len(heads))
    if tail >= room or any(head > 255 for head in heads):
        return None
    return IPv4Address(sum(head << 8 * (3 - place) for place, head in enumerate(heads)) + tail)


def _number(part: str) -> int | None:
    """Digits of a host as a number. More digits than an address could have are none, however many zeros lead."""
    if not part.isascii() or not part.isalnum() or len(part) > _LONGEST_NUMBER:
        return None
    base, digits = (16, part[2:] or "0") if part[:2] in {"0x", "0X"} else (8, part) if part[0] == "0" else (10, part)
    try:
        return int(digits, base)
    except ValueError:
        return None


def origin(host: str, port: int) -> str:
    """`host:port` in the form in which allowed origins are compared: lower case, IPv6 in brackets."""
    bare = host.strip("[]").lower()
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def _refusal_v4(address: IPv4Address) -> str | None:
    return next((reason for reason, net in _NETS_V4 if address in net), None)


def _refusal_v6(address: IPv6Address) -> str | None:
    if address.scope_id is not None:
        return "zone id"
    if address.ipv4_mapped is not None:
        return _refusal_v4(address.ipv4_mapped)
    if address in _NAT64:
        return _refusal_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return "ISATAP"
    if address not in _GLOBAL_UNICAST:
        return _NAMED_V6.get(address) or ("link-local" if address.is_link_local else "not global unicast")
    return next((reason for reason, net in _NETS_V6 if address in net), None)
