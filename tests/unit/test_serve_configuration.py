"""`user_config` taken over, or refused without harm."""

import asyncio
import logging
from collections.abc import Mapping

import pytest

from serve.app.configuration import Configuration


class Target:
    """Takes what it is given, but for what is named bad."""

    def __init__(self) -> None:
        self.applied: list[Mapping[str, object]] = []

    async def apply(self, wanted: Mapping[str, object]) -> None:
        await asyncio.sleep(0)
        if "bad" in wanted:
            raise ValueError("no such catalog")
        self.applied.append(wanted)


def test_a_replica_that_starts_fails_with_a_bad_configuration() -> None:
    target = Target()
    configuration = Configuration(target.apply)
    with pytest.raises(ValueError, match="no such catalog"):
        asyncio.run(configuration.change({"bad": 1}))


def test_a_replica_at_work_keeps_what_it_has_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    target = Target()
    configuration = Configuration(target.apply)
    asyncio.run(configuration.change({"first": 1}))
    configuration.begin_work()
    with caplog.at_level(logging.ERROR):
        asyncio.run(configuration.change({"bad": 1}))
    assert "configuration refused" in caplog.text
    assert "no such catalog" in caplog.text
    assert configuration.refused
    asyncio.run(configuration.change({"second": 2}))
    assert not configuration.refused
    assert target.applied == [{"first": 1}, {"second": 2}]


def test_what_is_in_force_is_not_built_again() -> None:
    target = Target()
    configuration = Configuration(target.apply)
    for wanted in (None, {}, {"first": 1}, {"first": 1}, {}, None):
        asyncio.run(configuration.change(wanted))
    assert target.applied == [{"first": 1}, {}]


def test_back_to_what_is_in_force_is_no_refusal_any_more() -> None:
    configuration = Configuration(Target().apply)
    configuration.begin_work()
    asyncio.run(configuration.change({"bad": 1}))
    asyncio.run(configuration.change({}))
    assert not configuration.refused
