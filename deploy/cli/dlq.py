"""`vitrine dlq`: what became dead letters, and how to send it again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from kafka.errors import KafkaError

from consumers.records import TopicPartition
from consumers.settings import ConsumerSettings
from consumers.tools.dead_letter_reader import Letters, Place, Wanted, letter_in, mark_in, shown
from consumers.tools.log_reader import LogReader
from deploy.cli.connection import consumer_settings
from deploy.cli.console import out, print_json
from deploy.cli.dlq_replay import Order, replay_letters
from deploy.cli.dlq_view import by_code, facts, listed, one
from deploy.cli.moments import moment_ms
from deploy.cli.options import BootstrapOption, JsonOption, StateOption
from deploy.cli.progress import progress
from deploy.errors import DeployError, ServiceFailed
from deploy.services.kafka_topics import require_kafka, topic_name

_HELP = """Dead letters: events that could not be answered. List them, look at one, send them again."""

CodeOption = Annotated[
    list[str] | None, typer.Option("--code", help="Only this error code; may be given several times.")
]
SinceOption = Annotated[
    int | None, typer.Option("--since", metavar="TIME", parser=moment_ms, help="Only letters of then or later.")
]
UntilOption = Annotated[
    int | None, typer.Option("--until", metavar="TIME", parser=moment_ms, help="Only letters of before then.")
]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")]
ListingOption = Annotated[str | None, typer.Option("--listing", help="Only this listing's.")]
EventOption = Annotated[str | None, typer.Option("--event-id", help="Only this event's.")]
DeadTopicOption = Annotated[
    str | None, typer.Option("--dead-topic", help="Topic of the dead letters [VITRINE_CONSUMERS_DEAD_TOPIC].")
]


def _place(text: str) -> Place:
    try:
        return Place.of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


PlaceArgument = Annotated[
    Any, typer.Argument(metavar="POSITION", parser=_place, help="PARTITION/OFFSET as `list` shows it.")
]
PlacesArgument = Annotated[
    list[Any] | None,
    typer.Argument(metavar="[POSITION]...", parser=_place, help="Only these letters: PARTITION/OFFSET."),
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(name="dlq", help=_HELP, no_args_is_help=True)
    group.command("list")(list_)
    group.command()(show)
    group.command()(replay)
    app.add_typer(group)


def list_(
    code: CodeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    tenant: TenantOption = None,
    listing: ListingOption = None,
    event_id: EventOption = None,
    last: Annotated[int | None, typer.Option(min=1, help="Show only the last so many; the sums count all.")] = None,
    dead_topic: DeadTopicOption = None,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """List dead letters, oldest first, and how many there are of each code."""
    wanted = _wanted(code, since, until, tenant, listing, event_id)
    with _reading(bootstrap, state, dead_topic) as (settings, reader):
        letters = gather(settings, reader, wanted)
    lines = letters.found[-last:] if last else letters.found
    if json_:
        told = [facts(letter, letters.replayed.get(letter.place)) for letter in lines]
        print_json(
            {"topic": settings.dead_topic, "total": len(letters.found), "codes": by_code(letters), "letters": told}
        )
    elif lines:
        out.print(listed(letters, lines))
    else:
        out.print(f"no such dead letters in {settings.dead_topic}")


def show(
    position: PlaceArgument,
    dead_topic: DeadTopicOption = None,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Show everything of one dead letter: why, where from, its headers and its body."""
    place: Place = position
    with _reading(bootstrap, state, dead_topic) as (settings, reader):
        record = reader.at(TopicPartition(settings.dead_topic, place.partition), place.offset)
        if record is None:
            raise DeployError(f"there is nothing at {place} in {settings.dead_topic}")
        if (mark := mark_in(record)) is not None:
            raise DeployError(f"{place} is no letter, but says that {mark.letter} was sent again, to {mark.to}")
        letter, told = letter_in(record), shown(record)
        to = gather(settings, reader, Wanted(places=frozenset((place,)))).replayed.get(place)
    if json_:
        print_json({**facts(letter, to), **told})
    else:
        out.print(one(told, letter, to), soft_wrap=True)


def replay(
    positions: PlacesArgument = None,
    code: CodeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    tenant: TenantOption = None,
    listing: ListingOption = None,
    event_id: EventOption = None,
    topic: Annotated[str | None, typer.Option(help="Send to this topic, not to where each came from.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Also those that were sent again before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent where.")] = False,
    rate: Annotated[float | None, typer.Option(min=0.01, help="At most so many a second.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dead_topic: DeadTopicOption = None,
    bootstrap: BootstrapOption = None,
    state: StateOption = None,
    json_: JsonOption = False,
) -> None:
    """Send dead letters again: the record byte for byte, to the topic and partition it came from.

    Those that were sent again before are left out, and counted. Exit code 1 if one that was meant could not be sent.
    """
    if topic is not None:
        topic_name(topic)
    wanted = _wanted(code, since, until, tenant, listing, event_id, positions)
    order = Order(topic=topic, again=again, dry_run=dry_run, rate=rate, yes=yes, json=json_)
    with _reading(bootstrap, state, dead_topic) as (settings, reader):
        letters = gather(settings, reader, wanted)
        missing = sorted(wanted.places - {letter.place for letter in letters.found})
        if missing:
            raise DeployError(f"no such letter in {settings.dead_topic}: {', '.join(map(str, missing))}")
        whole = replay_letters(settings, reader, letters, order)
    if not whole:
        raise typer.Exit(1)


def gather(settings: ConsumerSettings, reader: LogReader, wanted: Wanted) -> Letters:
    """Read the dead-letter topic through."""
    bounds = reader.bounds(reader.partitions(settings.dead_topic))
    if wanted.since_ms is not None:
        starts = reader.first_since(bounds, wanted.since_ms)
        bounds = {tp: span._replace(start=max(span.start, starts[tp])) for tp, span in bounds.items()}
    with progress("reading", sum(span.size for span in bounds.values())) as tell:

        def told() -> Iterator[Any]:
            for done, record in enumerate(reader.read(bounds), 1):
                tell(done)
                yield record

        return Letters.gather(told(), wanted)


@contextmanager
def _reading(bootstrap: str | None, state: Any, dead_topic: str | None) -> Iterator[tuple[ConsumerSettings, LogReader]]:
    settings = consumer_settings(bootstrap, state)
    if dead_topic is not None:
        settings = settings.model_copy(update={"dead_topic": topic_name(dead_topic)})
    require_kafka(settings)
    try:
        with LogReader(settings) as reader:
            if not reader.partitions(settings.dead_topic):
                raise DeployError(f"there is no topic {settings.dead_topic} at {settings.bootstrap}")
            yield settings, reader
    except KafkaError as error:
        raise ServiceFailed(f"Kafka at {settings.bootstrap} does not do as asked: {error}") from error


def _wanted(
    code: list[str] | None,
    since: int | None,
    until: int | None,
    tenant: str | None,
    listing: str | None,
    event_id: str | None,
    positions: list[Any] | None = None,
) -> Wanted:
    return Wanted(
        codes=frozenset(code or ()),
        since_ms=since,
        until_ms=until,
        tenant=tenant,
        listing=listing,
        event_id=event_id,
        places=frozenset(positions or ()),
    )
