"""All benches, in the order in which they run. A new one is a module and a line here."""

from collections.abc import Callable
from dataclasses import dataclass

from deploy.bench import (
    backlog,
    batcher,
    batching,
    consume,
    crash,
    decoding,
    engine,
    exchange,
    latency,
    loadtest,
    pacing,
    pipeline,
    placement,
    reuse,
    serving,
    tracking,
    worker,
)
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
    "pacing": Bench("1 / p99 by which the load test sends late, 500/s", "1 / the 10 ms that are allowed", pacing.run),
    "pacing-cost": Bench("1 / cores of the load test itself, 500/s", "1 / one core", pacing.run_cost),
    "loadtest": Bench("1 / cores of a whole load test, 500 events/s", "1 / one core", loadtest.run),
    "exchange": Bench("32 events per request, 8 requests open", "one event per request, one open", exchange.run),
    "decoding": Bench("JPEGs of 1 to 4 MP in a decode worker", "decoded in this process", decoding.run),
    "pipeline": Bench("serve's pipeline, several events at once", "the same steps in a plain loop", pipeline.run),
    "pipeline-cpu": Bench("the same per second of CPU time", "the same steps in a plain loop", pipeline.run_by_cpu),
    "reuse": Bench("events whose images are stored already", "making them", reuse.run),
    "batcher": Bench("our batcher around nothing, one tenant", "a bare hop to a thread and back", batcher.run),
    "batcher-tenants": Bench("the same, 100 tenants wait", "a bare hop to a thread and back", batcher.run_many),
    "serving": Bench("Kafka, worker, Serve, a Studio that does nothing", "one event at a time by HTTP", serving.run),
    "placement": Bench("all stages in one process, photos of 0.5 MB", "each in its own, by handles", placement.run),
    # From here on a Ray is left in this process, which the benches above need not feel.
    "batching-flat": Bench("our batcher, a batch takes 0.1 s", "@serve.batch as by default", batching.run_flat),
    "batching-linear": Bench("our batcher, an item takes 10 ms", "@serve.batch as by default", batching.run_linear),
    "latency": Bench("1 / p99 at 70 % of capacity", "1 / three batches' time", latency.run),
}
