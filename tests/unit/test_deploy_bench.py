import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from deploy.bench import batcher, broker, engine, exchange, idle_app, listings, photos, pipeline, placement, registry
from deploy.bench.__main__ import main
from deploy.bench.batching import FLAT, LINEAR
from deploy.bench.batching_apps import SlotFirst
from deploy.bench.figure import Figure, Round, in_turns
from deploy.bench.local_studio import local_studio
from deploy.bench.open_loop import evenly, offer, poisson
from deploy.bench.registry import BENCHES, Bench
from deploy.bench.report import table, verdict
from deploy.bench.stand_in import MOST, Cost
from deploy.errors import ServiceFailed
from deploy.services.ray_serve import CONFIG
from serve.schemas.exchange import ResultLine


def silent(done: int, planned: int) -> None:
    assert 0 <= done <= planned


def figure(goal: float | None) -> Figure:
    rounds = [Round(10.0, 20.0), Round(10.0, 5.0), Round(40.0, 40.0)]
    return Figure.of("engine", rounds, unit="events/s", goal=goal)


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    found = figure(goal=None)
    assert (found.ratio, found.spread) == (1.0, (0.5, 2.0))
    assert (found.baseline, found.measured) == (10.0, 20.0)


@pytest.mark.parametrize(("goal", "missed"), [(None, False), (1.0, False), (1.01, True)])
def test_a_goal_is_missed_below_it(goal: float | None, missed: bool) -> None:
    assert figure(goal).missed is missed
    assert ("MISSED" in verdict(figure(goal)).plain) is missed


def test_baseline_and_measured_take_turns_and_the_warm_up_does_not_count() -> None:
    ran: list[str] = []
    told: list[tuple[int, int]] = []

    def way(name: str, rate: float) -> float:
        ran.append(name)
        return rate * len(ran)

    found = in_turns(lambda: way("a", 1), lambda: way("b", 2), lambda *at: told.append(at), rounds=2)
    assert "".join(ran) == "ababab"
    assert found == [Round(3.0, 8.0), Round(5.0, 12.0)]
    assert told == [(n, 6) for n in range(7)] + [(6, 6)]


def test_a_spent_budget_ends_after_three_rounds() -> None:
    found = in_turns(lambda: 1.0, lambda: 1.0, silent, rounds=9, budget_s=0.0, warm_up=False)
    assert len(found) == 3


def test_the_clock_leaves_out_what_was_done_at_first_sight() -> None:
    clock = broker.Clock(100)
    for done, now in [(0, 1.0), (20, 5.0), (60, 6.0), (110, 8.0), (200, 9.0)]:
        if not clock.ended:
            clock.saw(done, now)
    assert clock.rate == (110 - 20) / (8.0 - 5.0)


def test_every_bench_says_what_it_compares() -> None:
    page = (Path(__file__).parents[2] / "deploy/bench/README.md").read_text(encoding="utf-8")
    assert {name for name in BENCHES if f"| `{name}` |" not in page} == set()
    assert all(bench.measured and bench.baseline for bench in BENCHES.values())


