"""A batch that fails is tried again in halves, until what cannot be done is alone."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.compute.memory import is_out_of_memory, release_memory
from serve.errors import DeadlineExceeded, OutOfMemory, ServeError, StageFailed
from serve.interfaces import Shot, ShotFailure, Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of a batch."""

    #: One entry per shot, in order.
    shots: list[Shot | ShotFailure]
    #: The smallest number of shots for which memory did not suffice.
    too_many: int | None = None


def run_recovering(stage: Stage, batch: Sequence[Shot], abandoned: Callable[[], bool] = lambda: False) -> Recovered:
    """Run the stage on the batch. A shot that fails alone is a failure of that shot; the others are not touched.

    One bad shot among n costs about 2 log2(n) further runs. Nothing more is run once the batch is `abandoned`.
    """
    done: list[Shot | ShotFailure] = []
    too_many: int | None = None
    parts = [batch]
    while parts:
        part = parts.pop()
        if abandoned():
            done += [_failure(stage, shot, DeadlineExceeded()) for shot in part]
            continue
        try:
            done += _checked(stage, part)
        except Exception as error:  # noqa: BLE001 - whatever a picture provokes in numeric code stays with it
            memory = is_out_of_memory(error)
            if memory:
                too_many = len(part)
            _tell(stage, part, memory=memory)
            if len(part) > 1:
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]
            else:
                done.append(_failure(stage, part[0], _reason(stage, error, memory=memory)))
        if too_many == len(part):
            # Outside of the handler: the error's stack holds the tensors that are to be freed.
            release_memory()
    return Recovered(done, too_many)


def _checked(stage: Stage, part: Sequence[Shot]) -> list[Shot | ShotFailure]:
    made = stage.run(part)
    if len(made) != len(part):
        raise ValueError(f"{stage.name} gave {len(made)} answers for {len(part)} shots")
    return made


def _tell(stage: Stage, part: Sequence[Shot], *, memory: bool) -> None:
    what = "out of memory" if memory else "batch failed"
    key = part[0].key if len(part) == 1 else None
    log.warning(what, extra={"stage": stage.name, "shots": len(part), "key": key}, exc_info=not memory)


def _reason(stage: Stage, error: Exception, *, memory: bool) -> ServeError:
    if memory:
        return OutOfMemory()
    return StageFailed(f"The stage {stage.name} could not work on this image ({type(error).__name__}).")


def _failure(stage: Stage, shot: Shot, error: ServeError) -> ShotFailure:
    return ShotFailure(shot=shot, stage=stage.name, error=error)
