"""The page: everything in it, well-formed, inert whatever an event is called, and without a single request."""

import base64
import csv
import gzip
import json
import re
import shutil
import subprocess
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.loadtest.document import Broken, LedgerCounts, RunDocument
from deploy.loadtest.ledger.row import LedgerRow
from deploy.loadtest.report.html_report import run_page, search_page, write_report, write_search_report
from deploy.loadtest.report.rows import KeptRows, packed, write_rows
from deploy.loadtest.report.verdict import headline
from tests.support.loadtest_documents import CHAOS, INVALID, MISSED, STORIES, TINY, document, rows, search, small
from tests.support.servers import missing

VOID = {"meta", "input", "br", "link", "img"}
SECTIONS = ("slo", "latency", "course", "resources", "kinds", "errors", "ledger", "about")


class Page(HTMLParser):
    """A page taken apart; fails where an element is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, name: str) -> list[str]:
        return [value for _, found, value in self.attributes if found == name]


@cache
def story_page(name: str) -> str:
    story = small(STORIES[name])
    kept = KeptRows()
    for row in rows(story):
        kept.add(row, 10_000)
    return run_page(document(story), kept, command="vitrine loadtest run --rate 350 --seed 8")


@pytest.mark.parametrize("name", STORIES)
def test_every_section_is_there(name: str) -> None:
    page = Page(story_page(name))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert set(SECTIONS) <= set(ids)
    assert {href.removeprefix("#") for href in page.values("href")} <= set(ids)
    assert page.tags.count("h1") == 1
    assert "vitrine loadtest run --rate 350 --seed 8" in page.text
    for words in ("02359d2c1f", "seed", "Environment", "Settings", "offered", "delivered", "goodput", "service time"):
        assert words in page.text


@pytest.mark.parametrize("name", [*STORIES, "search"])
def test_nothing_is_fetched(name: str) -> None:
    whole = search_page(search(), command="again") if name == "search" else story_page(name)
    page = Page(whole)
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not page.values("src")
    assert all(href.startswith("#") for href in page.values("href"))
    assert not re.search(r"url\(|@import|https?:|xmlns", whole)
    [policy] = [value for value in page.values("content") if "default-src" in value]
    assert policy.startswith("default-src 'none'")
    assert "'unsafe-eval'" not in policy


def test_the_verdict_comes_first() -> None:
    good, missed, invalid = (Page(story_page(name)).text for name in ("good", "missed", "invalid"))
    assert good.index("Valid") < good.index("SLO met") < good.index("nothing lost, nothing doubled")
    assert "SLO missed" in missed
    assert "INVALID" not in good + missed
    assert "INVALID" in invalid
    assert all(reason in invalid for reason in INVALID.invalid)
    assert "SLO met" not in invalid[: invalid.index("Environment")]


def test_a_withheld_percentile_says_why() -> None:
    text = Page(story_page("tiny")).text
    assert "6 samples, 662 are needed" in text
    assert text.count("withheld") > 4


def test_faults_have_a_row_and_a_band_each() -> None:
    whole = story_page("chaos")
    text = Page(whole).text
    for fault in CHAOS.faults:
        assert fault.replace("_", " ") in text
    first = whole[whole.index('class="wide"', whole.index("Throughput")) :]
    assert first[: first.index("</svg>")].count('class="band"') == len(CHAOS.faults)


def test_a_soak_tells_what_grows() -> None:
    text = Page(story_page("soak")).text
    assert text.index("consumers 212 MB 420 MB") < text.index("grows")


def test_of_a_backlog_counts_how_fast_it_was_drained() -> None:
    text = Page(story_page("backlog")).text
    assert "18,000 events drained in 41.2 s, 437/s: nothing lost, nothing doubled." in text
    assert "delivered" not in text[: text.index("SLO Met only")]


def test_what_was_measured_stands_in_the_unit_of_its_objective() -> None:
    text = Page(story_page("good")).text
    assert re.search(r"latency p99 ≤ 1000 ms [\d.]+ m?s met", text)
    assert "goodput ≥ 0.99 within 1000 ms 0.9987 met" in text


def sum_lines(page: str) -> tuple[dict[str, int], int, int]:
    """The lines of the ledger's sum, their total, and what was sent, as the page has them."""
    part = page[page.index('<div class="sum">') :]
    lines = re.findall(r'<td class="n">([\d,]+)</td><td>([a-z ]+)</td>', part[: part.index("</table>")])
    *counts, (total, together), (sent, last) = [(int(number.replace(",", "")), name) for number, name in lines]
    assert (together, last) == ("together", "sent")
    return {name: number for number, name in counts}, total, sent


