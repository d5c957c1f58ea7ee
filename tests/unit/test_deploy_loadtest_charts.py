"""Charts stay on their paper, whatever was measured; axes are round; labels do not lie over each other."""

import itertools
import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.loadtest.report.charts.frame import Line, apart, thinned
from deploy.loadtest.report.charts.percentile_curve import Curve, percentile_curve
from deploy.loadtest.report.charts.scales import linear, logarithmic, nines, over_time, span
from deploy.loadtest.report.charts.search_chart import Found, delivered_by_rate, latency_by_rate
from deploy.loadtest.report.charts.timeline import Band, Timeline, timeline
from deploy.loadtest.report.charts.waterfall import Bar, waterfall
from deploy.loadtest.report.words import figure, ms, seconds, share, short

WIDTHS = (356, 690, 1064)
#: Figures, gaps, and what no figure should be.
VALUES = st.none() | st.floats(0, 1e5) | st.floats()
SERIES = st.lists(VALUES, max_size=40)
NAMES = st.text(max_size=30)
PLACES = ("x", "x1", "x2", "cx")
HEIGHTS = ("y", "y1", "y2", "cy")


def on_paper(svg: str) -> ET.Element:
    """The chart, all of whose coordinates are numbers on the paper."""
    root = ET.fromstring(svg)
    _, _, width, height = (float(one) for one in root.attrib["viewBox"].split())
    assert root.attrib["role"] == "img"
    assert root.find("title") is not None
    assert root.find("desc") is not None
    for one in root.iter():
        places = [float(one.attrib[name]) for name in PLACES if name in one.attrib]
        heights = [float(one.attrib[name]) for name in HEIGHTS if name in one.attrib]
        if one.tag == "rect":
            places.append(places[0] + float(one.attrib["width"]))
            heights.append(heights[0] + float(one.attrib["height"]))
        if one.tag == "path":
            numbers = [float(number) for number in re.findall(r"[-0-9.a-z]+", re.sub("[MLZ]", " ", one.attrib["d"]))]
            places += numbers[::2]
            heights += numbers[1::2]
        assert all(-6 <= place <= width + 6 for place in places), (one.tag, one.attrib)
        assert all(-0.2 <= place <= height + 6 for place in heights), (one.tag, one.attrib)
    return root


def chart(at_s: Sequence[float], lines: Sequence[Line], **more: object) -> Timeline:
    given = {"title": "t", "description": "d", "label": short, "window": (0.0, 60.0), **more}
    return Timeline(at_s=at_s, lines=lines, **given)  # type: ignore[arg-type]


@given(
    st.lists(SERIES, max_size=8),
    st.lists(st.tuples(NAMES, st.floats(-20, 400), st.none() | st.floats(-20, 900)), max_size=9),
    st.sampled_from(WIDTHS),
    st.booleans(),
    st.booleans(),
)
def test_a_timeline_stays_on_its_paper(
    series: list[list[float | None]],
    faults: list[tuple[str, float, float | None]],
    width: int,
    stacked: bool,
    may_bend: bool,
) -> None:
    lines = [
        Line(name=f"role {index}", values=values, style=index % 6 + 1, filled=index % 2 == 0, stepped=index % 3 == 0)
        for index, values in enumerate(series)
    ]
    bands = [Band(number, name, start, end) for number, (name, start, end) in enumerate(faults, 1)]
    at_s = [10.0 * step - 20 for step in range(max(map(len, series), default=0))]
    shown = chart(at_s, lines, bands=bands, stacked=stacked, may_bend=may_bend, named=True, guide=(100.0, "in time"))
    on_paper(timeline(shown, width))


def paths(svg: str, kind: str) -> list[str]:
    return [one.attrib["d"] for one in on_paper(svg).iter("path") if one.attrib["class"].startswith(kind)]


