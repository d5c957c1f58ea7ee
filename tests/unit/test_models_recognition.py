"""Recognition: colours are named, text is read or left alone, facts are joined with their evidence."""

from dataclasses import dataclass
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.colour import lab_of
from models.nets.attributes import AttributeNet, AttributeNetConfig
from models.pictures import Floats, Mask, Picture
from models.recognition.attributes import AttributeModel
from models.recognition.palette import families, main_colours, name_of
from models.recognition.reader import (
    NoReader,
    RapidReader,
    Reading,
    ReadingState,
    TextLine,
    open_reader,
    share_inside,
)
from models.recognition.recognise import Recogniser

RGB = st.tuples(*[st.integers(0, 255)] * 3)


def disc(*colours: tuple[int, int, int], side: int = 120) -> tuple[Picture, Mask]:
    """A disc in bands of the colours, with folds, on a green ground."""
    y, x = np.mgrid[0:side, 0:side]
    inside = np.hypot(x - side / 2, y - side / 2) < 0.45 * side
    band = np.clip((x - 0.05 * side) / (0.9 * side) * len(colours), 0, len(colours) - 1).astype(int)
    light = 1 + 0.12 * np.sin(y / 5)
    cloth = np.array(colours, np.float64)[band] * light[..., None]
    picture = np.where(inside[..., None], cloth, (40, 160, 60)).clip(0, 255).astype(np.uint8)
    return picture, inside.astype(np.float32)


@pytest.mark.parametrize(
    ("colour", "english", "chinese"),
    [
        ((20, 20, 22), "black", "黑色"),
        ((238, 238, 236), "white", "白色"),
        ((200, 30, 45), "red", "红色"),
        ((30, 40, 65), "navy", "藏青色"),
        ((240, 205, 50), "yellow", "黄色"),
        ((125, 70, 170), "purple", "紫色"),
        ((20, 90, 40), "dark green", "墨绿色"),
    ],
)
def test_colours_have_the_names_people_give_them(colour: tuple[int, int, int], english: str, chinese: str) -> None:
    (found,) = main_colours(*disc(colour))
    assert (found.name.en, found.name.zh) == (english, chinese)
    assert found.share == pytest.approx(1.0)
    assert found.confidence > 0.6


@settings(max_examples=60, deadline=None)
@given(RGB)
def test_every_colour_has_a_name_in_both_languages(colour: tuple[int, int, int]) -> None:
    name = name_of(lab_of(colour))
    assert name.family in families()
    assert name.en.isascii()
    assert not any(sign.isascii() for sign in name.zh)


