"""What the fetcher may touch, how much of it, and how long it waits."""

from dataclasses import dataclass, field
from pathlib import Path

from serve.fetcher.breaker import BreakerRules
from serve.settings import MIB, ServeSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchPolicy:
    """Limits of fetching. The default allows public https addresses and nothing else."""

    #: Buckets that `s3://` may name.
    buckets: tuple[str, ...] = ()
    #: Exact `host:port` pairs that may be local, use plain http and any port.
    origins: tuple[str, ...] = ()
    #: Whether `file://` is allowed, under `file_root` alone.
    files: bool = False
    file_root: Path | None = None
    #: Ports of https addresses that are no listed origin.
    ports: tuple[int, ...] = (443, 8443)
    #: Counted after content codings are undone.
    max_bytes: int = 25 * MIB
    #: For the whole fetch: waiting for the host's turn, names, connections, redirects, body.
    timeout_s: float = 10.0
    #: For finding the addresses of a name, and for each connection.
    connect_s: float = 3.0
    #: Silence between two pieces of an answer.
    read_s: float = 5.0
    max_redirects: int = 3
    #: Fetches from one host at once, and how many more may wait for their turn.
    per_host: int = 4
    waiting_per_host: int = 64
    #: When a host that does not answer is left alone.
    breaker: BreakerRules = field(default_factory=BreakerRules)


def policy_of(settings: ServeSettings) -> FetchPolicy:
    """What the settings allow to be fetched."""
    return FetchPolicy(
        buckets=settings.fetch_buckets,
        origins=settings.fetch_allow,
        files=settings.fetch_files is not None,
        file_root=settings.fetch_files,
        max_bytes=settings.fetch_max_bytes,
        timeout_s=settings.fetch_timeout_s,
        connect_s=min(settings.fetch_connect_timeout_s, settings.fetch_timeout_s),
        read_s=min(settings.fetch_read_timeout_s, settings.fetch_timeout_s),
        per_host=settings.fetch_per_host,
        breaker=BreakerRules(
            trip_after=settings.fetch_trip_after,
            rest_s=settings.fetch_rest_s,
            longest_rest_s=16 * settings.fetch_rest_s,
        ),
    )
