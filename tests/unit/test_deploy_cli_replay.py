"""`vitrine replay` without a broker: what it refuses, and what it tells."""

import json
from typing import Any

import pytest

from consumers.records import TopicPartition
from consumers.settings import ConsumerSettings
from consumers.tools.log_reader import Span
from consumers.tools.replay_range import Point, Range
from consumers.tools.replay_tally import Failure, Tally
from deploy.cli.replay import _chosen, _point
from deploy.cli.replay_view import report, show_range
from deploy.errors import DeployError

LIVE = ConsumerSettings()
RANGE = Range(spans={TopicPartition("listings.new", 2): Span(3, 10)}, removed=1)


def chosen(**more: Any) -> ConsumerSettings:
    plain: dict[str, Any] = {"topics": None, "results_topic": "again", "dead_topic": None, "serve": None}
    force = more.pop("force", False)
    return _chosen(LIVE, **{**plain, **more}, force=force)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"results_topic": LIVE.results_topic}, "everybody reads"),
        ({"results_topic": LIVE.topics[0]}, "topic of events"),
        ({"results_topic": LIVE.topics[0], "force": True}, "topic of events"),
        ({"results_topic": LIVE.retry_topics[0]}, "topic of events"),
        ({"results_topic": LIVE.dead_topic}, "same topic"),
        ({"dead_topic": "again"}, "same topic"),
        ({"dead_topic": LIVE.results_topic}, "same topic"),
        ({"dead_topic": LIVE.topics[1]}, "topic of events"),
        ({"topics": "mine", "results_topic": "mine"}, "topic of events"),
        ({"results_topic": "a b"}, "no name for a topic"),
        ({"topics": "a b"}, "no name for a topic"),
    ],
)
def test_what_would_disturb_the_living_is_refused(more: dict[str, Any], word: str) -> None:
    with pytest.raises(DeployError, match=word):
        chosen(**more)


def test_the_replay_has_topics_of_its_own() -> None:
    settings = chosen(topics="a, b", dead_topic="again.dead", serve="http://s:1")
    assert settings.topics == ("a", "b")
    assert (settings.results_topic, settings.dead_topic, settings.serve_url) == ("again", "again.dead", "http://s:1")
    plain = chosen()
    assert (plain.topics, plain.serve_url) == (LIVE.topics, LIVE.serve_url)
    assert chosen(results_topic=LIVE.results_topic, force=True).results_topic == LIVE.results_topic


def test_borders_are_offsets_or_times() -> None:
    assert _point("17") == Point(offset=17)
    assert _point("earliest") == Point(offset=0)
    assert _point("1970-01-01T00:00:02Z") == Point(time_ms=2000)


def tally() -> Tally:
    done = Tally(read=4, images=6, reused=2, repeated=1, interrupted=True)
    done.outcomes.update(enriched=2)
    done.codes.update(bad=1)
    done.failures.append(
        Failure(topic="t", partition=1, offset=2, event_id="e9", code="bad", message="no [good]", attempts=3)
    )
    return done


def test_the_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    report("again", RANGE, tally(), False)
    told = capsys.readouterr()
    assert "3 of 4 events answered into again; 6 images, 2 of them in the store before" in " ".join(told.out.split())
    assert "error: t/1/2 e9: bad: no [good]" in told.err
    assert "interrupted" in told.err


def test_the_end_is_told_to_programs(capsys: pytest.CaptureFixture[str]) -> None:
    report("again", RANGE, tally(), True)
    told = json.loads(capsys.readouterr().out)
    assert (told["offsets"], told["events"], told["done"], told["interrupted"]) == (7, 4, 3, True)
    assert (told["outcomes"], told["failed"]) == ({"enriched": 2}, {"bad": 1})
    assert told["images"] == {"all": 6, "reused": 2, "repeated_keys": 1}
    assert told["failures"][0]["offset"] == 2


def test_a_dry_run_shows_the_range(capsys: pytest.CaptureFixture[str]) -> None:
    show_range(RANGE, False)
    assert "7 offsets would be replayed, 1 offsets are gone" in capsys.readouterr().out
    show_range(RANGE, True)
    (span,) = json.loads(capsys.readouterr().out)["spans"]
    assert span == {"topic": "listings.new", "partition": 2, "start": 3, "end": 10}