def test_light_and_dark_of_one_hue_are_told_apart() -> None:
    names = {name_of(lab_of((level, level // 5, level // 5))).en for level in (70, 130, 200)}
    assert len(names) == 3


@settings(max_examples=20, deadline=None)
@given(st.lists(RGB, min_size=1, max_size=4))
def test_shares_are_ordered_and_the_background_is_not_counted(colours: list[tuple[int, int, int]]) -> None:
    found = main_colours(*disc(*colours))
    shares = [colour.share for colour in found]
    assert len(found) <= 3
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1.001
    assert len({colour.name for colour in found}) == len(found)
    assert found == main_colours(*disc(*colours))


def test_folds_do_not_make_a_second_colour_and_stripes_do() -> None:
    y = np.arange(120)[:, None, None]
    picture, mask = disc((60, 90, 180))
    shaded = (picture * (0.55 + 0.45 * np.cos(y / 9) ** 2)).astype(np.uint8)
    assert len(main_colours(shaded, mask)) == 1
    striped = np.where(y // 10 % 2 == 0, np.uint8(245), np.uint8(20)) * np.ones((1, 120, 3), np.uint8)
    assert {colour.name.en for colour in main_colours(striped, mask)} == {"white", "black"}


def test_nothing_inside_has_no_colour() -> None:
    picture, mask = disc((60, 90, 180))
    assert main_colours(picture, np.zeros_like(mask)) == []
    assert main_colours(np.zeros((1, 1, 3), np.uint8), np.ones((1, 1), np.float32)) == []


class Engine:
    """Stands in for RapidOCR."""

    def __init__(self, error: Exception | None = None, until: Event | None = None) -> None:
        self.error, self.until, self.shapes = error, until, list[tuple[int, ...]]()
        self.txts, self.scores = ("LOWER", "UPPER"), (0.9, 0.8)
        self.boxes = np.array([[(0, 60), (50, 60), (50, 80), (0, 80)], [(0, 10), (50, 10), (50, 30), (0, 30)]])

    def __call__(self, picture: Picture) -> "Engine":
        self.shapes.append(picture.shape)
        if self.until:
            self.until.wait(60)
        if self.error:
            raise self.error
        return self


def test_lines_come_from_top_to_bottom_in_shares_of_the_picture() -> None:
    engine = Engine()
    reading = RapidReader(engine, version="1", limit_s=60).read(np.zeros((100, 100, 3), np.uint8))
    assert reading.state is ReadingState.READ
    assert [line.text for line in reading.lines] == ["UPPER", "LOWER"]
    assert reading.lines[0].box == ((0, 0.1), (0.5, 0.1), (0.5, 0.3), (0, 0.3))


def test_a_huge_picture_is_read_small() -> None:
    engine = Engine()
    RapidReader(engine, version="1", limit_s=60).read(np.zeros((4000, 2000, 3), np.uint8))
    assert engine.shapes == [(960, 480, 3)]


def test_what_fails_is_not_read() -> None:
    failing = RapidReader(Engine(error=RuntimeError("no")), version="1", limit_s=60)
    assert failing.read(np.zeros((100, 100, 3), np.uint8)) == Reading(state=ReadingState.FAILED)


def test_an_overrun_is_not_read_nor_is_what_waits_behind_it() -> None:
    done, picture = Event(), np.zeros((100, 100, 3), np.uint8)
    engine = Engine(until=done)
    reader = RapidReader(engine, version="1", limit_s=0.05)
    try:
        assert [reader.read(picture).state for _ in range(3)] == [ReadingState.TOO_SLOW] * 3
    finally:
        done.set()
    assert len(engine.shapes) == 1


def test_without_the_extra_the_state_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("models.recognition.reader.import_module", missing)
    reader = open_reader()
    assert isinstance(reader, NoReader)
    assert reader.read(np.zeros((9, 9, 3), np.uint8)).state is ReadingState.NOT_INSTALLED


def test_the_installed_reader_reads_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket  # noqa: PLC0415 -- only here

    import cv2  # noqa: PLC0415 -- only here

    def refuse(*_: object) -> None:
        raise AssertionError("went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    picture = np.full((200, 400, 3), 250, np.uint8)
    cv2.putText(picture, "VITRINE", (40, 120), cv2.FONT_HERSHEY_SIMPLEX, 2.2, (20, 20, 20), 6, cv2.LINE_AA)
    reading = RapidReader.load(limit_s=120).read(picture)
    assert [line.text for line in reading.lines] == ["VITRINE"]
    ((left, top), _, (right, bottom), _) = reading.lines[0].box
    assert left < 0.2
    assert 0.6 < right < 0.95
    assert 0.2 < top < bottom < 0.8


def test_text_beside_the_product_is_told_from_text_on_it() -> None:
    mask = np.zeros((50, 100), np.float32)
    mask[:, :50] = 1
    boxes = [((a, 0.2), (b, 0.2), (b, 0.6), (a, 0.6)) for a, b in ((0.05, 0.45), (0.55, 0.95), (0.3, 0.7), (1.5, 1.9))]
    shares = [share_inside(TextLine(text="x", confidence=1, box=box), mask) for box in boxes]
    assert shares[0] > 0.99
    assert shares[1] < 0.05
    assert 0.4 < shares[2] < 0.6
    assert shares[3] == 0


@dataclass(frozen=True)
class Sight:
    mask: Mask
    classes: Floats
    features: Floats


class Eye:
    """Sees a disc that is surely a hat."""

    name, version, classes = "product", "7", ("dress", "hat")

    def see(self, pictures: list[Picture]) -> list[Sight]:
        mask = disc((0, 0, 0))[1]
        return [Sight(mask, np.array([0.1, 0.9], np.float32), np.ones(4, np.float32)) for _ in pictures]


class Lines:
    name, version = "reader", "3"

    def read(self, picture: Picture) -> Reading:
        def line(text: str, left: float) -> TextLine:
            box = ((left, 0.45), (left + 0.08, 0.45), (left + 0.08, 0.5), (left, 0.5))
            return TextLine(text=text, confidence=0.95, box=box)

        return Reading(state=ReadingState.READ, lines=(line("INSIDE", 0.4), line("BESIDE", 0.0)))


def heads() -> AttributeModel:
    net = AttributeNet(AttributeNetConfig(pooled=4, patterns=2, embedding=8))
    return AttributeModel(net, name="attributes", version="2", patterns=("plain", "check"), product="7")


def test_facts_carry_value_confidence_and_source() -> None:
    recogniser = Recogniser(Eye(), heads(), Lines())
    picture = disc((200, 30, 45))[0]
    first, second = recogniser.recognise([picture, picture])
    facts = first.facts
    assert facts.category is not None
    assert (facts.category.value, facts.category.source) == ("hat", "product 7")
    assert facts.category.confidence == pytest.approx(0.9)
    assert [one.evidence.value for one in facts.colours] == ["red"]
    assert [(line.value, line.source) for line in facts.text] == [("INSIDE", "reader 3")]
    assert first.beside == ("BESIDE",)
    assert facts.pattern is not None
    assert facts.pattern.source == recogniser.embedding == "attributes 2"
    assert np.linalg.norm(first.embedding) == pytest.approx(1.0)
    assert (first.embedding == second.embedding).all()
    assert facts == second.facts


def test_no_pictures_no_recognitions() -> None:
    assert Recogniser(Eye(), heads(), NoReader()).recognise([]) == []
