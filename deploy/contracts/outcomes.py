"""The table of outcomes: what each case is answered with. The acceptance tests drive the real system through it."""

from dataclasses import dataclass

from consumers.reader import OVERTAKEN
from consumers.results import NEWER_REVISION_WAITING
from serve.errors import ServeError
from serve.schemas.outcome import Outcome

#: Stands beside the outcomes: the event could not be answered and its bytes lie in the dead-letter topic.
DEAD_LETTER = "dead letter"


@dataclass(frozen=True, slots=True)
class Case:
    """One row: a kind of event, how it ends, with which code, and whether sending it again may help."""

    case: str
    ends_as: str
    code: str | None
    retryable: bool
    #: What Vitrine does before it gives this answer.
    note: str


def _answer(case: str, outcome: Outcome, code: str | None, note: str, *, retryable: bool = False) -> Case:
    return Case(case, outcome.value, code, retryable, note)


def _dead(case: str, code: str, note: str, *, retryable: bool = False) -> Case:
    return Case(case, DEAD_LETTER, code, retryable, note)


_TRIED = "tried three times first"

CASES: tuple[Case, ...] = (
    _answer("usable photos", Outcome.ENRICHED, None, "photos that failed stand in `errors`"),
    _answer("a person must look", Outcome.REVIEW_REQUIRED, "quality_review", "stored, with reasons per rule"),
    _answer("every picture misses a rule", Outcome.REJECTED, "quality_rejected", "nothing stored"),
    _answer(
        "a blocked term or photo", Outcome.REJECTED, "policy_blocked", "before any computing; for terms before fetch"
    ),
    _answer(
        "a listed term or photo, for review", Outcome.REVIEW_REQUIRED, "policy_review", "stored, each image flagged"
    ),
    _answer("0 images", Outcome.REJECTED, "no_images", "an update with images is answered anew"),
    _answer("unknown recipe", Outcome.REJECTED, "unknown_recipe", "the message lists the known ones"),
    _answer("unknown channel", Outcome.REJECTED, "unknown_channel", "the message lists the known ones"),
    _answer("no picture can suit its channel", Outcome.REJECTED, "channel_unfit", "before any photo is read"),
    _answer("40 images", Outcome.ENRICHED, None, "the first 24 by position; the rest in `errors` as `image_limit`"),
    _answer("address cannot be reached", Outcome.FAILED, "source_unreachable", _TRIED, retryable=True),
    _answer("photo is not there (404)", Outcome.FAILED, "source_not_found", "not tried again"),
    _answer("private address", Outcome.FAILED, "address_refused", "no connection is made"),
    _answer("photo has too many bytes", Outcome.FAILED, "source_too_large", "cut off at 25 MiB"),
    _answer("photo with another hash than the event says", Outcome.FAILED, "source_changed", "not worked on"),
    _answer("truncated or damaged photo", Outcome.FAILED, "corrupt_image", "never repaired by guessing"),
    _answer("300-megapixel header", Outcome.FAILED, "too_many_pixels", "refused before its pixels are decoded"),
    _answer("text file named .jpg", Outcome.FAILED, "unsupported_format", "the content counts, not the name"),
    _answer("photo of a few pixels", Outcome.FAILED, "too_small", "under 32 px a side"),
    _answer("wrong suffix, usable photo", Outcome.ENRICHED, None, "the content counts, not the name"),
    _answer("same event id again", Outcome.DUPLICATE, "duplicate_event", "no work"),
    _answer("older revision after newer", Outcome.STALE, "stale_revision", "no work"),
    _answer("newer revision waiting", Outcome.SUPERSEDED, NEWER_REVISION_WAITING, "no work; a deletion never ends so"),
    _answer("answered after a newer revision", Outcome.STALE, OVERTAKEN, "the reader says it; the images stay unseen"),
    _answer("listing deleted", Outcome.REMOVED, None, "its objects go unless another listing refers to them"),
    _answer("delete before create", Outcome.REMOVED, None, "a create of that revision or older is then stale"),
    _dead("invalid JSON", "invalid_json", "original bytes kept"),
    _dead("missing required field", "invalid_event", "original bytes kept; the message names the field"),
    _dead("unknown event type", "unknown_event_type", "original bytes kept"),
    _dead("event that breaks every answer", "worker_lost", f"{_TRIED}, alone", retryable=True),
    _dead("event that kills its replica", "replica_lost", f"{_TRIED}, alone", retryable=True),
    _dead("no answer in time", "deadline_exceeded", f"{_TRIED}, alone", retryable=True),
    _dead("holds back its partition", "head_blocked", "went through all retry topics first", retryable=True),
    _dead("Serve refuses the request", "request_rejected", "tried alone first"),
    _dead("answer for another event", "answer_mismatch", _TRIED, retryable=True),
    _dead("result larger than Kafka takes", "result_unpublishable", "shortened first; its images are stored"),
    _dead("defect in Vitrine", "internal_error", _TRIED, retryable=True),
)


def markdown() -> str:
    """The table as the documentation shows it."""
    lines = [
        "# How events end",
        "",
        "Every event ends in exactly one row. `retryable`: sending the same event again may give another answer.",
        "",
        "| case | ends as | code | retryable | note |",
        "|---|---|---|---|---|",
    ]
    for row in CASES:
        code = f"`{row.code}`" if row.code else "-"
        lines.append(f"| {row.case} | {row.ends_as} | {code} | {'yes' if row.retryable else 'no'} | {row.note} |")
    return "\n".join([*lines, "", *_error_codes()]) + "\n"


def _error_codes() -> list[str]:
    """Every error of the serving room: as the code of an event, of one of its images, or of a try."""
    lines = [
        "## Error codes of the serving room",
        "",
        "In `errors[].code` of a result they concern one image; the code of a failed event is that of its first image.",
        "One that is not permanent and comes back on every try makes the event a dead letter of that code.",
        "Back-pressure never does so while other events get through neither: an outage is waited for.",
        "",
        "| code | retry | meaning |",
        "|---|---|---|",
    ]
    errors = sorted(_descendants(ServeError), key=lambda error: (error.code, len(error.mro())))
    by_code = {error.code: error for error in reversed(errors)}
    meaning = {code: (error.__doc__ or "").splitlines()[0] for code, error in by_code.items()}
    return lines + [f"| `{code}` | {by_code[code].retry} | {meaning[code]} |" for code in sorted(by_code)]


def _descendants(error: type[ServeError]) -> list[type[ServeError]]:
    return [error, *(deeper for child in error.__subclasses__() for deeper in _descendants(child))]