@pytest.mark.parametrize("name", STORIES)
def test_the_ledger_visibly_adds_up(name: str) -> None:
    counts, total, sent = sum_lines(story_page(name))
    assert sum(counts.values()) == total == sent == document(small(STORIES[name])).ledger.sent
    assert {"dead", "missing"} <= counts.keys()
    assert "adds up" in story_page(name)


def test_a_ledger_that_does_not_add_up_says_so() -> None:
    counts = LedgerCounts(sent=10, enriched=7, missing=1)
    page = run_page(document(TINY).model_copy(update={"ledger": counts}), KeptRows(), command="")
    assert sum_lines(page) == ({"enriched": 7, "dead": 0, "missing": 1}, 8, 10)
    assert "2 not accounted for" in page
    assert "adds up" not in page


def test_problems_are_written_out_and_every_row_is_in_page_and_file(tmp_path: Path) -> None:
    story = small(MISSED)
    path = write_report(document(story), rows(story), tmp_path, command="again")
    page = path.read_text()
    expected = list(rows(story))
    bad = [row for row in expected if row.ending == "missing" or row.flags]
    assert len(bad) == 4
    written = page[: page.index('id="browser"')]
    assert "photos lt-0a65 at listings.bulk[3]@17: no answer" in written
    assert all(row.event_id in written for row in bad)
    with gzip.open(tmp_path / "ledger.csv.gz", "rt", newline="") as file:
        [head, *lines] = csv.reader(file)
    assert head == list(LedgerRow._fields)
    assert [line[1] for line in lines] == [row.event_id for row in expected]
    columns = unpacked(page)
    assert columns["event_id"] == [row.event_id for row in expected]
    assert columns["latency_ms"].count(None) == 3


def unpacked(page: str) -> dict[str, list[Any]]:
    [data] = re.findall(r'<script type="application/gzip" id="data">([^<]*)</script>', page)
    columns: dict[str, list[Any]] = json.loads(gzip.decompress(base64.b64decode(data)))
    return columns


