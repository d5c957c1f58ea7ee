"""Schedules: what is sent when, decided before the first event is sent, and written to a file; replays of them."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from deploy.errors import DeployError
from deploy.loadtest.options import RunOptions
from deploy.loadtest.workload.arrivals import Arrivals
from deploy.loadtest.workload.mix import Mix
from deploy.loadtest.workload.planned import PhotoSource, Planned, photo_name
from deploy.loadtest.workload.schedule_file import ScheduleFacts, ScheduleHead, ScheduleWriter, line_of, open_schedule
from deploy.loadtest.workload.traffic import Traffic


def plan_schedule(
    options: RunOptions, arrivals: Arrivals, mix: Mix, photos: PhotoSource, path: Path, *, total_s: float | None = None
) -> ScheduleFacts:
    """Decide what is sent when, and write it to a file. Warm-up and the time that counts are one schedule.

    `total_s`: of both, by default as the options say. What changes over time begins after the warm-up. Raise
    `DeployError`.
    """
    total_s = options.warmup_s + options.duration_s if total_s is None else total_s
    duration_s = min(options.duration_s, total_s)
    warmup_s = total_s - duration_s
    times = arrivals.times(options.rate, duration_s, options.seed, warmup_s=warmup_s)
    head = ScheduleHead(
        seed=options.seed,
        rate=options.rate,
        duration_s=total_s,
        warmup_s=warmup_s,
        arrivals=arrivals.text,
        count=len(times),
        namespace=options.namespace,
        photos=photo_origin(photos),
    )
    traffic = Traffic(mix, options.seed, photos, namespace=options.namespace)
    return write_schedule(path, head, map(float, times), traffic.events(len(times)))


def write_schedule(path: Path, head: ScheduleHead, times: Iterable[float], events: Iterable[Planned]) -> ScheduleFacts:
    """Write a schedule: a time in seconds for each event, ascending, and as many as the head says."""
    with ScheduleWriter(path, head) as writer:
        for at_s, event in zip(times, events, strict=True):
            writer.add(line_of(at_s, event), event)
    return writer.facts()


def replay_schedule(source: Path, photos: PhotoSource, path: Path) -> tuple[ScheduleHead, ScheduleFacts]:
    """Copy the schedule of an earlier run, with the addresses of its photos moved to this source.

    But for these, the same bytes at the same times, with the same `sha256`. Raise `DeployError` where it is broken.
    """
    head, events = open_schedule(source)
    old, new = head.photos.encode(), photo_origin(photos).encode()
    if old and not new:
        raise DeployError(f"the photos of {source} cannot be moved: the new addresses do not end with their names")
    head = head.model_copy(update={"photos": new.decode()}) if old else head
    with ScheduleWriter(path, head) as writer:
        for at_s, event in events:
            moved = replace(event, value=event.value.replace(old, new)) if old else event
            writer.add(line_of(at_s, moved), moved)
    return head, writer.facts()


def photo_origin(photos: PhotoSource) -> str:
    """What all addresses of this source begin with; empty where they do not end with the name."""
    name = photo_name(0, 32)
    url = photos.url(name)
    return url.removesuffix(name) if url.endswith(name) else ""