def test_a_gap_is_a_gap_and_a_lonely_point_a_dot() -> None:
    values = [1.0, 2.0, None, 3.0, None, None, 4.0, 5.0]
    [drawn] = paths(timeline(chart([0, 1, 2, 3, 4, 5, 6, 7], [Line(name="a", values=values, style=1)]), 690), "line")
    stretches = drawn.split("M")[1:]
    assert [stretch.count(" ") for stretch in stretches] == [2, 2, 2]
    start, end = stretches[1].split("L")
    assert start == end


@pytest.mark.parametrize("values", [[], [None, None], [float("nan")]])
def test_nothing_measured_is_said(values: list[float | None]) -> None:
    svg = timeline(chart([0.0, 1.0], [Line(name="a", values=values, style=1)]), 690)
    assert "not measured" in svg
    assert not paths(svg, "line")


def test_layers_of_a_pile_touch_and_end_at_the_sum() -> None:
    lines = [Line(name=name, values=[1.0, 3.0], style=style) for style, name in enumerate("abc", 1)]
    edges = paths(timeline(chart([0.0, 60.0], lines, stacked=True), 690), "edge")
    ends = [float(edge.split()[-1]) for edge in edges]
    steps = [low - high for low, high in itertools.pairwise(ends)]
    assert steps[0] > 0
    assert steps[0] == pytest.approx(steps[1], abs=0.2)


def test_faults_are_named_where_there_is_room_and_numbered_elsewhere() -> None:
    bands = [Band(1, "kill broker", 5, 12.0), Band(2, "slow store", 20, None)]
    shown = chart([0.0, 60.0], [Line(name="a", values=[1.0, 2.0], style=1)], bands=bands, named=True)
    assert "kill broker" in timeline(shown, 1064)
    assert "kill broker" not in timeline(shown, 356)
    crowd = [Band(number, "a very long name of a fault", number * 0.1, 30.0) for number in range(1, 12)]
    crowded = chart([0.0, 60.0], [Line(name="a", values=[1.0, 2.0], style=1)], bands=crowd, named=True)
    assert "a very long name" not in timeline(crowded, 1064)


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e7)), max_size=30),
    st.lists(st.tuples(st.sampled_from([50.0, 90.0, 99.0, 99.9]), st.floats(), st.floats()), max_size=4),
    st.sampled_from(WIDTHS),
)
def test_a_percentile_curve_stays_on_its_paper(
    points: list[tuple[float, float]], intervals: list[tuple[float, float, float]], width: int
) -> None:
    on_paper(percentile_curve([Curve("latency", points, intervals), Curve("service time", [])], "t", "d", width))


@given(st.lists(st.builds(Bar, NAMES, st.booleans(), st.floats(), VALUES, VALUES, st.integers(0)), max_size=12))
def test_a_waterfall_stays_on_its_paper(bars: list[Bar]) -> None:
    for width in WIDTHS:
        on_paper(waterfall(bars, "t", "d", width))


def test_waits_follow_each_other_and_work_begins_at_nothing() -> None:
    bars = [
        Bar(name, name in "cd", mean, None, None, 1)
        for name, mean in (("a", 30.0), ("b", 50.0), ("c", 10.0), ("d", 20.0))
    ]
    drawn = list(on_paper(waterfall(bars, "t", "d", 690)).iter("rect"))
    a, b, c, d = [(float(one.attrib["x"]), float(one.attrib["width"])) for one in drawn]
    assert b[0] == pytest.approx(a[0] + a[1], abs=0.2)
    assert c[0] == d[0] == a[0]
    assert b[1] / a[1] == pytest.approx(5 / 3, rel=0.02)