def test_rows_beyond_the_cap_are_told_and_problems_kept(tmp_path: Path) -> None:
    story = small(MISSED)
    page = write_report(document(story), rows(story), tmp_path, command="", embedded=100).read_text()
    kept = unpacked(page)
    problems = [row.number for row in rows(story) if row.is_problem]
    assert kept["number"] == sorted({*range(100), *problems})
    assert f"the other {1500 - len(kept['number']):,} are in the file only" in page
    with gzip.open(tmp_path / "ledger.csv.gz", "rt") as file:
        assert sum(1 for _ in file) == 1501


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    story = small(CHAOS)
    for name in ("a", "b"):
        write_rows(rows(story), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert packed([]) == packed([])


HOSTILE = st.text(max_size=20) | st.sampled_from(
    ["<script>alert(1)</script>", "</script><b>", "\" onload=x '", "&lt;", "\x00\x1b[2J", "\ud800", "]]>", "<!--"]
)


def named(words: str) -> tuple[RunDocument, list[LedgerRow]]:
    """A run in which everything that comes from outside has this name."""
    base = document(replace(TINY, faults=("kill_broker",), more={}))
    content = base.model_dump(mode="python")
    content["invalid"], content["valid"] = [words], False
    content["revision"] = content["schedule_sha256"] = words
    content["environment"], content["config"] = {"a": words, words: [words]}, {"driver": words}
    for part, names in (
        ("errors", ("where", "code", "example")),
        ("clocks", ("clock", "role")),
        ("marks", ("fault", "what")),
        ("stages", ("name",)),
        ("kinds", ("kind",)),
    ):
        for one in content[part]:
            one.update(dict.fromkeys(names, words))
    for one in content["slo"]["objectives"]:
        one.update(name=words, required=words, note=words)
    content["latency_ms"]["withheld"] = {"p50": words}
    content["series"]["samples"] = {f"cpu.{words}": [1.0], f"gpu.{words}": [None]}
    row = LedgerRow(1, words, words, words, 1, 0.0, "missing", None, words, words)
    return RunDocument.model_validate(content), [row]


@cache
def plain_tags() -> list[str]:
    return hostile_page("harmless").tags


def hostile_page(words: str) -> Page:
    content, ledger = named(words)
    kept = KeptRows()
    for row in ledger:
        kept.add(row, 10)
    return Page(run_page(content, kept, command=words))


@settings(max_examples=40, deadline=None)
@given(HOSTILE)
def test_what_comes_from_outside_is_text(words: str) -> None:
    page = hostile_page(words)
    # A longer name may need another line of a chart, which is made of the same few elements.
    drawn = {"line", "path", "text", "g", "rect"}
    assert [tag for tag in page.tags if tag not in drawn] == [tag for tag in plain_tags() if tag not in drawn]
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    page_ids = page.values("id")
    assert len(page_ids) == len(set(page_ids))


def test_a_search_shows_all_probes_and_the_capacity(tmp_path: Path) -> None:
    page = Page(write_search_report(search(), tmp_path, command="vitrine loadtest search").read_text())
    assert "497/s is the highest rate that meets the SLO." in page.text
    assert page.text.count("missed") >= 4
    for words in ("knee 402/s", "capacity 497/s", "9 probes", "95 %: 481/s to 508/s", "latency p99 ≤ 2700 ms"):
        assert words in page.text
    lost = search().model_copy(update={"capacity": None, "interval": None, "knee": None, "probes": []})
    assert "No rate was found" in Page(search_page(lost, command="")).text


def test_one_sentence_says_what_happened() -> None:
    assert headline(document(small(CHAOS))) == "2.5/s for 10 min: p99 812 ms, nothing lost, nothing doubled."
    missed = headline(document(small(MISSED)))
    assert missed == "Latency p99 is 2.31 s, required is ≤ 1000 ms; 2 more objectives not met."
    assert "could not be judged" in headline(document(TINY))
    calm = document(small(CHAOS)).slo.model_copy(update={"met": True, "objectives": []})
    lossy = document(small(MISSED)).model_copy(update={"slo": calm})
    assert headline(lossy).endswith("3 missing and 1 answered twice.")
    late = document(small(CHAOS)).model_copy(update={"broken": [Broken(reason="order", count=2, example="L1")]})
    assert headline(late).endswith("p99 812 ms, 2 out of order.")


def chromium(page: Path, folder: Path, *options: str) -> tuple[str, str]:
    """What the browser makes of the page, and what it complains of. No name leads anywhere."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        missing("Chromium is not installed")
    command = [
        *(found, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"),
        *("--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking", "--enable-logging=stderr"),
        *(f"--log-net-log={folder / 'net.json'}", "--virtual-time-budget=5000", *options, "--dump-dom", page.as_uri()),
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return run.stdout, run.stderr


#: By this number Chromium's log tells what a page asks for from what the browser asks for by itself.
OF_A_PAGE = 101845102


def asked(folder: Path) -> set[str]:
    """The addresses that the page made the browser look for."""
    log = (folder / "net.json").read_text()
    found = re.findall(rf'"traffic_annotation":{OF_A_PAGE},"url":"([^"]*)"', log)
    return {one for one in found if not one.startswith("file:")}


def test_a_browser_shows_the_rows_and_asks_nobody(tmp_path: Path) -> None:
    story = replace(small(MISSED), rate=20)
    odd = LedgerRow(-1, "<img src=x onerror=alert(1)>", "photos", "", 0, 0.0, "unknown", None, "", "")
    page = write_report(document(story), [odd, *rows(story)], tmp_path, command="again")
    shown, said = chromium(page, tmp_path)
    assert "CONSOLE" not in said
    assert asked(tmp_path) == set()
    body = shown[shown.index('<tbody id="rows">') :]
    body = body[: body.index("</tbody>")]
    assert body.count("<tr>") == 50
    assert "&lt;img src=x" in body
    assert all(row.event_id in body for row in list(rows(story))[:49])
    assert "1 to 50 of 2,401" in shown
    assert '<div id="browser">' in shown


def test_the_browser_would_have_been_caught(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<!doctype html><img src="http://nowhere.example/x.png"><script>console.error("no")</script>')
    _, said = chromium(page, tmp_path)
    assert "CONSOLE" in said
    assert asked(tmp_path) == {"http://nowhere.example/x.png"}
