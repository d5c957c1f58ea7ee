"""`vitrine demo`: the whole way on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.console import err, out, print_json
from deploy.cli.options import EndpointOption, GivenKafkaOption, JsonOption, RayAddressOption
from deploy.demo.live import View
from deploy.demo.options import DemoOptions
from deploy.demo.run import Demo
from deploy.demo.summary import closing_words
from deploy.services.stack import KafkaKind, StoreKind


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder of real photos, drawn evenly over its sub-folders. Without it, photos are drawn."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=2000, help="Listings; 8 troublesome events come on top.")] = 24,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="What to make of each photo; `vitrine recipes list` shows them. Without it, most get "
            "`everything` and a few are set into scenes."
        ),
    ] = None,
    out_dir: Annotated[Path, typer.Option("--out", help="Folder for everything that the run leaves.")] = Path(
        "out/demo"
    ),
    kafka: Annotated[KafkaKind, typer.Option(help="Which Kafka to start.")] = KafkaKind.EMBEDDED,
    brokers: Annotated[int, typer.Option(help="Brokers of the real Kafka: 1 or 3.")] = 1,
    store: Annotated[StoreKind, typer.Option(help="Which S3-compatible store to start.")] = StoreKind.EMBEDDED,
    bootstrap: GivenKafkaOption = None,
    endpoint: EndpointOption = None,
    ray_address: RayAddressOption = None,
    seed: Annotated[int, typer.Option(help="Which photos are drawn or chosen.")] = 1,
    patience: Annotated[float, typer.Option(min=1, help="Give up after so many seconds without an answer.")] = 180.0,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the services running; `vitrine down` stops them.")
    ] = False,
    json_: JsonOption = False,
) -> None:
    """Send listing events through Kafka, Ray Serve and an S3 store on this machine, and show the pictures.

    Beside ordinary listings it sends a duplicate, an older revision, a broken photo, a private address and other
    trouble, and shows how each was answered. Exit code 0 only if every event is accounted for as it should be, and
    every object in the store matches its result.
    """
    options = DemoOptions(
        photos=photos,
        limit=limit,
        recipe=recipe,
        out=out_dir,
        kafka=kafka,
        brokers=brokers,
        store=store,
        bootstrap=bootstrap,
        endpoint=endpoint,
        ray_address=ray_address,
        seed=seed,
        keep=keep,
        patience_s=patience,
    )
    with View(err) as view:
        finished = Demo(options, view).run()
    if json_:
        print_json({**finished.figures, "out": str(out_dir)})
    else:
        out.print(closing_words(finished.figures, finished.extras, finished.folder))
    if not finished.figures["ok"]:
        raise typer.Exit(1)
