"""The command that repeats a run says what was asked for, in words that the command line knows."""

import shlex
from dataclasses import fields, replace
from pathlib import Path

import typer

from deploy.cli import loadtest
from deploy.loadtest.options import DriverKind, Mode, RunOptions, command_of
from deploy.services.stack import KafkaKind, StoreKind

FULL = RunOptions(
    driver=DriverKind.KAFKA,
    rate=2.5,
    duration_s=60,
    seed=7,
    out=Path("out/with space"),
    mode=Mode.SOAK,
    arrivals="gamma:2",
    mix=Path("mix.yaml"),
    slo=Path("slo.yaml"),
    chaos=Path("chaos.yaml"),
    warmup_s=3,
    drain_s=9,
    namespace="mine",
    generators=2,
    consumers=3,
    kafka=KafkaKind.REAL,
    brokers=3,
    store=StoreKind.REAL,
    photos=Path("photos"),
)


def known_options() -> set[str]:
    app = typer.Typer()
    loadtest.register(app)
    run = typer.main.get_group(app).commands["loadtest"].commands["run"]  # type: ignore[attr-defined]
    return {name for one in run.params for name in one.opts}


def test_every_option_is_one_of_the_command_line() -> None:
    words = shlex.split(command_of(replace(FULL, bootstrap="h:1", serve_url="http://h")))
    said = {word for word in words if word.startswith("--")}
    assert said <= known_options()
    # A system that remembers the events of this run would answer them as repeats.
    assert len(said) == len(fields(FULL)) - 1
    assert "--namespace" not in said


def test_what_is_not_said_is_the_default() -> None:
    words = shlex.split(command_of(FULL))
    assert words[words.index("--out") + 1] == "out/with space"
    assert words[words.index("--namespace") + 1] == "mine"
    plain = RunOptions(driver=DriverKind.HTTP, rate=1, duration_s=2, seed=3, out=Path("o"))
    assert command_of(plain) == "vitrine loadtest run --driver http --rate 1 --duration 2 --seed 3 --out o"
