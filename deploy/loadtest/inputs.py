"""Everything that a run is given as files and texts, read and checked before anything is started."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from deploy.errors import DeployError
from deploy.loadtest.faults.timeline import Strike, load_timeline
from deploy.loadtest.judging.slo import Slo, read_slo
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.system.local import parts_of
from deploy.loadtest.workload.arrivals import Arrivals
from deploy.loadtest.workload.mix import Mix, load_mix


class BadInput(DeployError):
    """An option or an input file that is wrong, found before anything was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the files say."""

    arrivals: Arrivals
    mix: Mix
    slo: Slo
    strikes: tuple[Strike, ...]


def read_inputs(options: RunOptions) -> Inputs:
    """Read all of them, once, for they may be pipes; `DeployError` where one cannot be used, or the options clash."""
    if options.mode is Mode.BACKLOG and options.driver is not DriverKind.KAFKA:
        raise DeployError("a backlog waits in Kafka: --mode backlog needs --driver kafka")
    arrivals = Arrivals.parse(options.arrivals)
    strikes: tuple[Strike, ...] = ()
    if options.chaos is not None:
        end_s = options.warmup_s + options.duration_s
        strikes = tuple(load_timeline(options.chaos, options.seed, end_s, parts_of(options)))
    return Inputs(arrivals=arrivals, mix=load_mix(options.mix), slo=read_slo(options.slo), strikes=strikes)


def named(options: RunOptions) -> RunOptions:
    """The options with a namespace: one that follows from the seed, and for a system that remembers one of its own."""
    if options.namespace:
        return options
    given = options.bootstrap or options.serve_url
    moment = f"-{datetime.now(UTC):%Y%m%d-%H%M%S}" if given else ""
    return replace(options, namespace=f"lt{options.seed}{moment}")
