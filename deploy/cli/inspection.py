"""`vitrine inspect`: everything that an image tells of its making, and what else it carries."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from botocore.exceptions import BotoCoreError, ClientError

from deploy.cli.console import out, print_error, print_json
from deploy.cli.inspection_view import facts, shown
from deploy.cli.options import JsonOption, StateOption
from deploy.errors import DeployError
from deploy.services.state import StateFile
from deploy.settings import DeploySettings
from serve.buckets import client_for
from serve.images.finishing import OPEN_SECRET
from serve.images.inspection import Inspection, inspect
from serve.settings import ServeSettings

_LARGEST = 200 * 2**20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inspect")(_inspect)


def _inspect(
    images: Annotated[list[str], typer.Argument(metavar="FILE_OR_S3_URI...", help="Files, or s3://bucket/key.")],
    as_json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Show what images tell of themselves: source type, models, marks, signature, rights, and what was left in them.

    Objects are read with the store of VITRINE_SERVE_S3_..., else that of `vitrine up`. The watermark is looked for with
    VITRINE_SERVE_WATERMARK_SECRET. Exit code 1 if any of them is no image that can be read.
    """
    settings = ServeSettings()
    secret = settings.watermark_secret.get_secret_value().encode() if settings.watermark_secret else OPEN_SECRET
    found: list[tuple[str, Inspection | None]] = []
    for name in images:
        body = _from_store(name, _store_settings(settings, state)) if name.startswith("s3://") else _from_file(name)
        found.append((name, inspect(body, secret=secret, face=settings.label_font)))
    if as_json:
        print_json([facts(name, one) for name, one in found])
    else:
        for name, one in found:
            if one is None:
                print_error(f"{name}: not an image that can be read")
            else:
                out.print(shown(name, one))
    if any(one is None or one.damage is not None for _, one in found):
        raise typer.Exit(1)


def _from_file(name: str) -> bytes:
    path = Path(name)
    try:
        if path.stat().st_size > _LARGEST:
            raise DeployError(f"{name} is larger than {_LARGEST:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise DeployError(f"{name} cannot be read: {error.strerror}") from error


def _from_store(uri: str, settings: ServeSettings) -> bytes:
    address = urlsplit(uri)
    try:
        answer = client_for(settings).get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))
        with answer["Body"] as body:
            if answer["ContentLength"] > _LARGEST:
                raise DeployError(f"{uri} is larger than {_LARGEST:,} bytes")
            return bytes(body.read(_LARGEST))
    except ClientError as error:
        raise DeployError(f"{uri} cannot be read: {error.response['Error'].get('Code', 'refused')}") from error
    except (BotoCoreError, ValueError) as error:
        raise DeployError(f"{uri} cannot be read: {error}") from error


def _store_settings(settings: ServeSettings, state: Path | None) -> ServeSettings:
    """The settings themselves, or with the store that `vitrine up` started where they name none."""
    known = StateFile(state or DeploySettings().state_dir).read()
    if settings.s3_endpoint is not None or settings.s3_access_key is not None or known is None:
        return settings
    there = known.endpoints
    return ServeSettings(
        **{
            **settings.model_dump(exclude_unset=True),
            "s3_endpoint": there.s3_endpoint,
            "s3_access_key": there.access_key,
            "s3_secret_key": there.secret_key,
            "s3_region": there.region,
        }
    )