@given(
    st.lists(st.tuples(st.floats(0.1, 1e5), VALUES, VALUES, st.sampled_from(["met", "missed", "invalid"])), max_size=12)
)
def test_charts_of_a_search_stay_on_their_paper(probes: list[tuple[float, float | None, float | None, str]]) -> None:
    rates = sorted(one[0] for one in probes)
    found = Found(
        rates=rates,
        verdicts=[one[3] for one in probes],
        capacity=rates[0] if rates else None,
        interval=(rates[0] * 0.9, rates[0] * 1.1) if rates else None,
        knee=rates[-1] if rates else None,
    )
    lines = [Line(name=f"p{index}", values=[one[index] for one in probes], style=index) for index in (1, 2)]  # type: ignore[misc]
    for width in WIDTHS:
        on_paper(latency_by_rate(found, lines, width))
        on_paper(delivered_by_rate(found, lines, width))


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([0.0, 87.0], ["0", "50", "100"]),
        ([3.2, 3.9], ["0", "1", "2", "3", "4"]),
        ([], ["0", "0.5", "1"]),
        ([-3.0, 2.0], ["-4", "-2", "0", "2"]),
    ],
)
def test_ticks_are_round(values: list[float], marks: list[str]) -> None:
    assert [tick.label for tick in linear(values, 100, 0, short, 4).ticks] == marks


def test_a_logarithmic_axis_has_a_tick_in_every_decade() -> None:
    scale = logarithmic([3, 21_000], 100, 0, short)
    assert (scale.low, scale.high) == (2, 50_000)
    assert {10, 100, 1000, 10_000} <= {tick.at for tick in scale.ticks}
    assert scale.at(10) - scale.at(100) == pytest.approx(scale.at(1000) - scale.at(10_000))


def test_each_nine_has_the_same_room() -> None:
    scale = nines(99.99, 0, 400)
    assert [scale.at(one) for one in (0, 90, 99, 99.9, 99.99)] == pytest.approx([0, 100, 200, 300, 400])


def test_time_is_told_in_the_unit_that_suits_it() -> None:
    assert [tick.label for tick in over_time(0, 600, 0, 1, 5).ticks] == [
        "0",
        "2 min",
        "4 min",
        "6 min",
        "8 min",
        "10 min",
    ]
    assert [tick.label for tick in over_time(0, 14_400, 0, 1, 5).ticks] == ["0", "1 h", "2 h", "3 h", "4 h"]


@given(st.lists(st.floats(-1e12, 1e12), min_size=1), st.sampled_from([linear, logarithmic, span]))
def test_an_axis_has_its_figures_on_it(values: list[float], kind: object) -> None:
    scale = kind(values, 0.0, 100.0, short)  # type: ignore[operator]
    assert scale.low < scale.high
    assert all(0 <= scale.at(value) <= 100 for value in [*values, -1e300, 1e300])
    assert 0 < len(scale.ticks) < 15


@given(st.lists(st.floats(0, 300), max_size=15))
def test_labels_are_apart_and_in_order(heights: list[float]) -> None:
    placed = apart(heights, 15, 0, 300)
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    gaps = [placed[after] - placed[before] for before, after in itertools.pairwise(order)]
    assert all(gap >= 14.99 for gap in gaps)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 100)), min_size=1, max_size=400))
def test_thinning_keeps_the_ends_and_the_extremes(points: list[tuple[float, float]]) -> None:
    line = sorted(points)
    kept = thinned(line)
    assert (kept[0], kept[-1]) == (line[0], line[-1])
    assert {min(y for _, y in kept), max(y for _, y in kept)} == {min(y for _, y in line), max(y for _, y in line)}
    assert len(kept) <= 4 * 51


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (ms(0.314), "0.31 ms"),
        (ms(118.4), "118 ms"),
        (ms(999.7), "1.00 s"),
        (ms(2310), "2.31 s"),
        (ms(200_000), "3 min 20 s"),
        (ms(0.002), "0.002 ms"),
        (seconds(600), "10 min"),
        (seconds(4800), "1 h 20 min"),
        (share(9999, 10_000), "99.99 %"),
        (share(999_999, 1_000_000), "> 99.99 %"),
        (share(1, 1_000_000), "< 0.01 %"),
        (figure(12345.6), "12,346"),
        (short(2.50), "2.5"),
    ],
)
def test_figures_are_written_with_the_digits_that_matter(written: str, expected: str) -> None:
    assert written == expected
