"""What the fetcher may touch, and how much of it."""

from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


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
    #: For the whole fetch: names, connections, redirects, body.
    timeout_s: float = 10.0
    max_redirects: int = 3
