"""`vitrine tokens`: who may enter Serve's door. The file holds hashes; a token is shown once, when it is made."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from deploy.cli.console import err, out, print_json
from deploy.cli.options import JsonOption
from deploy.errors import DeployError
from deploy.services.atomic import write_privately
from serve.doors.tokens import Register, RegisterInvalid, Right, Token, digest_of, new_secret, parse_register
from serve.doors.tokens import write_register as written
from serve.settings import ServeSettings

FileOption = Annotated[
    Path | None, typer.Option("--file", help="File of token hashes [VITRINE_SERVE_DOOR_TOKENS].", metavar="FILE")
]
NameArgument = Annotated[str, typer.Argument(help="Name of the token; it stands in logs and figures.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="tokens", help="Tokens of Serve's door.", no_args_is_help=True)
    group.command("new")(new)
    group.command("list")(list_)
    group.command("revoke")(revoke)
    app.add_typer(group)


def new(
    name: NameArgument,
    rights: Annotated[
        str, typer.Option(help=f"What it may do, separated by commas: {', '.join(Right)}.")
    ] = Right.ENRICH.value,
    tenants: Annotated[
        str, typer.Option(help="Tenants whose events are taken from it, separated by commas, or * for all.")
    ] = "*",
    days: Annotated[
        int | None, typer.Option(min=1, help="Days after which it lets nobody in; never by default.")
    ] = None,
    per_second: Annotated[float, typer.Option(min=0.01, help="Requests a second that it may send for long.")] = 50.0,
    burst: Annotated[int, typer.Option(min=1, help="Requests that it may send at once.")] = 100,
    file: FileOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a token, print it once, and add its hash to the file. Doors that use the file take it within a second."""
    path, known = _known(file, must_exist=False)
    if known.named(name):
        raise DeployError(f"{path} has a token {name!r} already; revoke it first, or take another name")
    secret = new_secret()
    token = _checked(
        name=name,
        sha256=digest_of(secret),
        rights=_listed(rights),
        tenants="*" if tenants.strip() == "*" else _listed(tenants),
        per_second=per_second,
        burst=burst,
        expires=None if days is None else datetime.now(UTC).replace(microsecond=0) + timedelta(days=days),
    )
    _write(path, Register([*known.tokens, token]))
    if json_:
        print_json({"token": secret, **_facts(token)})
        return
    typer.echo(secret)
    err.print(f"{name} is in {path}. This is the only time that the token is shown.", soft_wrap=True)


def list_(file: FileOption = None, json_: JsonOption = False) -> None:
    """Names, rights and tenants; nothing here opens a door."""
    _, known = _known(file)
    facts = [_facts(token) for token in known.tokens]
    if json_:
        print_json(facts)
        return
    table = Table("name", "rights", "tenants", "per second", "expires", box=None)
    for one in facts:
        table.add_row(
            one["name"],
            ", ".join(one["rights"]),
            "*" if one["tenants"] == "*" else ", ".join(one["tenants"]),
            f"{one['per_second']:g}, {one['burst']} at once",
            f"{one['expires']}{' (over)' if one['over'] else ''}" if one["expires"] else "never",
        )
    out.print(table)


def revoke(name: NameArgument, file: FileOption = None) -> None:
    """Take a token out of the file. Doors that use the file let it in no more, within a second."""
    path, known = _known(file)
    if known.named(name) is None:
        names = ", ".join(token.name for token in known.tokens) or "none"
        raise DeployError(f"{path} has no token {name!r}; it has: {names}")
    _write(path, Register(token for token in known.tokens if token.name != name))
    err.print(f"{name} is revoked. Requests that it has open are answered to their end.", soft_wrap=True)


def _known(file: Path | None, *, must_exist: bool = True) -> tuple[Path, Register]:
    path = file or ServeSettings().door_tokens
    if path is None:
        raise DeployError("which file? Give --file, or set VITRINE_SERVE_DOOR_TOKENS, which Serve reads too")
    try:
        return path, parse_register(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if must_exist:
            raise DeployError(f"there is no {path}; `vitrine tokens new` makes it") from None
        return path, Register()
    except (OSError, UnicodeDecodeError) as error:
        raise DeployError(f"{path} cannot be read: {error}") from error
    except RegisterInvalid as error:
        raise DeployError(f"{path} is no file of tokens: {error}") from error


def _write(path: Path, register: Register) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_privately(path, written(register))
    except OSError as error:
        raise DeployError(f"{path} cannot be written: {error.strerror}") from error


def _checked(**fields: Any) -> Token:
    try:
        return Token.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        raise DeployError(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}") from None


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _facts(token: Token) -> dict[str, Any]:
    facts = token.model_dump(mode="json", exclude={"sha256"})
    facts["rights"] = sorted(facts["rights"])
    facts["tenants"] = "*" if facts["tenants"] == "*" else sorted(facts["tenants"])
    return {**facts, "over": token.expires is not None and datetime.now(UTC) >= token.expires}
