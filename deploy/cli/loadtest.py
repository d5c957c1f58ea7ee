"""`vitrine loadtest`: one run, a search for the capacity, two runs compared."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.console import err, out, print_error, print_json
from deploy.cli.loadtest_compare import held_against
from deploy.cli.loadtest_exit import LoadTestGroup, code_of
from deploy.cli.loadtest_options import (
    ArrivalsOption,
    BrokersOption,
    ChaosOption,
    ConsumersOption,
    DrainOption,
    DriverOption,
    DurationOption,
    GeneratorsOption,
    KafkaOption,
    MixOption,
    ModeOption,
    NamespaceOption,
    OutOption,
    PhotosOption,
    RateOption,
    SeedOption,
    ServeUrlOption,
    SloOption,
    StoreOption,
    WarmupOption,
    checked,
)
from deploy.cli.loadtest_run import carry_out, check_inputs
from deploy.cli.loadtest_search import Searching, code_of_search
from deploy.cli.options import GivenKafkaOption, JsonOption
from deploy.loadtest.inputs import BadInput
from deploy.loadtest.options import DriverKind, Mode, RunOptions
from deploy.loadtest.report.html_report import PAGE
from deploy.loadtest.report.summary import search_summary, summary
from deploy.loadtest.searching.search import MOST_PROBES, TOLERANCE
from deploy.services.stack import KafkaKind, StoreKind

_HELP = """Load tests: an open loop, latency from the time at which an event was to be sent, every event accounted for.

Exit codes: 0 valid and the SLO met, 1 SLO missed, 2 INVALID or not carried through, 3 wrong options or files."""

_OUT = Path("out/loadtest")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="loadtest", cls=LoadTestGroup, help=_HELP, no_args_is_help=True)
    group.command()(run)
    group.command("search")(search_)
    group.command()(compare)
    app.add_typer(group)


def run(
    rate: RateOption,
    driver: DriverOption = DriverKind.KAFKA,
    duration: DurationOption = 60.0,
    seed: SeedOption = 1,
    mix: MixOption = None,
    slo: SloOption = None,
    chaos: ChaosOption = None,
    kafka: KafkaOption = KafkaKind.EMBEDDED,
    store: StoreOption = StoreKind.EMBEDDED,
    out_dir: OutOption = _OUT,
    mode: ModeOption = Mode.STEADY,
    arrivals: ArrivalsOption = "poisson",
    warmup: WarmupOption = 10.0,
    drain: DrainOption = 120.0,
    namespace: NamespaceOption = "",
    generators: GeneratorsOption = 1,
    consumers: ConsumersOption = 2,
    brokers: BrokersOption = 1,
    bootstrap: GivenKafkaOption = None,
    serve_url: ServeUrlOption = None,
    photos: PhotosOption = None,
    json_: JsonOption = False,
) -> None:
    """Put Vitrine under load, and judge it by an SLO.

    The folder gets `run.json`, `run.hlog` and `report.html`. Ctrl-C stops everything and writes what was measured,
    marked INVALID; exit code 130.
    """
    options = checked(
        RunOptions(
            driver=driver,
            rate=rate,
            duration_s=duration,
            seed=seed,
            out=out_dir,
            mode=mode,
            arrivals=arrivals,
            mix=mix,
            slo=slo,
            chaos=chaos,
            warmup_s=warmup,
            drain_s=drain,
            namespace=namespace,
            generators=generators,
            consumers=consumers,
            kafka=kafka,
            brokers=brokers,
            store=store,
            bootstrap=bootstrap,
            serve_url=serve_url,
            photos=photos,
        )
    )
    document = carry_out(options, check_inputs(options), err)
    if json_:
        print_json(document.model_dump(mode="json"))
    else:
        out.print(summary(document, options.out / PAGE))
    for reason in document.invalid:
        print_error(f"INVALID: {reason}")
    raise typer.Exit(code_of(document))


def search_(
    low: Annotated[float, typer.Option(metavar="R", help="Lowest rate, events per second; the SLO should be met.")],
    high: Annotated[float, typer.Option(metavar="R", help="Highest rate that is of interest.")],
    driver: DriverOption = DriverKind.KAFKA,
    probes: Annotated[int, typer.Option(min=1, max=100, help="At most so many rates are tried.")] = MOST_PROBES,
    probe_duration: Annotated[float, typer.Option(metavar="S", help="Seconds of a probe that count.")] = 30.0,
    tolerance: Annotated[
        float, typer.Option(min=0.005, max=0.5, help="Known well enough: 0.05 is 5 % more or less.")
    ] = TOLERANCE,
    seed: SeedOption = 1,
    mix: MixOption = None,
    slo: SloOption = None,
    kafka: KafkaOption = KafkaKind.EMBEDDED,
    store: StoreOption = StoreKind.EMBEDDED,
    out_dir: OutOption = _OUT,
    arrivals: ArrivalsOption = "poisson",
    warmup: WarmupOption = 5.0,
    drain: DrainOption = 120.0,
    namespace: NamespaceOption = "",
    generators: GeneratorsOption = 1,
    consumers: ConsumersOption = 2,
    brokers: BrokersOption = 1,
    bootstrap: GivenKafkaOption = None,
    serve_url: ServeUrlOption = None,
    photos: PhotosOption = None,
    json_: JsonOption = False,
) -> None:
    """Find the highest rate that meets the SLO, and the rate from which latency climbs.

    A probe near the border is a matter of luck, so some rates are tried again. The folder gets `search.json`. Exit
    code 1 where no rate meets the SLO.
    """
    options = checked(
        RunOptions(
            driver=driver,
            rate=low,
            duration_s=probe_duration,
            seed=seed,
            out=out_dir,
            arrivals=arrivals,
            mix=mix,
            slo=slo,
            warmup_s=warmup,
            drain_s=drain,
            namespace=namespace,
            generators=generators,
            consumers=consumers,
            kafka=kafka,
            brokers=brokers,
            store=store,
            bootstrap=bootstrap,
            serve_url=serve_url,
            photos=photos,
        )
    )
    if not 0 < low < high < float("inf"):
        raise BadInput(f"--low must be above 0 and below --high, which {low:g} and {high:g} are not")
    document = Searching(options, check_inputs(options), probes, tolerance, err).run(low, high)
    if json_:
        print_json(document.model_dump(mode="json"))
    else:
        out.print(search_summary(document, options.out / PAGE))
    if document.capacity is None:
        print_error(document.note)
    elif document.note:
        err.print(f"note: {document.note}", soft_wrap=True)
    raise typer.Exit(code_of_search(document))


def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run, or its run.json.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="The same of the run that is held against it.")],
    tolerance: Annotated[
        float, typer.Option(min=0.0, max=10.0, help="So much worse is no regression: 0.1 is 10 %.")
    ] = 0.1,
    force: Annotated[bool, typer.Option("--force", help="Compare also what is invalid or was run otherwise.")] = False,
    json_: JsonOption = False,
) -> None:
    """Hold run B against run A. Exit code 1 where B is worse by more than the tolerance, noise considered.

    Refused with exit code 2 where one of them is INVALID, or they were not run alike.
    """
    raise typer.Exit(held_against(before, after, tolerance=tolerance, force=force, as_json=json_))
