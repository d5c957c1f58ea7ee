"""Where the door may listen without tokens: on this machine alone, unless told otherwise. Pure."""

from ipaddress import ip_address


class DoorOpen(ValueError):
    """The door would stand open to the network."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address. A name counts as such only if it is `localhost`."""
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host.lower() == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def require_closed(host: str, *, guarded: bool, open_door: bool) -> None:
    """Raise `DoorOpen` where a network could reach a door that asks nobody for a token."""
    if guarded or open_door or is_loopback(host):
        return
    raise DoorOpen(
        f"Serve listens on {host}, and whoever reaches it could send events and read previews. Name a file of tokens "
        "(VITRINE_SERVE_DOOR_TOKENS, made by `vitrine tokens new`), listen on 127.0.0.1 (http_options in "
        "deploy/serve.yaml), or say VITRINE_SERVE_OPEN_DOOR=1 where the network itself keeps strangers out."
    )


def require_asked(ca_certs: str | None, callback: str | None, wanted: str) -> None:
    """Raise `DoorOpen` where client certificates look as if they were asked for, and Serve would let everybody in."""
    if ca_certs and callback != wanted:
        raise DoorOpen(
            "http_options has ssl_ca_certs, but Serve asks nobody for a certificate by itself: set "
            f"RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH={wanted} in the environment of the Ray nodes, or take it out."
        )
