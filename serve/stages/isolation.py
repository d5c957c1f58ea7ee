"""One bad shot never fails its batch."""

import logging
from collections.abc import Callable, Sequence

from models.compute.memory import is_out_of_memory
from serve.errors import StageFailed
from serve.interfaces import Shot, ShotFailure

log = logging.getLogger(__name__)


def each_apart(stage: str, batch: Sequence[Shot], work: Callable[[Shot], Shot]) -> list[Shot | ShotFailure]:
    """Do the work on every shot; one that raises becomes a failure, the others go on.

    What is raised for want of memory is no fault of the shot: it is let through, and the batch tried again in parts.
    """
    return [_apart(stage, shot, work) for shot in batch]


def _apart(stage: str, shot: Shot, work: Callable[[Shot], Shot]) -> Shot | ShotFailure:
    try:
        return work(shot)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        # Whatever a picture provokes in numeric code stays with that picture; the stack goes to the log.
        log.exception("stage failed", extra={"stage": stage, "key": shot.key, "outcome": "failed"})
        reason = StageFailed(f"The stage {stage} could not work on this image ({type(error).__name__}).")
        return ShotFailure(shot=shot, stage=stage, error=reason)
