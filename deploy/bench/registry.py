"""All benches, in the order in which they run. A new one is a module and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.bench import backlog, consume, crash, engine, exchange, pipeline, reuse, tracking, worker
from deploy.bench.figure import Figure, Progress


@dataclass(frozen=True, slots=True)
class Bench:
    """What is held against what, and how to find out."""

    measured: str
    baseline: str
    run: Callable[[Progress], Figure]


BENCHES: dict[str, Bench] = {
    "engine": Bench("deciding: records in, commits out, already parsed", "parsing the same records", engine.run),
    "tracking": Bench("offsets in random order, window 4,096", "a set of the open ones", tracking.run),
    "consume": Bench("poll, decide, commit; nothing is done", "a bare poll and commit loop, same topic", consume.run),
    "kafka": Bench("a whole worker, Serve answers at once", "a bare poll and commit loop, same topic", worker.run),
    "crash": Bench("finished work that is not done again after kill -9", "all of it", crash.run),
    "backlog": Bench("memory of a worker with a long backlog", "with a short one", backlog.run),
    "exchange": Bench("32 events per request, 8 requests open", "one event per request, one open", exchange.run),
    "pipeline": Bench("serve's pipeline, several events at once", "the same steps in a plain loop", pipeline.run),
    "pipeline-cpu": Bench("the same per second of CPU time", "the same steps in a plain loop", pipeline.run_by_cpu),
    "reuse": Bench("events whose images are stored already", "making them", reuse.run),
}
