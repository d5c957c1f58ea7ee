"""Which clock a time was taken from."""

import hashlib
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def clock_name(boot_id: Path = _BOOT_ID) -> str | None:
    """Names this machine's clock since its last boot, 12 hex digits; None where the kernel gives no boot id.

    Containers of one machine share it, as they share the clock. Times of different clocks must not be subtracted.
    """
    try:
        raw = boot_id.read_bytes().strip()
    except OSError:
        return None
    # Hashed: the id itself identifies the machine.
    return hashlib.sha256(b"vitrine clock " + raw).hexdigest()[:12] if raw else None
