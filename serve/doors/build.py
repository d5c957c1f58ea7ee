"""The door as the settings say it."""

import logging
from pathlib import Path

from serve.doors.address import require_closed
from serve.doors.door import Door, DoorLimits
from serve.doors.register_file import RegisterFile
from serve.doors.tokens import RegisterInvalid
from serve.settings import ServeSettings

log = logging.getLogger(__name__)


def build_door(settings: ServeSettings, host: str | None = None) -> Door:
    """Raise `ValueError` where it would stand open by mistake, or its tokens cannot be read.

    `host` is the address at which the server listens; where it is not known, every request is looked at alone.
    """
    file = settings.door_tokens
    if host is not None:
        require_closed(host, guarded=file is not None, open_door=settings.open_door)
    if file is None and settings.open_door:
        log.warning("the door is open: whoever reaches it may do everything", extra={"host": host})
    limits = DoorLimits(
        max_requests=settings.door_max_requests,
        max_previews=settings.door_max_previews,
        body_idle_s=settings.door_body_idle_s,
        body_total_s=settings.door_body_s,
    )
    return Door(None if file is None else _register(file), limits=limits, open_door=settings.open_door)


def _register(path: Path) -> RegisterFile:
    try:
        return RegisterFile(path)
    except (OSError, RegisterInvalid) as error:
        raise ValueError(f"the file of tokens {path} cannot be used: {error}") from error
