"""The options of `vitrine loadtest`, and what can be wrong with them before anything is started."""

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from deploy.loadtest.inputs import BadInput
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.services.stack import KafkaKind, StoreKind

DriverOption = Annotated[
    DriverKind,
    typer.Option(
        help="kafka: produced to Kafka, answered in the topic of results. http: posted to Serve. inprocess: the "
        "pipeline alone, without network."
    ),
]
RateOption = Annotated[float, typer.Option(metavar="R", help="Events per second, on average.")]
DurationOption = Annotated[float, typer.Option(metavar="S", help="Seconds that count, after the warm-up.")]
SeedOption = Annotated[int, typer.Option(min=0, help="The same seed, the same events at the same times.")]
MixOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="YAML: what is sent. By default the mix that comes along.")
]
SloOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="YAML: objectives. By default nothing may be lost, doubled, or end otherwise than it may."
    ),
]
ChaosOption = Annotated[Path | None, typer.Option(metavar="FILE", help="YAML: faults and when they strike.")]
KafkaOption = Annotated[KafkaKind, typer.Option(help="Which Kafka to start.")]
StoreOption = Annotated[StoreKind, typer.Option(help="Which S3-compatible store to start.")]
OutOption = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the report.")]
ModeOption = Annotated[Mode, typer.Option(help="soak: memory must not grow. backlog: all is there before it starts.")]
ArrivalsOption = Annotated[
    str,
    typer.Option(
        metavar="KIND",
        help="poisson, constant, gamma:CV, ramp:FROM..TO, step:A,B,C, spike:FACTOR@AT+FOR, trace:FILE.",
    ),
]
WarmupOption = Annotated[float, typer.Option(metavar="S", help="Seconds before, which do not count.")]
DrainOption = Annotated[float, typer.Option(metavar="S", help="Longest wait for answers after the last event.")]
NamespaceOption = Annotated[
    str, typer.Option(metavar="NAME", help="Part of every tenant, listing and event id; chosen anew by default.")
]
GeneratorsOption = Annotated[int, typer.Option(min=1, max=32, help="Processes that send.")]
ConsumersOption = Annotated[int, typer.Option(min=1, max=64, help="Consumer workers to start.")]
BrokersOption = Annotated[int, typer.Option(help="Brokers of the real Kafka: 1 or 3.")]
ServeUrlOption = Annotated[
    str | None, typer.Option("--serve-url", metavar="URL", help="A Serve that already runs, instead of starting one.")
]
PhotosOption = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder of real photos. Without it, photos are drawn.")
]

#: Part of a tenant id, which is part of object keys.
_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,23}")
_BROKERS = (1, 3)


def checked(options: RunOptions) -> RunOptions:
    """The options; `BadInput` where they cannot be meant."""
    for reason in _faults(options):
        raise BadInput(reason)
    if options.photos is not None and not options.photos.is_dir():
        raise BadInput(f"--photos {options.photos} is no folder")
    return options


def _faults(one: RunOptions) -> list[str]:
    faults = {
        f"--rate must be above 0, not {one.rate:g}": _positive(one.rate),
        f"--duration must be above 0, not {one.duration_s:g}": _positive(one.duration_s),
        f"--warmup must not be negative, as {one.warmup_s:g} is": _positive(one.warmup_s, zero=True),
        f"--drain must not be negative, as {one.drain_s:g} is": _positive(one.drain_s, zero=True),
        f"--brokers is 1 or 3, not {one.brokers}": one.brokers in _BROKERS,
        f"--namespace {one.namespace!r} may have up to 24 letters, digits and hyphens": not one.namespace
        or _NAMESPACE.fullmatch(one.namespace) is not None,
        **_clashes(one),
    }
    return [text for text, holds in faults.items() if not holds]


def _clashes(one: RunOptions) -> dict[str, bool]:
    """What does not go together, and whether it is all right here."""
    by_kafka, by_http = one.driver is DriverKind.KAFKA, one.driver is DriverKind.HTTP
    own = one.bootstrap is None and one.serve_url is None
    return {
        "--mode backlog needs --driver kafka: nothing else keeps events until somebody asks for them": by_kafka
        or one.mode is not Mode.BACKLOG,
        "--mode backlog needs consumers of our own, to hold them back: leave out --bootstrap": own
        or one.mode is not Mode.BACKLOG,
        "--chaos needs services of our own: leave out --bootstrap and --serve-url": own or one.chaos is None,
        "--bootstrap needs --driver kafka": by_kafka or one.bootstrap is None,
        "--serve-url needs --driver http, or --driver kafka and the --bootstrap of the Kafka beside it": by_http
        or one.serve_url is None
        or (by_kafka and one.bootstrap is not None),
        f"--serve-url {one.serve_url} is no address, such as http://127.0.0.1:8000": one.serve_url is None
        or re.match(r"https?://[^/\s]+", one.serve_url) is not None,
        "--driver kafka needs --kafka embedded or real, or --bootstrap": not by_kafka
        or one.kafka is not KafkaKind.NONE
        or one.bootstrap is not None,
        "--store none needs a Serve that runs already, for ours must store somewhere": one.store is not StoreKind.NONE
        or not own,
    }


def _positive(value: float, *, zero: bool = False) -> bool:
    return math.isfinite(value) and (value > 0 or (zero and value == 0))
