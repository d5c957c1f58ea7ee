"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", help="Folder of the state file, logs and data [VITRINE_DEPLOY_STATE_DIR, default .vitrine]."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
#: For commands that would start a Kafka.
GivenKafkaOption = Annotated[
    str | None,
    typer.Option("--bootstrap", metavar="HOST:PORT,...", help="A Kafka that already runs, instead of starting one."),
]
#: For commands that only talk to one.
BootstrapOption = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        metavar="HOST:PORT,...",
        help="Kafka to talk to [VITRINE_CONSUMERS_BOOTSTRAP, else that of `vitrine up`, else 127.0.0.1:9092].",
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="An S3-compatible store that already runs. Its keys: VITRINE_DEPLOY_ACCESS_KEY and _SECRET_KEY.",
    ),
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="ADDRESS",
        help="A Ray cluster that already runs, instead of starting one: auto, HOST:PORT of its head, or "
        "http://HOST:8265 of its dashboard.",
    ),
]
