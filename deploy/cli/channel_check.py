"""`vitrine channels check`: hold finished files against the rules of sales channels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.console import out, print_error, print_json
from deploy.cli.options import JsonOption
from deploy.errors import DeployError
from models.cutout import Cutout
from models.pictures import Picture
from models.recognition.reader import Reader, open_reader
from serve.catalog.catalog import Catalog
from serve.catalog.channel import Channel, ImageFacts
from serve.errors import RequestError, ServeError
from serve.images.measuring import measure
from serve.schemas.result import RuleResult

#: Seconds for the text of one file: a person waits, but not for long.
_READING_S = 20.0

FilesArgument = Annotated[
    list[Path], typer.Argument(help="Image files.", metavar="FILE...", exists=True, dir_okay=False, readable=True)
]
ChannelOption = Annotated[
    list[str], typer.Option("--channel", metavar="NAME", help="Channel to check for; may be given several times.")
]
UrlOption = Annotated[
    str | None, typer.Option("--url", help="The address under which the channel is to fetch the one file.")
]
OnOption = Annotated[
    datetime | None,
    typer.Option("--on", formats=["%Y-%m-%d"], help="Judge by the rules in force on this day; without it today."),
]


@dataclass(frozen=True, slots=True)
class Line:
    """One rule for one file."""

    channel: Channel
    result: RuleResult

    @property
    def status(self) -> str:
        """`pass`, `fail`, `review` (a person decides), `advice` (not met), or `not measured`."""
        if self.result.passed:
            return "pass"
        if self.result.measured is None:
            return "not measured"
        return "fail" if self.result.severity == "reject" else self.result.severity or "fail"

    @property
    def stops(self) -> bool:
        """Whether the file does not satisfy the channel for it."""
        return self.status in {"fail", "review"}


@dataclass(frozen=True, slots=True)
class Checked:
    """One file with all of its lines; without facts it could not be measured."""

    file: Path
    facts: ImageFacts | None
    lines: tuple[Line, ...] = ()
    error: ServeError | None = None

    @property
    def passes(self) -> bool:
        """Whether it may go to all channels."""
        return self.error is None and not any(line.stops for line in self.lines)


def add_check(group: typer.Typer, load: Callable[[], Catalog]) -> None:
    """Add the command to the group of channels."""

    @group.command()
    def check(
        files: FilesArgument,
        channel: ChannelOption = ["generic"],  # noqa: B006 - Typer reads the default
        url: UrlOption = None,
        on: OnOption = None,
        json_: JsonOption = False,
    ) -> None:
        """Hold files against channels: each rule with what was measured, what is required, and who says so.

        Exit code 1 if a file breaks a rule or cannot be read. What could not be measured, and advice, is shown and
        breaks nothing. A rule marked `review` comes from no primary text, or was judged by a guess.
        """
        if url is not None and len(files) > 1:
            raise typer.BadParameter("an address belongs to one file", param_hint="--url")
        try:
            channels = load().channels_of(channel)
        except RequestError as error:
            raise typer.BadParameter(error.message, param_hint="--channel") from error
        day = on.date() if on is not None else datetime.now(UTC).date()
        found = check_files(files, channels, day, url)
        if json_:
            print_json([_document(one) for one in found])
        else:
            for one in found:
                _show(one, url)
        if not all(one.passes for one in found):
            raise typer.Exit(1)


def check_files(files: Sequence[Path], channels: Sequence[Channel], on: date, url: str | None) -> list[Checked]:
    """Measure each file with what the channels' rules need, and hold it against them."""
    cut = _cutter() if any(one.min_fill is not None for one in channels) else None
    reads = any(one.forbidden is not None and "text" in one.forbidden.value for one in channels)
    reader = open_reader(limit_s=_READING_S) if reads else None
    return [_checked(file, channels, on, url, cut, reader) for file in files]


def _checked(
    file: Path,
    channels: Sequence[Channel],
    on: date,
    url: str | None,
    cut: Callable[[Picture], Cutout] | None,
    reader: Reader | None,
) -> Checked:
    suffix = PurePosixPath(_path(url)).suffix if url is not None else file.suffix
    try:
        facts = measure(file.read_bytes(), suffix=suffix, url=url, cut=cut, reader=reader)
    except ServeError as error:
        return Checked(file, None, error=error)
    except OSError as error:
        raise DeployError(f"{file}: {error.strerror or error}") from error
    return Checked(file, facts, tuple(Line(one, rule) for one in channels for rule in one.check(facts, on)))


def _path(url: str) -> str:
    try:
        return urlsplit(url).path
    except ValueError:
        return url


def _cutter() -> Callable[[Picture], Cutout]:
    """The bundled product net, loaded at the first file that needs it: on plain backgrounds nothing does."""
    loaded: list[Any] = []

    def cut(pixels: Picture) -> Cutout:
        if not loaded:
            from models.cutout.learned import LearnedCutout  # noqa: PLC0415 - it takes seconds

            loaded.append(LearnedCutout.load())
        found: Cutout = loaded[0].cut([pixels])[0]
        return found

    return cut


def _document(one: Checked) -> dict[str, Any]:
    lines = [
        {
            "channel": line.channel.channel,
            "version": line.channel.version,
            "rule": line.result.rule,
            "status": line.status,
            "measured": line.result.measured,
            "required": line.result.required,
            "severity": line.result.severity,
            "source": line.channel.source_of(line.result.rule),
        }
        for line in one.lines
    ]
    error = None if one.error is None else {"code": one.error.code, "message": one.error.message}
    return {"file": str(one.file), "passes": one.passes, "error": error, "rules": lines}


_STYLES: Mapping[str, str] = {"pass": "green", "fail": "bold red", "review": "yellow", "not measured": "dim"}


def _show(one: Checked, url: str | None) -> None:
    if one.error is not None or one.facts is None:
        print_error(f"{one.file}: {one.error.message if one.error else 'not measured'}")
        return
    facts = one.facts
    out.print(Text(f"{one.file}: {facts.width} x {facts.height} {facts.format}, {facts.bytes:,} bytes", "bold"))
    for channel in dict.fromkeys(line.channel.ref for line in one.lines):
        out.print(_table(channel, [line for line in one.lines if line.channel.ref == channel]))
    for sentence in _ending(one, url):
        out.print(sentence)


def _table(channel: str, lines: Sequence[Line]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(channel, no_wrap=True)
    for column in ("measured", "required", "result", "source"):
        table.add_column(column, no_wrap=column in {"measured", "result"}, overflow="fold")
    for line in lines:
        rule = line.result
        result = Text(line.status, _STYLES.get(line.status, ""))
        source = line.channel.source_of(rule.rule)
        table.add_row(rule.rule, _figure(rule.measured), rule.required, result, source)
    return table


def _figure(measured: float | str | None) -> str:
    if measured is None:
        return "-"
    return measured if isinstance(measured, str) else f"{measured:,.6g}" if measured < 1e6 else f"{measured:,.0f}"


def _ending(one: Checked, url: str | None) -> Iterator[str]:
    if url is None and any(line.channel.address is not None for line in one.lines):
        yield "Rules about addresses were left out: --url gives one."
    missing = sum(line.status == "not measured" for line in one.lines)
    if missing:
        yield f"{missing} rules could not be measured; text needs the extra `ocr`."
    failed, asked = (sum(line.status == status for line in one.lines) for status in ("fail", "review"))
    yield f"Of {len(one.lines)} rules {failed} are broken, {asked} need a person's eye."