@pytest.mark.parametrize(("goal", "strict", "status"), [(9.0, False, 0), (9.0, True, 1), (0.5, True, 0)])
def test_a_missed_goal_is_shown_and_only_strict_makes_it_a_failure(
    goal: float, strict: bool, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    monkeypatch.setitem(registry.BENCHES, "engine", Bench("new", "old", lambda progress: figure(goal)))
    file = tmp_path / "figures.json"
    assert main(["--only", "engine", "--json", str(file), *(["--strict"] if strict else [])]) == status
    assert ("missed: engine" in capsys.readouterr().out) is (goal == 9.0)
    (entry,) = json.loads(file.read_text())["figures"]
    assert entry["missed"] is (goal == 9.0)
    assert (entry["ratio"], entry["min"], entry["max"], entry["goal"]) == (1.0, 0.5, 2.0, goal)
    assert [one["ratio"] for one in entry["rounds"]] == [2.0, 0.5, 1.0]


def test_a_bench_that_cannot_run_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def broken(progress) -> Figure:
        raise ServiceFailed("no such [broker]")

    monkeypatch.setitem(registry.BENCHES, "kafka", Bench("new", "old", broken))
    assert main(["--only", "kafka"]) == 2
    assert "no such [broker]" in capsys.readouterr().err


def test_the_table_shows_ratio_spread_and_note() -> None:
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as shown:
        console.print(table([figure(goal=2.0)]))
    for part in ("1.00", "0.50..2.00", "2 MISSED", "20.00", "events/s", BENCHES["engine"].baseline):
        assert part in shown.get()


def test_the_engine_bench_commits_every_event() -> None:
    found = engine.run(silent, events=150, rounds=1)
    assert len(found.rounds) == 1
    assert found.ratio > 0


def test_events_are_answered_by_their_own_results() -> None:
    asked = listings.item(3, ["file:///a.jpg"])
    line = listings.answer(asked)
    assert (line.ref, line.result.event_id, line.result.position) == (3, asked.event_id, asked.position)
    assert listings.parsed(listings.records(2)).keys() == {(r.tp, r.offset) for r in listings.records(2)}


def test_the_exchange_bench_answers_every_event() -> None:
    found = exchange.run(silent, events=70, singles=3, rounds=1)
    assert found.ratio > 0


def test_the_plain_loop_makes_what_the_pipeline_makes() -> None:
    with local_studio(1) as local:
        outputs = asyncio.run(local.answer(local.events("tenant-b")))
        assert sorted(pipeline.plain_loop(local, local.events("tenant-a"))) == sorted(
            output.bytes for output in outputs
        )
        assert len(outputs) == 3
        again = asyncio.run(local.answer(local.events("tenant-b")))
        assert all(output.reused for output in again)


def test_an_open_loop_does_not_wait_for_answers() -> None:
    gate = asyncio.Event()
    sent: list[int] = []

    async def send(number: int) -> None:
        sent.append(number)
        if number == 9:
            gate.set()
        await gate.wait()

    offered = asyncio.run(offer(send, evenly(1000.0, 10)))
    assert sent == list(range(10))
    assert len(offered.latencies) == 10
    assert list(offered.latencies) == sorted(offered.latencies)
    assert offered.quantile(0.5) == offered.latencies[5]
    assert offered.quantile(1.0) == offered.latencies[-1]


def test_random_arrivals_are_the_same_for_the_same_seed_and_come_at_their_rate() -> None:
    times = list(poisson(50.0, 2_000, 1))
    assert times == list(poisson(50.0, 2_000, 1)) != list(poisson(50.0, 2_000, 2))
    assert times == sorted(times)
    assert 2_000 / times[-1] == pytest.approx(50.0, rel=0.1)


def test_costs_are_those_that_the_page_names() -> None:
    assert (FLAT.of(1), FLAT.of(MOST), FLAT.capacity) == (0.1, 0.1, 160.0)
    assert (LINEAR.of(1), LINEAR.of(MOST), LINEAR.capacity) == (0.01, 0.16, 100.0)


def test_the_slot_first_replica_answers_all_and_counts_its_batches() -> None:
    async def main() -> tuple[list[int], list[int], list[int]]:
        replica = SlotFirst(Cost(batch_s=0.01))
        answers = await asyncio.gather(*map(replica, range(40)))
        return answers, await replica.sizes(), await replica.sizes()

    answers, sizes, again = asyncio.run(main())
    assert answers == list(range(40))
    assert sum(sizes) == 40
    assert max(sizes) == MOST
    assert again == []


@pytest.mark.parametrize("run", [batcher.run, batcher.run_many])
def test_the_batcher_bench_gives_microseconds(run: Callable[..., Figure]) -> None:
    found = run(silent, items=100, rounds=1)
    assert found.ratio > 0
    assert "µs" in found.note


def test_the_idle_studio_answers_what_the_gateway_reads() -> None:
    asked = listings.item(3)
    answer = asyncio.run(idle_app.IdleStudio().answer(asked.model_dump_json().encode(), 1.0))
    assert ResultLine.model_validate_json(answer) == listings.answer(asked)


def test_the_photos_are_of_their_size_and_differ(tmp_path: Path) -> None:
    made = [photos.photo(tmp_path / f"{number}.jpg", number, 50_000).read_bytes() for number in range(2)]
    assert [len(body) for body in made] == pytest.approx([50_000, 50_000], rel=0.15)
    assert made[0] != made[1]


def test_both_placements_may_use_two_cores_and_nobody_waits_for_cores() -> None:
    document = yaml.safe_load(CONFIG.read_text())
    placement.both(document)
    fused, staged = document["applications"]
    assert (fused["route_prefix"], staged["route_prefix"]) == ("/", "/staged")
    assert [app["args"]["placement"] for app in (fused, staged)] == ["fused", "staged"]
    replicas = [{one["name"]: one["num_replicas"] for one in app["deployments"]} for app in (fused, staged)]
    assert replicas[0] == {"Ingress": 1, "Studio": 2}
    assert replicas[1] == {"Ingress": 1, "Studio": 1, "Generation": 2, "StyleTransfer": 1, "QualityFilter": 1}
    assert all(one["ray_actor_options"]["num_cpus"] == 0 for app in (fused, staged) for one in app["deployments"])
